#!/usr/bin/env python3
"""Imports every full-size weight file, predicts radiographs, and compares with what the file's own library said of them.

    python Tools/make-fixtures/full_size.py --output DIR --images RADIOGRAPHS
    python import_full_size.py .build-tests/release/chexnet DIR [--only NAME…] [--limit 12]

A file passes where the imported tensors are bit for bit those that its library reads (`tensors_sha256`), no probability differs
by more than the file's tolerance (1e-4; 5e-3 for torchxrayvision, whose images are resized by scikit-image), and no logit by more than
ten times that, relative to max(1, |logit|). Files of half precision are compared with their weights in float32. Exit 1 if any
file misses.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

LOGIT_FACTOR = 10  # as compare_predictions.py: 1e-4 in a probability, 1e-3 in a logit


def chexnet(executable, *arguments):
    """The JSON document that chexnet prints, or its message on failure."""
    done = subprocess.run([executable, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}, no message"]
    try:
        error = json.loads(lines[-1])["error"]
        raise RuntimeError(f"{error['id']}: {error['message']}")
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(lines[-1]) from None


def chosen(images, folder, limit):
    """`limit` of the recorded images, every fourth of them in color where there are such: RGBA is a path of its own."""
    from PIL import Image

    color = [image for image in images if Image.open(folder / image["image"]).mode not in ("L", "I;16")]
    gray = [image for image in images if image not in color]
    few = color[:max(limit // 4, limit - len(gray))]
    step = max(1, len(gray) // max(1, limit - len(few)))
    return few + gray[::step][:limit - len(few)]


def differences(ours, recorded, names):
    """(largest |Δp|, largest relative Δlogit); NaN wins."""
    probability, logit = [], []
    by_image = {pathlib.PurePath(image["image"]).name: image["findings"] for image in ours["images"]}
    if set(by_image) != {image["image"] for image in recorded}:
        raise RuntimeError("predictions of other images than asked for")
    for image in recorded:
        findings = by_image[image["image"]]
        if [finding["name"] for finding in findings] != names:
            raise RuntimeError(f"other findings: {[finding['name'] for finding in findings][:3]}… instead of {names[:3]}…")
        for finding, p, z in zip(findings, image["probabilities"], image["logits"]):
            probability.append(abs(finding["probability"] - p))
            logit.append(abs(finding["logit"] - z) / max(1, abs(z)))
    return tuple(next((v for v in values if math.isnan(v)), max(values)) for values in (probability, logit))


def check(executable, folder, record, images, limit):
    """(verdict, |Δp|, Δlogit, remark)"""
    picked = chosen(record["images"], images, limit)
    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) / "imported.safetensors"
        try:
            report = chexnet(
                executable, "import-weights", folder / record["file"], "--output", output, *record["import_options"])
            ours = chexnet(executable, "predict", output, *(images / image["image"] for image in picked))
            p, z = differences(ours, picked, record["findings"])
        except RuntimeError as error:
            return False, None, None, str(error)
    same = report["tensors_sha256"] == record["tensors_sha256"]
    near = p <= record["tolerance"] and z <= LOGIT_FACTOR * record["tolerance"]
    return same and near, p, z, "" if same else "other tensors than the library reads"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("folder", type=pathlib.Path, help="what full_size.py wrote")
    parser.add_argument("--images", type=pathlib.Path, help="the radiographs, where they are no longer where they were recorded")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="beginnings of file names")
    parser.add_argument("--limit", type=int, default=12, help="images to predict (12)")
    options = parser.parse_args()

    paths = [path for path in sorted(options.folder.glob("*.json")) if path.name.startswith(tuple(options.only or [""]))]
    if not paths:
        raise SystemExit(f"{options.folder} has no record of a weight file")
    failed = 0
    print(f"{'file':40} {'max |Δp|':>9} {'max Δlogit':>10} {'allowed':>8}")
    for path in paths:
        record = json.loads(path.read_text())
        passed, p, z, remark = check(
            options.executable, options.folder, record, options.images or pathlib.Path(record["image_folder"]), options.limit)
        failed += not passed
        numbers = f"{p:9.1e} {z:10.1e}" if p is not None else f"{'–':>9} {'–':>10}"
        print(f"{record['file']:40} {numbers} {record['tolerance']:8.0e}  {'ok' if passed else 'FAILED'}  {remark}", flush=True)
    print(f"{len(paths) - failed} of {len(paths)} files agree")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
