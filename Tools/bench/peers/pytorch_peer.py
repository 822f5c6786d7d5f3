"""Measures torchvision's DenseNet-121 with 14 outputs and random weights in PyTorch on CPUs: fp32, channels_last.

--compile: through torch.compile, for inference with frozen weights. jemalloc comes with the environment (compare.py).
"""

import measurement
import torch
import torchvision


def main():
    parser = measurement.parser(__doc__)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    batch = measurement.batch_size(options.row)
    network = torchvision.models.densenet121(num_classes=measurement.OUTPUTS).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, measurement.SIDE, measurement.SIDE).to(memory_format=torch.channels_last)
    make = training if options.row.startswith("training") else inference
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    measurement.report(make(network, images, options.compile), options, versions)


def training(network, images, compiled):
    network.train()
    labels = (torch.rand(len(images), measurement.OUTPUTS) < 0.3).float()
    criterion = torch.nn.BCEWithLogitsLoss()
    # fused: PyTorch's fastest Adam.
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5, fused=True)
    if compiled:
        network = torch.compile(network)

    def step():
        optimizer.zero_grad()
        criterion(network(images), labels).backward()
        optimizer.step()

    return step


def inference(network, images, compiled):
    network.eval()
    if compiled:
        # Weights become constants: batch norms are folded, weights laid out once.
        torch._inductor.config.freezing = True
        network = torch.compile(network)

    # Not inference_mode: what torch.compile freezes must be traced without it.
    @torch.no_grad()
    def call():
        network(images)

    return call if compiled else torch.inference_mode()(call)


if __name__ == "__main__":
    main()
