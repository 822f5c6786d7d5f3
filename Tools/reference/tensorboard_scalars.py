#!/usr/bin/env python3
"""Reads a run's TensorBoard file with TensorBoard itself and compares what it finds with the run's metrics.csv.

    python tensorboard_scalars.py RUN

Needs `tensorboard`. Exits with 1 where a number differs by more than a float's rounding, or a point is missing.
"""

import csv
import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

COLUMNS = {"train_loss": "epoch/train_loss", "validation_loss": "epoch/validation_loss", "validation_auroc": "epoch/validation_auroc"}


def main():
    run = pathlib.Path(sys.argv[1])
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    faults = []
    for column in rows[0].keys() - {"epoch", "learning_rate"}:
        tag = COLUMNS.get(column) or column.replace("auroc_", "auroc/", 1)
        expected = [float(row[column]) for row in rows if row[column]]
        found = [event.value for event in events.Scalars(tag)] if tag in tags else []
        if len(found) != len(expected) or not all(math.isclose(f, e, rel_tol=1e-7) for f, e in zip(found, expected)):
            faults.append(f"{tag}: {found}, metrics.csv has {expected}")
    for tag in tags:
        steps = [event.step for event in events.Scalars(tag)]
        if steps != sorted(set(steps)):
            faults.append(f"{tag}: steps {steps}")
    print(f"{len(tags)} tags, {len(rows)} epochs, {len(faults)} faults", *faults, sep="\n")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
