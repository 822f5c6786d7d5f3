"""What each operation of DenseNet-121 at 224×224 cannot do without: bytes of an image, in bf16, from the network's shapes alone.

Every map is read once by each operation that needs it and written once; the gradient that a block gathers, G, is too. Weights, statistics and sums,
which do not grow with the batch, are nothing. P: pixels of a block's map; C: a layer's or a transition's input channels; A = 2 and F = 4: bytes
of a value of bf16 and of fp32.
"""

import re

A, F = 2, 4
IMAGE, STEM, POOLED, FEATURES, BOTTLENECK, GROWTH, LABELS = 224 * 224, 112 * 112, 56 * 56, 64, 128, 32, 14


def shapes():
    """(P, C) of each dense layer, of each transition, and of the last map."""
    layers, transitions, channels = [], [], FEATURES
    for count, side in ((6, 56), (12, 28), (24, 14), (16, 7)):
        layers += [(side * side, channels + GROWTH * layer) for layer in range(count)]
        channels += GROWTH * count
        if side > 7:
            transitions.append((side * side, channels))
            channels //= 2
    return layers, transitions, (side * side, channels)


LAYERS, TRANSITIONS, LAST = shapes()


def each_layer(of):
    return sum(of(pixels, channels) for pixels, channels in LAYERS)


def each_transition(of):
    return sum(of(pixels, channels) for pixels, channels in TRANSITIONS)


