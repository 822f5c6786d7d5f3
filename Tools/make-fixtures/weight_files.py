"""Makes fixtures/weight-files: valid weight files of each kind, and one malformed file for each way to lie.

Run in the repository's root, with these packages: safetensors 0.8.0, torch 2.15.0, torchvision 0.29.2, h5py 3.16.0,
keras 3.15.1 (KERAS_BACKEND=torch), numpy 2.4.6:

    python Tools/make-fixtures/weight_files.py

Those of Keras alone are in keras_files.py.
"""

import hashlib
import json
import struct
import zlib

import numpy as np

from fixture_files import TYPE_NAMES, expect, put
from keras_files import keras_bytes, make_saved_network

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


def torch_value(tensor):
    """(type, shape, bytes) of a torch tensor, bfloat16 too."""
    import torch

    kind = TYPE_NAMES[str(tensor.dtype).removeprefix("torch.")]
    contiguous = tensor.detach().contiguous()
    if contiguous.dtype == torch.bfloat16:
        contiguous = contiguous.view(torch.int16)
    return kind, list(tensor.shape), contiguous.numpy().tobytes()


# -- zip and PyTorch ---------------------------------------------------------------------------------------------------


def record(name, data, **lies):
    """An entry of `zip_bytes`; `lies` replace fields of the directory, or with `local_` of the local header."""
    return {"name": name, "data": data, **lies}


def zip_bytes(records, count=None, directory_shift=0, comment=b"", tail=b"", disk=0):
    """A zip archive whose every field can be made to lie."""
    body, directory = b"", b""
    for item in records:
        raw = item["data"]
        method = item.get("method", 0)
        packed = item.get("packed", raw)
        fields = {"name": item["name"].encode(), "flags": 0x0800, "method": method, "crc": zlib.crc32(raw),
                  "packed": len(packed), "size": len(raw)}
        central = {**fields, **{k: v for k, v in item.items() if k in fields and k not in ("name", "packed")}}
        central["packed"] = item.get("packed_size", len(packed))
        local = {**central, **{k[6:]: v for k, v in item.items() if k.startswith("local_")}}
        body += item.get("gap", b"")
        offset = item.get("offset", len(body))
        body += struct.pack(
            "<IHHHHHIIIHH", 0x04034B50, 20, local["flags"], local["method"], 0, 0x21, local["crc"], local["packed"],
            local["size"], len(local["name"]), 0) + local["name"] + packed + item.get("descriptor", b"")
        directory += struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 0x0314, 20, central["flags"], central["method"], 0, 0x21, central["crc"],
            central["packed"], central["size"], len(central["name"]), 0, 0, 0, 0, item.get("attributes", 0),
            offset) + central["name"]
    count = len(records) if count is None else count
    end = struct.pack(
        "<IHHHHIIH", 0x06054B50, disk, disk, count, count, len(directory), len(body) + directory_shift, len(comment))
    return body + directory + end + comment + tail


def pickled_tensor(key="0", count=4, offset=0, size=(2, 2), stride=(2, 1), storage="torch FloatStorage"):
    """The operations that put one tensor on the stack, in protocol 2."""
    def number(value):
        if 0 <= value < 256:
            return b"K" + bytes([value])
        return b"\x8a\x08" + struct.pack("<q", value)

    def numbers(values):
        return b"(" + b"".join(number(value) for value in values) + b"t"

    module, name = storage.split()
    return (
        f"ctorch._utils\n_rebuild_tensor_v2\n((".encode() + text("storage") + f"c{module}\n{name}\n".encode()
        + text(key) + text("cpu") + number(count) + b"tQ" + number(offset) + numbers(size) + numbers(stride)
        + b"\x89ccollections\nOrderedDict\n)RtR")


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def pickled_dictionary(value):
    return b"\x80\x02}(" + text("w") + value + b"u."


FLOATS = np.arange(4, dtype="<f4").tobytes()


