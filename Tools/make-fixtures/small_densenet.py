#!/usr/bin/env python3
"""Makes fixtures/small-densenet: two small DenseNets with what PyTorch computes for them, in float64.

    python small_densenet.py            # writes the files
    python small_densenet.py --check    # makes them again elsewhere and compares byte for byte

Both networks are torchvision's own class with random weights that are exact in float32:

    first   growth 4, blocks 2 3,   stem 8, 14 outputs, 3 channels, ε 1e-5, momentum 0.1, images 3 × 3 × 36 × 20
    second  growth 3, blocks 1 2 1, stem 6,  5 outputs, 1 channel,  ε 1e-3, momentum 0.01, images 2 × 1 × 37 × 45

The sizes hunt edges: a transition pools 9 × 5 to 4 × 2 (first), 5 rows to 2 (second), and takes 9 channels to 4 (second).
The tensors of the reference files are listed in fixtures/README.md.
"""

import argparse
import filecmp
import os
import pathlib
import re
import sys
import tempfile

# One order of summation on every x86 processor. Read when the libraries load, so it stands before their import.
os.environ.update(
    MKL_CBWR="COMPATIBLE", ATEN_CPU_CAPABILITY="default", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1",
    CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="torch",
)

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision.models import DenseNet

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tools" / "reference"))
from dialects import ddp_name, set_keras_weights, without_counters

DEFAULT_OUTPUT = ROOT / "fixtures" / "small-densenet"
FIRST = dict(growth_rate=4, block_config=(2, 3), num_init_features=8, bn_size=4, num_classes=14)
# Of many seeds, two that keep every decision (see `watch_decisions`) and every gradient away from rounding.
SEED_FIRST, SEED_SECOND = 1352, 164
SECOND = dict(growth_rate=3, block_config=(1, 2, 1), num_init_features=6, bn_size=4, num_classes=5)


def uniform(random, shape, low, high):
    """Numbers of [low, high) that are exact in float32, as float64."""
    return torch.from_numpy((low + (high - low) * random.random(shape)).astype(np.float32)).double()


def make_network(options, random, channels=3, epsilon=1e-5, momentum=0.1):
    """The network in float64, no parameter and no running statistic at its usual value; one γ in four is negative."""
    network = DenseNet(**options)
    if channels != 3:
        network.features.conv0 = torch.nn.Conv2d(channels, options["num_init_features"], 7, 2, 3, bias=False)
    network.double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                bound = (6 / module.weight[0].numel()) ** 0.5
                module.weight.copy_(uniform(random, module.weight.shape, -bound, bound))
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.eps, module.momentum = epsilon, momentum
                count = module.num_features
                sign = torch.from_numpy(np.where(random.random(count) < 0.25, -1.0, 1.0))
                module.weight.copy_(sign * uniform(random, count, 0.5, 1.5))
                module.bias.copy_(uniform(random, count, -0.5, 0.5))
                module.running_mean.copy_(uniform(random, count, -0.5, 0.5))
                module.running_var.copy_(uniform(random, count, 1, 4))
            elif isinstance(module, torch.nn.Linear):
                module.weight.copy_(uniform(random, module.weight.shape, -2, 2))
                module.bias.copy_(uniform(random, module.bias.shape, -1, 1))
        # A low shift in the stem shuts some window of the max pool in every channel (see `make_first`).
        network.features.norm0.bias.copy_((network.features.norm0.bias - 1).float())
    return network


def make_labels(random, shape):
    """1 and 0, and −1 (unknown) for about one in five."""
    draw = random.random(shape)
    return torch.from_numpy(np.where(draw < 0.2, -1.0, np.where(draw < 0.6, 1.0, 0.0)))


def masked_loss(logits, labels, positive=1.0, negative=1.0):
    """Binary cross entropy summed over the known labels, divided by their number; class weights do not change the divisor."""
    known = (labels >= 0).double()
    terms = positive * labels * F.softplus(-logits) + negative * (1 - labels) * F.softplus(logits)
    return (terms * known).sum() / known.sum()


