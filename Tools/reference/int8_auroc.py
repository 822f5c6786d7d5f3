#!/usr/bin/env python3
"""What int8 convolutions would cost in AUROC: an exact simulation of post-training quantisation.

    python int8_auroc.py last.safetensors --data DIR --calibration DIR/train_list.txt --test DIR/test_list.txt

Every convolution but the stem reads x ≥ 0, a ReLU's output, so it can multiply u8 by s8 without zero points and sum in int32:

    q = min(round(x / s), 255)    s for each layer: the largest x of the calibration images, or a percentile, / 255
    w = round(W / t)              t for each output channel: the largest |W| / 127
    y = s · t · Σ q · w

Stem, batch norm, ReLU, pooling and classifier stay in float32. The sums are exact, and checked to be. A transition pools before
it convolves, as `chexnet predict` does; the 3 × 3 convolutions are direct ones. The calibration images are the first of their
list, and run through the float network. A list is in the reference implementation's format: a file name in DIR/images and 14
zeros or ones.

Prints each finding's AUROC on the test list in float32, with int8 in the 1 × 1 convolutions (transitions among them), and with
int8 in the 3 × 3 convolutions too; then what that changed in the logits and probabilities, over all images and findings.
"""

import argparse
import pathlib

import torch
from torch import nn

from predict import FINDINGS, batches, load_network


class Convolution(nn.Module):
    """A convolution of torchvision's that can note its largest inputs, choose a scale from them, and compute in integers."""

    def __init__(self, convolution):
        super().__init__()
        self.convolution, self.int8 = convolution, False
        self.keep_share = None  # While calibrating: (images to come in all, share of the inputs that may lie above 255 · scale).
        self.largest, self.scale = torch.zeros(0), None
        weight = convolution.weight.detach()
        self.weight_scale = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny) / 127
        self.weight = (weight / self.weight_scale).round()
        # Integers below 2²⁴ are exact in float32, whatever the order of the sum.
        bound = 255 * self.weight.abs().double().sum((1, 2, 3)).max()
        self.weight = self.weight.to(torch.float32 if bound < 2**24 else torch.float64)

    def forward(self, x):
        if self.keep_share:
            self.note(x)
        if not self.int8:
            return self.convolution(x)
        integers = (x / self.scale).round().clamp(max=255).to(self.weight.dtype)
        sums = nn.functional.conv2d(integers, self.weight, padding=self.convolution.padding)
        if not torch.equal(sums, sums.round()):
            raise SystemExit("this PyTorch's convolution is not exact: the sums are no integers")
        return sums.to(x.dtype) * (self.scale * self.weight_scale.view(-1, 1, 1))

    def note(self, x):
        if x.min() < 0:
            raise SystemExit("a convolution reads negative values: it is not behind a ReLU")
        images, share = self.keep_share
        count = int(share * images * x[0].numel()) + 1
        both = torch.cat([self.largest, x.flatten()])
        self.largest = both.topk(min(count, len(both))).values
        self.scale = self.largest[-1] / 255


def wrap_convolutions(network):
    """Puts `Convolution` around every convolution but the stem; returns the 1 × 1 and the 3 × 3 ones."""
    small, large = [], []
    for name, part in network.features.named_children():
        if name.startswith("transition"):
            # Average pool and 1 × 1 convolution commute.
            part.conv, part.pool = part.pool, Convolution(part.conv)
            small.append(part.pool)
        elif name.startswith("denseblock"):
            for layer in part.children():
                layer.conv1, layer.conv2 = Convolution(layer.conv1), Convolution(layer.conv2)
                small.append(layer.conv1)
                large.append(layer.conv2)
    return small, large


def calibrate(network, layers, paths, percentile):
    for layer in layers:
        layer.keep_share, layer.largest = (len(paths), 1 - percentile / 100), torch.zeros(0)
    predict(network, paths)
    for layer in layers:
        layer.keep_share = None
        if layer.scale == 0:
            raise SystemExit("a convolution reads only zeros at this percentile of the calibration images")


def predict(network, paths):
    return torch.cat([network(images) for images in batches(paths)])


def read_list(folder, path):
    """Paths and labels [N, 14] of a list."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return [folder / "images" / row[0] for row in rows], torch.tensor([[int(value) for value in row[1:]] for row in rows])


def auroc(labels, values):
    """The share of (positive, negative) pairs in order, ties counting half; None with one class only."""
    positives, negatives = values[labels == 1], values[labels == 0]
    if not len(positives) or not len(negatives):
        return None
    difference = positives[:, None] - negatives
    return ((difference > 0).double() + (difference == 0).double() / 2).mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a checkpoint of chexnet, or any file that predict.py reads; 14 outputs")
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder that holds images/")
    parser.add_argument("--calibration", type=pathlib.Path, required=True, metavar="LIST", help="take this list's first images")
    parser.add_argument("--test", type=pathlib.Path, required=True, metavar="LIST")
    parser.add_argument("--images", type=int, default=32, metavar="N", help="how many calibration images (32)")
    parser.add_argument("--percentile", type=float, default=100, metavar="P",
                        help="of a layer's inputs, zeros among them, that becomes 255; larger ones saturate (100: the largest)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch")
    options = parser.parse_args()
    if options.images < 1 or not 0 < options.percentile <= 100:
        parser.error("expected at least one calibration image, and a percentile above 0 and at most 100")
    torch.set_num_threads(options.threads)

    network = load_network(options.checkpoint)
    if network.classifier.out_features != len(FINDINGS):
        raise SystemExit(f"{options.checkpoint} has {network.classifier.out_features} outputs, not {len(FINDINGS)}")
    small, large = wrap_convolutions(network)
    paths, labels = read_list(options.data, options.test)
    calibration = read_list(options.data, options.calibration)[0][: options.images]
    with torch.inference_mode():
        calibrate(network, small + large, calibration, options.percentile)
        logits = [predict(network, paths)]
        for layers in small, large:
            for layer in layers:
                layer.int8 = True
            logits.append(predict(network, paths))

    print(f"{len(calibration)} calibration images, percentile {options.percentile:g}; {len(paths)} test images")
    print(f"{'':20} {'float32':>8} {'int8 1×1':>10} {'change':>8} {'int8 all':>10} {'change':>8}")
    table = []
    for index, name in enumerate(FINDINGS):
        row = [auroc(labels[:, index], values[:, index]) for values in logits]
        if row[0] is None:
            print(f"{name:20} undefined: one class only in the test list")
        else:
            table.append(row)
            print_row(name, row)
    if table:
        print_row(f"mean of {len(table)}", torch.tensor(table, dtype=torch.float64).mean(0).tolist())
    for name, values in ("int8 1×1", logits[1]), ("int8 all", logits[2]):
        for quantity, change in ("logit", values - logits[0]), ("probability", values.sigmoid() - logits[0].sigmoid()):
            change = change.abs()
            print(f"{name}: change of a {quantity}: median {change.median():.5f}, largest {change.max():.5f}")


def print_row(name, row):
    base, *others = row
    print(f"{name:20} {base:8.5f} " + " ".join(f"{value:10.5f} {value - base:+8.5f}" for value in others))


if __name__ == "__main__":
    main()
