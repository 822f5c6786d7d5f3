#!/usr/bin/env python3
"""Checks every file under fixtures/ against the tables of fixtures/README.md. Needs nothing but Python.

    python checksums.py             # every file but a README.md has a row, every row a file, every size and SHA-256 is right; else exit 1
    python checksums.py --update    # writes the size and SHA-256 that the files have into the rows that are there

A row is `| path | made by | used by | sha256 | bytes |`, the path relative to fixtures/, its name in backquotes.
"""

import argparse
import hashlib
import pathlib
import re
import sys

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
ROW = re.compile(r"^\| `([^`]+)` \|(.*)\|([^|]*)\|([^|]*)\|$")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="rewrite the sums in README.md instead of comparing")
    update = parser.parse_args().update

    table = FIXTURES / "README.md"
    present = {str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*") if path.is_file() and path.name != "README.md"}
    faults, listed, lines = [], set(), []
    for line in table.read_text().splitlines():
        match = ROW.match(line)
        if match:
            name, middle, sha256, size = match[1], match[2], match[3].strip(), match[4].strip()
            if name in listed:
                faults.append(f"{name}: listed twice")
            listed.add(name)
            if name in present:
                content = (FIXTURES / name).read_bytes()
                found = hashlib.sha256(content).hexdigest(), str(len(content))
                if not update and found != (sha256, size):
                    faults.append(f"{name}: {found[1]} bytes, SHA-256 {found[0]}; the table says {size}, {sha256}")
                line = f"| `{name}` |{middle}| {found[0]} | {found[1]} |"
            else:
                faults.append(f"{name}: listed, but there is no such file")
        lines.append(line)
    faults += [f"{name}: has no row in fixtures/README.md" for name in sorted(present - listed)]
    if update:
        table.write_text("\n".join(lines) + "\n")
    print(f"{len(listed)} files listed, {len(faults)} faults", *faults, sep="\n")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
