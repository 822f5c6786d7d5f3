"""Measures decoding and resizing beside Pillow, in turns, each on the same one processor.

    swift build -c release --product bench
    python3 Tools/bench/decoding.py .build/release/bench --images FOLDER [--rounds 9] [--seconds 2] [--json FILE]

`bench --row thumbnails` decodes all images of FOLDER, which are in memory, and resizes them to 256 × 256 in gray; Pillow does
`Image.open(BytesIO(file)).convert("L").resize((256, 256), BILINEAR)`. `bench --row random-crops` resizes random parts of the images, in
memory in gray with a short side of 512, to 224 × 224 and mirrors half of them; Pillow does `crop`, `resize` and `transpose` with boxes of the
same distribution that were drawn before. In a round each has a turn of --seconds or more after one unmeasured call. Printed are the medians
over the rounds, and the median, the least and the largest of the rounds' ratios: how many times as fast as Pillow.
"""

import argparse
import io
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import time

import PIL
from PIL import Image, features

ROWS = ("thumbnails", "random-crops")


def thumbnails(files):
    for file in files:
        Image.open(io.BytesIO(file)).convert("L").resize((256, 256), Image.BILINEAR)


def random_box(width, height):
    """A part of 8 to 100 % of the area and an aspect of 3 : 4 to 4 : 3, as torchvision's RandomResizedCrop takes it."""
    while True:
        area = width * height * random.uniform(0.08, 1)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            x, y = random.randint(0, width - w), random.randint(0, height - h)
            return x, y, x + w, y + h


def random_crops(images, boxes):
    for image, (box, is_mirrored) in zip(images, boxes):
        part = image.crop(box).resize((224, 224), Image.BILINEAR)
        if is_mirrored:
            part.transpose(Image.FLIP_LEFT_RIGHT)


def short_side_512(file):
    image = Image.open(io.BytesIO(file)).convert("L")
    short = min(image.size)
    return image.resize((512 * image.width // short, 512 * image.height // short), Image.BILINEAR)


def pillow(call, count, seconds):
    """Images a second."""
    call()
    begin, calls, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < seconds:
        call()
        calls += 1
        elapsed = time.perf_counter() - begin
    return calls * count / elapsed


def chexnet(executable, folder, row, seconds):
    """Images a second."""
    arguments = ["--row", row, "--images", folder, "--warm-up", "1", "--rounds", "1", "--seconds", str(seconds), "--threads", "1", "--json"]
    output = subprocess.run([executable, *arguments], check=True, stdout=subprocess.PIPE).stdout
    result = json.loads(output)["rows"][0]
    return 1000 / result["median"] if result["unit"] == "ms/image" else result["median"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--images", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--json")
    options = parser.parse_args()
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    random.seed(1)
    files = [path.read_bytes() for path in sorted(pathlib.Path(options.images).iterdir()) if path.is_file()]
    images = [short_side_512(file) for file in files]
    boxes = [(random_box(*image.size), random.random() < 0.5) for image in images]
    calls = {"thumbnails": lambda: thumbnails(files), "random-crops": lambda: random_crops(images, boxes)}
    rates = {row: {"chexnet": [], "pillow": []} for row in ROWS}
    for _ in range(options.rounds):
        for row in ROWS:
            rates[row]["chexnet"].append(chexnet(options.bench, options.images, row, options.seconds))
            rates[row]["pillow"].append(pillow(calls[row], len(files), options.seconds))
    versions = f"Pillow {PIL.__version__}, zlib {features.version('zlib')}"
    print(f"{len(files)} images, one processor, medians of {options.rounds} rounds of {options.seconds} s; {versions}")
    print(f"{'row':14} {'chexnet/s':>10} {'Pillow/s':>10} {'ratio':>6} {'least':>6} {'most':>6}")
    for row in ROWS:
        ours, theirs = rates[row]["chexnet"], rates[row]["pillow"]
        ratios = sorted(a / b for a, b in zip(ours, theirs))
        print(f"{row:14} {statistics.median(ours):10.1f} {statistics.median(theirs):10.1f} {statistics.median(ratios):6.2f} "
              f"{ratios[0]:6.2f} {ratios[-1]:6.2f}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"versions": versions, "rates": rates}, indent=1) + "\n")


if __name__ == "__main__":
    main()