def archive(pickle=None, storage=FLOATS, extra=(), **lies):
    """A PyTorch archive of one float storage; `lies` go to the storage's record."""
    pickle = pickled_dictionary(pickled_tensor()) if pickle is None else pickle
    return [record("a/data.pkl", pickle), record("a/data/0", storage, **lies), record("a/version", b"3\n"), *extra]


def make_torch():
    import io
    import zipfile

    import torch

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

    def saved(protocol):
        buffer = io.BytesIO()
        torch.save(whole, buffer, pickle_protocol=protocol)
        return buffer.getvalue()

    for protocol in (2, 3, 4, 5):
        put(f"torch/protocol-{protocol}.pt", saved(protocol))
        expect(f"torch/protocol-{protocol}.pt", expected)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed, zipfile.ZipFile(io.BytesIO(saved(2))) as source:
        for item in source.infolist():
            information = zipfile.ZipInfo(item.filename)
            information.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(information, source.read(item))
    put("torch/deflated.pt", buffer.getvalue())
    expect("torch/deflated.pt", expected)
    put("torch/plain.pt", zip_bytes(archive()))
    expect("torch/plain.pt", [("w", np.arange(4, dtype="<f4").reshape(2, 2))])
    put("torch/big-endian.pt", zip_bytes(archive(
        storage=np.arange(4, dtype=">f4").tobytes(), extra=[record("a/byteorder", b"big")])))
    expect("torch/big-endian.pt", [("w", np.arange(4, dtype="<f4").reshape(2, 2))])
    torch.serialization.set_crc32_options(False)
    put("torch/without-crc.pt", saved(2))
    torch.serialization.set_crc32_options(True)
    expect("torch/without-crc.pt", expected)

    make_zip_lies()
    make_pickle_lies()
    make_torch_lies()


def make_zip_lies():
    def deflate(data):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()

    plain = zip_bytes(archive())
    good = struct.pack("<IIII", 0x08074B50, zlib.crc32(FLOATS), 16, 16)
    lies = {
        "truncated": plain[:-1],
        "ambiguous-end": zip_bytes(archive(), comment=struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, 0, 0, 0)),
        "several-disks": zip_bytes(archive(), disk=1),
        "trailing-bytes": zip_bytes(archive(), tail=b"PK"),
        "directory-shifted": zip_bytes(archive(), directory_shift=1),
        "count-too-low": zip_bytes(archive(), count=2),
        "count-too-high": zip_bytes(archive(), count=4),
        "encrypted": zip_bytes(archive(flags=0x0801)),
        "unknown-method": zip_bytes(archive(method=12)),
        "absolute-name": zip_bytes(archive(extra=[record("/etc/passwd", b"")])),
        "dotted-name": zip_bytes(archive(extra=[record("a/../b", b"")])),
        "symbolic-link": zip_bytes(archive(extra=[record("a/link", b"/etc", attributes=0xA1FF0000)])),
        "duplicate-name": zip_bytes(archive(extra=[record("a/data/0", FLOATS)])),
        "overlap": zip_bytes(archive(extra=[record("a/more", b"", offset=10)])),
        "gap": zip_bytes(archive(gap=b"hidden")),
        "local-name": zip_bytes(archive(local_name=b"a/data/1")),
        "local-method": zip_bytes(archive(local_method=8)),
        "local-size": zip_bytes(archive(local_size=12)),
        "local-checksum": zip_bytes(archive(local_crc=1)),
        "local-flags": zip_bytes(archive(local_flags=0)),
        "malformed-descriptor": zip_bytes(archive(flags=0x0808, descriptor=good[:-1] + b"\x01")),
        "bomb": zip_bytes(archive(method=8, packed=deflate(FLOATS), size=1 << 30)),
        "inflates-short": zip_bytes(archive(method=8, packed=deflate(FLOATS[:8]))),
        "inflates-long": zip_bytes(archive(method=8, packed=deflate(FLOATS + b"x"))),
        "inflates-and-more": zip_bytes(archive(method=8, packed=deflate(FLOATS) + b"x")),
        "wrong-checksum": zip_bytes(archive(crc=1)),
    }
    for name, data in lies.items():
        put(f"zip/{name}.pt", data)


