#!/usr/bin/env python3
"""Lets `chexnet evaluate` score random predictions, and compares each AUROC with scikit-learn's and with the count of all pairs.

    python random_scores.py CHEXNET [--cases 10000]

Every case is a finding of one file of predictions: 2 to 150 images with a known label, prevalence and number of distinct scores at random, ties many. Exit 1
unless all agree within 1e-12, and are null where a case has one class only.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import tempfile

import numpy as np
from sklearn.metrics import roc_auc_score

IMAGES = 150


def by_pairs(labels, scores):
    difference = scores[labels == 1][:, None] - scores[labels == 0][None]
    return ((difference > 0) + 0.5 * (difference == 0)).mean()


def make_case(random):
    """Scores of all images, and labels, -1 where there is none."""
    count, levels = random.integers(2, IMAGES + 1), random.integers(1, 60)
    labels = np.full(IMAGES, -1)
    labels[random.permutation(IMAGES)[:count]] = random.random(count) < random.choice([0.02, 0.1, 0.3, 0.5, 0.9])
    return np.round(random.random(IMAGES) * levels) / levels, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chexnet")
    parser.add_argument("--cases", type=int, default=10_000)
    options = parser.parse_args()
    random = np.random.Generator(np.random.PCG64(17))
    cases = [make_case(random) for _ in range(options.cases)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "predictions.csv"
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Image Index", *(f"prob_c{n}" for n in range(len(cases))), *(f"label_c{n}" for n in range(len(cases)))])
            for image in range(IMAGES):
                labels = ["" if labels[image] < 0 else labels[image] for _, labels in cases]
                writer.writerow([f"{image}.png", *(repr(float(scores[image])) for scores, _ in cases), *labels])
        command = [options.chexnet, "evaluate", "--scores", path, "--test", path, "--confidence", "none", "--json"]
        document = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    ours = {finding["name"]: finding["auroc"] for finding in document["checkpoints"][0]["findings"]}
    largest, undefined, wrong = 0.0, 0, 0
    for number, (scores, labels) in enumerate(cases):
        known, found = labels >= 0, ours.pop(f"c{number}", "not there")
        if len(set(labels[known])) < 2:
            undefined += 1
            wrong += found is not None
            continue
        expected = roc_auc_score(labels[known], scores[known]), by_pairs(labels[known], scores[known])
        if not isinstance(found, float):
            wrong += 1
            continue
        largest = max(largest, *(abs(found - value) for value in expected))
    print(f"{len(cases)} cases, {undefined} of them undefined, {wrong} wrong, largest difference {largest:.1e}")
    raise SystemExit(wrong > 0 or largest > 1e-12 or bool(ours))


if __name__ == "__main__":
    main()
