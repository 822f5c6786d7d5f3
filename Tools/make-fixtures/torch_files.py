"""Makes the valid PyTorch files of fixtures/weight-files: torch (every kind of tensor, in every container) and network (one small
network as PyTorch programs save it).

Run in the repository's root, with the packages of requirements.txt:

    python Tools/make-fixtures/torch_files.py

Zip archives are the same on every run. Streams have the addresses of the storages as keys, and the source text of the classes:
they are other bytes on each run, with the same tensors in them.
"""

import hashlib
import io
import json
import pathlib
import pickle
import re
import struct
import tempfile
import zipfile
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

import old_torch
from fixture_files import expect, put
from old_torch import on_device
from torch_bytes import archive, record, torch_value, zip_bytes
from weight_files import old_names, small_network

XRV_THRESHOLDS = torch.linspace(0.01, 0.9, 18)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def saved_stream(value, **options):
    return saved(value, _use_new_zipfile_serialization=False, **options)


def saved_old(value, era):
    with tempfile.NamedTemporaryFile() as file:
        old_torch.save(value, file.name, era)
        return pathlib.Path(file.name).read_bytes()


# -- Every kind of tensor ----------------------------------------------------------------------------------------------


def make_archives():
    whole, expected = every_tensor()
    for protocol in (2, 3, 4, 5):
        put(f"torch/protocol-{protocol}.pt", saved(whole, pickle_protocol=protocol))
        expect(f"torch/protocol-{protocol}.pt", expected)
    put("torch/deflated.pt", packed_again(saved(whole), zipfile.ZIP_DEFLATED))
    expect("torch/deflated.pt", expected)
    floats = [("w", np.arange(4, dtype="<f4").reshape(2, 2))]
    put("torch/plain.pt", zip_bytes(archive()))
    expect("torch/plain.pt", floats)
    put("torch/big-endian.pt", zip_bytes(archive(
        storage=np.arange(4, dtype=">f4").tobytes(), extra=[record("a/byteorder", b"big")])))
    expect("torch/big-endian.pt", floats)
    torch.serialization.set_crc32_options(False)
    put("torch/without-crc.pt", saved(whole))
    torch.serialization.set_crc32_options(True)
    expect("torch/without-crc.pt", expected)

    plain = zip_bytes(archive())
    put("torch/zip64.pt", packed_again(plain, force_zip64=True))
    expect("torch/zip64.pt", floats)
    put("torch/descriptors.pt", packed_again(plain, into=Unseekable()))
    expect("torch/descriptors.pt", floats)
    # All parameters of a network in one storage, over the 4 MiB that are read at a time.
    flat = torch.arange(1_200_000, dtype=torch.float32) % 251
    views = {"whole": flat, "front": flat[:6].view(2, 3), "back": flat[-4:], "stepped": flat[7:1000:31],
             "transposed": flat[500_000:500_600].view(20, 30).t(), "one": flat[1_100_000]}
    put("torch/flat.pt", packed_again(saved(views), zipfile.ZIP_DEFLATED))
    expect("torch/flat.pt", [(name, torch_value(view)) for name, view in views.items()])


