"""Says in which images (machine code of an architecture, or PTX) two fatbins differ; exit 1 where they do.

    images.py THERE BUILT

A fatbin is a header of 16 bytes (0xBA55ED50, version, size of the header, bytes after it), then images, each with a header of its own: kind (1 PTX,
2 machine code), sizes of header and payload, architecture. NVIDIA does not document it, so that only these fields are used, and each is checked.
"""

import struct
import sys
from pathlib import Path

MAGIC = 0xBA55ED50
KINDS = {1: "compute", 2: "sm"}


def images(path):
    """[(name, bytes)] in the file's order."""
    data = path.read_bytes()
    if len(data) < 16:
        sys.exit(f"error: {path} is too short for a fatbin: {len(data)} bytes")
    magic, _, header, size = struct.unpack_from("<IHHQ", data)
    if magic != MAGIC or header < 16 or header + size != len(data):
        sys.exit(f"error: {path} is no fatbin: expected {MAGIC:#x} and {len(data)} bytes, found {magic:#x} and {header + size}")
    found, offset = [], header
    while offset < len(data):
        if len(data) - offset < 32:
            sys.exit(f"error: {path} ends within a header of an image")
        kind, _, header, payload = struct.unpack_from("<HHIQ", data, offset)
        (architecture,) = struct.unpack_from("<I", data, offset + 28)
        end = offset + header + payload
        if kind not in KINDS or header < 32 or end > len(data):
            sys.exit(f"error: {path} has no image at byte {offset}")
        found.append((f"{KINDS[kind]}_{architecture}", data[offset:end]))
        offset = end
    return found


def main():
    if len(sys.argv) != 3:
        sys.exit("error: expected two fatbins")
    paths = [Path(name) for name in sys.argv[1:]]
    for path in paths:
        if not path.is_file():
            sys.exit(f"error: no such file: {path}")
    there, built = (images(path) for path in paths)
    names = [[name for name, _ in found] for found in (there, built)]
    if names[0] != names[1]:
        sys.exit(f"differ: {paths[0]} has {' '.join(names[0])}, but {' '.join(names[1])} were built")
    different = [f"{name} ({len(a)} and {len(b)} bytes)" for (name, a), (_, b) in zip(there, built) if a != b]
    if different:
        sys.exit(f"differ: {', '.join(different)}")


if __name__ == "__main__":
    main()
