"""What Winograd's F(2 × 2, 3 × 3) adds to the rounding of a 3 × 3 convolution, in fp32 and in bf16.

A growth convolution of DenseNet-121 (128 channels to 32, 28 × 28, inputs relu(normal), weights as initialised) by its definition and by
Winograd's filtering, with everything that chexnet rounds rounded (inputs, weights, and in bf16 the transformed tiles and weights;
sums in fp32), against fp64. Prints the error of the outputs relative to their size, in the 2-norm.
"""

import torch

BT = torch.tensor([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=torch.float64)
G = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
AT = torch.tensor([[1, 1, 1, 0], [0, 1, -1, -1]], dtype=torch.float64)


def winograd(x, w, dtype):
    """The convolution of fp32 x [C, H, W] (even sides) and w [K, C, 3, 3], tiles and transformed weights rounded to dtype."""
    tiles = torch.nn.functional.pad(x, (1, 1, 1, 1)).unfold(1, 4, 2).unfold(2, 4, 2)
    inputs = (BT.float() @ tiles @ BT.float().T).to(dtype).float()
    weights = (G @ w.double() @ G.T).to(torch.float32).to(dtype).float()
    products = torch.einsum("cyxpq,kcpq->kyxpq", inputs, weights)
    outputs = AT.float() @ products @ AT.float().T
    return outputs.permute(0, 1, 3, 2, 4).reshape(len(w), x.shape[1], x.shape[2])


def main():
    torch.manual_seed(1)
    x, w = torch.randn(128, 28, 28).relu(), torch.randn(32, 128, 3, 3) * (2 / (128 * 9)) ** 0.5
    exact = torch.nn.functional.conv2d(x.double()[None], w.double(), padding=1)[0]
    for dtype in (torch.float32, torch.bfloat16):
        rounded, weights = x.to(dtype).float(), w.to(dtype).float()
        direct = torch.nn.functional.conv2d(rounded[None], weights, padding=1)[0]
        for name, found in (("definition", direct), ("Winograd", winograd(rounded, w, dtype))):
            print(f"{str(dtype).removeprefix('torch.'):9} {name:10} {((found - exact).norm() / exact.norm()).item():.2e}")


if __name__ == "__main__":
    main()
