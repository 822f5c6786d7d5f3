#!/usr/bin/env python3
"""Recomputes what `chexnet heatmap --boxes` says of localisation, from the pictures: its oracle.

    chexnet heatmap CKPT IMAGES --finding all --size original --depth 8 --boxes BOXES.csv --output MAPS --json > ours.json
    python localization.py MAPS BOXES.csv --against ours.json        # exit 1 where a number differs

Wang et al., "ChestX-ray8", CVPR 2017, sections 3.2 and 4: regions above 60 and above 180 (SciPy, with corners), a box around
each; a radiologist's box is found where a detection's IoBB (or IoU) with it is above T; a detection that finds none is false.
The pointing game is recomputed from the pictures' .json.
"""

import argparse
import csv
import json
import pathlib
import sys

import numpy as np
from scipy import ndimage

LEVELS = (60, 180)
THRESHOLDS = {"iobb": (0.1, 0.25, 0.5, 0.75, 0.9), "iou": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}


def read_boxes(path):
    """{(image, finding): rows of x, y, x + width, y + height, each once}."""
    boxes = {}
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            x, y, width, height = (float(field) for field in row[2:6])
            finding = "Infiltration" if row[1] == "Infiltrate" else row[1]
            corners = (x, y, x + width, y + height)
            known = boxes.setdefault((row[0], finding), [])
            if corners not in known:
                known.append(corners)
    return boxes


def read_pgm(path):
    """[height, width] of an 8-bit P5."""
    # Three lines, of which chexnet writes each whole; pixels can look like blanks.
    magic, sides, maximum, pixels = path.read_bytes().split(b"\n", 3)
    width, height = (int(side) for side in sides.split())
    if (magic, maximum) != (b"P5", b"255") or len(pixels) != width * height:
        raise SystemExit(f"{path} is no 8-bit PGM: draw with --size original --depth 8")
    return np.frombuffer(pixels, np.uint8).reshape(height, width)


def detections(picture):
    """Rows of x0, y0, x1, y1."""
    boxes = []
    for level in LEVELS:
        labels, _ = ndimage.label(picture > level, structure=np.ones((3, 3)))
        boxes += [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]
    return np.array(boxes, float).reshape(-1, 4)


def area(boxes):
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def overlaps(found, wanted):
    """{"iobb", "iou"}: [detections, boxes]."""
    a, b = found[:, None], wanted[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.clip(sides, 0, None).prod(-1)
    return {"iobb": common / area(a), "iou": common / (area(a) + area(b) - common)}


def score(folder, boxes):
    tallies, game = {}, [0, 0]
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        sheet = json.loads(path.read_text())
        rows = boxes.get((pathlib.PurePath(sheet["image"]).name, sheet["finding"]))
        if rows is None:
            continue
        peak = sheet["peak"]
        game[0] += 1
        game[1] += any(x0 <= peak["x"] < x1 and y0 <= peak["y"] < y1 for x0, y0, x1, y1 in rows)
        picture = read_pgm(path.with_suffix(".pgm"))
        height, width = picture.shape
        wanted = np.clip(np.array(rows), 0, [width, height, width, height])
        wanted = wanted[area(wanted) > 0]
        if len(wanted) == 0:
            continue
        found = detections(picture)
        tally = tallies.setdefault(sheet["finding"], {"maps": 0, "boxes": 0, "detections": 0, "iobb": [], "iou": []})
        tally["maps"] += 1
        tally["boxes"] += len(wanted)
        tally["detections"] += len(found)
        for criterion, overlap in overlaps(found, wanted).items():
            tally[criterion].append(
                [((overlap > t).any(0).sum(), (~(overlap > t).any(1)).sum()) for t in THRESHOLDS[criterion]])
    return tallies, game


def differences(tallies, game, ours):
    """A line for each number that differs, and how many were compared."""
    found, compared = [], 0

    def compare(what, expected, value):
        nonlocal compared
        compared += 1
        if value is None or abs(value - expected) > 1e-12:
            found.append(f"{what}: {value}, expected {expected}")

    compare("maps of the pointing game", game[0], ours["pointing_game"]["maps"])
    compare("hits of the pointing game", game[1], ours["pointing_game"]["hits"])
    findings = {finding["name"]: finding for finding in ours["localization"]["findings"]}
    compare("findings", len(tallies), len(findings))
    for count in ("maps", "boxes", "detections"):
        compare(count, sum(tally[count] for tally in tallies.values()), ours["localization"][count])
    for name, tally in tallies.items():
        finding = findings.get(name, {})
        for count in ("maps", "boxes", "detections"):
            compare(f"{count} of {name}", tally[count], finding.get(count))
        for criterion, thresholds in THRESHOLDS.items():
            sums = np.sum(tally[criterion], axis=0)
            for index, threshold in enumerate(thresholds):
                row = finding.get(criterion, [{}] * len(thresholds))[index]
                hits, false = (int(number) for number in sums[index])
                what = f"{name}, {criterion} above {threshold}"
                compare(f"{what}, threshold", threshold, row.get("above"))
                compare(f"{what}, hits", hits, row.get("hits"))
                compare(f"{what}, accuracy", hits / tally["boxes"], row.get("accuracy"))
                compare(f"{what}, false detections", false, row.get("false_detections"))
                compare(f"{what}, false per map", false / tally["maps"], row.get("false_per_map"))
    return found, compared


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", help="folder of .pgm and .json")
    parser.add_argument("boxes", help="BBox_List_2017.csv")
    parser.add_argument("--against", required=True, help="what `heatmap --json` printed")
    options = parser.parse_args()
    tallies, game = score(options.maps, read_boxes(options.boxes))
    found, compared = differences(tallies, game, json.loads(pathlib.Path(options.against).read_text()))
    print("\n".join(found + [f"{compared} numbers of {sum(t['maps'] for t in tallies.values())} maps, {len(found)} differ"]))
    sys.exit(1 if found or not tallies else 0)


if __name__ == "__main__":
    main()
