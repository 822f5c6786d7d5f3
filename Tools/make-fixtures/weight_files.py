"""Makes fixtures/weight-files: safetensors and Keras files, valid ones and one for each way to lie; the network in most dialects;
files that are no weight files. PyTorch's are made by torch_files.py, torch_lies.py and hostile_files.py.

Run in the repository's root, with these packages: safetensors 0.8.0, torch 2.15.0, torchvision 0.29.2, h5py 3.16.0,
keras 3.15.1 (KERAS_BACKEND=torch), numpy 2.4.6:

    python Tools/make-fixtures/weight_files.py
"""

import hashlib
import json
import pathlib
import struct

import numpy as np

from fixture_files import expect, put
from keras_files import keras_bytes, make_saved_network
from torch_bytes import torch_value

# -- safetensors -------------------------------------------------------------------------------------------------------


def safetensors_bytes(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def make_safetensors():
    import torch
    from safetensors.torch import save

    generator = torch.Generator().manual_seed(1)
    tensors = {
        "weight": torch.randn(2, 3, generator=generator),
        "double": torch.randn(3, generator=generator, dtype=torch.float64),
        "half": torch.randn(2, 2, generator=generator).to(torch.float16),
        "brain": torch.randn(5, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(7),
        "bytes": torch.tensor([1, 2, 255], dtype=torch.uint8),
        "empty": torch.zeros(0, 4),
        "flags": torch.tensor([True, False]),
    }
    put("safetensors/valid.safetensors", save(tensors, metadata={"note": "zwölf"}))
    expect("safetensors/valid.safetensors", [(name, torch_value(tensor)) for name, tensor in tensors.items()])

    two = bytes(range(16))
    a, b = entry(0, 8, [2]), entry(8, 16, [2])
    lies = {
        "truncated-length": b"\x10\x00\x00",
        "truncated-header": struct.pack("<Q", 100) + b"{}",
        "header-too-long": struct.pack("<Q", 100_000_001) + b"{" + b" " * 20,
        "header-not-object": struct.pack("<Q", 0),
        "malformed-header": safetensors_bytes(b'{"a":', b""),
        "duplicate-key": safetensors_bytes(
            ('{"a":%s,"a":%s}' % (json.dumps(a), json.dumps(b))).encode(), two),
        "metadata-not-text": safetensors_bytes({"__metadata__": {"epoch": 3}, "a": entry(0, 16, [4])}, two),
        "missing-dtype": safetensors_bytes({"a": {"shape": [4], "data_offsets": [0, 16]}}, two),
        "negative-size": safetensors_bytes({"a": entry(0, 16, [-4])}, two),
        "descending-offsets": safetensors_bytes({"a": entry(16, 0, [4])}, two),
        "unknown-dtype": safetensors_bytes({"a": entry(0, 16, [4], "F24")}, two),
        "shape-overflow": safetensors_bytes({"a": entry(0, 16, [2**62, 8])}, two),
        "wrong-byte-count": safetensors_bytes({"a": entry(0, 16, [3])}, two),
        "overlap": safetensors_bytes({"a": entry(0, 12, [3]), "b": entry(8, 16, [2])}, two),
        "hole": safetensors_bytes({"a": entry(0, 4, [1]), "b": entry(8, 16, [2])}, two),
        "trailing-bytes": safetensors_bytes({"a": a, "b": b}, two + b"x"),
        "truncated-data": safetensors_bytes({"a": a, "b": b}, two[:-1]),
    }
    for name, data in lies.items():
        put(f"safetensors/{name}.safetensors", data)


# -- one network in every dialect --------------------------------------------------------------------------------------


def small_network(seed=4):
    """torchvision's DenseNet with growth 2, blocks of 2 and 1 layers and 3 classes, every tensor random."""
    import torch
    from torchvision.models import DenseNet

    torch.manual_seed(seed)
    network = DenseNet(growth_rate=2, block_config=(2, 1), num_init_features=4, num_classes=3)
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if name.endswith("running_var") else torch.randn_like(tensor))
    return state


def keras_name(name, old):
    """The layer of keras-applications for a module of torchvision."""
    slash = "/" if old else "_"
    fixed = {"features.conv0": f"conv1{slash}conv", "features.norm0": f"conv1{slash}bn", "features.norm5": "bn",
             "classifier": "fc1000" if old else "predictions"}
    if name in fixed:
        return fixed[name]
    parts = name.split(".")
    if parts[1].startswith("transition"):
        return f"pool{int(parts[1][10:]) + 1}_{'bn' if parts[2] == 'norm' else 'conv'}"
    layer = {"norm1": "0_bn", "conv1": "1_conv", "norm2": "1_bn", "conv2": "2_conv"}[parts[3]]
    return f"conv{int(parts[1][10:]) + 1}_block{parts[2][10:]}_{layer}"


def keras_layers(state, old):
    """The network as layers of Keras: kernels HWIO, dense kernels (in, out)."""
    layers = {}
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":
            continue
        layer = keras_name(module, old)
        array = tensor.numpy()
        if array.ndim == 4:
            weight, array = "kernel", array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            weight, array = "kernel", array.T
        elif module == "classifier":
            weight = "bias"
        else:
            weight = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
                      "running_var": "moving_variance"}[kind]
        layers.setdefault(layer, []).append((f"{layer}/{weight}:0", np.ascontiguousarray(array)))
    return list(layers.items())


