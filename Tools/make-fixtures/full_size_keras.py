"""The full-size files of Keras: what Keras 3 writes today, and the layouts of the versions before."""

import os
import types

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
import torch

from dialects import KERAS_VARIABLES, set_keras_weights, torchvision_name, without_counters
from full_size_networks import DENSENET
from full_size_torch import Weights

APPLICATIONS = {121: keras.applications.DenseNet121, 169: keras.applications.DenseNet169, 201: keras.applications.DenseNet201}
IMAGE = (224, 224, 3)


class KerasWeights(Weights):
    """A file whose reader returns a Keras model; its head is made linear for the logits."""

    def __init__(self, name, write, read, **options):
        super().__init__(name, write, read, library="keras", **options)

    def logits(self, path, networks):
        model = self.read(path, networks)
        model.get_layer("predictions").activation = keras.activations.linear
        return state_of(model), lambda images: torch.as_tensor(model(images.permute(0, 2, 3, 1), training=False))


def leaves(model):
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield from leaves(layer) if isinstance(layer, keras.Model) else (layer,)


def state_of(model):
    """The weights under torchvision's names and in its order."""
    found = {}
    for layer in leaves(model):
        for variable in layer.weights:
            array = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
            name = f"{torchvision_name(layer.name)}.{KERAS_VARIABLES[variable.name]}"
            found[name] = torch.from_numpy(np.ascontiguousarray(array.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim])))
    return dict(sorted(found.items(), key=lambda item: order_of(item[0])))


def order_of(name):
    """torchvision's order: stem, blocks with the transitions behind them, last norm, classifier."""
    parts = name.split(".")
    part = {"conv0": (0,), "norm0": (1,), "norm5": (99,), "weight": (100,), "bias": (100,)}.get(parts[1])
    if part is None:
        number = int(parts[1][-1])
        part = (2 * number, int(parts[2][10:])) if parts[1].startswith("denseblock") else (2 * number + 1, 0)
    inner = {"norm1": 1, "conv1": 2, "norm2": 3, "conv2": 4, "norm": 1, "conv": 2}
    module = max((inner.get(part, 0) for part in parts[2:]), default=0)
    return part, module, ("weight", "bias", "running_mean", "running_var").index(parts[-1])


# -- Models ------------------------------------------------------------------------------------------------------------


def top(size=121, outputs=14):
    """The application with its own head."""
    return APPLICATIONS[size](weights=None, input_shape=IMAGE, classes=outputs, classifier_activation="sigmoid")


def backbone():
    return keras.applications.DenseNet121(weights=None, include_top=False, pooling="avg", input_shape=IMAGE)


def head():
    return keras.layers.Dense(14, activation="sigmoid", name="predictions")


def flat():
    """A head put on the layers of the application."""
    base = backbone()
    return keras.Model(base.input, head()(base.output))


def nested():
    """A head put on the application as a layer, as transfer learning has it."""
    base, image = backbone(), keras.Input(IMAGE)
    return keras.Model(image, head()(base(image)))


def sequential():
    return keras.Sequential([keras.Input(IMAGE), backbone(), head()])


def fill(model, networks, **shape):
    state = {name: t for name, t in networks.state(**shape).items() if not name.endswith("num_batches_tracked")}
    set_keras_weights(types.SimpleNamespace(layers=list(leaves(model))), state)
    return model


# -- Files of Keras 3 --------------------------------------------------------------------------------------------------


def save(model, path):
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)


def writer(make, **shape):
    return lambda networks, path: save(fill(make(), networks, **shape), path)


def reader(make):
    def read(path, networks):
        if not path.name.endswith(".weights.h5"):
            return keras.models.load_model(path, compile=False)
        model = make()
        model.load_weights(path)
        return model

    return read


def write_trained(networks, path):
    """After one step of Adam; the weights are then put back, the moments stay."""
    model = fill(top(), networks)
    model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy")
    images = networks.inputs("center-crop")[:2].permute(0, 2, 3, 1).numpy()
    model.train_on_batch(images, np.eye(14, dtype="f4")[:2])
    save(fill(model, networks), path)


def write_policy(policy):
    def write(networks, path):
        keras.config.set_dtype_policy(policy)
        try:
            save(fill(top(), networks), path)
        finally:
            keras.config.set_dtype_policy("float32")

    return write


def write_without_names(networks, path):
    """As Keras 3 before it wrote each layer's name: only the order says which is which."""
    writer(top)(networks, path)
    with h5py.File(path, "r+") as file:
        groups = []
        file.visititems(lambda _, item: groups.append(item))
        for group in groups:
            group.attrs.pop("name", None)


def write_tf213(networks, path):
    """The layout of tf.keras 2.13: `_layer_checkpoint_dependencies` instead of `layers`."""
    write_without_names(networks, path)
    with h5py.File(path, "r+") as file:
        file.move("layers", "_layer_checkpoint_dependencies")


