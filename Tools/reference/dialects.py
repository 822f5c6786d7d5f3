"""The names that other programs give to the tensors of torchvision's DenseNet."""

import re

KERAS_FIXED = {"conv1_conv": "features.conv0", "conv1_bn": "features.norm0", "bn": "features.norm5", "predictions": "classifier"}
KERAS_LAYER_PARTS = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2"}
KERAS_VARIABLES = {
    "kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}


def torchvision_name(keras_layer):
    """`conv2_block1_0_bn` → `features.denseblock1.denselayer1.norm1`."""
    if keras_layer in KERAS_FIXED:
        return KERAS_FIXED[keras_layer]
    if match := re.fullmatch(r"pool(\d+)_(bn|conv)", keras_layer):
        return f"features.transition{int(match[1]) - 1}." + {"bn": "norm", "conv": "conv"}[match[2]]
    block, layer, part = re.fullmatch(r"conv(\d+)_block(\d+)_(0_bn|1_conv|1_bn|2_conv)", keras_layer).groups()
    return f"features.denseblock{int(block) - 1}.denselayer{layer}.{KERAS_LAYER_PARTS[part]}"


def set_keras_weights(model, state):
    """Hands every layer of a Keras DenseNet its tensors of `state`: kernels [K,C,R,S] → [R,S,C,K], [L,C] → [C,L]."""
    used = set()
    for layer in model.layers:
        values = []
        for variable in layer.weights:
            name = f"{torchvision_name(layer.name)}.{KERAS_VARIABLES[variable.name]}"
            values.append(state[name].numpy().transpose({4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[state[name].ndim]))
            used.add(name)
        if values:
            layer.set_weights(values)
    if used != set(state):
        raise ValueError(f"tensors left over: {sorted(set(state) - used)}")


def ddp_name(name):
    """The dialect of the first CheXNet checkpoints: DistributedDataParallel's prefix, dotted names, a head in a Sequential.

    `features.denseblock1.denselayer1.norm1.weight` → `module.densenet121.features.denseblock1.denselayer1.norm.1.weight`
    """
    name = re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name)
    return "module.densenet121." + name.replace("classifier.", "classifier.0.")


def without_counters(network):
    """The network's state_dict without `num_batches_tracked`, detached."""
    state = network.state_dict()
    return {name: tensor.detach().clone() for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
