"""Makes fixtures/weight-files: valid weight files of each kind, and one malformed file for each way to lie.

Run in the repository's root, with these packages: safetensors 0.8.0, torch 2.15.0, torchvision 0.29.2, h5py 3.16.0,
keras 3.15.1 (KERAS_BACKEND=torch), numpy 2.4.6:

    python Tools/make-fixtures/weight_files.py

What the tests expect of a valid file stands beside it in `<file>.expected.json`, computed here from the arrays that went
into the file: for each tensor its element type, its shape and the SHA-256 of its bytes (C order, little-endian).
"""

import hashlib
import json
import pathlib
import struct

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


# -- safetensors -------------------------------------------------------------------------------------------------------


def safetensors_bytes(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def make_safetensors():
    import torch
    from safetensors.torch import save

    generator = torch.Generator().manual_seed(1)
    tensors = {
        "weight": torch.randn(2, 3, generator=generator),
        "double": torch.randn(3, generator=generator, dtype=torch.float64),
        "half": torch.randn(2, 2, generator=generator).to(torch.float16),
        "brain": torch.randn(5, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(7),
        "bytes": torch.tensor([1, 2, 255], dtype=torch.uint8),
        "empty": torch.zeros(0, 4),
        "flags": torch.tensor([True, False]),
    }
    put("safetensors/valid.safetensors", save(tensors, metadata={"format": "pt", "note": "zwölf"}))
    expect("safetensors/valid.safetensors", [(name, torch_value(tensor)) for name, tensor in tensors.items()])

    two = bytes(range(16))
    a, b = entry(0, 8, [2]), entry(8, 16, [2])
    lies = {
        "truncated-length": b"\x10\x00\x00",
        "truncated-header": struct.pack("<Q", 100) + b"{}",
        "header-too-long": struct.pack("<Q", 100_000_001) + b"{" + b" " * 20,
        "header-not-object": struct.pack("<Q", 0),
        "malformed-header": safetensors_bytes(b'{"a":', b""),
        "duplicate-key": safetensors_bytes(
            ('{"a":%s,"a":%s}' % (json.dumps(a), json.dumps(b))).encode(), two),
        "metadata-not-text": safetensors_bytes({"__metadata__": {"epoch": 3}, "a": entry(0, 16, [4])}, two),
        "missing-dtype": safetensors_bytes({"a": {"shape": [4], "data_offsets": [0, 16]}}, two),
        "negative-size": safetensors_bytes({"a": entry(0, 16, [-4])}, two),
        "descending-offsets": safetensors_bytes({"a": entry(16, 0, [4])}, two),
        "unknown-dtype": safetensors_bytes({"a": entry(0, 16, [4], "F24")}, two),
        "shape-overflow": safetensors_bytes({"a": entry(0, 16, [2**62, 8])}, two),
        "wrong-byte-count": safetensors_bytes({"a": entry(0, 16, [3])}, two),
        "overlap": safetensors_bytes({"a": entry(0, 12, [3]), "b": entry(8, 16, [2])}, two),
        "hole": safetensors_bytes({"a": entry(0, 4, [1]), "b": entry(8, 16, [2])}, two),
        "trailing-bytes": safetensors_bytes({"a": a, "b": b}, two + b"x"),
        "truncated-data": safetensors_bytes({"a": a, "b": b}, two[:-1]),
    }
    for name, data in lies.items():
        put(f"safetensors/{name}.safetensors", data)


def torch_value(tensor):
    """(type, shape, bytes) of a torch tensor, bfloat16 too."""
    import torch

    kind = TYPE_NAMES[str(tensor.dtype).removeprefix("torch.")]
    contiguous = tensor.detach().contiguous()
    if contiguous.dtype == torch.bfloat16:
        contiguous = contiguous.view(torch.int16)
    return kind, list(tensor.shape), contiguous.numpy().tobytes()


# -- files that are no weight files ------------------------------------------------------------------------------------


def make_foreign():
    put("foreign/empty.pt", b"")
    put("foreign/unknown.pt", b"\x01\x02\x03\x04\x05\x06\x07\x08 nothing that is known")
    put("foreign/legacy-stream.pth", bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.")
    put("foreign/image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    put("foreign/image.dcm", b"\0" * 128 + b"DICM" + b"\x02\0\0\0")
    put("foreign/legacy.tar", b"sys_info".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"))
    put("foreign/page.pth", b"\n<!DOCTYPE html><html><title>Sign in</title></html>")
    put(
        "foreign/pointer.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 32342954\n")


if __name__ == "__main__":
    make_safetensors()
    make_foreign()
    files = sorted(path for path in ROOT.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    put("SHA256SUMS", "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}\n" for path in files).encode())
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes")
