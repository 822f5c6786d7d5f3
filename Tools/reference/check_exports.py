#!/usr/bin/env python3
"""Exports a checkpoint in every format, loads each file in the libraries it is meant for, and compares.

    chexnet import-weights torchvision.pt --output w.safetensors
    python check_exports.py .build-tests/release/chexnet w.safetensors RADIOGRAPHS [--limit 8]

What each file must do, for a DenseNet-121, 169 or 201 of three input channels (161 too where Keras has no part in it):

    torch --names torchvision   torch.load(weights_only=True), torchvision's load_state_dict(strict=True)
    torch --names chexnet       the same, into the module tree of the reference implementation: `densenet121` with a head
                                Sequential(Linear, Sigmoid); a leading `module.` may stand before every name
    keras                       keras.applications' load_weights, and a reader that knows only `layer_names` and
                                `weight_names`, as Keras 2 has them
    safetensors                 safetensors.torch.load_file, into torchvision and into timm, strictly

Every tensor must be bit for bit the checkpoint's; the outputs on the radiographs must be those of torchvision with the
checkpoint (1e-4 in a probability, 1e-3 in a logit; Keras' ε is 1.001e-5); and importing the file again must give the
checkpoint's `tensors_sha256`. Exit 1 if anything does not hold.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import h5py
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torchvision import models

from dialects import KERAS_VARIABLES, torchvision_name
from import_full_size import chexnet
from predict import batches, image_paths, load_network

PROBABILITY, LOGIT = 1e-4, 1e-3
TRANSPOSED = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}  # Keras' axes to PyTorch's


class Fault(Exception):
    pass


class Checkpoint:
    """What the exports are compared with."""

    def __init__(self, path, images, limit):
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        self.sha256 = metadata["chexnet.tensors_sha256"]
        self.name = json.loads(metadata["chexnet.architecture"])["name"]
        self.outputs = len(json.loads(metadata["chexnet.classes"]))
        self.tensors = {k: t for k, t in load_file(path).items() if not k.endswith("num_batches_tracked")}
        self.images = torch.cat(list(batches(image_paths(images)[:limit])))
        with torch.inference_mode():
            self.logits = load_network(path)(self.images)

    def compare_tensors(self, found):
        found = {name: tensor for name, tensor in found.items() if not name.endswith("num_batches_tracked")}
        if set(found) != set(self.tensors):
            raise Fault(f"other tensors: {sorted(set(found) ^ set(self.tensors))[:4]}")
        for name, tensor in found.items():
            # Bytes, not values: 0 and −0 are equal, a NaN is not equal to itself.
            if tensor.dtype != torch.float32 or tensor.shape != self.tensors[name].shape or (
                    tensor.contiguous().numpy().tobytes() != self.tensors[name].contiguous().numpy().tobytes()):
                raise Fault(f"{name} is not the checkpoint's")

    def compare_outputs(self, probabilities=None, logits=None):
        """|Δp| and relative Δlogit; what is None is computed from the other."""
        probabilities = logits.double().sigmoid() if probabilities is None else probabilities.double()
        p = (probabilities - self.logits.double().sigmoid()).abs().max().item()
        logits = probabilities.logit() if logits is None else logits
        z = ((logits - self.logits).abs() / self.logits.abs().clamp(min=1)).max().item()
        if not (p <= PROBABILITY and z <= LOGIT):
            raise Fault(f"outputs differ: |Δp| {p:.1e}, Δlogit {z:.1e}")
        return f"|Δp| {p:.1e}"


def run(module, checkpoint):
    with torch.inference_mode():
        return module.eval()(checkpoint.images)


def load_torch(path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise Fault("not a dictionary of tensors")
    return state


def torchvision_network(checkpoint, state):
    network = getattr(models, checkpoint.name)(num_classes=checkpoint.outputs)
    network.load_state_dict(state, strict=True)
    checkpoint.compare_tensors(network.state_dict())
    return checkpoint.compare_outputs(logits=run(network, checkpoint))


class ReferenceNetwork(nn.Module):
    """The module tree of the reference implementation (the attribute is called so for every depth)."""

    def __init__(self, name, outputs):
        super().__init__()
        self.densenet121 = getattr(models, name)()
        self.densenet121.classifier = nn.Sequential(nn.Linear(self.densenet121.classifier.in_features, outputs), nn.Sigmoid())

    def forward(self, images):
        return self.densenet121(images)


def reference_network(checkpoint, state):
    network = ReferenceNetwork(checkpoint.name, checkpoint.outputs)
    prefix = "module." if all(name.startswith("module.") for name in state) else ""
    network.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in state.items()}, strict=True)
    checkpoint.compare_tensors({
        name.removeprefix("densenet121.").replace("classifier.0.", "classifier."): tensor
        for name, tensor in network.state_dict().items()})
    return checkpoint.compare_outputs(probabilities=run(network, checkpoint))


def timm_network(checkpoint, state):
    import timm

    network = timm.create_model(checkpoint.name, num_classes=checkpoint.outputs)
    network.load_state_dict(state, strict=True)
    checkpoint.compare_tensors(network.state_dict())
    return checkpoint.compare_outputs(logits=run(network, checkpoint))


def keras_network(checkpoint, path):
    import keras

    build = getattr(keras.applications, checkpoint.name.replace("densenet", "DenseNet"))
    model = build(weights=None, input_shape=(224, 224, 3), classes=checkpoint.outputs, classifier_activation="sigmoid")
    model.load_weights(path)
    found = {}
    for layer in model.layers:
        for variable in layer.weights:
            array = keras.ops.convert_to_numpy(variable)
            name = f"{torchvision_name(layer.name)}.{KERAS_VARIABLES[variable.name]}"
            found[name] = torch.from_numpy(np.ascontiguousarray(array.transpose(TRANSPOSED[array.ndim])))
    checkpoint.compare_tensors(found)
    with torch.inference_mode():
        probabilities = torch.as_tensor(model(checkpoint.images.permute(0, 2, 3, 1), training=False))
    return checkpoint.compare_outputs(probabilities=probabilities)


def keras2_file(checkpoint, path):
    """Reads as Keras 2 does: groups in the order of `layer_names`, in each the datasets that `weight_names` lists.

    Keras 2 takes the weights of a layer by their order: kernel, bias; gamma, beta, moving mean, moving variance."""
    orders = {1: ["kernel"], 2: ["kernel", "bias"], 4: ["gamma", "beta", "moving_mean", "moving_variance"]}
    text = lambda value: value.decode("utf8") if isinstance(value, bytes) else value
    found = {}
    with h5py.File(path) as file:
        root = file["model_weights"] if "layer_names" not in file.attrs and "model_weights" in file else file
        for attribute in ("backend", "keras_version"):
            if attribute not in root.attrs:
                raise Fault(f"no attribute {attribute}")
        for layer in map(text, root.attrs["layer_names"]):
            names = [text(name) for name in root[layer].attrs["weight_names"]]
            if not names:
                continue
            if layer in ("fc1000", "conv1/conv", "conv1/bn"):
                raise Fault(f"{layer} is a name of the first years: Keras 3 does not know it")
            for name, kind in zip(names, orders[len(names)], strict=True):
                array = root[layer][name][()]
                if name.rpartition("/")[2].split(":")[0] != kind:
                    raise Fault(f"{layer} has {name} where Keras expects {kind}")
                key = f"{torchvision_name(layer)}.{KERAS_VARIABLES[kind]}"
                found[key] = torch.from_numpy(np.ascontiguousarray(array.transpose(TRANSPOSED[array.ndim])))
    checkpoint.compare_tensors(found)
    return "tensors"


def import_again(executable, checkpoint, path):
    imported = path.with_name(path.name + ".again.safetensors")
    report = chexnet(executable, "import-weights", path, "--output", imported)
    imported.unlink()
    if report["tensors_sha256"] != checkpoint.sha256:
        raise Fault(f"tensors_sha256 {report['tensors_sha256'][:12]}… is not the checkpoint's {checkpoint.sha256[:12]}…")
    return "tensors_sha256"


def exports(checkpoint):
    """(file name, options of export-weights, {reader: function of the path})"""
    torchvision = lambda load: lambda path: torchvision_network(checkpoint, load(path))
    keras = {} if checkpoint.name == "densenet161" else {
        "keras.applications": lambda path: keras_network(checkpoint, path), "Keras 2": lambda path: keras2_file(checkpoint, path)}
    rows = [
        ("torchvision.pt", ["--format", "torch", "--names", "torchvision"], {"torchvision": torchvision(load_torch)}),
        ("default.pt", ["--format", "torch"], {"torchvision": torchvision(load_torch)}),
        ("chexnet.pt", ["--format", "torch", "--names", "chexnet"],
         {"reference implementation": lambda path: reference_network(checkpoint, load_torch(path))}),
        ("weights.safetensors", ["--format", "safetensors"],
         {"torchvision": torchvision(load_file), "timm": lambda path: timm_network(checkpoint, load_file(path))}),
        ("keras.h5", ["--format", "keras"], keras),  # Keras 3 takes .weights.h5 for its own, other layout
    ]
    return [row for row in rows if row[2]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("checkpoint")
    parser.add_argument("images", help="folder of radiographs")
    parser.add_argument("--limit", type=int, default=8, help="images to compare outputs on (8)")
    options = parser.parse_args()

    torch.set_num_threads(1)
    checkpoint, failed = Checkpoint(options.checkpoint, options.images, options.limit), 0

    def report(file, reader, job):
        nonlocal failed
        try:
            verdict = f"ok      {job()}"
        except Exception as error:  # a library's own complaint is what we want to show, whatever its type
            failed += 1
            verdict = f"FAILED  {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
        print(f"{file:22} {reader:26} {verdict}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        for name, arguments, readers in exports(checkpoint):
            path = pathlib.Path(scratch) / name
            report(name, "export-weights", lambda: export(options.executable, options.checkpoint, path, arguments))
            if not path.exists():
                continue
            for reader, read in readers.items():
                report(name, reader, lambda: read(path))
            report(name, "import-weights", lambda: import_again(options.executable, checkpoint, path))
    print("everything holds" if not failed else f"{failed} failed")
    sys.exit(1 if failed else 0)


def export(executable, checkpoint, path, arguments):
    chexnet(executable, "export-weights", checkpoint, "--output", path, *arguments)
    return f"{path.stat().st_size:,} bytes"


if __name__ == "__main__":
    main()
