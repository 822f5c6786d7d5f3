"""Measures torchvision's DenseNet-121 with 14 outputs and random weights in PyTorch on CPUs: channels_last.

--precision bf16: under autocast, the weights stay fp32; with --bf16-weights, for inference only, all weights are bf16.
--compile: through torch.compile, for inference with frozen weights. jemalloc comes with the environment (compare.py).
"""

import contextlib

import measurement
import torch
import torchvision


def main():
    parser = measurement.parser(__doc__)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16-weights", action="store_true")
    options = parser.parse_args()
    is_training = options.row.startswith("training")
    if options.bf16_weights and (is_training or options.precision != "bf16"):
        parser.error("--bf16-weights is for inference with --precision bf16")

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    batch = measurement.batch_size(options.row)
    network = torchvision.models.densenet121(num_classes=measurement.OUTPUTS).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, measurement.SIDE, measurement.SIDE).to(memory_format=torch.channels_last)
    make = training if is_training else inference
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    measurement.report(make(network, images, options), options, versions)


def precision(options):
    """A context for forward passes, entered anew by each: what autocast has converted lasts as long as the context."""
    if options.precision == "bf16" and not options.bf16_weights:
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def training(network, images, options):
    network.train()
    labels = (torch.rand(len(images), measurement.OUTPUTS) < 0.3).float()
    criterion = torch.nn.BCEWithLogitsLoss()
    # fused: PyTorch's fastest Adam.
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5, fused=True)
    if options.compile:
        network = torch.compile(network)

    def step():
        optimizer.zero_grad()
        with precision(options):
            loss = criterion(network(images), labels)
        loss.backward()
        optimizer.step()

    return step


def inference(network, images, options):
    network.eval()
    if options.bf16_weights:
        network.bfloat16()
    if options.compile:
        # Weights become constants: batch norms are folded, weights laid out once.
        torch._inductor.config.freezing = True
        network = torch.compile(network)

    # Not inference_mode: what torch.compile freezes must be traced without it.
    @torch.no_grad()
    def call():
        with precision(options):
            # The images come in fp32, as for every contender.
            network(images.bfloat16() if options.bf16_weights else images)

    return call if options.compile else torch.inference_mode()(call)


if __name__ == "__main__":
    main()
