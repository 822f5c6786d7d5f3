#!/usr/bin/env python3
"""Draws class activation maps with PyTorch and compares the PGMs of `chexnet heatmap` with them.

    chexnet heatmap weights.safetensors images/ --finding all --depth 16 --output ours [--crops 10]
    python heatmaps.py weights.pt images/ ours [--crops 10] [--scale probability]

Preparation and network are those of predict.py, in float64. A map is drawn in the radiograph's own pixels by `grid_sample` over what its crop
showed; of ten crops (torchvision's `TenCrop`, those of the mirrored image mirrored back) a pixel has the mean of the maps that cover it. Exit 1
where a pixel is off by more than 10⁻⁴ of the range, or one was drawn that no crop covers.
"""

import argparse
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from predict import FINDINGS, NORMALIZE, load_network

RESIZE, CROP, TOLERANCE = 256, 224, 1e-4


def crops_of(image, count):
    """The crops [N, 3, 224, 224] of a PIL image, and what each showed of it: x, y, width, height in its pixels, and whether mirrored."""
    resized = transforms.Resize(RESIZE)(image)
    right, bottom = resized.width - CROP, resized.height - CROP
    # torchvision's CenterCrop.
    center = int(round(right / 2)), int(round(bottom / 2))
    if count == 1:
        parts, corners = [transforms.CenterCrop(CROP)(resized)], [(*center, False)]
    else:
        parts = transforms.TenCrop(CROP)(resized)
        five = [(0, 0), (right, 0), (0, bottom), (right, bottom), center]
        corners = [(x, y, False) for x, y in five] + [(right - x, y, True) for x, y in five]
    across, down = image.width / resized.width, image.height / resized.height
    windows = [(x * across, y * down, CROP * across, CROP * down, mirrored) for x, y, mirrored in corners]
    pixels = torch.stack([transforms.PILToTensor()(part) for part in parts])
    return NORMALIZE(pixels.double() / 255), windows


@torch.inference_mode()
def activation_maps(network, image, count=1):
    """(maps [L, H, W] in the image's pixels, their smallest and largest values [L], covered [H, W], bias [L])."""
    crops, windows = crops_of(image.convert("RGB"), count)
    features = network.features(crops).relu()
    cams = torch.einsum("lk,nkhw->nlhw", network.classifier.weight, features)
    logits = network.classifier(features.mean((2, 3)))
    assert torch.allclose(cams.mean((2, 3)) + network.classifier.bias, logits), "a map's mean and bias are its logit"
    rows, columns = torch.arange(image.height).double() + 0.5, torch.arange(image.width).double() + 0.5
    total = torch.zeros(cams.shape[1], image.height, image.width, dtype=torch.float64)
    coverage = torch.zeros(image.height, image.width, dtype=torch.float64)
    for cam, (x, y, width, height, mirrored) in zip(cams, windows):
        u, v = (columns - x) / width, (rows - y) / height
        seen = ((v >= 0) & (v < 1))[:, None] & ((u >= 0) & (u < 1))[None]
        grid = torch.stack(torch.meshgrid(2 * v - 1, 2 * (1 - u if mirrored else u) - 1, indexing="ij")[::-1], -1)
        drawn = F.grid_sample(cam[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
        total += drawn * seen
        coverage += seen
    maps, covered = total / coverage.clamp(min=1), coverage > 0
    values = cams[0].flatten(1) if count == 1 else maps[:, covered]
    return maps, values.amin(1), values.amax(1), covered, network.classifier.bias.detach()


def drawn(maps, low, high, bias, scale):
    """0 … 1."""
    if scale == "probability":
        return torch.sigmoid(maps + bias[:, None, None])
    return (maps - low[:, None, None]) / (high - low)[:, None, None]


def read_pgm(path):
    data = path.read_bytes()
    kind, sides, maximum, rest = data.split(b"\n", 3)
    width, height = map(int, sides.split())
    assert kind == b"P5" and maximum == b"65535", f"{path} is no PGM of 16 bits"
    return np.frombuffer(rest, ">u2").reshape(height, width) / 65535


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("images", type=pathlib.Path, help="folder of radiographs")
    parser.add_argument("heatmaps", type=pathlib.Path, help="what chexnet wrote for some of them")
    parser.add_argument("--crops", type=int, choices=[1, 10], default=1)
    parser.add_argument("--scale", choices=["map", "probability"], default="map")
    options = parser.parse_args()

    network = load_network(options.weights).double()
    by_image = {}
    for path in sorted(options.heatmaps.glob("*.pgm")):
        stem, finding = path.stem.rsplit(".", 1)
        by_image.setdefault(stem, []).append((FINDINGS.index(finding), path))
    worst = 0
    for stem, files in by_image.items():
        image = Image.open(next(options.images.glob(stem + ".*")))
        maps, low, high, covered, bias = activation_maps(network, image, options.crops)
        expected = drawn(maps, low, high, bias, options.scale).numpy()
        for label, path in files:
            found = read_pgm(path)
            assert not found[~covered.numpy()].any(), f"{path}: something is drawn that the network did not see"
            worst = max(worst, abs(found - expected[label])[covered.numpy()].max())
    print(f"{sum(map(len, by_image.values()))} maps of {len(by_image)} images; largest difference {worst:.1e} of the range")
    raise SystemExit(0 if by_image and worst <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