def float32_state(network):
    state = without_counters(network)
    narrow = {name: tensor.float() for name, tensor in state.items()}
    assert all(torch.equal(narrow[name].double(), tensor) for name, tensor in state.items())
    return narrow


def revived(network, state):
    """The network, back at `state`."""
    network.load_state_dict(state, strict=False)
    network.zero_grad(set_to_none=True)
    return network


def evaluate(network, images, final_relu=True):
    """Logits, probabilities, feature map and class activation maps of the network in eval mode."""
    network.eval()
    with torch.no_grad():
        features = network.features(images)
        features = features.relu() if final_relu else features
        logits = network.classifier(features.mean((2, 3)))
        if final_relu:
            assert torch.allclose(logits, network(images), rtol=0, atol=1e-13)
        cam = torch.einsum("lk,nkhw->nlhw", network.classifier.weight, features)
    return {"logits": logits, "probabilities": logits.sigmoid(), "features": features, "cam": cam}


def watch_decisions(network, margins):
    """Appends to `margins`, in every forward pass, how far the input of each ReLU is from 0 and, in the max pool, the largest
    positive value from the next. Where that is well above float32's rounding, float32 opens the same gates as float64, and a
    test's tolerance need not allow for others. Returns the hooks."""
    def pool_gap(_, inputs):
        windows = F.unfold(F.pad(inputs[0].detach(), (1, 1, 1, 1)), 3, stride=2)
        first, second = windows.unflatten(1, (-1, 9)).topk(2, 2).values.unbind(2)
        margins.append((first - second)[first > 0].min().item())

    hooks = [network.features.pool0.register_forward_pre_hook(pool_gap)]
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            hooks.append(module.register_forward_hook(lambda _, __, output: margins.append(output.detach().abs().min().item())))
    return hooks


def semantic_name(module):
    """What the reference calls the output of a torchvision module; None where it is not kept."""
    fixed = {"conv0": "stem.conv0", "norm0": "stem.norm0", "pool0": "stem.pool"}
    name = module.removeprefix("features.")
    if name in fixed:
        return fixed[name]
    if re.fullmatch(r"denseblock\d+(\.denselayer\d+)?|transition\d+", name):
        return name
    if name.endswith(".conv1"):
        return name.replace(".conv1", ".bottleneck")
    return None


def train_once(network, images, labels, activations=False):
    """One forward and backward pass in train mode: activations, loss, gradients, running statistics behind it."""
    result, margins = {}, []
    hooks = watch_decisions(network, margins)
    for name, module in network.named_modules():
        if activations and semantic_name(name):
            # Cloned: the ReLU behind a batch norm works in place.
            hooks.append(module.register_forward_hook(
                lambda _, __, output, key=semantic_name(name): result.__setitem__("train." + key, output.detach().clone())))
    network.train()
    images = images.clone().requires_grad_()
    features = network.features(images).relu()
    logits = network.classifier(features.mean((2, 3)))
    logits.retain_grad()
    loss = masked_loss(logits, labels)
    loss.backward()
    for hook in hooks:
        hook.remove()
    if activations:
        result["train.features"] = features.detach()
    result |= {"train.logits": logits.detach(), "train.loss": loss.detach()}
    result |= {"gradient.images": images.grad, "gradient.logits": logits.grad}
    result |= {"gradient." + name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    result |= {"running." + k: v for k, v in without_counters(network).items() if "running_" in k}
    assert min(margins) > 1e-4, f"a decision is {min(margins):.1e} wide"
    return result


def optimize(network, make_optimizer, images, labels, steps, clip=None):
    """Losses before each of `steps` steps on the same batch, the gradient's norms (before clipping), and the last state."""
    network.train()
    optimizer = make_optimizer(network.parameters())
    losses, norms, margins = [], [], []
    hooks = watch_decisions(network, margins)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss = masked_loss(network(images), labels)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(network.parameters(), clip or float("inf")).item())
        optimizer.step()
        losses.append(loss.item())
    for hook in hooks:
        hook.remove()
    assert min(margins) > 1e-5, f"a decision is {min(margins):.1e} wide"
    double = lambda values: torch.tensor(values, dtype=torch.float64)
    return double(losses), double(norms), without_counters(network)


