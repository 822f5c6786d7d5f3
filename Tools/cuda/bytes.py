#!/usr/bin/env python3
"""Counts the bytes that the CUDA kernels move, by running them in the emulator, and compares them with what each operation cannot do without.

    bytes.py [--build .build-tests/release] [--batches 4 8] [--logs FOLDER] [--into MEASURED.md]

Needs no GPU, but the executable and the emulator as Tools/test.sh leaves them, and some minutes. A step of `chexnet finetune` on DenseNet-121 at
224×224 in bf16, and the inference of its validation, run at two sizes of batch: the difference is the images' share, what is left the weights'. The
emulator writes a line for each launch (Tests/CUDAEmulator/include/CUDAEmulator.h). With --logs these are kept in the folder, and those that are
there already are not counted again.

Counted twice: with the kernels that a rule takes where nothing was measured, and with those that only doctor takes, where a card is fast with them.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import floors
import markdown

BATCH, MULTIPROCESSORS, BANDWIDTH = 256, 132, 4.3e12  # what the results are given for: an H200's, and its memory's bytes/s as once measured


class Fault(Exception):
    pass


@dataclass(frozen=True)
class Moved:
    """Bytes of global memory: each word of four once a launch, and as often as threads ask for it."""

    read: float = 0
    written: float = 0
    asked: float = 0

    def __add__(self, other):
        return Moved(self.read + other.read, self.written + other.written, self.asked + other.asked)

    def __mul__(self, factor):
        return Moved(self.read * factor, self.written * factor, self.asked * factor)

    def __sub__(self, other):
        return self + other * -1

    @property
    def distinct(self):
        return self.read + self.written


@dataclass
class Row:
    """An operation's launches of one pass."""

    launches: int = 0
    moved: Moved = field(default_factory=Moved)


# MARK: Counting


def multiprocessors(batch):
    """So many that a batch is cut into tiles as BATCH images are on the real number of them."""
    return -(-MULTIPROCESSORS * batch // BATCH)


# Of each operation the candidate that copies in bulk and multiplies by warpgroups.
BULK = {
    "pointwise": "pointwise_256_bulk_90a_normalised_bf16",
    "growth": "growth_256x56_bulk_90a_bf16",
    "pointwise gradients": "pointwise_gradients_64_bulk_90a_bf16",
}


def keep_bulk(batch, cache):
    """Leaves in the folder of the cache what doctor would keep if these were the fastest everywhere (CUDAMeasuredKernels)."""

    def answer(operation, inputs, outputs, width, pixels, normalises):
        kernel = BULK[operation]
        if operation == "growth" and normalises:
            kernel = kernel.replace("_bf16", "_normalised_bf16")
        timing = {"kernels": [kernel], "share": 1, "microseconds": 1.0}
        return {
            "operation": operation, "input_lanes": inputs, "output_lanes": outputs, "width": width, "pixels": batch * pixels, "normalises": normalises,
            "timings": [timing],
        }

    answers = []
    for pixels, channels in floors.LAYERS:
        answers.append(answer("pointwise", channels, floors.BOTTLENECK, 0, pixels, True))
        answers.append(answer("pointwise gradients", channels, floors.BOTTLENECK, 0, pixels, False))
        for normalises in (False, True):
            answers.append(answer("growth", floors.BOTTLENECK, floors.GROWTH, round(pixels**0.5), pixels, normalises))
    image = Path(__file__).resolve().parents[2] / "Sources/Accelerators/CUDA/Kernels/chexnet.fatbin"
    device = ["CUDA emulator", "9.0", str(multiprocessors(batch)), hashlib.sha256(image.read_bytes()).hexdigest()]
    name = f"cuda-{hashlib.sha256(chr(10).join(device).encode()).hexdigest()[:16]}.json"
    (cache / "chexnet").mkdir(parents=True)
    (cache / "chexnet" / name).write_text(json.dumps({"date": "", "answers": answers}))


def count(build, batch, log, takes_bulk):
    """Runs a step on `batch` images, and the validation on as many."""
    executable, emulator = (build / name for name in ("chexnet", "libCUDAEmulator.so"))
    for path in (executable, emulator):
        if not path.exists():
            raise Fault(f"{path} is not there: Tools/test.sh --filter EmulatorTests makes it")
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "CHEXNET_CUDA": str(emulator.resolve()),
            "CUDA_EMULATOR_LAUNCHES": f"{folder}/launches.tsv",
            "CUDA_EMULATOR_MULTIPROCESSORS": str(multiprocessors(batch)),
            "XDG_CACHE_HOME": f"{folder}/cache",
        }
        if takes_bulk:
            keep_bulk(batch, Path(folder, "cache"))
        subprocess.run([executable, "demo-data", "--output", f"{folder}/data", "--images", str(20 * batch)], check=True, stdout=subprocess.PIPE)
        for name in ("train", "val"):
            path = Path(folder, "data", f"{name}_list.txt")
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(lines[:batch]))
        step = "finetune --architecture densenet121 --precision bf16 --device cuda --epochs 1 --augment none --cache never".split()
        lists = ["--data", f"{folder}/data", "--train", f"{folder}/data/train_list.txt", "--validation", f"{folder}/data/val_list.txt"]
        print(f"a step on {batch} images in the emulator" + (", with kernels that copy in bulk" if takes_bulk else ""), file=sys.stderr)
        last = ["--batch-size", str(batch), "--output", f"{folder}/run"]
        subprocess.run([executable, *step, *lists, *last], check=True, stdout=subprocess.PIPE, env=environment)
        log.write_bytes(Path(folder, "launches.tsv").read_bytes())


