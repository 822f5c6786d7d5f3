"""What PyTorch's bf16 autocast costs in the gradients, beside `bench --gradient-errors 16 --precision bf16`.

torchvision's DenseNet-121 with random weights, 16 images of noise, 224 × 224: the gradients of one step in fp32 and under bf16
autocast against those in fp64, in the 2-norm. Prints, for each seed, the error of the whole gradient, the median of the
parameters' errors relative to their own gradients, and that of the first convolution.
"""

import argparse
import copy

import torch
import torchvision


def gradients(model, images, labels, dtype, is_autocast=False):
    """The gradients of a copy of `model` in `dtype`, in fp64, by name."""
    model = copy.deepcopy(model).to(dtype).train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_autocast):
        logits = model(images.to(dtype))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.to(dtype), labels.to(dtype))
    loss.backward()
    return {name: parameter.grad.double() for name, parameter in model.named_parameters()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    for seed in range(1, parser.parse_args().seeds + 1):
        torch.manual_seed(seed)
        model = torchvision.models.densenet121(num_classes=14)
        images, labels = torch.randn(16, 3, 224, 224), torch.rand(16, 14) < 0.25
        exact = gradients(model, images, labels, torch.float64)
        whole = sum(g.square().sum() for g in exact.values()).sqrt()
        for name, dtype, is_autocast in (("fp32", torch.float32, False), ("bf16 autocast", torch.float32, True)):
            found = gradients(model, images, labels, dtype, is_autocast)
            errors = {key: (found[key] - exact[key]).norm() for key in exact}
            own = {key: (errors[key] / exact[key].norm()).item() for key in exact}
            error = (sum(e.square() for e in errors.values()).sqrt() / whole).item()
            print(
                f"seed {seed}, {name}: whole gradient {100 * error:.2f} %, median {100 * sorted(own.values())[len(own) // 2]:.2f} %, "
                f"first convolution {100 * own['features.conv0.weight']:.2f} %")


if __name__ == "__main__":
    main()