# Values of G that are taken from it in a step: of what the layers, the transitions and the stem's pool made.
TAKEN = each_layer(lambda P, C: P * GROWTH) + each_transition(lambda P, C: P // 4 * C // 2) + POOLED * FEATURES


# MARK: Operations

# Name, the kernels that do it, and its floor.
OPERATIONS = [
    ("weights packed", r"pack_\w+", 0),
    # A gray image's bytes; the map.
    ("conv0", r"stem_bf16", IMAGE + A * FEATURES * STEM),
    # The map, its pooled one.
    ("pool0", r"maximum_pool_bf16", A * FEATURES * (STEM + POOLED)),
    # What was concatenated; the bottleneck.
    ("bottleneck 1×1", r"pointwise_\d+(_bulk_90a)?_normalised_bf16", each_layer(lambda P, C: A * P * (C + BOTTLENECK))),
    # The bottleneck; the new channels.
    ("growth 3×3", r"growth_\d+x\d+(_bulk)?(_90a)?(_normalised)?_bf16", each_layer(lambda P, C: A * P * (BOTTLENECK + GROWTH))),
    # A block's map; a quarter of its pixels.
    ("transition, pool", r"mean_pool_bf16", each_transition(lambda P, C: A * C * (P + P // 4))),
    # That; half of its channels.
    ("transition, 1×1", r"pointwise_\d+_bf16", each_transition(lambda P, C: A * P // 4 * (C + C // 2))),
    # Sums only.
    ("batch norms", r"normalization", 0),
    # The last map; its mean.
    ("norm5, mean", r"head_mean_bf16", LAST[1] * (A * LAST[0] + F)),
    # The mean; the logits.
    ("classifier", r"head_classifier", F * (LAST[1] + LABELS)),
    # Logits and bytes of labels; the logits' gradients.
    ("loss", r"loss", LABELS * (F + 1 + F)),
    # The logits' gradients, the mean; the mean's gradient.
    ("classifier, gradients", r"classifier_gradient", F * (LABELS + 2 * LAST[1])),
    # The mean's gradient, the last map; G.
    ("norm5, gradient", r"head_gradient_bf16", LAST[1] * (F + LAST[0] * 2 * A)),
    # Parts of sums only.
    ("sums of parts", r"sums_of_parts|unpack_stem_gradient", 0),
    # Of G what is new, and the map of it, the bottleneck; the gradient behind its gate, parts of sums.
    ("growth 3×3, gradients", r"growth_gradients_\w+_bf16", each_layer(lambda P, C: A * P * (2 * GROWTH + 2 * BOTTLENECK))),
    # That gradient and the bottleneck, what was concatenated, G; G, parts of sums.
    ("bottleneck 1×1, gradients", r"pointwise_gradients_\w+_bf16", each_layer(lambda P, C: A * P * (2 * BOTTLENECK + 3 * C))),
    # Of G what the transitions and the stem's pool made, and of conv0 the gradient behind the gate; the map; the gradient before it.
    ("batch norms, resolved gradients", r"resolve_gradient_bf16", 3 * A * (TAKEN - each_layer(lambda P, C: P * GROWTH) + STEM * FEATURES)),
    # The outputs' gradient, what was pooled; parts of sums.
    ("transition, 1×1, weight gradient", r"pointwise_weight_gradient_bf16", each_transition(lambda P, C: A * P // 4 * (C // 2 + C))),
    # The outputs' gradient; that of what was pooled.
    ("transition, 1×1, data gradient", r"pointwise_data_gradient_\d+_bf16", each_transition(lambda P, C: A * P // 4 * (C // 2 + C))),
    # The gradient of what was pooled, the block's map; G.
    ("transition, pool, gradient", r"mean_pool_gradient_bf16", each_transition(lambda P, C: A * C * (P // 4 + 2 * P))),
    # The pooled map's gradient, conv0's map; the gradient behind its gate.
    ("pool0, gradient", r"maximum_pool_gradient_bf16", A * FEATURES * (POOLED + 2 * STEM)),
    # The image's bytes, conv0's gradient; parts of sums.
    ("conv0, weight gradient", r"stem_weight_gradient_bf16", IMAGE + A * FEATURES * STEM),
    # Nothing of an image's.
    ("gradient's norm", r"gradient_norm", 0),
    ("optimizer", r"optimizer", 0),
]


def operation(kernel):
    """The name of what `kernel` does; None where no operation is done by it."""
    for name, kernels, _ in OPERATIONS:
        if re.fullmatch(kernels, kernel):
            return name
    return None


def of_operations():
    return {name: floor for name, _, floor in OPERATIONS}


# MARK: A pass that is fused as far as it can be


def forward():
    """The maps of the forward pass; a transition's pool and convolution are one."""
    floor = of_operations()
    transitions = each_transition(lambda P, C: A * (P * C + P // 4 * C // 2))
    return sum(floor[name] for name in ("conv0", "pool0", "bottleneck 1×1", "growth 3×3", "norm5, mean")) + transitions


def step(G):
    """Forward and back, with G of `G` bytes a value: what is owed is taken off where a gradient is read, which then needs the map beside it, and a
    convolution's gradients are made together."""
    back = each_layer(lambda P, C: P * ((G + A) * GROWTH + 2 * A * BOTTLENECK))  # growth: G and the map of the new channels, the bottleneck; the gradient behind the gate
    back += each_layer(lambda P, C: P * (A * (2 * BOTTLENECK + C) + 2 * G * C))  # bottleneck: that and the bottleneck, what was concatenated; G read and written
    back += each_transition(lambda P, C: (G + A) * (P // 4 * C // 2 + P * C))  # transition: G and the map behind it; the map and G before it
    back += (G + A) * FEATURES * POOLED + 2 * A * FEATURES * STEM  # pool0: G and its map; conv0's map, the gradient behind the gate
    back += IMAGE + 2 * A * FEATURES * STEM  # conv0, weights: the image; that gradient and conv0's map
    back += (G + A) * LAST[0] * LAST[1]  # norm5: the last map; G
    return forward() + back


# MARK: Sums in parts


def up(count, size):
    return -(-count // size)


def weight_parts(pixels, columns, resident, multiprocessors):
    """CUDAKernelChoice.parts: into how many parts a weight gradient over `pixels` is cut, each of `columns` blocks, of which a multiprocessor holds so
    many at once (the blocks that kernel_list.h asks for, which an H200 has the room for)."""
    return max(up(pixels, 16384), min(up(pixels, 64), resident * multiprocessors // columns), 1)


def sum_parts(pixels):
    """CUDAGradients.sumParts: the same for the gradients of the pools and of the head."""
    return max(1, min(1024, up(pixels, 64)))


def parts_written(name, batch, multiprocessors):
    """Bytes of sums in parts that the operation writes in a step: fp32 in [parts][weights], and pairs of them in [parts][channels]."""

    def weights(pixels, columns, resident, count, channels=0):
        """So many weights, and with them the sums of so many channels."""
        return F * (count + 2 * channels) * weight_parts(batch * pixels, columns, resident, multiprocessors)

    def sums(pixels, channels):
        return 2 * F * channels * sum_parts(batch * pixels)

    return {
        "growth 3×3, gradients": lambda: each_layer(lambda P, C: weights(P, BOTTLENECK // 64, 2, 9 * BOTTLENECK * GROWTH, BOTTLENECK)),
        "bottleneck 1×1, gradients": lambda: each_layer(lambda P, C: weights(P, up(C, 128), 1, C * BOTTLENECK, C)),
        "transition, 1×1, weight gradient": lambda: each_transition(lambda P, C: weights(P // 4, up(C, 64) * up(C // 2, 128), 3, C * C // 2)),
        "conv0, weight gradient": lambda: weights(STEM, 3, 4, 3 * 64 * FEATURES),
        "transition, pool, gradient": lambda: each_transition(lambda P, C: sums(P, C)),
        "pool0, gradient": lambda: sums(STEM, FEATURES),
        "norm5, gradient": lambda: sums(*LAST),
    }.get(name, lambda: 0)()


IN_PARTS = (
    "growth 3×3, gradients", "bottleneck 1×1, gradients", "transition, 1×1, weight gradient", "transition, pool, gradient", "pool0, gradient",
    "norm5, gradient",
)
# Its parts have 8×8 taps, of which 7×7 are weights.
STEM_IN_PARTS = "conv0, weight gradient"


def parts_read(name, batch, multiprocessors):
    """The same of what it reads."""
    if name != "sums of parts":
        return 0
    return sum(parts_written(other, batch, multiprocessors) for other in IN_PARTS) + parts_written(STEM_IN_PARTS, batch, multiprocessors) * 49 // 64
