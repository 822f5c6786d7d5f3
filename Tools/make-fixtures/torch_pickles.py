#!/usr/bin/env python3
"""Makes fixtures/weight-files/torch-writing: the pickles that torch.save writes for state dicts, for our writer to equal.

Run in the repository's root, with torch 2.15.0:

    python Tools/make-fixtures/torch_pickles.py

`state-dict.pkl` is the record `data.pkl` of one state dict, `state-dict.json` says its tensors (name, element type, shape),
and of longer dicts, of tensors `w0`, `w1`, … of one float each, the SHA-256 of the record: Python writes pairs in batches.
"""

import collections
import hashlib
import io
import json
import pathlib
import zipfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "weight-files" / "torch-writing"

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}


def data_pickle(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return archive.read("archive/data.pkl")


def main():
    # Sizes on both sides of what one byte and two bytes hold, and of tuples that have an operation of their own.
    tensors = [("scalar", "I64", []), ("empty", "F32", [0, 3]), ("hollow", "F32", [2, 0, 3]), ("kernel", "F32", [8, 3, 7, 7])]
    tensors += [(f"vector{count}", "F32", [count]) for count in (1, 255, 256, 65535, 65536)]
    tensors += [(f"type.{name}", name, [2, 3]) for name in TYPES]
    # Over 256 remembered objects.
    tensors += [(f"features.denseblock1.denselayer{layer}.norm1.wéight", "F32", [4]) for layer in range(1, 31)]
    state = collections.OrderedDict((name, torch.zeros(shape, dtype=TYPES[kind])) for name, kind, shape in tensors)
    ROOT.mkdir(parents=True, exist_ok=True)
    (ROOT / "state-dict.pkl").write_bytes(data_pickle(state))
    long = {}
    for count in (0, 1, 1000, 1001, 2001):
        state = collections.OrderedDict((f"w{index}", torch.zeros(1)) for index in range(count))
        long[str(count)] = hashlib.sha256(data_pickle(state)).hexdigest()
    described = {"tensors": [{"name": n, "type": t, "shape": s} for n, t, s in tensors], "long": long}
    (ROOT / "state-dict.json").write_text(json.dumps(described, indent=1) + "\n")


if __name__ == "__main__":
    main()
