#!/usr/bin/env python3
"""Prints the digests by which chexnet knows the lists of ChestX-ray14 and the release of their labels (Sources/ChestXray/KnownList.swift).

    python known_lists.py CHESTXRAY14

CHESTXRAY14 holds `labels/{train,val,test}_list.txt` (the 70/10/20 lists, labels of 2017), `official/{train_val,test}_list.txt` (NIH's) and
`Data_Entry_2017_v2020.csv`. A digest is the SHA-256 of sorted lines: of names, or of names and fourteen labels.
"""

import csv
import hashlib
import pathlib
import sys

FINDINGS = """Atelectasis Cardiomegaly Effusion Infiltration Mass Nodule Pneumonia Pneumothorax Consolidation Edema Emphysema Fibrosis
Pleural_Thickening Hernia""".split()
LISTS = ["labels/train_list.txt", "labels/val_list.txt", "labels/test_list.txt", "official/train_val_list.txt", "official/test_list.txt"]


def digest(lines):
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    lines = {name: [line.split() for line in (folder / name).read_text().splitlines() if line.strip()] for name in LISTS}
    with open(folder / "Data_Entry_2017_v2020.csv", newline="") as file:
        rows = [row[:2] for row in csv.reader(file) if row[0].endswith(".png")]
    v2020 = {name: " ".join(str(int(finding in labels.split("|"))) for finding in FINDINGS) for name, labels in rows}
    first = {words[0]: " ".join(words[1:]) for name in LISTS[:3] for words in lines[name]}
    print(f"{sum(first[name] != v2020[name] for name in v2020)} of {len(v2020)} images have other labels in v2020")
    images = {name: [words[0] for words in found] for name, found in lines.items()}
    for name, found in images.items():
        print(f"{digest(found)}  names  {name} ({len(found)})")
    for release, labels in (("2017", first), ("v2020", v2020)):
        for name, found in [*images.items(), ("all", list(v2020))]:
            print(f"{digest(f'{image} {labels[image]}' for image in found)}  {release:5}  {name}")


if __name__ == "__main__":
    main()
