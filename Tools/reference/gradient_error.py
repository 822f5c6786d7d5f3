"""What PyTorch's bf16 autocast costs in the gradients, beside `bench --gradient-errors 16 --precision bf16`.

torchvision's DenseNet-121 with random weights, 16 images of noise, 224 × 224: the gradients of one step in fp32 and under bf16
autocast against those in fp64, in the 2-norm. Prints, for each seed, the error of the whole gradient, the median of the
parameters' errors relative to their own gradients, and that of the first convolution.

Also what it costs to keep the gradient that a dense block gathers, to which each of its layers adds, in bf16: alone, with
everything else in fp32, and beside autocast, where PyTorch does the same; and, beside autocast, in fp32.
"""

import argparse
import copy

import torch
import torchvision


class Gathered(torch.autograd.Function):
    """The identity, whose gradient is kept in bf16."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient.bfloat16().to(gradient.dtype)


class Block(torch.nn.Module):
    """A dense block whose map is one tensor: its gradient is the sum of what the layers behind have added, kept in `gather`'s way."""

    def __init__(self, block, gather):
        super().__init__()
        self.layers, self.gather = torch.nn.ModuleList(block.values()), gather

    def forward(self, x):
        for layer in self.layers:
            x = self.gather(x)
            x = torch.cat([x, layer(x).to(x.dtype)], 1)
        return self.gather(x)


def gradients(model, images, labels, dtype, is_autocast=False, gather=None):
    """The gradients of a copy of `model` in `dtype`, in fp64, by name; `gather`: how blocks keep theirs."""
    model = copy.deepcopy(model).to(dtype).train()
    named = dict(model.named_parameters())
    if gather:
        for name, block in list(model.features.named_children()):
            if name.startswith("denseblock"):
                setattr(model.features, name, Block(block, gather))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_autocast):
        logits = model(images.to(dtype))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.to(dtype), labels.to(dtype))
    loss.backward()
    return {name: parameter.grad.double() for name, parameter in named.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    for seed in range(1, parser.parse_args().seeds + 1):
        torch.manual_seed(seed)
        model = torchvision.models.densenet121(num_classes=14)
        images, labels = torch.randn(16, 3, 224, 224), torch.rand(16, 14) < 0.25
        exact = gradients(model, images, labels, torch.float64)
        whole = sum(g.square().sum() for g in exact.values()).sqrt()
        for name, is_autocast, gather in (
            ("fp32", False, None),
            ("fp32, gathered in bf16", False, Gathered.apply),
            ("bf16 autocast", True, None),
            ("bf16 autocast, gathered in bf16", True, Gathered.apply),
            ("bf16 autocast, gathered in fp32", True, torch.Tensor.float),
        ):
            found = gradients(model, images, labels, torch.float32, is_autocast, gather)
            errors = {key: (found[key] - exact[key]).norm() for key in exact}
            own = {key: (errors[key] / exact[key].norm()).item() for key in exact}
            error = (sum(e.square() for e in errors.values()).sqrt() / whole).item()
            print(
                f"seed {seed}, {name}: whole gradient {100 * error:.2f} %, median {100 * sorted(own.values())[len(own) // 2]:.2f} %, "
                f"first convolution {100 * own['features.conv0.weight']:.2f} %")


if __name__ == "__main__":
    main()