def read_tf213(path, networks):
    """Keras 3 reads the group by its new name only."""
    copy = path.with_name("renamed-" + path.name)
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.move("_layer_checkpoint_dependencies", "layers")
    model = reader(top)(copy, networks)
    copy.unlink()
    return model


# -- Files of Keras 2 --------------------------------------------------------------------------------------------------


def keras2_layers(model, outputs_name):
    """The layers with the names of keras-applications before 1.0.7: `conv1/conv`, `fc1000`."""
    counts = {}
    for layer in leaves(model):
        name = layer.name.replace("conv1_", "conv1/")
        if layer.name == "predictions":
            name = outputs_name
        for kind, old in (("input_layer", "input"), ("zero_padding2d", "zero_padding2d")):
            if name.startswith(kind):
                counts[old] = counts.get(old, 0) + 1
                name = f"{old}_{counts[old]}"
        yield name, layer


def write_keras2(outputs_name, version, final_relu, outputs):
    """save_weights of Keras 2: root attributes `layer_names`, `backend`, `keras_version`, then a group for each layer.

    Lists of names have a fixed length, as h5py 2 stored them; from the same list of bytes h5py 3.16 makes variable ones.
    """

    def names(values):
        return np.array([value.encode("utf8") for value in values], dtype="S") if values else []

    def write(networks, path):
        model = fill(top(outputs=outputs), networks, outputs=outputs)
        layers = [(name, layer) for name, layer in keras2_layers(model, outputs_name) if final_relu or name != "relu"]
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = names([name for name, _ in layers])
            file.attrs["backend"] = b"tensorflow"
            file.attrs["keras_version"] = version.encode("utf8")
            for name, layer in layers:
                group = file.create_group(name)
                group.attrs["weight_names"] = names([f"{name}/{variable.name}:0" for variable in layer.weights])
                for variable in layer.weights:
                    array = keras.ops.convert_to_numpy(variable)
                    group.create_dataset(f"{name}/{variable.name}:0", array.shape, dtype=array.dtype)[:] = array

    return write


class WithoutFinalReLU(torch.nn.Module):
    """keras-applications before 1.0.6: no ReLU behind the last batch norm, ε 1.001e-5."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 1.001e-5

    def forward(self, images):
        return self.network.classifier(self.network.features(images).mean((2, 3)))


def read_keras2(outputs, final_relu):
    """There is no Keras 2 here: h5py reads the file by layer and order, torch computes."""

    def read(path, networks):
        network = DENSENET[121](num_classes=outputs)
        state = {}
        with h5py.File(path) as file:
            for layer in file.attrs["layer_names"]:
                group = file[layer]
                name = layer.decode().replace("conv1/", "conv1_").replace("fc1000", "predictions")
                for weight in group.attrs["weight_names"]:
                    array = group[weight][()]
                    key = f"{torchvision_name(name)}.{KERAS_VARIABLES[weight.decode().rpartition('/')[2].removesuffix(':0')]}"
                    state[key] = torch.from_numpy(array.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]).copy())
        if set(state) != set(without_counters(network)):
            raise ValueError(f"{path}: not the tensors of a DenseNet-121")
        network.load_state_dict(state, strict=False)
        return network if final_relu else WithoutFinalReLU(network)

    return read


def keras_files():
    files = []
    for make in (top, flat, nested, sequential):
        for suffix in (".weights.h5", ".keras", ".h5"):
            files.append(KerasWeights(f"keras-{make.__name__}{suffix}", writer(make), reader(make)))
    for suffix in (".keras", ".h5", ".weights.h5"):
        files.append(KerasWeights(f"keras-adam{suffix}", write_trained, reader(top)))
    for policy, kind in (("float16", torch.float16), ("bfloat16", torch.bfloat16)):
        files.append(KerasWeights(f"keras-{policy}.weights.h5", write_policy(policy), reader(top), rounded=kind))
    for size, suffix in ((169, ".h5"), (201, ".keras")):
        make = lambda size=size: top(size)
        files.append(KerasWeights(f"keras-densenet{size}{suffix}", writer(make, size=size), reader(make), size=size))
    files += [
        KerasWeights("keras-without-names.weights.h5", write_without_names, reader(top)),
        KerasWeights("keras-tf213.weights.h5", write_tf213, read_tf213),
        Weights("keras2-fc1000.h5", write_keras2("fc1000", "2.2.4", True, 1000), read_keras2(1000, True), outputs=1000, library="keras 2.2.4"),
        Weights("keras2-brucechou.h5", write_keras2("predictions", "2.1.4", False, 14), read_keras2(14, False),
                preprocessing="resize", options=["--preprocessing", "resize"], library="keras 2.1.4"),
    ]
    return files