def read_log(path):
    """(kernel, Moved) of each launch, in order."""
    launches = []
    for line in path.read_text().splitlines():
        kernel, count, asked_read, asked_written, read, written, *_ = line.split("\t")
        if count != "1" or int(read) + int(written) == 0:
            raise Fault(f"{path}: expected one launch whose bytes are counted, found {line}")
        launches.append((kernel, Moved(int(read), int(written), int(asked_read) + int(asked_written))))
    return launches


def first(launches, pattern, since=0):
    for index in range(since, len(launches)):
        if re.fullmatch(pattern, launches[index][0]):
            return index
    raise Fault(f"no launch of {pattern}")


def passes(launches):
    """The training step, from its weights on to the optimizer, and the inference pass behind it."""
    loss = first(launches, "loss")
    start = max(i for i in range(loss) if launches[i][0].startswith("pack_stem"))
    end = first(launches, "optimizer", loss)
    while launches[end][0] == "optimizer":
        end += 1
    forward = first(launches, "stem_bf16", end)
    return {"training": launches[start:end], "inference": launches[forward : first(launches, "head_classifier", forward) + 1]}


def rows(launches):
    """By operation, in the order in which they come first."""
    found = {}
    for kernel, moved in launches:
        name = floors.operation(kernel)
        if name is None:
            raise Fault(f"no operation of floors.py is done by {kernel}")
        row = found.setdefault(name, Row())
        row.launches += 1
        row.moved += moved
    return found


# MARK: From two batches to any


@dataclass(frozen=True)
class Share:
    """What an operation moves a step, and for each image of a batch of BATCH."""

    launches: int
    constant: Moved
    image: Moved


def in_parts(name, batch, processors):
    """Of an operation, what it moves of sums in parts, whose number does not grow as the batch does."""
    read, written = (of(name, batch, processors) for of in (floors.parts_read, floors.parts_written))
    return Moved(read, written, read + written)


def share(name, counted):
    """`counted`: batch → Row."""
    (small, one), (large, other) = sorted(counted.items())
    if one.launches != other.launches:
        raise Fault(f"{name}: {one.launches} launches of {small} images, {other.launches} of {large}")
    plain = {batch: row.moved - in_parts(name, batch, multiprocessors(batch)) for batch, row in counted.items()}
    # Where all that is written are images' values and parts, the rule of floors.py for the parts is tested by what was counted.
    if name in (*floors.IN_PARTS, floors.STEM_IN_PARTS) and plain[small].written * large != plain[large].written * small:
        raise Fault(f"{name}: the rule for its parts does not give what was counted: {plain}")
    image = (plain[large] - plain[small]) * (1 / (large - small))
    parts = in_parts(name, BATCH, MULTIPROCESSORS)
    return Share(one.launches, plain[small] - image * small, image + parts * (1 / BATCH))


# MARK: The tables

ORIGIN = """`chexnet finetune` took a step on {small} images and one on {large}, of DenseNet-121 at 224 × 224 in bf16, and validated on as many, in
the emulator, whose number of multiprocessors went with the batch: the kernels are those for {batch} images on {processors} multiprocessors. Parts of
sums, whose number does not grow with the batch, are given as there."""

LEGEND = """In MB of an image; *constant*: of a step, whatever its batch. *Read* and *written* are distinct bytes of global memory, each word of four once
a launch: what the memory moves where a cache loses nothing during a launch and keeps nothing until the next. *Asked for* is what threads load and
store, before any cache. The *floor* has each of the operation's maps once (`floors.py` has the formulas); – where it has no maps. What the driver copies,
the images on their way to the device among it, is not counted."""


def megabytes(count):
    return "0" if abs(count) < 500 else f"{count / 1e6:.{2 if abs(count) >= 1e5 else 3}f}"


