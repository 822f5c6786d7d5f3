#!/usr/bin/env python3
"""Predicts a folder of radiographs with torchvision's DenseNet: the oracle of `chexnet predict` and `chexnet heatmap`.

    python predict.py weights.pt images/ theirs.csv --cam cams.safetensors
    chexnet predict weights.safetensors images/ --output ours.csv
    python compare_predictions.py ours.csv theirs.csv

Weights are a state_dict under torchvision's names (.pt, .pth, or .safetensors). The architecture is read off the shapes.
An image is read by Pillow as RGB, its shorter side resized to 256 (bilinear, antialiased), the centre 224 × 224 cut out, and
normalised with ImageNet's mean and deviation. Eval mode, one crop. Output: `Image Index,logit_…,prob_…`, probabilities
being sigmoids. `--cam` writes Σₖ W[c, k] · ReLU(norm5)ₖ, without the bias, as one tensor [outputs, 7, 7] for each image name.
"""

import argparse
import csv
import pathlib
import re

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import transforms
from torchvision.models import DenseNet

FINDINGS = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
]
PIXELS = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()])
NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def image_paths(folder):
    paths = sorted(p for p in pathlib.Path(folder).iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not paths:
        raise SystemExit(f"{folder} has no .png or .jpg")
    return paths


def batches(paths, dtype=torch.float32, size=8):
    """Normalised batches [N, 3, 224, 224] of the images, in order."""
    for start in range(0, len(paths), size):
        pixels = torch.stack([PIXELS(Image.open(path).convert("RGB")) for path in paths[start : start + size]])
        yield NORMALIZE(pixels.to(dtype) / 255)


def load_network(path):
    """torchvision's DenseNet with the weights, in eval mode."""
    is_safetensors = str(path).endswith(".safetensors")
    state = load_file(path) if is_safetensors else torch.load(path, map_location="cpu", weights_only=True)
    layers = [re.match(r"features\.denseblock(\d+)\.denselayer(\d+)\.conv2\.weight", name) for name in state]
    layers = [(int(match[1]), int(match[2])) for match in layers if match]
    if not layers:
        raise SystemExit(f"{path} has no features.denseblock1.denselayer1.conv2.weight: not torchvision's names")
    network = DenseNet(
        growth_rate=state["features.denseblock1.denselayer1.conv2.weight"].shape[0],
        block_config=[sum(block == index for block, _ in layers) for index in range(1, max(layers)[0] + 1)],
        num_init_features=state["features.conv0.weight"].shape[0],
        num_classes=state["classifier.weight"].shape[0],
    )
    missing, unexpected = network.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise SystemExit(f"{path}: missing {missing}, unexpected {unexpected}")
    return network.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("images", help="folder of .png or .jpg")
    parser.add_argument("output", help="CSV to write")
    parser.add_argument("--cam", metavar="OUT.safetensors", help="also write the class activation maps")
    parser.add_argument("--float64", action="store_true", help="compute in double precision, print 17 digits instead of 9")
    options = parser.parse_args()

    dtype = torch.float64 if options.float64 else torch.float32
    network, paths = load_network(options.weights).to(dtype), image_paths(options.images)
    outputs = network.classifier.out_features
    names = FINDINGS if outputs == len(FINDINGS) else [f"class_{index}" for index in range(outputs)]
    logits, cams = [], []
    with torch.inference_mode():
        for images in batches(paths, dtype):
            features = network.features(images).relu()
            logits.append(network.classifier(features.mean((2, 3))))
            if options.cam:
                cams.append(torch.einsum("lk,nkhw->nlhw", network.classifier.weight, features))
    logits = torch.cat(logits)
    form = "%.17g" if options.float64 else "%.9g"
    with open(options.output, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Image Index", *(f"logit_{name}" for name in names), *(f"prob_{name}" for name in names)])
        for path, row in zip(paths, logits):
            writer.writerow([path.name, *(form % value for value in torch.cat([row, row.sigmoid()]).tolist())])
    if options.cam:
        save_file({path.name: cam.clone() for path, cam in zip(paths, torch.cat(cams))}, options.cam, {"format": "pt"})
    print(f"{len(paths)} images, {outputs} outputs → {options.output}")


if __name__ == "__main__":
    main()