def training_runs(network, images, labels):
    """Every optimizer from the same weights."""
    optim = torch.optim
    runs = {  # name: optimizer, steps, clip norm, whether the last weights are kept
        "sgd": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4), 10, None, True),
        "nesterov": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True), 10, None, False),
        "adam": (lambda p: optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-5), 10, None, True),
        "adamw": (lambda p: optim.AdamW(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2), 10, None, True),
        "adam_clipped": (lambda p: optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-5), 3, 1.0, True),
    }
    start, result = without_counters(network), {}
    for name, (make_optimizer, steps, clip, keeps) in runs.items():
        losses, norms, final = optimize(revived(network, start), make_optimizer, images, labels, steps, clip)
        result |= {f"{name}.losses": losses}
        if clip:
            result[f"{name}.norms"] = norms
            assert norms[0] > 3 * clip, "the clip must bite"
        if keeps:
            result |= {f"{name}.final.{key}": tensor for key, tensor in final.items()}
        result["gradient_norm"] = norms[0]
        print(f"  {name}: loss {losses[0]:.4f} → {losses[-1]:.4f}, gradient norm {norms[0]:.3f}")
    revived(network, start)
    return result


def write_ddp(network, path):
    """The dialect of the first CheXNet checkpoints: DistributedDataParallel's prefix, dotted names, a head in a Sequential."""
    state = {ddp_name(name): tensor for name, tensor in float32_state(network).items()}
    optimizer = torch.optim.Adam([torch.nn.Parameter(t.clone()) for n, t in state.items() if "classifier" in n])
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    torch.save({"epoch": 3, "state_dict": state, "best_loss": 0.25, "optimizer": optimizer.state_dict()}, path)


def keras_network(options, image_shape, epsilon, activation):
    """The network as keras.applications.densenet builds and names it (whose function has a fixed growth rate and stem)."""
    from keras import Model, layers

    def normalized(x, name):
        return layers.BatchNormalization(epsilon=epsilon, name=name)(x)

    def relu(x, name):
        return layers.Activation("relu", name=name)(x)

    image = layers.Input(image_shape, name="input")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = layers.Conv2D(options["num_init_features"], 7, strides=2, use_bias=False, name="conv1_conv")(x)
    x = relu(normalized(x, "conv1_bn"), "conv1_relu")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for block, count in enumerate(options["block_config"], start=2):
        for layer in range(1, count + 1):
            name = f"conv{block}_block{layer}"
            y = relu(normalized(x, name + "_0_bn"), name + "_0_relu")
            y = layers.Conv2D(4 * options["growth_rate"], 1, use_bias=False, name=name + "_1_conv")(y)
            y = relu(normalized(y, name + "_1_bn"), name + "_1_relu")
            y = layers.Conv2D(options["growth_rate"], 3, padding="same", use_bias=False, name=name + "_2_conv")(y)
            x = layers.Concatenate(name=name + "_concat")([x, y])
        if block < len(options["block_config"]) + 1:
            x = relu(normalized(x, f"pool{block}_bn"), f"pool{block}_relu")
            x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"pool{block}_conv")(x)
            x = layers.AveragePooling2D(2, strides=2, name=f"pool{block}_pool")(x)
    x = relu(normalized(x, "bn"), "relu")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dense(options["num_classes"], activation=activation, name="predictions")(x)
    return Model(image, x, name="densenet_small")


