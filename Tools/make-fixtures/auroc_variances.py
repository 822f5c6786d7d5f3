#!/usr/bin/env python3
"""Makes fixtures/statistics/auroc.json: AUROCs, their variances and paired tests by others' programs and by the papers' own sums.

    apt-get install r-cran-proc
    python auroc_variances.py

Each case has scores of two models, labels and patients. `pROC` (1.18, `var` and `roc.test` with method "delong") gives what treats every image for
itself; `clustered` are Obuchowski's formulas (Biometrics 1997, section 3) as sums over all pairs, and `jackknife` the variance by leaving out one
patient after the other. Beside them, from R: quantiles of the normal distribution (`qnorm`), Wilson's intervals (`prop.test` without correction) and
Holm's corrections (`p.adjust`).
"""

import json
import pathlib
import subprocess
import tempfile

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "statistics"
R = """
suppressMessages(library(pROC))
data <- read.csv(commandArgs(TRUE)[1])
a <- roc(data$label, data$first, levels = c(0, 1), direction = "<", quiet = TRUE)
b <- roc(data$label, data$second, levels = c(0, 1), direction = "<", quiet = TRUE)
test <- roc.test(a, b, method = "delong", paired = TRUE)
cat(sprintf("%.17g", c(auc(a), auc(b), var(a, method = "delong"), var(b, method = "delong"), test$statistic, test$p.value)))
"""


def make_case(random, images, patients, prevalence, levels):
    """Scores with ties where there are `levels`; a patient's images share a part of their scores and of their labels."""
    patient = np.sort(random.integers(0, patients, images))
    tendency = random.normal(size=patients)[patient]
    label = (random.random(images) < 1 / (1 + np.exp(-(np.log(prevalence / (1 - prevalence)) + tendency)))).astype(int)
    shared = random.normal(size=patients)[patient]
    scores = [label * gain + shared * 0.7 + random.normal(size=images) for gain in (1.2, 0.9)]
    if levels:
        scores = [np.round(score * levels) / levels for score in scores]
    return patient, label, scores


def kernel(score, label):
    """ψ of every positive (rows) and negative."""
    difference = score[label == 1][:, None] - score[label == 0][None]
    return (difference > 0) + 0.5 * (difference == 0)


def clustered_covariance(patient, label, first, second):
    """Obuchowski (1997): S10 / M + S01 / N + (S11 + S11') / (M N)."""
    ofs, psis = patient[label == 1], [kernel(score, label) for score in (first, second)]
    nots = patient[label == 0]
    m, n = psis[0].shape
    thetas = [psi.mean() for psi in psis]
    v10 = [psi.mean(1) for psi in psis]
    v01 = [psi.mean(0) for psi in psis]
    everyone = sorted(set(patient))
    sums10 = [[v[ofs == i].sum() - (ofs == i).sum() * theta for i in everyone] for v, theta in zip(v10, thetas)]
    sums01 = [[v[nots == i].sum() - (nots == i).sum() * theta for i in everyone] for v, theta in zip(v01, thetas)]
    i10, i01, i = len(set(ofs)), len(set(nots)), len(everyone)
    s10 = i10 / ((i10 - 1) * m) * np.dot(*sums10)
    s01 = i01 / ((i01 - 1) * n) * np.dot(*sums01)
    s11 = i / (i - 1) * np.dot(sums10[0], sums01[1])
    s11_other = i / (i - 1) * np.dot(sums10[1], sums01[0])
    return s10 / m + s01 / n + (s11 + s11_other) / (m * n)


def jackknife_variance(patient, label, score):
    values = []
    for left_out in sorted(set(patient)):
        kept = patient != left_out
        values.append(kernel(score[kept], label[kept]).mean())
    count = len(values)
    return (count - 1) / count * ((values - np.mean(values)) ** 2).sum()


def by_proc(label, first, second):
    with tempfile.TemporaryDirectory() as folder:
        table, script = pathlib.Path(folder) / "data.csv", pathlib.Path(folder) / "test.R"
        rows = ["label,first,second", *(f"{l},{a!r},{b!r}" for l, a, b in zip(label, first.tolist(), second.tolist()))]
        table.write_text("\n".join(rows) + "\n")
        script.write_text(R)
        output = subprocess.run(["Rscript", script, table], check=True, capture_output=True, text=True).stdout
    names = ["auroc_first", "auroc_second", "variance_first", "variance_second", "z", "p"]
    return dict(zip(names, map(float, output.split())))


def by_r(expression):
    """The numbers of an expression of R."""
    script = f'cat(sprintf("%.17g", c({expression})))'
    output = subprocess.run(["Rscript", "-e", script], check=True, capture_output=True, text=True).stdout
    return [float(number) for number in output.split()]


def make_tables():
    probabilities = [1e-12, 1e-5, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999999]
    counts = [(0, 5), (1, 7), (42, 100), (950, 1000), (5, 5)]
    p_values = [0.01, 0.04, 0.03, 0.005, 0.9, 0.02]
    listed = lambda numbers: ", ".join(map(repr, numbers))
    return {
        "quantiles": list(zip(probabilities, by_r(f"qnorm(c({listed(probabilities)}))"))),
        "wilson": [
            [hits, count, *by_r(f"suppressWarnings(prop.test({hits}, {count}, correct = FALSE)$conf.int)")] for hits, count in counts
        ],
        "holm": [p_values, by_r(f'p.adjust(c({listed(p_values)}), "holm")')],
    }


def main():
    random = np.random.Generator(np.random.PCG64(11))
    cases = []
    for images, patients, prevalence, levels in [
        (40, 15, 0.3, 0), (60, 60, 0.5, 2), (150, 40, 0.1, 0), (200, 50, 0.2, 5), (300, 100, 0.05, 1), (300, 90, 0.4, 0),
    ]:
        patient, label, (first, second) = make_case(random, images, patients, prevalence, levels)
        cases.append({
            "patients": patient.tolist(), "labels": label.tolist(), "first": first.tolist(), "second": second.tolist(),
            "pROC": by_proc(label, first, second),
            "clustered": {
                "variance_first": clustered_covariance(patient, label, first, first),
                "variance_second": clustered_covariance(patient, label, second, second),
                "covariance": clustered_covariance(patient, label, first, second),
            },
            "jackknife": {"variance_first": jackknife_variance(patient, label, first)},
        })
        ours, theirs = cases[-1]["clustered"]["variance_first"], cases[-1]["jackknife"]["variance_first"]
        print(f"{images} images, {patients} patients, {label.sum()} positives: clustered {ours:.3e}, jackknife {theirs:.3e}")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "auroc.json").write_text(json.dumps({"cases": cases} | make_tables()) + "\n")


if __name__ == "__main__":
    main()