def make_pickle_lies():
    def called(name, argument):
        return b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n(" + text(argument) + b"tR."

    lies = {
        "truncated": pickled_dictionary(pickled_tensor())[:-1],
        "trailing-bytes": pickled_dictionary(pickled_tensor()) + b"N.",
        "protocol-1": b"\x80\x01}.",
        "unsupported-opcode": b"\x80\x02(ios\nsystem\n.",
        "os-system": called("os system", "touch /tmp/chexnet-was-here"),
        "posix-system": called("posix system", "touch /tmp/chexnet-was-here"),
        "builtins-eval": called("builtins eval", "1/0"),
        "torch-load": called("torch load", "other.pt"),
        "stack-global": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        "whole-module": b"\x80\x02ctorchxrayvision.models\nDenseNet\n)\x81}b.",
        "stack-underflow": b"\x80\x02u.",
        "missing-memo": b"\x80\x02h\x05.",
        "malformed-text": b"\x80\x02X\x02\0\0\0\xff\xfe.",
        "append-to-tensor": pickled_dictionary(pickled_tensor() + b"Na"),
        "set-in-list": b"\x80\x02]NNs.",
        "state-for-tensor": pickled_dictionary(pickled_tensor() + b"}b"),
        "storage-without-key": b"\x80\x02(" + text("storage") + b"NNNNtQ.",
        "storage-overflow": pickled_dictionary(pickled_tensor(count=2**62)),
        "tensor-beyond-storage": pickled_dictionary(pickled_tensor(offset=1)),
        "tensor-strides-overflow": pickled_dictionary(pickled_tensor(stride=(2**62, 2**62))),
        "tensor-negative-stride": pickled_dictionary(pickled_tensor(stride=(-2, 1))),
        "tensor-larger-than-storage": pickled_dictionary(pickled_tensor(size=(2**20, 2**20), stride=(0, 0))),
        "complex-tensor": pickled_dictionary(pickled_tensor(storage="torch ComplexFloatStorage")),
    }
    for name, data in lies.items():
        put(f"pickle/{name}.pt", zip_bytes(archive(pickle=data)))


def make_torch_lies():
    value = pickled_tensor()
    nested = b"\x80\x02" + b"}" + b"(" + text("w") + value + b"u" + b"".join(
        b"q\x00](" + b"h\x00" * 12 + b"e" for _ in range(12)) + b"."
    lies = {
        "several-roots": zip_bytes(archive(extra=[record("b/data/1", b"")])),
        "hidden-pickle": zip_bytes(archive(extra=[record("a/more/data.pkl", b"N.")])),
        "without-version": zip_bytes(archive()[:2]),
        "without-storage": zip_bytes([archive()[0], archive()[2]]),
        "wrong-storage-size": zip_bytes(archive(storage=FLOATS[:12])),
        "unknown-byte-order": zip_bytes(archive(extra=[record("a/byteorder", b"middle")])),
        "too-many-values": zip_bytes(archive(pickle=nested)),
        "duplicate-tensor": zip_bytes(archive(pickle=b"\x80\x02}(" + (text("w") + value) * 2 + b"u.")),
        "torchscript": zip_bytes(archive(extra=[record("a/constants.pkl", b"N.")])),
        "zip-without-weights": zip_bytes([record("letter.txt", b"Dear reader")]),
    }
    for name, data in lies.items():
        put(f"torch/{name}.pt", data)


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
    put("foreign/legacy-stream.pth", bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.")
    put("foreign/image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    put("foreign/image.dcm", b"\0" * 128 + b"DICM" + b"\x02\0\0\0")
    put("foreign/legacy.tar", b"sys_info".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"))
    put("foreign/page.pth", b"\n<!DOCTYPE html><html><title>Sign in</title></html>")
    put(
        "foreign/pointer.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 32342954\n")


if __name__ == "__main__":
    make_safetensors()
    make_torch()
    make_networks()
    make_foreign()
    print("checksums.py --update puts what changed into fixtures/README.md")
