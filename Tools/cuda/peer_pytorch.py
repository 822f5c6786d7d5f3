#!/usr/bin/env python3
"""PyTorch's DenseNet-121 on a GPU: 14 outputs, 224 × 224, channels_last, random weights and images. What chexnet is measured against.

    peer_pytorch.py [--mode inference] [--batches 256,32,1] [--precisions bf16,fp32] [--kinds eager,compile,…] [--rounds 3]
    peer_pytorch.py --mode training --batches 256 --precisions bf16 --kinds eager,compile

Kinds:
  eager             as it is, in bf16 under autocast
  eager-cast        the same with the weights cast to bf16 once, without autocast
  compile           torch.compile
  max-autotune      torch.compile with every kernel tuned, as one CUDA graph
  reduce-overhead   torch.compile, as one CUDA graph
  frozen            max-autotune with the weights as constants: cast once, batch norms folded where they can be
eager-cast and frozen are of inference only. fp32 is fp32: no TF32.

Each is given a first call, which compiles, warm calls, and then in each round BLOCKS blocks of at least `--seconds` in all, between two CUDA events each; a
round's figure is the median over its blocks; peak_bytes is what it has held on the device at the most, without the others. Inference is measured with images that are on the device, and, as `upload`, with bytes in pinned memory of the
host which are copied to it and normalised there in every step; PyTorch has the cudnn.benchmark of a real user. No compilation starts, and none goes on, later
than --compile-minutes after the start: what is missed is reported. Results are JSON on standard output, one document a round with --interactive, where a line
of standard input asks for each.
"""

import argparse
import contextlib
import json
import signal
import statistics
import sys
import time

import torch
import torch._inductor.config as inductor
import torchvision

BLOCKS = 9
KINDS = ("eager", "eager-cast", "compile", "max-autotune", "reduce-overhead", "frozen")
MODES = {"compile": None, "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune", "frozen": "max-autotune"}
# ImageNet's, by which the network's input is normalised.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class TooLate(Exception):
    """The time for compiling is over."""


def too_late(signal_number, frame):
    raise TooLate("the time for compiling is over")


