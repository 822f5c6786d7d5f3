#!/usr/bin/env python3
"""Makes fixtures/demo/start.pt: the random weights from which Tools/demo.sh finetunes.

    python demo_start.py            # writes the file

torchvision's own DenseNet, growth 16, blocks 2 and 4, 14 outputs, as it initialises itself under a fixed seed; float16, to be
small. A zip archive of a bare state_dict.
"""

import pathlib

import torch
from torchvision.models import DenseNet

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "demo" / "start.pt"


def main():
    torch.manual_seed(1)
    network = DenseNet(growth_rate=16, block_config=(2, 4), num_init_features=32, bn_size=4, num_classes=14)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: t.half() if t.is_floating_point() else t for name, t in network.state_dict().items()}, OUTPUT)


if __name__ == "__main__":
    main()
