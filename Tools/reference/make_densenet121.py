#!/usr/bin/env python3
"""Makes a full-size DenseNet-121 with 14 outputs and random weights that says something different about every radiograph.

    python make_densenet121.py weights.pt --images images/ --calibrate --ddp weights-ddp.pt --keras weights.h5

Random weights alone answer the same for every image, which hides errors. `--calibrate` takes the running statistics from the
images and then gives every output's logits mean 0 and deviation 1 over them; the command fails unless each output's
probabilities deviate by more than 0.05. The same weights can be written in two other dialects: `--ddp` (names and nesting
of the first CheXNet checkpoints) and `--keras` (keras.applications.DenseNet121, legacy HDF5; Keras' ε is 1.001e-5).
"""

import argparse
import os

import torch
from torchvision.models import densenet121

from dialects import ddp_name, set_keras_weights, without_counters
from predict import batches, image_paths


def make_network(seed, build=densenet121, channels=3, outputs=14):
    """torchvision's initialisation, with batch norms that are not the identity."""
    torch.manual_seed(seed)
    network = build(num_classes=outputs)
    if channels != 3:
        network.features.conv0 = torch.nn.Conv2d(channels, network.features.conv0.out_channels, 7, 2, 3, bias=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    torch.nn.init.normal_(network.classifier.weight)
    return network


@torch.no_grad()
def calibrate_norms(network, batches):
    """Takes the running statistics from batches of images [N, C, H, W]."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    network.train()
    for images in batches:
        network.features(images)


@torch.no_grad()
def pooled_features(network, batches):
    """What the classifier sees of each image: [N, 1024]."""
    network.eval()
    return torch.cat([network.features(images).relu().mean((2, 3)) for images in batches])


@torch.no_grad()
def calibrate_head(classifier, pooled):
    """Gives every output logits of mean 0 and deviation 1."""
    raw = pooled.double() @ classifier.weight.double().T
    classifier.weight /= raw.std(0, keepdim=True).T
    classifier.bias.copy_(-raw.mean(0) / raw.std(0))


def write_keras(network, path, images):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    model = keras.applications.DenseNet121(
        weights=None, input_shape=(224, 224, 3), classes=14, classifier_activation="sigmoid")
    set_keras_weights(model, without_counters(network))
    model.save(path)
    with torch.no_grad():
        theirs = torch.as_tensor(model(images.permute(0, 2, 3, 1), training=False))
        difference = (theirs - network(images).sigmoid()).abs().max().item()
    print(f"{path}: Keras' probabilities differ from PyTorch's by at most {difference:.1e}")
    if difference > 1e-4:
        raise SystemExit("that is more than rounding and ε explain")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="state_dict to write (zip archive of torch.save)")
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of radiographs")
    parser.add_argument("--calibrate", action="store_true", help="fit running statistics and head to the images")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ddp", metavar="OUT.pt", help="also write the DistributedDataParallel dialect")
    parser.add_argument("--keras", metavar="OUT.h5", help="also write Keras' legacy HDF5")
    options = parser.parse_args()

    paths = image_paths(options.images)
    network = make_network(options.seed)
    if options.calibrate:
        calibrate_norms(network, batches(paths, size=16))
    pooled = pooled_features(network, batches(paths))
    if options.calibrate:
        calibrate_head(network.classifier, pooled)
    deviations = network.classifier(pooled).sigmoid().std(0)
    print(f"{len(paths)} images; an output's probabilities deviate by {deviations.min():.3f} to {deviations.max():.3f}")
    if options.calibrate and deviations.min() <= 0.05:
        raise SystemExit("an output's probabilities deviate by 0.05 or less: give more, or more different, images")

    torch.save(network.state_dict(), options.output)
    if options.ddp:
        state = {ddp_name(name): tensor for name, tensor in without_counters(network).items()}
        torch.save({"epoch": 1, "state_dict": state, "best_loss": 0.5}, options.ddp)
    if options.keras:
        write_keras(network, options.keras, next(batches(paths, size=4)))


if __name__ == "__main__":
    main()
