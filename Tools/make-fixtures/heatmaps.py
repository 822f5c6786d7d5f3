#!/usr/bin/env python3
"""Makes fixtures/images/*.cam-*.f32: class activation maps of fixtures/small-densenet/weights.pt for two images, as Tools/reference/heatmaps.py draws them.

    python heatmaps.py

Float32, in the image's own pixels, from 0 (the smallest activation) to 1 (the largest), for Hernia, the last class; −1 where no crop saw.
"""

import pathlib
import sys

import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tools" / "reference"))
from heatmaps import activation_maps, drawn
from predict import FINDINGS, load_network

# A tall one, of which one crop sees the middle, and one of three channels.
IMAGES = ["tall", "rgb8"]
SHOWN = [FINDINGS.index("Hernia")]


def main():
    folder = ROOT / "fixtures" / "images"
    network = load_network(ROOT / "fixtures" / "small-densenet" / "weights.pt").double()
    for name in IMAGES:
        for crops in (1, 10):
            maps, low, high, covered, bias = activation_maps(network, Image.open(folder / f"{name}.png"), crops)
            pictures = torch.where(covered, drawn(maps, low, high, bias, "map"), -1)[SHOWN]
            path = folder / f"{name}.cam-{crops}.f32"
            pictures.float().numpy().astype("<f4").tofile(path)
            print(path.name, tuple(pictures.shape), f"{covered.double().mean():.2f} seen")


if __name__ == "__main__":
    main()
