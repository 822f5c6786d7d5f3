#!/usr/bin/env python3
"""Makes fixtures/small-densenet/predictions.safetensors: what PyTorch and Pillow say about small pictures.

    python predictions.py            # writes the file

The first small network (small_densenet.py) in float64 on pictures of fixtures/images, prepared as for ImageNet weights: Pillow's
convert('RGB'), torchvision's Resize(256), CenterCrop(224), ToTensor, Normalize. Tensors: `<picture>` [14], the logits.
"""

import os
import pathlib

os.environ.update(MKL_CBWR="COMPATIBLE", ATEN_CPU_CAPABILITY="default", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import torch
import torchvision.transforms as T
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import DenseNet

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
PICTURES = ["gray8", "rgb8", "rgba8", "palette8", "square", "tall"]


def main():
    torch.set_num_threads(1)
    network = DenseNet(growth_rate=4, block_config=(2, 3), num_init_features=8, bn_size=4, num_classes=14)
    network.load_state_dict(load_file(FIXTURES / "small-densenet" / "weights.safetensors"), strict=False)
    network.double().eval()
    prepare = T.Compose([
        T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    logits = {}
    with torch.no_grad():
        for name in PICTURES:
            image = prepare(Image.open(FIXTURES / "images" / f"{name}.png").convert("RGB"))
            logits[name] = network(image[None].double())[0].clone()
    save_file(logits, FIXTURES / "small-densenet" / "predictions.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
