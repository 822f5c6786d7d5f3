#!/usr/bin/env python3
"""Recomputes every AUROC of `chexnet evaluate` from its printed predictions, with scikit-learn.

    chexnet evaluate weights.safetensors --data DIR --test LIST --predictions predictions.csv --json > evaluate.json
    python auroc.py predictions.csv --against evaluate.json

PREDICTIONS.csv has columns prob_<Finding> and label_<Finding>; an empty or negative label is unknown and left out. With
`--against`, exit 1 unless positives, negatives and AUROC of every finding agree (AUROC within 1e-12; null where a
finding has one class only). `--checkpoint` picks one of several checkpoints of the document, from 0.
"""

import argparse
import csv
import json

from sklearn.metrics import roc_auc_score


def scores(path):
    """{finding: (positives, negatives, AUROC or None)}"""
    with open(path, newline="") as file:
        rows, result = list(csv.DictReader(file)), {}
    for column in rows[0] if rows else []:
        if not column.startswith("prob_"):
            continue
        name = column.removeprefix("prob_")
        known = [(float(row[f"label_{name}"]), float(row[column])) for row in rows if row[f"label_{name}"].strip()]
        known = [(int(label), probability) for label, probability in known if label >= 0]
        positives = sum(label for label, _ in known)
        negatives = len(known) - positives
        result[name] = positives, negatives, roc_auc_score(*zip(*known)) if positives and negatives else None
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions")
    parser.add_argument("--against", metavar="EVALUATE.json", help="compare with this --json document of chexnet evaluate")
    parser.add_argument("--checkpoint", type=int, default=0, help="which checkpoint of the document, from 0")
    options = parser.parse_args()

    ours = {}
    if options.against:
        with open(options.against) as file:
            ours = {finding["name"]: finding for finding in json.load(file)["checkpoints"][options.checkpoint]["findings"]}
    theirs, faults = scores(options.predictions), 0
    for name, (positives, negatives, auroc) in theirs.items():
        line = f"{name:20} {positives:6} {negatives:6}  {'undefined' if auroc is None else format(auroc, '.12f')}"
        if ours:
            other = ours.get(name)
            same = other is not None and (other["positives"], other["negatives"]) == (positives, negatives)
            if same and auroc is not None and other["auroc"] is not None:
                same = abs(other["auroc"] - auroc) <= 1e-12
            elif same:
                same = other["auroc"] is None and auroc is None
            faults += not same
            line += "" if same else f"  DIFFERENT: {other and {key: other[key] for key in ('positives', 'negatives', 'auroc')}}"
        print(line)
    defined = [auroc for _, _, auroc in theirs.values() if auroc is not None]
    if defined:
        print(f"mean of {len(defined)}: {sum(defined) / len(defined):.12f}")
    if options.against:
        faults += len(set(ours) - set(theirs))
        print(f"{len(theirs)} findings, {faults} different")
    raise SystemExit(1 if faults or not theirs else 0)


if __name__ == "__main__":
    main()
