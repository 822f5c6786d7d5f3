#!/usr/bin/env python3
"""Copies fixtures into seed corpora: python seeds.py TARGET FOLDER. Needs nothing but Python."""

import pathlib
import shutil
import sys
import zipfile

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "weight-files"
LARGEST = 100_000
BEGINNINGS = {"archive": b"PK\x03\x04", "stream": b"\x80"}


def main():
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
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


if __name__ == "__main__":
    main()
