"""Makes fixtures/weight-files/keras and keras3: HDF5 files and archives in the layouts of Keras, valid ones and one for each way to lie.

Run in the repository's root, with the packages of requirements.txt:

    python Tools/make-fixtures/keras_files.py

`keras` is written by h5py in the layout of Keras 1 and 2; `keras3` by Keras 3.15 itself, and from its files by small changes.
"""

import io
import json
import os
import pathlib
import tempfile
import zipfile

import h5py
import numpy as np

from fixture_files import expect, put

# -- Keras 1 and 2 -----------------------------------------------------------------------------------------------------


def names_attribute(group, name, values, variable=False, pieces=1):
    for piece in range(pieces):
        part = values[piece::pieces] if pieces == 1 else values[
            piece * len(values) // pieces:(piece + 1) * len(values) // pieces]
        key = name if pieces == 1 else f"{name}{piece}"
        if variable:
            group.attrs.create(key, part, dtype=h5py.string_dtype())
        else:
            group.attrs[key] = np.array([value.encode() for value in part], dtype="S") if part else []


def keras_bytes(layers, whole=False, libver=None, variable=False, pieces=1, edit=None, **storage):
    """A legacy Keras file of `layers`: pairs of a layer's name and a list of pairs of a weight's name and its array."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        group = file.create_group("model_weights") if whole else file
        names_attribute(group, "layer_names", [name for name, _ in layers], variable, pieces)
        group.attrs["backend"] = "tensorflow"
        group.attrs["keras_version"] = "2.2.4"
        for name, weights in layers:
            layer = group.create_group(name)
            names_attribute(layer, "weight_names", [weight for weight, _ in weights], variable)
            for weight, array in weights:
                options = dict(storage) if array.ndim else {}
                layer.create_dataset(weight, data=array, **options)
        if whole:
            file.create_dataset("optimizer_weights/Adam/m:0", data=np.ones(3, dtype="f4"))
        if edit:
            edit(file)
    return buffer.getvalue()


def make_keras():
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal((2, 2, 3, 4)).astype("f4")
    gamma = rng.standard_normal(4).astype("f4")
    layers = [("input_1", []), ("conv1/conv", [("conv1/conv/kernel:0", kernel)]),
              ("bn", [("bn/gamma:0", gamma), ("bn/beta:0", gamma.astype("f8"))])]
    expected = [("conv1/conv/conv1/conv/kernel:0", kernel), ("bn/bn/gamma:0", gamma),
                ("bn/bn/beta:0", gamma.astype("f8"))]
    variants = {
        "fixed-strings": {}, "variable-strings": {"variable": True, "libver": "v110"}, "version-110": {"libver": "v110"},
        "chunked": {"compression": "gzip", "shuffle": True, "chunks": True, "libver": "v110"},
        "split-names": {"pieces": 2, "libver": "v110"},
    }
    for name, options in variants.items():
        put(f"keras/{name}.h5", keras_bytes(layers, **options))
        expect(f"keras/{name}.h5", expected)
    put("keras/whole-model.h5", keras_bytes(layers, whole=True, libver="v110"))
    expect("keras/whole-model.h5", [*expected, ("optimizer_weights/Adam/m:0", np.ones(3, dtype="f4"))])
    half = [("bn", [("bn/gamma:0", gamma.astype("f2"))])]
    put("keras/half.h5", keras_bytes(half))
    expect("keras/half.h5", [("bn/bn/gamma:0", gamma.astype("f2"))])
    # Numbers that libhdf5 has to make: what stands in the file is in another form.
    foreign = [("bn", [("bn/gamma:0", gamma.astype(">f4")), ("bn/beta:0", gamma.astype(">f2")),
                       ("bn/moving_mean:0", np.arange(-2, 2, dtype=">i2"))])]
    put("keras/foreign-numbers.h5", keras_bytes(foreign))
    expect("keras/foreign-numbers.h5", [("bn/bn/gamma:0", gamma), ("bn/bn/beta:0", gamma.astype("f2").astype("f4")),
                                        ("bn/bn/moving_mean:0", np.arange(-2, 2))])

    small = [("bn", [("bn/gamma:0", gamma)])]

    def deep(file):
        group = file
        for _ in range(20):
            group = group.create_group("g")

    def soft(file):
        file["link"] = h5py.SoftLink("/bn")

    def external_link(file):
        file["link"] = h5py.ExternalLink("/etc/passwd", "/")

    def external_storage(file):
        file.create_dataset("outside", (4,), dtype="f4", external=[("/etc/passwd", 0, 16)])

    def virtual(file):
        layout = h5py.VirtualLayout((4,), dtype="f4")
        layout[:] = h5py.VirtualSource("other.h5", "data", shape=(4,))
        file.create_virtual_dataset("virtual", layout)

    def bomb(file):
        file.create_dataset("huge", (1 << 20, 1 << 20), dtype="f4", chunks=(16, 16), compression="gzip")

    def scaled(file):
        file.create_dataset("scaled", data=np.arange(16), chunks=(16,), scaleoffset=4)

    def texts(file):
        file.create_dataset("texts", data=[b"a", b"b"])

    def hidden_weight(file):
        del file["bn/bn/gamma:0"]

    def no_names(file):
        del file.attrs["layer_names"]

    def number_names(file):
        file.attrs["layer_names"] = np.arange(3)

    def without_variables(file):
        del file.attrs["layer_names"]
        file.create_group("layers/conv2d/vars")

    def fletcher(file):
        file.create_dataset("summed", data=np.arange(16), chunks=(16,), fletcher32=True)

    def cycle(file):
        file["bn/again"] = file["bn"]

    def tree(file):
        # Each group has two links to the next: 2^15 ways to the last.
        group = file
        for level in range(15):
            group["left"] = group.create_group("right")
            group = group["right"]

    lies = {
        "too-deep": deep, "soft-link": soft, "external-link": external_link, "external-storage": external_storage,
        "virtual-dataset": virtual, "bomb": bomb, "unknown-filter": scaled, "unsupported-type": texts,
        "missing-weight": hidden_weight, "no-layer-names": no_names, "malformed-attribute": number_names,
        "without-variables": without_variables, "fletcher32": fletcher, "hard-link-cycle": cycle, "hard-link-tree": tree,
    }
    for name, edit in lies.items():
        put(f"keras/{name}.h5", keras_bytes(small, libver="v110", edit=edit))
    whole = keras_bytes(small)
    put("keras/truncated.h5", whole[:-64])
    put("keras/user-block.h5", b"PREFIX  ".ljust(512, b"\0") + whole)
    # The text of keras_version claims 16 MiB in its heap: libhdf5 1.10.8 copies them from behind the heap's end (H5HG_read).
    data = keras_bytes(small, libver="v110")
    size = data.index(b"2.2.4\0\0\0") - 8
    put("keras/crashes-libhdf5.h5", data[:size] + (1 << 24).to_bytes(8, "little") + data[size + 8:])

    def again(file):
        file["again"] = file["bn/bn/gamma:0"]

    put("keras/hard-links.h5", keras_bytes(layers, libver="v110", edit=again))
    expect("keras/hard-links.h5", [*expected, ("again", gamma)])


# -- Keras 3 -----------------------------------------------------------------------------------------------------------


def make_saved_network(layers):
    """The file that Keras 3 itself writes with `model.save("….h5")`."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    def keras_network():
        # Layers without weights are left out where the shapes allow: each costs two kilobytes.
        def norm(x, name):
            return keras.layers.BatchNormalization(epsilon=1.001e-5, name=name)(x)

        image = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(4, 7, strides=2, use_bias=False, name="conv1_conv")(image)
        x = norm(x, "conv1_bn")
        for block, count in ((2, 2), (3, 1)):
            for layer in range(1, count + 1):
                y = norm(x, f"conv{block}_block{layer}_0_bn")
                y = keras.layers.Conv2D(8, 1, use_bias=False, name=f"conv{block}_block{layer}_1_conv")(y)
                y = norm(y, f"conv{block}_block{layer}_1_bn")
                y = keras.layers.Conv2D(2, 3, padding="same", use_bias=False, name=f"conv{block}_block{layer}_2_conv")(y)
                x = keras.layers.Concatenate()([x, y])
            if block == 2:
                x = norm(x, "pool2_bn")
                x = keras.layers.Conv2D(4, 1, use_bias=False, name="pool2_conv")(x)
        x = norm(x, "bn")
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(image, keras.layers.Dense(3, name="predictions")(x))

    network = keras_network()
    for name, weights in layers:
        network.get_layer(name).set_weights([array for _, array in weights])
    with tempfile.TemporaryDirectory() as folder:
        network.save(f"{folder}/network.h5")
        put("network/keras3-saved.h5", pathlib.Path(f"{folder}/network.h5").read_bytes())


def bytes_of(save, name):
    """What `save` writes to a file called `name`."""
    with tempfile.TemporaryDirectory() as folder:
        save(f"{folder}/{name}")
        return pathlib.Path(f"{folder}/{name}").read_bytes()


def edited(data, edit):
    """An HDF5 file after `edit`."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        edit(file)
    return buffer.getvalue()


def datasets(data):
    """Every dataset of an HDF5 file, as the tests read it."""
    found = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            if item.attrs.get("dtype") == "bfloat16":
                found.append((name, ("BF16", item.shape, item[()].tobytes())))
            else:
                found.append((name, np.asarray(item[()]).astype("<i8" if item.dtype.kind in "iu" else item.dtype)))

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(visit)
    return found


def archive_of(records, deflated=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in records.items():
            information = zipfile.ZipInfo(name)
            information.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
            archive.writestr(information, data)
    return buffer.getvalue()


def make_keras3():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    def part():
        image = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv1_conv")(image)
        x = keras.layers.BatchNormalization(name="conv1_bn")(x)
        x = keras.layers.Conv2D(2, 1, use_bias=False, name="pool2_conv")(x)
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="densenet121")

    def fill(model, seed):
        rng = np.random.default_rng(seed)
        model.set_weights([rng.standard_normal(weight.shape).astype("f4") for weight in model.get_weights()])
        return model

    def without_names(file):
        def visit(name, item):
            if name.endswith("vars"):
                del item.attrs["name"]

        file.visititems(visit)

    def put_both(name, data, weights):
        put(f"keras3/{name}", data)
        expect(f"keras3/{name}", datasets(weights))

    keras.utils.clear_session()
    base = part()
    flat = fill(keras.Model(base.input, keras.layers.Dense(3, name="predictions")(base.output)), 5)
    weights = bytes_of(flat.save_weights, "a.weights.h5")
    put_both("flat.weights.h5", weights, weights)
    with tempfile.TemporaryDirectory() as folder:
        flat.save_weights(f"{folder}/a.weights.json", max_shard_size=5e-7)
        put("foreign/keras-shards.weights.json", pathlib.Path(f"{folder}/a.weights.json").read_bytes())

    keras.utils.clear_session()
    image = keras.Input((8, 8, 3))
    nested = fill(keras.Model(image, keras.layers.Dense(3, name="findings")(part()(image))), 6)
    nested.compile("adam", "binary_crossentropy")
    nested.optimizer.build(nested.trainable_variables)
    weights = bytes_of(nested.save_weights, "a.weights.h5")
    put_both("nested.weights.h5", weights, weights)
    nameless = edited(weights, without_names)
    put_both("without-names.weights.h5", nameless, nameless)
    moved = edited(weights, lambda file: file.move("layers", "_layer_checkpoint_dependencies"))
    put_both("checkpoint-dependencies.weights.h5", moved, moved)

    with zipfile.ZipFile(io.BytesIO(bytes_of(nested.save, "a.keras"))) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    # The one thing in it that changes from run to run.
    metadata = {**json.loads(records["metadata.json"]), "date_saved": "2026-01-01@00:00:00"}
    records["metadata.json"] = json.dumps(metadata).encode()
    inner = records["model.weights.h5"]
    put_both("nested.keras", archive_of(records), inner)
    put_both("deflated.keras", archive_of(records, deflated=True), inner)
    nameless = edited(inner, without_names)
    put_both("without-names.keras", archive_of({**records, "model.weights.h5": nameless}, deflated=True), nameless)

    keras.utils.clear_session()
    image = keras.Input((2,))
    brain = fill(keras.Model(image, keras.layers.Dense(3, dtype="bfloat16", name="findings")(image)), 7)
    weights = bytes_of(brain.save_weights, "a.weights.h5")
    put_both("bfloat16.weights.h5", weights, weights)

    lies = {
        "malformed-config": {**records, "model.weights.h5": nameless, "config.json": b'{"a":'},
        "user-block": {**records, "model.weights.h5": b"PREFIX  ".ljust(512, b"\0") + inner},
        "not-hdf5": {**records, "model.weights.h5": b"not HDF5"},
        "sharded": {"metadata.json": b"{}", "config.json": b"{}", "model.weights.json": b"{}"},
    }
    for name, contents in lies.items():
        put(f"keras3/{name}.keras", archive_of(contents, deflated=True))
    # The last byte of the weights, which the directory's checksum does not know.
    whole = archive_of({**records, "model.weights.h5": inner})
    end = whole.index(inner) + len(inner) - 1
    put("keras3/wrong-checksum.keras", whole[:end] + bytes([whole[end] ^ 1]) + whole[end + 1:])


if __name__ == "__main__":
    make_keras()
    make_keras3()
    print("checksums.py --update puts what changed into fixtures/README.md")
