#!/usr/bin/env python3
"""Finetunes torchvision's DenseNet by the recipe of `chexnet finetune`, as one would write it in PyTorch: its oracle over many steps.

    python finetune.py start.safetensors trained.safetensors --data IMAGES --train train_list.txt --epochs 5 --batch-size 8 \\
      --test test_list.txt --predictions predictions.csv
    chexnet evaluate --scores predictions.csv --test test_list.txt

START is a state_dict under torchvision's names (.pt, .pth or .safetensors), of which the architecture is read. Lists are those of
`chexnet`: an image and its labels, 0 or 1, a line. Images are read by Pillow as RGB in their full size; the rest is torchvision's:
`RandomResizedCrop` and `RandomHorizontalFlip`, normalised with ImageNet's mean and deviation; Adam with weight decay as L2 on
`BCEWithLogitsLoss`; the last batch of an epoch may be smaller. What it writes are the weights behind the last epoch, and with --test their
probabilities for another list, of the centre of each image.
"""

import argparse
import csv

import torch
from PIL import Image
from safetensors.torch import save_file
from torch.optim import lr_scheduler as schedulers
from torchvision.transforms import v2

from predict import FINDINGS, NORMALIZE, load_network



def augmentation(name, size):
    """torchvision's transforms of a PIL image, for a network of `size` pixels."""
    center = [v2.Resize((size * 256 + 112) // 224), v2.CenterCrop(size)]
    return {
        "crop-flip": [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()],
        "flip": [*center, v2.RandomHorizontalFlip()],
        "none": center,
    }[name]


SCHEDULES = {
    "cosine": lambda optimizer, epochs: schedulers.CosineAnnealingLR(optimizer, T_max=epochs),
    "constant": lambda optimizer, epochs: schedulers.ConstantLR(optimizer, factor=1),
}


class Radiographs(torch.utils.data.Dataset):
    """Images [3, 224, 224], normalised, and labels [L] of a list."""

    def __init__(self, folder, list_file, transforms):
        with open(list_file) as file:
            rows = [line.split() for line in file if line.strip()]
        self.names = [row[0] for row in rows]
        self.folder = folder
        self.labels = torch.tensor([[float(label) for label in row[1:]] for row in rows])
        self.transform = v2.Compose([*transforms, v2.PILToTensor()])

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        with Image.open(f"{self.folder}/{self.names[index]}") as image:
            return NORMALIZE(self.transform(image.convert("RGB")).float() / 255), self.labels[index]


def train(network, data, options):
    network.train()
    loader = torch.utils.data.DataLoader(data, options.batch_size, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    schedule = SCHEDULES[options.schedule](optimizer, options.epochs)
    criterion = torch.nn.BCEWithLogitsLoss()
    for epoch in range(options.epochs):
        total = 0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(network(images.contiguous(memory_format=torch.channels_last)), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(images)
        print(f"epoch {epoch + 1}/{options.epochs}  rate {schedule.get_last_lr()[0]:.1e}  loss {total / len(data):.4f}", flush=True)
        schedule.step()


@torch.inference_mode()
def predict(network, data, path):
    network.eval()
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Image Index", *(f"prob_{name}" for name in FINDINGS)])
        for name, (image, _) in zip(data.names, data):
            writer.writerow([name, *("%.9g" % value for value in network(image[None])[0].sigmoid().tolist())])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start")
    parser.add_argument("output", help=".safetensors to write")
    parser.add_argument("--data", required=True, help="folder of radiographs")
    parser.add_argument("--train", required=True, help="list of images and labels")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--weight-decay", type=float, default=1e-5)
    parser.add_argument("--schedule", choices=SCHEDULES, default="constant")
    parser.add_argument("--augment", choices=["crop-flip", "flip", "none"], default="crop-flip")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", help="list of images to predict behind the last epoch")
    parser.add_argument("--predictions", help="CSV to write of them")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    network = load_network(options.start).to(memory_format=torch.channels_last)
    train(network, Radiographs(options.data, options.train, augmentation(options.augment, options.image_size)), options)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, options.output, {"format": "pt"})
    if options.test:
        predict(network, Radiographs(options.data, options.test, augmentation("none", options.image_size)), options.predictions)


if __name__ == "__main__":
    main()
