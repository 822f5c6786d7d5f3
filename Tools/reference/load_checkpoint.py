"""Loads a checkpoint of chexnet into torchvision's DenseNet, strictly, and prints a digest of what was loaded.

    python Tools/reference/load_checkpoint.py CHECKPOINT.safetensors

Needs torch 2.15.0, torchvision 0.29.2 and safetensors 0.8.0. The digest is the checkpoint's own `chexnet.tensors_sha256`.
"""

import hashlib
import json
import sys

from safetensors import safe_open
from safetensors.torch import load_file
from torchvision.models import DenseNet

path = sys.argv[1]
with safe_open(path, "pt") as file:
    metadata = file.metadata()
architecture = json.loads(metadata["chexnet.architecture"])
network = DenseNet(
    growth_rate=architecture["growth_rate"], block_config=tuple(architecture["block_sizes"]),
    num_init_features=architecture["initial_features"], num_classes=len(json.loads(metadata["chexnet.classes"])))
print(network.load_state_dict(load_file(path)))
digest = hashlib.sha256(b"".join(
    tensor.numpy().tobytes() for name, tensor in network.state_dict().items()
    if not name.endswith("num_batches_tracked"))).hexdigest()
print(digest, "as written" if digest == metadata["chexnet.tensors_sha256"] else "DIFFERS from what was written")
sys.exit(digest != metadata["chexnet.tensors_sha256"])