def write_keras(network, path, images, logits):
    """A full-model HDF5 file. Keras' ε is 1.001e-5; the forward pass is compared at PyTorch's 1e-5."""
    state = float32_state(network)
    shape = (*images.shape[2:], images.shape[1])
    twin = keras_network(FIRST, shape, 1e-5, None)
    set_keras_weights(twin, state)
    theirs = twin(images.permute(0, 2, 3, 1).float()).detach()
    difference = (theirs.double() - logits).abs().max().item()
    print(f"  Keras' logits (float32) differ from PyTorch's (float64) by {difference:.1e}")
    assert difference < 1e-5
    model = keras_network(FIRST, shape, 1.001e-5, "sigmoid")
    set_keras_weights(model, state)
    model.save(path)


def write_tensors(tensors, path):
    own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_file(own, path, {"format": "pt"})


def make_first(folder):
    random = np.random.Generator(np.random.PCG64(SEED_FIRST))
    network = make_network(FIRST, random)
    start = without_counters(network)
    images, labels = uniform(random, (3, 3, 36, 20), -2, 2), make_labels(random, (3, 14))
    positive, negative = uniform(random, 14, 0.5, 4), uniform(random, 14, 0.25, 1.5)

    reference = {"images": images, "labels": labels, "positive_weights": positive, "negative_weights": negative}
    reference |= {"eval." + name: tensor for name, tensor in evaluate(network, images).items()}
    reference |= train_once(network, images, labels, activations=True)
    # A channel that no ReLU ever shuts has its shift taken away by the batch norms behind it: its gradient is zero but for
    # rounding, which Adam would blow up to a whole step.
    gradients = torch.cat([reference["gradient." + name].abs().flatten() for name, _ in network.named_parameters()])
    assert gradients[gradients > 0].min() > 1e-7, "a gradient is all rounding"
    logits = reference["train.logits"].clone().requires_grad_()
    weighted = masked_loss(logits, labels, positive, negative)
    weighted.backward()
    reference |= {"train.weighted_loss": weighted.detach(), "weighted_gradient.logits": logits.grad}
    reference |= training_runs(revived(network, start), images, labels)

    write_tensors(float32_state(network), folder / "weights.safetensors")
    write_tensors(reference, folder / "reference.safetensors")
    torch.save(float32_state(network), folder / "weights.pt")
    write_ddp(network, folder / "weights-ddp.pt")
    write_keras(network, folder / "weights.h5", images, reference["eval.logits"])


def make_second(folder):
    random = np.random.Generator(np.random.PCG64(SEED_SECOND))
    network = make_network(SECOND, random, channels=1, epsilon=1e-3, momentum=0.01)
    images, labels = uniform(random, (2, 1, 37, 45), -2, 2), make_labels(random, (2, 5))
    write_tensors(float32_state(network), folder / "weights-second.safetensors")
    reference = {"images": images, "labels": labels}
    reference |= {"eval." + name: tensor for name, tensor in evaluate(network, images).items()}
    reference |= {"eval.no_final_relu." + name: t for name, t in evaluate(network, images, final_relu=False).items()}
    reference |= train_once(network, images, labels)
    write_tensors(reference, folder / "reference-second.safetensors")



def make_all(folder):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    print("first")
    make_first(folder)
    print("second")
    make_second(folder)


def main(make_all=make_all, output=DEFAULT_OUTPUT, description=__doc__):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=output, help=f"folder to write to (fixtures/{output.name})")
    parser.add_argument("--check", action="store_true", help="compare with what stands in the folder; write nothing there")
    options = parser.parse_args()
    if not options.check:
        return make_all(options.output)
    with tempfile.TemporaryDirectory() as fresh:
        make_all(pathlib.Path(fresh))
        names = sorted(os.listdir(fresh))
        same, different, missing = filecmp.cmpfiles(fresh, options.output, names, shallow=False)
    print(f"{len(same)} of {len(names)} files are the same")
    if different or missing:
        sys.exit(f"different: {', '.join(different + missing)}")


if __name__ == "__main__":
    main()
