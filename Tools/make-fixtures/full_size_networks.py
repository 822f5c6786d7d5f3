"""The networks that the full-size files hold, what they are shown, and what their libraries answer.

All files of an architecture hold the same numbers: `Networks.state` has them under torchvision's names. Random weights answer
the same for every image, so they are calibrated on the radiographs as Tools/reference/make_densenet121.py does it. A network
of one input channel is calibrated on torchxrayvision's numbers (−1024 … 1024), all others on ImageNet's preprocessing.
"""

import functools
import hashlib

import numpy as np
import torch
from PIL import Image
from torchvision import models

from make_densenet121 import calibrate_head, calibrate_norms, make_network, pooled_features
from predict import FINDINGS, NORMALIZE, PIXELS, image_paths

SEED = 1
DENSENET = {size: getattr(models, f"densenet{size}") for size in (121, 161, 169, 201)}


def values(state):
    """The tensors of a state_dict that chexnet keeps, in order: without the counters of batches and XRV's thresholds."""
    return [t for name, t in state.items() if not name.endswith(("num_batches_tracked", "op_threshs"))]


def digest(state):
    """`tensors_sha256` of a chexnet checkpoint with these tensors."""
    sha256 = hashlib.sha256()
    for tensor in values(state):
        sha256.update(tensor.detach().to(torch.float32).contiguous().numpy().tobytes())
    return sha256.hexdigest()


def findings(outputs):
    """The names that chexnet gives to so many outputs."""
    import torchxrayvision

    named = {14: FINDINGS, 18: list(torchxrayvision.models.DenseNet.targets), 1000: [f"imagenet_{i}" for i in range(1000)]}
    return named.get(outputs) or [f"class_{index}" for index in range(outputs)]


class Networks:
    def __init__(self, image_folder, limit=None):
        self.paths = image_paths(image_folder)
        self.recorded = self.choose(limit or len(self.paths))
        self.answers = {}

    def choose(self, limit):
        """The places of the images whose answers are recorded: one in four has color, as far as there are such, the rest is gray."""
        gray = [index for index, path in enumerate(self.paths) if Image.open(path).mode == "L"]
        color = [index for index in range(len(self.paths)) if index not in gray][:max(limit // 4, limit - len(gray))]
        return sorted(color + gray[:limit - len(color)])

    @functools.cache
    def inputs(self, preprocessing):
        """All images as a network takes them, [N, C, 224, 224]."""
        if preprocessing == "xrv":
            return torch.stack([self.xrv_input(path) for path in self.paths])
        images = [Image.open(path).convert("RGB") for path in self.paths]
        if preprocessing == "resize":
            images = [image.resize((224, 224), Image.Resampling.BILINEAR) for image in images]
            pixels = [torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images]
        else:
            pixels = [PIXELS(image) for image in images]
        return NORMALIZE(torch.stack(pixels).float() / 255)

    @staticmethod
    def xrv_input(path):
        """As the example scripts of torchxrayvision prepare a file."""
        import torchxrayvision as xrv
        from torchvision import transforms

        prepare = transforms.Compose([xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(224)])
        return torch.from_numpy(prepare(xrv.utils.load_image(str(path))))

    @functools.cache
    def _backbone(self, size, channels):
        """The calibrated network without a head of its own, and what that would see of the images."""
        network = make_network(SEED, DENSENET[size], channels)
        batches = self.inputs("xrv" if channels == 1 else "center-crop").split(16)
        calibrate_norms(network, batches)
        return network, pooled_features(network, batches)

    @functools.cache
    def network(self, size=121, channels=3, outputs=14):
        """torchvision's network in eval mode. Whoever changes it takes a copy."""
        backbone, pooled = self._backbone(size, channels)
        network = DENSENET[size](num_classes=outputs)
        network.features = backbone.features
        torch.manual_seed(SEED + outputs)
        torch.nn.init.normal_(network.classifier.weight)
        calibrate_head(network.classifier, pooled)
        deviation = network.classifier(pooled).sigmoid().std(0).min()
        if deviation <= 0.05:
            raise SystemExit(f"an output's probabilities deviate by {deviation:.3f}: give more, or more different, images")
        return network.eval()

    def state(self, size=121, channels=3, outputs=14):
        state = self.network(size, channels, outputs).state_dict()
        return {name: tensor.detach().clone() for name, tensor in state.items()}

    def answer(self, key, preprocessing, logits):
        """What `logits` (a function of images [N, C, H, W]) says of the recorded images; once for equal `key`."""
        if (key, preprocessing) not in self.answers:
            with torch.inference_mode():
                batches = self.inputs(preprocessing)[self.recorded].split(8)
                self.answers[key, preprocessing] = torch.cat([logits(batch).float() for batch in batches])
        return self.answers[key, preprocessing]
