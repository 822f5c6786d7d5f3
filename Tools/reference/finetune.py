#!/usr/bin/env python3
"""Finetunes torchvision's DenseNet by the recipe of `chexnet finetune`, as one would write it in PyTorch: its oracle over many steps.

    python finetune.py start.safetensors trained.safetensors --data IMAGES --train train_list.txt --epochs 5 --batch-size 8

START is a state_dict under torchvision's names (.pt, .pth or .safetensors), of which the architecture is read. Lists are those of
`chexnet`: an image and its labels, 0 or 1, a line. Images are read by Pillow as RGB in their full size; the rest is torchvision's:
`RandomResizedCrop(224)` and `RandomHorizontalFlip`, normalised with ImageNet's mean and deviation; Adam with weight decay as L2 on
`BCEWithLogitsLoss`; the last batch of an epoch may be smaller. What it writes are the weights behind the last epoch:

    chexnet import-weights trained.safetensors checkpoint.safetensors
"""

import argparse

import torch
from PIL import Image
from safetensors.torch import save_file
from torch.optim import lr_scheduler as schedulers
from torchvision.transforms import v2

from predict import NORMALIZE, load_network

AUGMENTATIONS = {
    "crop-flip": [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip()],
    "flip": [v2.Resize(256), v2.CenterCrop(224), v2.RandomHorizontalFlip()],
    "none": [v2.Resize(256), v2.CenterCrop(224)],
}
SCHEDULES = {
    "cosine": lambda optimizer, epochs: schedulers.CosineAnnealingLR(optimizer, T_max=epochs),
    "constant": lambda optimizer, epochs: schedulers.ConstantLR(optimizer, factor=1),
}


class Radiographs(torch.utils.data.Dataset):
    """Images [3, 224, 224], normalised, and labels [L] of a list."""

    def __init__(self, folder, list_file, augmentation):
        with open(list_file) as file:
            rows = [line.split() for line in file if line.strip()]
        self.paths = [f"{folder}/{row[0]}" for row in rows]
        self.labels = torch.tensor([[float(label) for label in row[1:]] for row in rows])
        self.transform = v2.Compose([*AUGMENTATIONS[augmentation], v2.PILToTensor()])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Image.open(self.paths[index]) as image:
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
    parser.add_argument("--augment", choices=AUGMENTATIONS, default="crop-flip")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    network = load_network(options.start).to(memory_format=torch.channels_last)
    train(network, Radiographs(options.data, options.train, options.augment), options)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, options.output, {"format": "pt"})


if __name__ == "__main__":
    main()