def every_tensor():
    """What a training program saves, and its tensors by name."""
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(4, 3, 2, 2, generator=generator)
    shared = torch.randn(20, generator=generator)
    state = {
        "conv": base,
        "channels_last": base.clone().to(memory_format=torch.channels_last),
        "transposed": torch.randn(3, 5, generator=generator).t(),
        "slice": shared[4:10],
        "stepped": shared[1::3],
        "parameter": torch.nn.Parameter(torch.randn(2, generator=generator)),
        "double": torch.randn(3, generator=generator, dtype=torch.float64),
        "half": torch.randn(3, generator=generator).to(torch.float16),
        "brain": torch.randn(3, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(12),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }
    whole = {"epoch": 3, "best_loss": 0.25, "note": "zwölf", "state_dict": state,
             "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}}
    expected = [("state_dict." + name, torch_value(tensor)) for name, tensor in state.items()]
    expected.append(("optimizer.state.0.exp_avg", torch_value(torch.ones(2))))
    return whole, expected


class Unseekable(io.RawIOBase):
    """A file that zipfile cannot go back in: it puts sizes and checksums behind the data."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)

    def getvalue(self):
        return self.bytes


def packed_again(data, method=zipfile.ZIP_STORED, into=None, force_zip64=False):
    """The archive as Python's zipfile writes it."""
    target = into or io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as packed, zipfile.ZipFile(io.BytesIO(data)) as source:
        for item in source.infolist():
            information = zipfile.ZipInfo(item.filename)
            information.compress_type = method
            with packed.open(information, "w", force_zip64=force_zip64) as entry:
                entry.write(source.read(item))
    return target.getvalue()


def make_streams():
    whole, expected = every_tensor()
    integers = {"int32": torch.tensor([-1, 2**31 - 1], dtype=torch.int32), "int16": torch.tensor([-2], dtype=torch.int16),
                "int8": torch.tensor([[-3]], dtype=torch.int8), "uint8": torch.tensor([200, 3], dtype=torch.uint8),
                "scalar": torch.tensor(1.5, dtype=torch.float64), "nothing": torch.zeros(2, 0, 3, dtype=torch.float16)}
    whole["integers"] = integers
    expected += [("integers." + name, torch_value(tensor)) for name, tensor in integers.items()]
    for protocol in (2, 4):
        put(f"stream/protocol-{protocol}.pth", saved_stream(whole, pickle_protocol=protocol))
        expect(f"stream/protocol-{protocol}.pth", expected)

    # torch 0.3 under Python 2: views of storages, and addresses of parameters as decimal integers.
    base = torch.arange(24, dtype=torch.float32)
    address = 140_000_000_000_000
    views = {"state_dict": OrderedDict(view=OldView(base, 4, 12, (3, 2), (1, 3), 2), all=base.view(2, 12)),
             "optimizer": {"state": {address: {"step": 7, "exp_avg": torch.ones(3)}}, "param_groups": [{"params": [address]}]}}
    data = saved_with_views(views)
    long = pickle.encode_long(address)
    data = data.replace(b"\x8a" + bytes([len(long)]) + long, b"I%d\n" % address)
    put("stream/torch-03-views.pth", data)
    found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    expected = [("state_dict.view", found["state_dict"]["view"]), ("state_dict.all", found["state_dict"]["all"]),
                (f"optimizer.state.{address}.exp_avg", torch.ones(3))]
    assert torch.equal(expected[0][1], base[6:12].view(2, 3).t()) and torch.equal(expected[1][1], base.view(2, 12))
    expect("stream/torch-03-views.pth", [(name, torch_value(tensor)) for name, tensor in expected])


def make_modules():
    """One layer, whole."""
    torch.manual_seed(6)
    layer = nn.Linear(2, 1)
    expected = [(name, torch_value(tensor)) for name, tensor in layer.state_dict().items()]
    for name, data in {"torch/module.pt": saved(layer), "stream/module.pth": saved_stream(layer)}.items():
        put(name, data)
        expect(name, expected)


class OldView:
    """A tensor on a view of a storage, as PyTorch before 0.4 saved one: elements first to first + count of `base`."""

    def __init__(self, base, first, count, shape, stride, offset):
        self.base, self.first, self.count = base, first, count
        self.arguments = offset, shape, stride


class _ViewPickler(old_torch._Pickler):
    def persistent_id(self, value):
        if isinstance(value, OldView):
            root = old_torch._Storage(value.base)
            self.storages[root.key] = root.tensor
            view = "view of " + root.key, value.first, value.count
            return "storage", torch.FloatStorage, root.key, self.location, root.tensor.numel(), view
        return super().persistent_id(value)

    def dump(self, value):
        views = value["state_dict"]
        for name, view in views.items():
            if isinstance(view, OldView):
                views[name] = _Rebuilt(view)
        super().dump(value)

    def reducer_override(self, value):
        if isinstance(value, _Rebuilt):
            return torch._utils._rebuild_tensor, (value.view, *value.view.arguments)
        return super().reducer_override(value)


class _Rebuilt:
    def __init__(self, view):
        self.view = view


def saved_with_views(value):
    file = io.BytesIO()
    for header in (old_torch.MAGIC, old_torch.PROTOCOL, old_torch.SYSTEM):
        pickle.dump(header, file, protocol=2)
    pickler = _ViewPickler(file, old_torch.Era.TORCH_0_3, "cuda:0")
    pickler.dump(value)
    pickle.dump(sorted(pickler.storages), file, protocol=2)
    for key in sorted(pickler.storages):
        tensor = pickler.storages[key]
        file.write(struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes())
    return file.getvalue()


# -- One network in every dialect --------------------------------------------------------------------------------------


class Net(nn.Module):
    """A class that only this program knows: in a pickle, `__main__.Net`."""

    def __init__(self, network):
        super().__init__()
        self.features, self.classifier = network.features, network.classifier


def network(state, classes=3, channels=3):
    """torchvision's network of weight_files.small_network, whole."""
    from torchvision.models import DenseNet

    network = DenseNet(growth_rate=2, block_config=(2, 1), num_init_features=4, num_classes=classes)
    if channels != 3:
        network.features.conv0 = nn.Conv2d(channels, 4, 7, 2, 3, bias=False)
    network.load_state_dict(state)
    return network


def jrzech(state):
    """nih-chest-xrays-by-jrzech: the whole model, with a head of Linear and Sigmoid, in a dictionary."""
    module = network(state)
    module.classifier = nn.Sequential(module.classifier, nn.Sigmoid())
    return {"model": module, "best_loss": 0.1534, "epoch": 3, "rng_state": torch.zeros(16, dtype=torch.uint8), "LR": 0.01}


def adam_checkpoint(state):
    module = nn.DataParallel(network(state), device_ids=[])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.0)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()  # at a rate of 0 it fills the moments and leaves the parameters
    names = {f"module.densenet121.{name}": tensor for name, tensor in module.module.state_dict().items()}
    return {"epoch": 7, "state_dict": OrderedDict(names), "best_loss": 0.1534, "optimizer": optimizer.state_dict()}


def monai(state):
    from monai.networks.nets import DenseNet

    module = DenseNet(spatial_dims=2, in_channels=3, out_channels=3, init_features=4, growth_rate=2, block_config=(2, 1))
    return filled(module, state)


def xrv(state):
    import torchxrayvision

    module = torchxrayvision.models.DenseNet(
        growth_rate=2, block_config=(2, 1), num_init_features=4, num_classes=18, in_channels=1, op_threshs=XRV_THRESHOLDS)
    return filled(module, state)


def filled(module, state):
    """A library's own network, whose tensors come in torchvision's order."""
    own = [name for name in module.state_dict() if name != "op_threshs"]
    module.load_state_dict(dict(zip(own, state.values(), strict=True)), strict=False)
    return module


def hpu(state):
    """The reference implementation on Gaudis, 2022: convolutions as [R, S, C, K]."""
    return OrderedDict(
        ("module.densenet121." + re.sub(r"^classifier\.", "classifier.0.", name),
         tensor.permute(2, 3, 1, 0).contiguous() if tensor.ndim == 4 else tensor) for name, tensor in state.items())


def channels_last(state):
    return OrderedDict((name, tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor)
                       for name, tensor in state.items())


def flattened(state):
    """All tensors of one type as views of one storage."""
    floats = [tensor for tensor in state.values() if tensor.is_floating_point()]
    flat = torch.cat([tensor.flatten() for tensor in floats])
    pieces = iter(flat.split([tensor.numel() for tensor in floats]))
    return OrderedDict((name, next(pieces).view(tensor.shape) if tensor.is_floating_point() else tensor)
                       for name, tensor in state.items())


def make_networks():
    state = small_network()
    old = old_torch.Era.TORCH_0_3
    dotted = OrderedDict(
        (f"module.densenet121.{name}", tensor) for name, tensor in old_names(state).items()
        if not name.endswith("num_batches_tracked"))
    files = {
        "module.pt": saved(network(state)), "module-stream.pth": saved_stream(network(state)),
        "jrzech.pt": saved(jrzech(state)), "jrzech-torch-03.pth": saved_old(jrzech(state), old),
        "checkpoint-adam-stream.pth.tar": saved_stream(adam_checkpoint(state)),
        "arnoweng-torch-03.pth.tar": saved_old({"state_dict": dotted}, old),
        "monai.pt": saved(monai(state).state_dict()), "channels-last.pt": saved(channels_last(state)),
        "flat.pt": saved(flattened(state)), "unknown-class.pt": saved(Net(network(state))),
    }
    with on_device("hpu:0"):
        files["hpu-rsck.pth"] = saved(hpu(state))
    for name, data in files.items():
        put(f"network/{name}", data)

    torch.manual_seed(5)
    gray = {name: torch.randn(4, 1, 7, 7) if name == "features.conv0.weight" else
            torch.randn(18, *tensor.shape[1:]) if name.startswith("classifier") else tensor
            for name, tensor in state.items()}
    put("network/xrv-module-stream.pt", saved_stream(xrv(gray)))
    put("network/xrv-torch-13.pt", saved_old(xrv(gray), old_torch.Era.TORCH_1_3))
    put("network/xrv-state.pt", saved(xrv(gray).state_dict()))
    put("network/expected-xrv.json", json.dumps({"tensors_sha256": digest(gray)}).encode() + b"\n")


def digest(state):
    floats = (tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked"))
    return hashlib.sha256(b"".join(tensor.contiguous().numpy().tobytes() for tensor in floats)).hexdigest()


if __name__ == "__main__":
    make_archives()
    make_streams()
    make_modules()
    make_networks()
    print("checksums.py --update puts what changed into fixtures/README.md")
