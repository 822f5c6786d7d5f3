#!/usr/bin/env python3
"""Makes fixtures/images/*.tencrop-*.f32: ten crops of two images as torchvision gives them, float32, crop by crop, channel by channel.

    python ten_crop_images.py
"""

import pathlib

import numpy as np
from PIL import Image
from torchvision import transforms

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "images"
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Odd margins, where the centre of the mirrored image is another one; a tall image, and one of three channels.
CASES = [("tall", 24, 17), ("rgb8", 14, 11)]


def main():
    for name, resize, crop in CASES:
        transform = transforms.Compose([
            transforms.Resize(resize), transforms.TenCrop(crop),
            transforms.Lambda(lambda crops: [transforms.ToTensor()(crop) for crop in crops]),
            transforms.Lambda(lambda crops: [transforms.Normalize(MEAN, DEVIATION)(crop).numpy() for crop in crops]),
        ])
        crops = np.stack(transform(Image.open(FOLDER / f"{name}.png").convert("RGB")))
        crops.astype("<f4").tofile(FOLDER / f"{name}.tencrop-{resize}-{crop}.f32")
        print(name, crops.shape)


if __name__ == "__main__":
    main()
