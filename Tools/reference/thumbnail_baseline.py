#!/usr/bin/env python3
"""The bar that a trained network must clear: logistic regression on 32 × 32 thumbnails.

    chexnet demo-data --output demo && python thumbnail_baseline.py demo

DATA_DIR has images/, train_list.txt, val_list.txt and test_list.txt in the reference implementation's format (a file name
and 14 zeros or ones). Pixels are standardised with the training images' mean and deviation; each finding has its own
regression, its C chosen by the AUROC on the validation list. Prints each finding's AUROC on the test list, and the mean.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from predict import FINDINGS

SIDE = 32
STRENGTHS = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def read_list(folder, name):
    """Thumbnails [N, 1024] and labels [N, 14] of a list."""
    rows = [line.split() for line in (folder / name).read_text().splitlines() if line.strip()]
    thumbnails = [
        np.asarray(Image.open(folder / "images" / row[0]).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        for row in rows
    ]
    return np.stack(thumbnails).reshape(len(rows), -1) / 255.0, np.array([[int(value) for value in row[1:]] for row in rows])


def auroc(labels, values):
    return roc_auc_score(labels, values) if 0 < labels.sum() < len(labels) else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, metavar="DATA_DIR")
    folder = parser.parse_args().data

    (train, train_labels), (val, val_labels), (test, test_labels) = (
        read_list(folder, f"{part}_list.txt") for part in ("train", "val", "test"))
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    train, val, test = ((part - mean) / deviation for part in (train, val, test))
    results = []
    for index, name in enumerate(FINDINGS):
        labels = train_labels[:, index]
        if not 0 < labels.sum() < len(labels) or auroc(test_labels[:, index], test[:, 0]) is None:
            print(f"{name:20} undefined: one class only in the training or test list")
            continue
        candidates = []
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=1000).fit(train, labels)
            candidates.append((auroc(val_labels[:, index], model.decision_function(val)) or 0.5, strength, model))
        score, strength, model = max(candidates, key=lambda candidate: candidate[:2])
        results.append(auroc(test_labels[:, index], model.decision_function(test)))
        print(f"{name:20} {results[-1]:.4f}  (C {strength:g}, validation {score:.4f})", flush=True)
    if not results:
        raise SystemExit("no finding can be scored")
    print(f"{'mean':20} {np.mean(results):.4f}  of {len(results)} findings; {len(train)} training, {len(test)} test images")


if __name__ == "__main__":
    main()
