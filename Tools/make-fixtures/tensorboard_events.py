#!/usr/bin/env python3
"""Makes fixtures/training/scalars.tfevents: an event file as TensorBoard's own writer frames and serialises it.

    python tensorboard_events.py

The same events, with the same times, stand in `Tests/TrainingTests/ScalarLogTests.swift`. Needs `tensorboard` (2.21.0).
"""

import pathlib

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "training" / "scalars.tfevents"
EVENTS = [  # seconds, step, scalars
    (1700000000.25, 0, [("train/loss", 0.6931472)]),
    (1700000001.5, 1, [("train/loss", -1.5e-30), ("train/learning_rate", 0.0)]),
    (1700000060.0, 127, [("validation/auroc", 0.5)]),
    # A step of more than one byte, a tag of more than 127, and letters of more than one.
    (1700003600.0, 300, [("auroc/" + "Pleural_Thickening" * 8, 0.875), ("auroc/Ödem", 1.0)]),
    (1700003600.125, 3_000_000_000, [("train/loss", 3.0e38)]),
]


def main():
    with OUTPUT.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1700000000.0, file_version="brain.Event:2").SerializeToString())
        for seconds, step, scalars in EVENTS:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars]
            writer.write(Event(wall_time=seconds, step=step, summary=Summary(value=values)).SerializeToString())
        writer.flush()
    print(f"{OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
