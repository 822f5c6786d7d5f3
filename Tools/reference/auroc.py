#!/usr/bin/env python3
"""Recomputes the scores of `chexnet evaluate` from its printed predictions, with scikit-learn.

    chexnet evaluate weights.safetensors --data DIR --test LIST --predictions predictions.csv --json > evaluate.json
    python auroc.py predictions.csv --against evaluate.json

    chexnet evaluate A.safetensors B.safetensors --data DIR --test LIST --report REPORT
    python auroc.py REPORT

A file of predictions has columns prob_<Finding> and label_<Finding>; an empty or negative label is unknown and left out. With `--against` (`--checkpoint`
picks one of several of the document, from 0), and for a folder that `--report` made, exit 1 unless of every finding positives, negatives, AUROC, average
precision and Brier score agree (within 1e-12; null where a finding has one class only), and what each threshold makes of the images.
"""

import argparse
import csv
import json
import pathlib

from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, roc_auc_score

NUMBERS = {"auroc": roc_auc_score, "average_precision": average_precision_score, "brier": brier_score_loss}


def known_of(path):
    """{finding: (labels, probabilities)} of the images whose label is known."""
    with open(path, newline="") as file:
        rows, result = list(csv.DictReader(file)), {}
    for column in rows[0] if rows else []:
        if column.startswith("prob_"):
            name = column.removeprefix("prob_")
            known = [(float(row[f"label_{name}"]), float(row[column])) for row in rows if row[f"label_{name}"].strip()]
            known = [(int(label), probability) for label, probability in known if label >= 0]
            result[name] = [label for label, _ in known], [probability for _, probability in known]
    return result


def numbers_of(labels, probabilities):
    if not 0 < sum(labels) < len(labels):
        return {"auroc": None, "average_precision": None}
    return {name: metric(labels, probabilities) for name, metric in NUMBERS.items()}


def differences(ours, labels, probabilities):
    """What of a finding of the document is not scikit-learn's."""
    found = []
    if (ours["positives"], ours["negatives"]) != (sum(labels), len(labels) - sum(labels)):
        found.append("counts")
    for name, value in numbers_of(labels, probabilities).items():
        same = ours[name] is None if value is None else ours[name] is not None and abs(ours[name] - value) <= 1e-12
        if not same:
            found.append(f"{name} {ours[name]} is not {value}")
    for rule in ours.get("thresholds", []):
        tn, fp, fn, tp = confusion_matrix(labels, [p >= rule["threshold"] for p in probabilities], labels=[False, True]).ravel()
        expected = {"sensitivity": (tp, tp + fn), "specificity": (tn, tn + fp), "ppv": (tp, tp + fp), "npv": (tn, tn + fn)}
        for name, (hits, count) in expected.items():
            if (rule[name]["hits"], rule[name]["count"]) != (hits, count):
                found.append(f"{rule['rule']}'s {name}")
    return found


def compare(path, checkpoint):
    """Prints the findings of the predictions at `path`; how many, and how many of them are others in `checkpoint`, which may be nothing."""
    ours = {finding["name"]: finding for finding in checkpoint["findings"]} if checkpoint else {}
    theirs, faults, defined = known_of(path), 0, []
    for name, (labels, probabilities) in theirs.items():
        auroc = numbers_of(labels, probabilities)["auroc"]
        line = f"{name:20} {sum(labels):6} {len(labels) - sum(labels):6}  {'undefined' if auroc is None else format(auroc, '.12f')}"
        defined += [] if auroc is None else [auroc]
        if checkpoint:
            wrong = differences(ours[name], labels, probabilities) if name in ours else ["not there"]
            faults += bool(wrong)
            line += f"  DIFFERENT: {'; '.join(wrong)}" if wrong else ""
        print(line)
    if defined:
        print(f"mean of {len(defined)}: {sum(defined) / len(defined):.12f}")
    return len(theirs), faults + len(set(ours) - set(theirs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=pathlib.Path, help="a file of predictions, or a folder of --report")
    parser.add_argument("--against", metavar="EVALUATE.json", help="compare with this --json document of chexnet evaluate")
    parser.add_argument("--checkpoint", type=int, default=0, help="which checkpoint of the document, from 0")
    options = parser.parse_args()

    if options.predictions.is_dir():
        checkpoints = json.loads((options.predictions / "scores.json").read_text())["checkpoints"]
        names = ["predictions.csv"] if len(checkpoints) == 1 else [f"predictions-{n + 1}.csv" for n in range(len(checkpoints))]
        pairs = [(options.predictions / name, checkpoint) for name, checkpoint in zip(names, checkpoints)]
    else:
        document = json.loads(pathlib.Path(options.against).read_text()) if options.against else None
        pairs = [(options.predictions, document and document["checkpoints"][options.checkpoint])]
    findings = faults = 0
    for path, checkpoint in pairs:
        counted, wrong = compare(path, checkpoint)
        findings, faults = findings + counted, faults + wrong
    if pairs[0][1]:
        print(f"{findings} findings, {faults} different")
    raise SystemExit(1 if faults or not findings else 0)


if __name__ == "__main__":
    main()
