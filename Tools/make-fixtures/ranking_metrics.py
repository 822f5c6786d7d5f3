#!/usr/bin/env python3
"""Makes fixtures/statistics/metrics.json: scikit-learn's and torchmetrics' numbers of made-up predictions.

    python ranking_metrics.py

Each case has probabilities, labels and patients of two lists. Of the first: AUROC, average precision and Brier score by scikit-learn, the expected
calibration error (15 bins) by torchmetrics, and thresholds: scikit-learn's `roc_curve` and `precision_recall_curve`, from which the highest threshold is
taken that maximises Youden's index, or F1, or has a sensitivity of 0.95, and the lowest that has a specificity of 0.95. Of the second: scikit-learn's
`confusion_matrix` at each of these. `mean` is the variance of the mean AUROC of three findings, by leaving out one patient after the other.
"""

import json
import pathlib

import numpy as np
import torch
from sklearn.metrics import (
    average_precision_score, brier_score_loss, confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve)
from torchmetrics.functional.classification import binary_calibration_error

FIXTURE = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "statistics" / "metrics.json"


def predictions(random, images, prevalence, digits):
    label = (random.random(images) < prevalence).astype(int)
    logit = 1.5 * label + random.normal(size=images) - 1
    return np.round(1 / (1 + np.exp(-logit)), digits), label


def thresholds(probability, label):
    false, true, levels = roc_curve(label, probability, drop_intermediate=False)
    false, true, levels = false[1:], true[1:], levels[1:]  # without the threshold above all scores
    precision, recall, ascending = precision_recall_curve(label, probability)
    f1 = 2 * precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], 1e-300)
    youden, highest = true - false, f1.max()
    found = {
        "youden": levels[np.flatnonzero(youden >= youden.max() - 1e-12)[0]],
        "f1": ascending[np.flatnonzero(f1 >= highest - 1e-12)[-1]],
        "sensitivity-0.95": levels[np.flatnonzero(true >= 0.95 - 1e-12)[0]],
    }
    specific = np.flatnonzero(1 - false >= 0.95 - 1e-12)
    if len(specific):
        found["specificity-0.95"] = levels[specific[-1]]
    return {rule: float(value) for rule, value in found.items()}


def mean_variance(random, images, patients):
    """The jackknife's, and what it is of: three findings of the same images, whose patients move them together."""
    patient = np.sort(random.integers(0, patients, images))
    shared = random.normal(size=patients)[patient]
    labels = [(random.random(images) < prevalence).astype(int) for prevalence in (0.2, 0.4, 0.3)]
    scores = [label + shared + random.normal(size=images) for label in labels]
    values = []
    for left_out in sorted(set(patient)):
        kept = patient != left_out
        values.append(np.mean([roc_auc_score(label[kept], score[kept]) for label, score in zip(labels, scores)]))
    variance = (len(values) - 1) / len(values) * ((values - np.mean(values)) ** 2).sum()
    return {
        "patients": patient.tolist(), "labels": [label.tolist() for label in labels], "scores": [score.tolist() for score in scores],
        "jackknife": float(variance),
    }


def main():
    random, cases = np.random.Generator(np.random.PCG64(5)), []
    for images, prevalence, digits in [(50, 0.3, 9), (200, 0.1, 2), (400, 0.5, 9), (300, 0.05, 1), (120, 0.6, 3)]:
        (probability, label), (other, other_label) = (predictions(random, images, prevalence, digits) for _ in range(2))
        points = thresholds(probability, label)
        cases.append({
            "probabilities": probability.tolist(), "labels": label.tolist(),
            "test_probabilities": other.tolist(), "test_labels": other_label.tolist(),
            "auroc": roc_auc_score(label, probability), "average_precision": average_precision_score(label, probability),
            "brier": brier_score_loss(label, probability),
            # Of values that are on no bin's border: those are counted above by torchmetrics, below by Guo et al.
            "calibration_error": None if digits < 9 else binary_calibration_error(
                torch.from_numpy(probability), torch.from_numpy(label), n_bins=15, norm="l1").item(),
            "thresholds": {
                # tn, fp, fn, tp
                rule: [value, *confusion_matrix(other_label, other >= value, labels=[0, 1]).ravel().tolist()]
                for rule, value in points.items()
            },
        })
    FIXTURE.write_text(json.dumps({"cases": cases, "mean": mean_variance(random, 600, 150)}) + "\n")


if __name__ == "__main__":
    main()
