"""Writes torchvision's DenseNet-121 with 14 outputs and random weights as ONNX, for the runtimes that take it."""

import argparse

import measurement
import torch
import torchvision


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=measurement.ROWS, required=True, help="its batch is the model's")
    parser.add_argument("output")
    options = parser.parse_args()

    torch.manual_seed(1)
    network = torchvision.models.densenet121(num_classes=measurement.OUTPUTS).eval()
    images = torch.randn(measurement.batch_size(options.row), 3, measurement.SIDE, measurement.SIDE)
    torch.onnx.export(network, (images,), options.output, dynamo=True, external_data=False, verbose=False)


if __name__ == "__main__":
    main()