class Contender:
    """One kind at one precision and batch: a step, and how long it takes."""

    def __init__(self, options, kind, precision, batch):
        self.options, self.kind, self.precision, self.batch = options, kind, precision, batch
        self.device = torch.device(options.device)
        self.cast = precision == "bf16" and kind in ("eager-cast", "frozen")
        self.autocast = precision == "bf16" and not self.cast
        self.peak = 0
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.others = torch.cuda.memory_allocated()
        torch.manual_seed(0)
        model = torchvision.models.densenet121(weights=None, num_classes=14)
        model = model.to(self.device, memory_format=torch.channels_last).train(options.mode == "training")
        if self.cast:
            model = model.bfloat16()
        self.type = torch.bfloat16 if self.cast else torch.float32
        shape = (batch, 3, options.image_size, options.image_size)
        self.images = torch.randn(shape, device=self.device).to(self.type).contiguous(memory_format=torch.channels_last)
        self.model = model if kind.startswith("eager") else torch.compile(model, mode=MODES[kind], dynamic=False)
        if options.mode == "training":
            self.labels = (torch.rand(batch, 14, device=self.device) < 0.1).float()
            self.loss = torch.nn.BCEWithLogitsLoss()
            self.optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=self.device.type == "cuda")
        else:
            host = torch.randint(0, 256, shape, dtype=torch.uint8)
            self.host = host.pin_memory() if self.device.type == "cuda" else host
            mean, deviation = (torch.tensor(x, device=self.device).view(1, 3, 1, 1) for x in (MEAN, DEVIATION))
            self.scale, self.shift = (1 / (255 * deviation)).to(self.type), (-mean / deviation).to(self.type)

    def precision_context(self):
        return torch.autocast(self.device.type, torch.bfloat16) if self.autocast else contextlib.nullcontext()

    def training(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision_context():
            logits = self.model(self.images)
        self.loss(logits.float(), self.labels).backward()
        self.optimizer.step()

    def inference(self, images=None):
        with torch.no_grad(), self.precision_context():
            return self.model(self.images if images is None else images)

    def upload(self):
        images = self.host.to(self.device, non_blocking=True).to(self.type)
        self.inference(torch.addcmul(self.shift, images, self.scale).contiguous(memory_format=torch.channels_last))

    def steps(self):
        """Name → step."""
        if self.options.mode == "training":
            return {"training": self.training}
        return {"inference": self.inference, "upload": self.upload}

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def warm_up(self):
        """Compiles; seconds that the first calls took."""
        start = time.perf_counter()
        with inductor.patch(freezing=True) if self.kind == "frozen" else contextlib.nullcontext():
            for step in self.steps().values():
                step()
            self.synchronize()
            seconds = time.perf_counter() - start
            # A CUDA graph is recorded in the second call or the third.
            for step in self.steps().values():
                for _ in range(self.options.warm_up):
                    step()
        self.synchronize()
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated() - self.others
        return seconds

    def elapsed(self, step, calls):
        """Seconds that `calls` calls take."""
        if self.device.type != "cuda":
            start = time.perf_counter()
            for _ in range(calls):
                step()
            return time.perf_counter() - start
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(calls):
            step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def measure(self):
        """One document for each step."""
        found = []
        for name, step in self.steps().items():
            one = max(self.elapsed(step, 2) / 2, 1e-6)
            calls = max(1, round(self.options.seconds / BLOCKS / one))
            blocks = [self.elapsed(step, calls) / calls for _ in range(BLOCKS)]
            seconds = statistics.median(blocks)
            found.append({
                "name": name, "kind": self.kind, "precision": self.precision, "batch": self.batch, "calls": calls,
                "images_per_second": self.batch / seconds, "milliseconds": seconds * 1000,
                "fastest_milliseconds": min(blocks) * 1000, "slowest_milliseconds": max(blocks) * 1000, "peak_bytes": self.peak,
            })
        return found


def versions(options):
    found = {"torch": torch.__version__, "torchvision": torchvision.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    found["device"] = torch.cuda.get_device_name(0) if options.device == "cuda" else options.device
    return found


def prepare(options):
    """The contenders that are ready, and what became of each; in the order of the options, since the time for compiling ends somewhere in it."""
    deadline = time.monotonic() + 60 * options.compile_minutes
    contenders, prepared = [], []
    for precision in options.precisions:
        for kind in options.kinds:
            if kind == "eager-cast" and precision == "fp32":
                continue  # there is nothing to cast
            for batch in options.batches:
                said = {"kind": kind, "precision": precision, "batch": batch}
                try:
                    if not kind.startswith("eager"):
                        left = deadline - time.monotonic()
                        if left < 1:
                            raise TooLate("the time for compiling is over")
                        signal.setitimer(signal.ITIMER_REAL, left)
                    contender = Contender(options, kind, precision, batch)
                    said["first_seconds"] = contender.warm_up()
                    contenders.append(contender)
                except Exception as error:  # out of memory, a compiler's fault: the others are measured
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    said["error"] = f"{type(error).__name__}: {error}"[:300]
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                prepared.append(said)
                print(json.dumps(said), file=sys.stderr, flush=True)
    return contenders, prepared


def measure(contenders):
    found = []
    for contender in contenders:
        try:
            found += contender.measure()
        except Exception as error:
            found.append({
                "kind": contender.kind, "precision": contender.precision, "batch": contender.batch, "error": f"{type(error).__name__}: {error}"[:300]
            })
    return found


def main():
    def names(text):
        return text.split(",")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("inference", "training"), default="inference")
    parser.add_argument("--batches", type=lambda text: [int(word) for word in text.split(",")], default=[256, 32, 1])
    parser.add_argument("--precisions", type=names, default=["bf16", "fp32"])
    parser.add_argument("--kinds", type=names, default=list(KINDS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of measuring, for each figure of a round")
    parser.add_argument("--warm-up", type=int, default=5, help="calls after the first")
    parser.add_argument("--compile-minutes", type=float, default=8)
    parser.add_argument("--interactive", action="store_true", help="a round for each line of standard input")
    options = parser.parse_args()
    for kind in options.kinds:
        if kind not in KINDS or options.mode == "training" and kind in ("eager-cast", "frozen"):
            parser.error(f"expected kinds of {', '.join(KINDS)} that {options.mode} has, found {kind}")
    if set(options.precisions) - {"bf16", "fp32"}:
        parser.error(f"expected precisions bf16 and fp32, found {', '.join(options.precisions)}")

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    # One forward is compiled once for each kind, precision, batch and network.
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.accumulated_recompile_limit = 1024
    signal.signal(signal.SIGALRM, too_late)

    contenders, prepared = prepare(options)
    said = {"versions": versions(options), "mode": options.mode, "image_size": options.image_size, "prepared": prepared}
    if options.interactive:
        print(json.dumps(said), flush=True)
        for _ in sys.stdin:
            print(json.dumps({"results": measure(contenders)}), flush=True)
    else:
        said["rounds"] = [measure(contenders) for _ in range(options.rounds)]
        print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
