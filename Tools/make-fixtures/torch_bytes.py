"""Zip archives, pickles and streams made byte by byte, so that any field of them can lie."""

import struct
import zlib

import numpy as np

from fixture_files import TYPE_NAMES

MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")  # the first pickle of a stream behind its PROTO
FLOATS = np.arange(4, dtype="<f4").tobytes()

# -- Zip ---------------------------------------------------------------------------------------------------------------


def record(name, data, **lies):
    """An entry of `zip_bytes`; `lies` replace fields of the directory, or with `local_` of the local header."""
    return {"name": name, "data": data, **lies}


def local_and_central(item, offset):
    raw = item["data"]
    packed = item.get("packed", raw)
    name = item["name"] if isinstance(item["name"], bytes) else item["name"].encode()
    fields = {"name": name, "flags": 0x0800, "method": item.get("method", 0), "crc": zlib.crc32(raw),
              "packed": len(packed), "size": len(raw), "more": b""}
    central = {**fields, **{k: v for k, v in item.items() if k in fields and k not in ("name", "packed")}}
    central["packed"] = item.get("packed_size", len(packed))
    local = {**central, **{k[6:]: v for k, v in item.items() if k.startswith("local_")}}
    header = struct.pack(
        "<IHHHHHIIIHH", item.get("signature", 0x04034B50), 20, local["flags"], local["method"], 0, 0x21, local["crc"],
        local["packed"], local["size"], len(local["name"]), len(local["more"])) + local["name"] + local["more"]
    comment = item.get("comment", b"")
    entry = struct.pack(
        "<IHHHHHHIIIHHHHHII", 0x02014B50, 0x0314, 20, central["flags"], central["method"], 0, 0x21, central["crc"],
        central["packed"], central["size"], len(central["name"]), len(central["more"]), len(comment),
        item.get("disk", 0), 0, item.get("attributes", 0), offset) + central["name"] + central["more"] + comment
    return header + packed + item.get("descriptor", b""), entry


def zip_bytes(records, count=None, directory_shift=0, comment=b"", tail=b"", disk=0, count_here=None, front=b"",
              behind=b"", wide=None):
    """A zip archive whose every field can be made to lie. `front` stands in front of the first entry, `behind` between the
    last one and the directory; `wide` are changes of the ZIP64 records, which are left out where it is None."""
    body, directory = front, b""
    for item in records:
        body += item.get("gap", b"")
        entry, central = local_and_central(item, item.get("offset", len(body)))
        body += entry
        directory += central
    body += behind
    count = len(records) if count is None else count
    end = struct.pack(
        "<IHHHHIIH", 0x06054B50, disk, disk, count if count_here is None else count_here, count, len(directory),
        len(body) + directory_shift, len(comment))
    records = b"" if wide is None else zip64_records(count, directory, body, **wide)
    return body + directory + records + end + comment + tail


def zip64_records(count, directory, body, disks=1, count_here=None, size=None, offset=None, length=44, more=b"", place=None):
    record = struct.pack(
        "<IQHHIIQQQQ", 0x06064B50, length, 45, 45, 0, 0, count if count_here is None else count_here, count,
        len(directory) if size is None else size, len(body) if offset is None else offset) + more
    return record + struct.pack("<IIQI", 0x07064B50, 0, len(body + directory) if place is None else place, disks)


def zip64_extra(*values):
    return struct.pack("<HH", 1, 8 * len(values)) + b"".join(struct.pack("<Q", value) for value in values)


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def deflated(name, data, **lies):
    return record(name, data, method=8, packed=deflate(data), **lies)


# -- Pickle ------------------------------------------------------------------------------------------------------------


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def global_(name):
    """GLOBAL of "module name"."""
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def number(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return b"\x8a\x08" + struct.pack("<q", value)


def pickled_storage(key="0", count=4, storage="torch FloatStorage", more=b""):
    return b"(" + text("storage") + global_(storage) + text(key) + text("cpu") + number(count) + more + b"tQ"


def pickled_tensor(key="0", count=4, offset=0, size=(2, 2), stride=(2, 1), storage="torch FloatStorage", more=b""):
    """The operations that put one tensor on the stack, in protocol 2; `more` behind the storage's id."""
    def numbers(values):
        return b"(" + b"".join(number(value) for value in values) + b"t"

    return (
        global_("torch._utils _rebuild_tensor_v2") + b"(" + pickled_storage(key, count, storage, more) + number(offset)
        + numbers(size) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)RtR")


def pickled_dictionary(value):
    return b"\x80\x02}(" + text("w") + value + b"u."


# -- PyTorch's files ---------------------------------------------------------------------------------------------------


def archive(pickle=None, storage=FLOATS, extra=(), **lies):
    """A PyTorch archive of one float storage; `lies` go to the storage's record."""
    pickle = pickled_dictionary(pickled_tensor()) if pickle is None else pickle
    return [record("a/data.pkl", pickle), record("a/data/0", storage, **lies), record("a/version", b"3\n"), *extra]


def stream(pickle=None, magic=b"\x80\x02" + MAGIC, protocol=b"\x80\x02M\xe9\x03.", system=None, keys=None, storages=None):
    """A stream of one float storage, any of its parts another than PyTorch writes."""
    if pickle is None:
        pickle = pickled_dictionary(pickled_tensor(more=b"N"))
    if system is None:
        system = b"\x80\x02}(" + text("protocol_version") + b"M\xe9\x03" + text("little_endian") + b"\x88u."
    if keys is None:
        keys = b"\x80\x02]" + text("0") + b"a."
    if storages is None:
        storages = struct.pack("<q", 4) + FLOATS
    return magic + protocol + system + pickle + keys + storages


def torch_value(tensor):
    """(type, shape, bytes) of a torch tensor, bfloat16 too."""
    import torch

    kind = TYPE_NAMES[str(tensor.dtype).removeprefix("torch.")]
    contiguous = tensor.detach().contiguous()
    if contiguous.dtype == torch.bfloat16:
        contiguous = contiguous.view(torch.int16)
    return kind, list(tensor.shape), contiguous.numpy().tobytes()