def table(shares):
    floor_of = floors.of_operations()

    def row(name, launches, constant, image, floor):
        ratios = [f"{count / floor:.2f}" if floor else "–" for count in (image.distinct, image.asked)]
        distinct = [megabytes(count) for count in (constant.distinct, image.read, image.written, floor)]
        return [name, launches, *distinct, ratios[0], megabytes(image.asked), ratios[1]]

    lines = [row(name, s.launches, s.constant, s.image, floor_of[name]) for name, s in shares.items()]
    all_constant, all_images = (sum((getattr(s, part) for s in shares.values()), Moved()) for part in ("constant", "image"))
    lines.append(row("all", sum(s.launches for s in shares.values()), all_constant, all_images, sum(floor_of[name] for name in shares)))
    header = ["operation", "launches", "constant", "read", "written", "floor", "moved ÷ floor", "asked for", "asked for ÷ floor"]
    return markdown.table(header, lines)


BULK_LEGEND = """The same passes, in MB of an image of {batch}, if doctor found {kernels} the fastest everywhere (of the second, in training, its
twin that normalises): no rule takes them. What differs."""


def bulk_table(passes):
    def row(kind, name, plain, bulk):
        cells = [(share.image * BATCH + share.constant) * (1 / BATCH) for share in (plain, bulk)]
        return [kind, name, *(megabytes(cell.distinct) for cell in cells), *(megabytes(cell.asked) for cell in cells), f"{cells[1].asked / cells[0].asked:.2f}"]

    lines = [row(kind, name, plain[name], bulk[name]) for kind, plain, bulk in passes for name in plain if plain[name] != bulk[name]]
    header = ["pass", "operation", "moved", "in bulk", "asked for", "in bulk", "asked for, ratio"]
    return markdown.table(header, lines, left=2)


def summary(shares, what, fused):
    """`fused`: the floor of an image in passes that are fused as far as the design's four facts go, and of which kind they are."""
    moved = sum((s.constant + s.image * BATCH for s in shares.values()), Moved())
    floor = ", ".join(f"{image * BATCH / 1e9:.1f} GB ({image / 1e6:.0f} MB an image){kind}" for image, kind in fused)
    return (
        f"**{what} of {BATCH} images moves {moved.distinct / 1e9:.1f} GB** and asks for {moved.asked / 1e9:.1f} GB. Fused as far as one buffer a block, "
        f"shared statistics and deferred normalisation go, it would move {floor}. "
        f"By bytes alone, a memory of {BANDWIDTH / 1e12:.1f} TB/s allows {round(BATCH * BANDWIDTH / moved.distinct, -2):,.0f} images/s: "
        "computed from the counted bytes, **not measured on hardware**."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path(__file__).resolve().parents[2] / ".build-tests/release")
    parser.add_argument("--batches", type=int, nargs=2, default=[4, 8])
    parser.add_argument("--logs", type=Path)
    parser.add_argument("--into", type=Path, help="a file whose part `bytes` becomes the tables")
    options = parser.parse_args()
    small, large = sorted(options.batches)
    if small < 2 or small == large:
        parser.error("--batches needs two different numbers, of 2 at least: with fewer images, other kernels are chosen than with many")

    counted = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.logs or Path(scratch)
        folder.mkdir(exist_ok=True)
        for takes_bulk in (False, True):
            for batch in (small, large):
                log = folder / f"launches-{batch}{'-bulk' if takes_bulk else ''}.tsv"
                if not log.exists():
                    count(options.build, batch, log, takes_bulk)
                counted[takes_bulk, batch] = passes(read_log(log))

    def shares(kind, takes_bulk=False):
        passes_of = {batch: counted[takes_bulk, batch][kind] for batch in (small, large)}
        kernels = [[kernel for kernel, _ in launches] for launches in passes_of.values()]
        if kernels[0] != kernels[1]:
            raise Fault(f"{kind}: not the same kernels for {small} images as for {large}")
        if takes_bulk and not any("_bulk_" in kernel for kernel in kernels[0]):
            raise Fault(f"{kind}: none of the kernels that copy in bulk was taken")
        found = {batch: rows(launches) for batch, launches in passes_of.items()}
        return {name: share(name, {batch: found[batch][name] for batch in found}) for name in found[small]}

    training, inference = shares("training"), shares("inference")
    part = [
        ORIGIN.format(small=small, large=large, batch=BATCH, processors=MULTIPROCESSORS),
        LEGEND,
        "### A step of training",
        table(training),
        summary(training, "A step", [(floors.step(floors.A), ""), (floors.step(floors.F), " with G in fp32")]),
        "### Inference",
        table(inference),
        summary(inference, "A pass", [(floors.forward(), "")]),
        "### With kernels that copy in bulk",
        BULK_LEGEND.format(batch=BATCH, kernels=", ".join(f"`{kernel}`" for kernel in BULK.values())),
        bulk_table([("training", training, shares("training", True)), ("inference", inference, shares("inference", True))]),
    ]
    text = "\n\n".join(part)
    if options.into:
        markdown.replace_part(options.into, "bytes", text)
    else:
        print(text)


if __name__ == "__main__":
    try:
        main()
    except (Fault, subprocess.CalledProcessError) as fault:
        sys.exit(f"error: {fault}")
