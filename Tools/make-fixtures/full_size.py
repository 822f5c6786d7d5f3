#!/usr/bin/env python3
"""Makes a folder of full-size weight files as people have them, with what each file's own library says of radiographs.

    python full_size.py --output DIR --images RADIOGRAPHS [--only NAME…] [--limit N]
    python Tools/reference/import_full_size.py chexnet DIR          # what chexnet makes of them

Nothing of it is committed: about two gigabytes. Every file is written by its library (or, for versions that no longer run, in
their layout), read back by it, and compared bit for bit with the network that went in; then the library answers for the
radiographs. Beside FILE stands FILE.json:

    file, library, versions, preprocessing, import_options, tolerance, image_folder, findings,
    tensors_sha256 (of the float32 tensors, as chexnet prints it), globals (of the pickles),
    images: [{image, logits: […], probabilities: […]}]

Probabilities are sigmoids of the logits, torchxrayvision's before its thresholds are applied.
"""

import argparse
import json
import os
import pathlib
import sys
import time
from importlib import metadata

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
from full_size_keras import keras_files
from full_size_networks import Networks, digest
from full_size_torch import torch_files
from pickle_globals import globals_of_file

PACKAGES = {
    "torchvision": ("torch", "torchvision"), "monai": ("torch", "monai"), "timm": ("torch", "timm"),
    "torchxrayvision": ("torch", "torchxrayvision", "scikit-image"), "keras": ("keras", "torch", "h5py"),
}


def record(weights, path, networks):
    """Writes the file, reads it back, and says what its library answers."""
    weights.write(networks, path)
    state, logits = weights.logits(path, networks)
    found, expected = digest(state), digest(weights.expected_state(networks))
    if found != expected:
        raise SystemExit(f"{path.name}: {weights.library} reads other tensors than were written")
    key = weights.library, weights.name if weights.library.startswith("keras 2") else found
    answers = networks.answer(key, weights.preprocessing, logits)
    if answers.std(0).median() < 0.1:
        raise SystemExit(f"{path.name}: the answers are the same for all images")
    is_torch = not path.name.endswith((".h5", ".keras", ".safetensors"))
    return {
        "file": path.name, "library": weights.library,
        "versions": {name: metadata.version(name) for name in PACKAGES.get(weights.library, ("torch", "h5py"))},
        "preprocessing": weights.preprocessing, "import_options": weights.options, "tolerance": weights.tolerance,
        "image_folder": str(networks.paths[0].parent), "findings": weights.findings(), "tensors_sha256": found,
        "globals": sorted(globals_of_file(path)[0]) if is_torch else [],
        "images": [
            {"image": networks.paths[index].name, "logits": row.tolist(), "probabilities": row.double().sigmoid().tolist()}
            for index, row in zip(networks.recorded, answers)
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--images", required=True, metavar="DIR", help="radiographs, PNG or JPEG; 30 or more")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="files to make: names, or beginnings of them")
    parser.add_argument("--limit", type=int, help="record the answers for so many images instead of all; RGBA among them")
    options = parser.parse_args()

    files = [*torch_files(), *keras_files()]
    if options.only:
        unknown = [name for name in options.only if not any(file.name.startswith(name) for file in files)]
        if unknown:
            raise SystemExit(f"no file begins with {', '.join(unknown)}: there are {', '.join(file.name for file in files)}")
        files = [file for file in files if file.name.startswith(tuple(options.only))]
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    networks, total = Networks(options.images, options.limit), 0
    print(f"{'file':40} {'bytes':>11}  {'s':>5}  library")
    for weights in files:
        start, path = time.monotonic(), options.output / weights.name
        content = record(weights, path, networks)
        (options.output / f"{weights.name}.json").write_text(json.dumps(content) + "\n")
        total += path.stat().st_size
        print(f"{weights.name:40} {path.stat().st_size:11,}  {time.monotonic() - start:5.1f}  {weights.library}", flush=True)
    print(f"{len(files)} files, {total:,} bytes")


if __name__ == "__main__":
    main()
