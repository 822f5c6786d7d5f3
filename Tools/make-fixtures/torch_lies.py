"""Makes the PyTorch files of fixtures/weight-files/zip, pickle, torch and stream that lie: one for each way to.

Run in the repository's root; needs nothing but NumPy:

    python Tools/make-fixtures/torch_lies.py
"""

import struct
import zlib

from fixture_files import put
from torch_bytes import (
    FLOATS, MAGIC, archive, deflate, deflated, global_, pickled_dictionary, pickled_tensor, record, stream, text, zip64_extra,
    zip_bytes,
)

END = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, 0, 0, 0)


def make_zip_lies():
    plain = zip_bytes(archive())
    good = struct.pack("<IIII", 0x08074B50, zlib.crc32(FLOATS), 16, 16)
    lies = {
        "truncated": plain[:-1],
        "ambiguous-end": zip_bytes(archive(), comment=END),
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
    lies |= zip_tricks(plain, good)
    for name, data in lies.items():
        put(f"zip/{name}.pt", data)


def zip_tricks(plain, good):
    """What has hidden pickles from scanners, or made two readers see two archives."""
    wide_entry = {"size": 0xFFFFFFFF, "more": zip64_extra(16), "local_more": zip64_extra(16)}
    flags = {f"flag-{bit}": zip_bytes(archive(flags=0x0800 | 1 << bit)) for bit in (4, 5, 6, 7, 12, 13, 14, 15)}
    descriptor = {"flags": 0x0808}
    return flags | {
        "local-signature": zip_bytes(archive(signature=0x04034B51)),
        "local-packed-size": zip_bytes(archive(local_packed=12)),
        "method-without-deflating": zip_bytes(archive(size=12, local_size=12)),
        "front": zip_bytes(archive(), front=plain[:30] + b"hidden"),
        "two-archives": plain + zip_bytes(archive(), front=plain)[len(plain):],
        "two-archives-shifted": plain + plain,
        "behind-last-entry": zip_bytes(archive(), behind=b"hidden"),
        "end-in-comment": zip_bytes(archive(), comment=END[:-1] + b"\x07" + b"not the end"),
        "two-ends": zip_bytes(archive()) + END,
        "count-here": zip_bytes(archive(), count_here=2),
        "same-header": zip_bytes(archive(extra=[record("a/more", b"", offset=0)])),
        "outside": zip_bytes(archive(extra=[record("a/more", b"", offset=1 << 30)])),
        "entry-on-another-disk": zip_bytes(archive(disk=1)),
        "backslash-name": zip_bytes(archive(extra=[record("a\\..\\b", b"")])),
        "control-name": zip_bytes(archive(extra=[record("a/\x1b[2J", b"")])),
        "zero-in-name": zip_bytes(archive(extra=[record("a/data.pkl\0.txt", b"")])),
        "not-utf-8-name": zip_bytes(archive(extra=[record(b"a/\xff", b"")])),
        "empty-name": zip_bytes(archive(extra=[record("", b"")])),
        "malformed-directory": plain.replace(b"PK\x01\x02", b"PK\x01\x03", 1),
        "extra-too-long": zip_bytes(archive(extra=[record("a/b", b"", more=struct.pack("<HH", 1, 99))])),
        "zip64-missing": zip_bytes(archive(size=0xFFFFFFFF)),
        "zip64-twice": zip_bytes(archive(**wide_entry | {"more": zip64_extra(16) * 2})),
        "zip64-negative": zip_bytes(archive(**wide_entry | {"more": zip64_extra(1 << 63)})),
        "zip64-local-size": zip_bytes(archive(**wide_entry | {"local_more": zip64_extra(12)})),
        "zip64-end-count": zip_bytes(archive(), wide={"count_here": 2}),
        "zip64-end-size": zip_bytes(archive(), wide={"size": 7}),
        "zip64-end-offset": zip_bytes(archive(), wide={"offset": 1 << 62}),
        "zip64-end-elsewhere": zip_bytes(archive(), wide={"place": 1 << 63}),
        "zip64-end-longer": zip_bytes(archive(), wide={"length": 50, "more": b"hidden"}),
        "zip64-disks": zip_bytes(archive(), wide={"disks": 2}),
        "descriptor-missing": zip_bytes(archive(**descriptor)),
        "descriptor-size": zip_bytes(archive(**descriptor, descriptor=good[:8] + struct.pack("<II", 12, 16))),
        "descriptor-signature": zip_bytes(archive(**descriptor, descriptor=b"PK\x07\x09" + good[4:])),
        "descriptor-longer": zip_bytes(archive(**descriptor, descriptor=good + b"hide")),
        "ratio-bomb": zip_bytes(archive(storage=bytes(65 << 20), method=8, packed=deflate(bytes(65 << 20)))),
    }


def make_pickle_lies():
    def called(name, argument):
        return b"\x80\x02" + global_(name) + b"(" + text(argument) + b"tR."

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
    lies |= {
        "extension": b"\x80\x02\x82\x01.",
        "instance": b"\x80\x02(imystery\nBox\n.",
        "malformed-and-dangerous": b"\x80\x02" + global_("os system") + b"NR.",
        "through-unknown": pickled_dictionary(global_("mystery Box") + b"(" + pickled_tensor() + b"tR"),
        "conjugated": pickled_dictionary(pickled_tensor()[:-2] + b"}" + text("conj") + b"\x88stR"),
        "storage-class": pickled_dictionary(pickled_tensor(storage="torch Tensor")),
        "storage-view-outside": pickled_dictionary(pickled_tensor(more=b"(" + text("v") + b"K\x02K\x03t")),
        "storage-id-no-tuple": b"\x80\x02" + text("0") + b"Q.",
        "tensor-dimensions": pickled_dictionary(pickled_tensor(size=(1,) * 17, stride=(1,) * 17)),
        "tensor-ranks-differ": pickled_dictionary(pickled_tensor(stride=(1,))),
        "tensor-size-overflow": pickled_dictionary(pickled_tensor(size=(2**62, 8), stride=(0, 0))),
        "parameter-without-tensor": b"\x80\x02" + global_("torch._utils _rebuild_parameter") + b"(NtR.",
        "key-without-value": b"\x80\x02}(" + text("w") + b"u.",
        "call-of-no-function": b"\x80\x02N)R.",
        "call-without-tuple": b"\x80\x02" + global_("collections OrderedDict") + b"NR.",
        "call-of-storage": b"\x80\x02" + global_("torch FloatStorage") + b")R.",
        "ordered-of-text": b"\x80\x02" + global_("collections OrderedDict") + text("w") + b"\x85R.",
        "global-of-numbers": b"\x80\x04K\x01K\x02\x93.",
        "items-for-none": b"\x80\x04N(K\x01\x90.",
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
        "keras3-archive": zip_bytes(
            [record(name, b"") for name in ("metadata.json", "config.json", "model.weights.h5")]),
        "zip-without-weights": zip_bytes([record("letter.txt", b"Dear reader")]),
    }
    # 2,100 views of one storage of 4 MiB: more than is read from one file.
    many = b"\x80\x02](" + pickled_tensor(count=1 << 20, size=(1 << 20,), stride=(1,)) + b"q\0" + b"h\0" * 2099 + b"e."
    # One element of each of two storages of 5 MiB, sixty times.
    one, two = (pickled_tensor(key, 5 << 18, size=(1,), stride=(1,)) for key in "01")
    turns = b"\x80\x02](" + one + b"q\0" + two + b"q\1" + b"h\0h\1" * 59 + b"e."
    lies |= {
        "hidden-upper-case": zip_bytes(archive(extra=[record("a/DATA.PKL", b"N.")])),
        "pickle-too-long": zip_bytes(
            [deflated("a/data.pkl", bytes(17 << 20)), record("a/data/0", FLOATS), record("a/version", b"3\n")]),
        "too-large": zip_bytes([
            record("a/data.pkl", many), deflated("a/data/0", bytes(4 << 20)), record("a/version", b"3\n")]),
        "inflated-in-turns": zip_bytes([
            record("a/data.pkl", turns), *(deflated(f"a/data/{key}", bytes(5 << 20)) for key in (0, 1)), record("a/version", b"3\n")]),
        "odd-members": zip_bytes(archive(extra=[
            record("a/data.bin", b"\x80\x02" + global_("os system") + text("id") + b"\x85R."),
            record("a/weights.dat", b"cos\nsystem\n(S'id'\ntR."), record("a/inner.zip", zip_bytes(archive())),
            record("a/code/model.py", b"import os")])),
    }
    for name, data in lies.items():
        put(f"torch/{name}.pt", data)


def make_stream_lies():
    def storage(count):
        return struct.pack("<q", count) + FLOATS

    two = b"\x80\x02](" + pickled_tensor(more=b"N") + pickled_tensor(count=3, size=(3,), stride=(1,), more=b"N") + b"e."
    lies = {
        "protocol": stream(protocol=b"\x80\x02M\xea\x03."),
        "system-no-dictionary": stream(system=b"\x80\x02N."),
        "keys-no-list": stream(keys=b"\x80\x02N."),
        "key-no-text": stream(keys=b"\x80\x02]K\0a."),
        "key-twice": stream(keys=b"\x80\x02](" + text("0") * 2 + b"e.", storages=storage(4) * 2),
        "key-of-no-tensor": stream(keys=b"\x80\x02](" + text("0") + text("1") + b"e.", storages=storage(4) * 2),
        "key-missing": stream(keys=b"\x80\x02].", storages=b""),
        "two-sizes": stream(pickle=two),
        "storage-size": stream(storages=storage(3)),
        "storage-negative": stream(storages=storage(-4)),
        "truncated": stream()[:-1],
        "truncated-count": stream()[:-17],
        "trailing-bytes": stream() + b"x",
        "with-archive-behind": stream() + zip_bytes(archive()),
        "truncated-pickle": stream()[:60],
        "other-magic": stream(magic=b"\x80\x02" + MAGIC.replace(b"\x50", b"\x51")),
        "tensor-beyond-storage": stream(pickle=pickled_dictionary(pickled_tensor(offset=1, more=b"N"))),
        "view-beyond-storage": stream(
            pickle=pickled_dictionary(pickled_tensor(more=b"(" + text("v") + b"K\x01K\x03t"))),
    }
    for name, data in lies.items():
        put(f"stream/{name}.pth", data)


if __name__ == "__main__":
    make_zip_lies()
    make_pickle_lies()
    make_torch_lies()
    make_stream_lies()
    print("checksums.py --update puts what changed into fixtures/README.md")