def old_names(state):
    import re

    pattern = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))([12]\..*)$")
    return {pattern.sub(r"\1.\2", name): value for name, value in state.items()}


def make_networks():
    import io

    import torch
    from safetensors.torch import save

    state = small_network()
    digest = hashlib.sha256(b"".join(
        value.contiguous().numpy().tobytes() for name, value in state.items()
        if not name.endswith("num_batches_tracked"))).hexdigest()
    put("network/expected.json", json.dumps({"tensors_sha256": digest}).encode() + b"\n")

    def torch_bytes(value):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()

    def renamed(prefix, source):
        return {prefix + name.replace("classifier.", "classifier.0."): value for name, value in source.items()}

    # As arnoweng's and zoogzog's files of 2017 and 2018: old names, no counters.
    plain = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    wrapped = renamed("module.densenet121.", old_names(plain))
    dialects = {
        "torchvision.pt": state,
        "data-parallel-old-names.pth.tar": {
            "epoch": 5, "state_dict": wrapped, "best_loss": 0.2,
            "optimizer": {"state": {1: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-3, "params": [1]}]}},
    }
    for name, value in dialects.items():
        put(f"network/{name}", torch_bytes(value))
    put("network/weights.safetensors", save({name: value.contiguous() for name, value in state.items()}))
    old, new = keras_layers(state, True), keras_layers(state, False)
    options = {"libver": "v110"}
    put("network/keras-old-names.h5", keras_bytes(old, **options))
    head = [(name, weights) for name, weights in new if name == "predictions"]
    backbone = [weight for name, weights in new if name != "predictions" for weight in weights]
    trainable = [weight for weight in backbone if "moving" not in weight[0]]
    statistics = [weight for weight in backbone if "moving" in weight[0]]
    finding = [(name.replace("predictions", "findings"), array) for name, array in head[0][1]]
    put("network/keras-nested.h5", keras_bytes(
        [("input_2", []), ("densenet121", trainable + statistics), ("findings", finding)], **options))
    make_saved_network(new)


# -- files that are no weight files ------------------------------------------------------------------------------------


def make_foreign():
    put("foreign/empty.pt", b"")
    put("foreign/unknown.pt", b"\x01\x02\x03\x04\x05\x06\x07\x08 nothing that is known")
    put("foreign/binary.pt", b"\xff" * 8 + b"no text")
    put("foreign/legacy-stream.pth", bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.")
    put("foreign/image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    put("foreign/image.dcm", b"\0" * 128 + b"DICM" + b"\x02\0\0\0")
    put("foreign/legacy.tar", b"sys_info".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"))
    put("foreign/image.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0")
    put("foreign/error.pth", b'{"error": "Repository not found", "code": 404}\n')
    put("foreign/model.onnx", bytes.fromhex("0808120770") + b"ytorch:")
    put("foreign/array.npy", b"\x93NUMPY\x01\0v\0{'descr': '<f4'}")
    put("foreign/model.gguf", b"GGUF\x03\0\0\0" + b"\0" * 16)
    for name, beginning in {"gz": "1f8b0800", "bz2": "425a683931415926", "xz": "fd377a585a000004", "zst": "28b52ffd04",
                            "7z": "377abcaf271c0004", "rar": "526172211a0700"}.items():
        put(f"foreign/packed.{name}", bytes.fromhex(beginning) + b"\0" * 8)
    put("foreign/page.pth", b"\n<!DOCTYPE html><html><title>Sign in</title></html>")
    put(
        "foreign/pointer.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 32342954\n")


if __name__ == "__main__":
    make_safetensors()
    make_networks()
    make_foreign()
    print("checksums.py --update puts what changed into fixtures/README.md")
