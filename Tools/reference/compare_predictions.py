#!/usr/bin/env python3
"""Compares the probabilities of `chexnet predict` with those of predict.py; exit 1 where they differ by more than rounding.

    chexnet predict weights.safetensors images/ --json > ours.json
    python compare_predictions.py ours.json theirs.csv

OURS is the CSV (`Image Index,Patient ID,prob_<Finding>…`) or the JSON document (`images[].findings[]` with `name`,
`probability`, `logit`). Both files must have the same images and findings. A logit's relative difference is |Δ| ÷ max(1, |logit|);
a CSV without logits has them computed from its probabilities.
"""

import argparse
import csv
import json
import math
import pathlib


def logit(probability):
    if 0 < probability < 1:
        return math.log(probability) - math.log1p(-probability)
    return math.copysign(math.inf, probability - 0.5)


def read_csv(path):
    """{(image, finding): (probability, logit)}"""
    table = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            for column, value in row.items():
                if column.startswith("prob_"):
                    name, probability = column.removeprefix("prob_"), float(value)
                    image, known = pathlib.PurePath(row["Image Index"]).name, row.get(f"logit_{name}")
                    table[image, name] = probability, float(known) if known else logit(probability)
    return table


def read_json(path):
    with open(path) as file:
        return {
            (pathlib.PurePath(image["image"]).name, finding["name"]): (finding["probability"], finding["logit"])
            for image in json.load(file)["images"] for finding in image["findings"]
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("theirs")
    parser.add_argument("--probability", type=float, default=1e-4, help="largest |Δp| allowed (1e-4)")
    parser.add_argument("--logit", type=float, default=1e-3, help="largest relative logit difference allowed (1e-3)")
    options = parser.parse_args()

    ours, theirs = ((read_json if path.endswith(".json") else read_csv)(path) for path in (options.ours, options.theirs))
    if not ours or set(ours) != set(theirs):
        only = [sorted(set(a) - set(b))[:3] for a, b in ((ours, theirs), (theirs, ours))]
        raise SystemExit(
            f"not the same images and findings: {len(ours)} and {len(theirs)} values; "
            f"only in ours {only[0]}, only in theirs {only[1]}")

    def differences(key):
        (p, z), (q, w) = ours[key], theirs[key]
        return abs(p - q), 0.0 if z == w else abs(z - w) / max(1, abs(w))

    worst = [max((differences(key)[index], key) for key in ours) for index in (0, 1)]
    failed = False
    limits = {"|Δp|": options.probability, "relative logit difference": options.logit}
    for (title, limit), (value, key) in zip(limits.items(), worst):
        bad = not value <= limit  # NaN is bad
        failed |= bad
        print(f"max {title}: {value:.3g} at {key[0]} {key[1]} (allowed {limit:g}){' TOO LARGE' if bad else ''}")
    failed |= any(math.isnan(value) for key in ours for value in (*ours[key], *theirs[key]))
    images, findings = {image for image, _ in ours}, {name for _, name in ours}
    print(f"{len(images)} images, {len(findings)} findings: {'DIFFERENT' if failed else 'equal'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
