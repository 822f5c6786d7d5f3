"""Where the generators of fixtures/weight-files put what they make.

What the tests expect of a valid file stands beside it in `<file>.expected.json`, computed from the arrays that went into the
file: for each tensor its element type, its shape and the SHA-256 of its bytes (C order, little-endian).
"""

import hashlib
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "weight-files"

TYPE_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}


def put(path, data):
    target = ROOT / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def expect(path, tensors):
    """Records what reading `path` must give: pairs of a name and a NumPy array, or (type, shape, bytes)."""
    described = {}
    for name, value in tensors:
        if isinstance(value, np.ndarray):
            value = (TYPE_NAMES[str(value.dtype)], list(value.shape), np.ascontiguousarray(value).tobytes())
        kind, shape, data = value
        described[name] = {"type": kind, "shape": list(shape), "sha256": hashlib.sha256(data).hexdigest()}
    put(path + ".expected.json", (json.dumps(described, indent=1) + "\n").encode())
