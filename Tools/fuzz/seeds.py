#!/usr/bin/env python3
"""Copies fixtures into seed corpora: python seeds.py TARGET FOLDER. Needs nothing but Python."""

import json
import pathlib
import shutil
import struct
import sys
import zipfile

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "weight-files"
LARGEST = 100_000
BEGINNINGS = {"archive": b"PK\x03\x04", "stream": b"\x80"}


def main():
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if target == "keras":
        return write_keras(folder)
    for path in sorted(FIXTURES.rglob("*")):
        if not path.is_file() or path.stat().st_size > LARGEST or "bomb" in path.name:
            continue  # bombs are slow, and are tested as they are
        name = "-".join(path.relative_to(FIXTURES).parts)
        if target == "safetensors":
            if path.suffix == ".safetensors":
                shutil.copy(path, folder / name)
        elif target == "pickle":
            copy_pickle(path, folder / name)
        elif path.read_bytes().startswith(BEGINNINGS[target]):
            shutil.copy(path, folder / name)


def copy_pickle(path, to):
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith("data.pkl") and entry.file_size <= LARGEST:
                    to.write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, OSError):
        pass  # no archive, or one of those that lie


def write_keras(folder):
    """What the process says of two small files, of Keras 2 and of Keras 3 (Sources/WeightFormats/Keras/HDF5Worker.swift)."""
    tensors = {
        "layers": ["/model_weights/conv1/conv/conv1/conv/kernel:0", "/model_weights/bn/bn/gamma:0", "/optimizer_weights/m:0"],
        "variables": ["/layers/conv2d/vars/0", "/layers/batch_normalization_1/vars/0", "/optimizer/vars/0"],
    }
    descriptions = {
        "layers": {"prefix": "model_weights/", "metadata": {"keras_version": "2.2.4", "backend": "tensorflow"},
                   "layers": [["input_1", []], ["conv1/conv", ["conv1/conv/kernel:0"]], ["bn", ["bn/gamma:0"]]]},
        "variables": {"prefix": "", "metadata": {},
                      "variables": [["layers/conv2d/vars", "conv1_conv"], ["layers/batch_normalization_1/vars", None],
                                    ["optimizer/vars", "adam"]]},
    }
    for kind, names in tensors.items():
        header = {"__metadata__": {"keras": json.dumps(descriptions[kind])}}
        for index, name in enumerate(names):
            header[name] = {"dtype": "F32", "shape": [2, 1], "data_offsets": [8 * index, 8 * index + 8]}
        text = json.dumps(header).encode()
        (folder / kind).write_bytes(struct.pack("<Q", len(text)) + text + bytes(8 * len(names)))


if __name__ == "__main__":
    main()
