"""What a choice costs or brings in AUROC: trains the demo's network with some seeds in several ways and compares the means.

    pip install -r Tools/reference/requirements.txt
    python Tools/bench/seeds.py .build/release/chexnet FOLDER --ways pytorch,cache-256,no-cache [--seeds 5] [--augment flip]

Every seed is a DenseNet-121 with torchvision's random weights, from which each way starts, trained on 350 images of `chexnet demo-data` as `Tools/demo.sh`
does: 5 epochs, batch 8, Adam with rate 1e-3 going down by a cosine. Of the weights behind the last epoch `chexnet evaluate` tells the mean AUROC on the
100 images of the test list. Printed are the means of each way over the seeds, and its difference from `here`: paired by seed, with the standard error.

    here        finetune --precision fp32, with a cache of images with a short side of 512
    bf16        the same in bf16, evaluated in bf16
    cache-N     a cache of images with a short side of N
    no-cache    random parts are cut out of the full images
    pytorch     Tools/reference/finetune.py, which predicts the test list too

A run that is there in FOLDER is not made again. Some two to four minutes a run on two processors, over twice that in PyTorch; --image-size 112 takes
a quarter.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

REFERENCE = pathlib.Path(__file__).resolve().parent.parent / "reference"
RECIPE = {"epochs": 5, "batch-size": 8, "learning-rate": "1e-3", "schedule": "cosine"}


def options_of(way):
    """What `finetune` is told, beside the recipe; None for what it does not do, and for no way."""
    if way.startswith("cache-") and way.removeprefix("cache-").isdigit():
        return ["--precision", "fp32", "--cache-size", way.removeprefix("cache-")]
    return {
        "here": ["--precision", "fp32"],
        "bf16": ["--precision", "bf16"],
        "no-cache": ["--precision", "fp32", "--cache", "never"],
    }.get(way)


class Experiment:
    def __init__(self, chexnet, folder, augment, image_size):
        self.chexnet, self.folder, self.data = chexnet, folder, folder / "data"
        self.recipe = [f"--{name}={value}" for name, value in RECIPE.items()]
        self.recipe += ["--augment", augment, "--image-size", image_size]

    def run(self, *words):
        # Nothing stays in the user's own cache.
        environment = os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache")}
        subprocess.run([str(word) for word in words], check=True, stdout=sys.stderr, env=environment)

    def make_data(self):
        if not self.data.exists():
            self.run(self.chexnet, "demo-data", "--output", self.data, "--images", 500)

    def start(self, seed):
        """torchvision's random weights, and the same as a checkpoint of chexnet's."""
        theirs, ours = self.folder / f"start-{seed}.safetensors", self.folder / f"start-{seed}.chexnet.safetensors"
        if not ours.exists():
            import torch
            from safetensors.torch import save_file
            from torchvision.models import densenet121

            torch.manual_seed(seed)
            save_file(densenet121(num_classes=14).state_dict(), theirs, {"format": "pt"})
            self.run(self.chexnet, "import-weights", theirs, "--output", ours)
        return theirs, ours

    def auroc(self, way, seed):
        """The mean AUROC of a run on the test list, made where it is not there."""
        result = self.folder / f"{way}-{seed}.json"
        if not result.exists():
            scored = self.predicted_by_pytorch(seed) if way == "pytorch" else self.trained(way, seed)
            words = [self.chexnet, "evaluate", *scored, "--test", self.data / "test_list.txt", "--json"]
            result.write_bytes(subprocess.run([*map(str, words)], check=True, stdout=subprocess.PIPE).stdout)
        return json.loads(result.read_bytes())["checkpoints"][0]["mean_auroc"]

    def trained(self, way, seed):
        """Trains; what `evaluate` is told of the checkpoint."""
        run = self.folder / f"{way}-{seed}"
        self.run(
            self.chexnet, "finetune", "--weights", self.start(seed)[1], *self.recipe, "--seed", seed, "--data", self.data / "images",
            "--train", self.data / "train_list.txt", "--validation", self.data / "val_list.txt", *options_of(way),
            "--progress", "none", "--output", run)
        precision = "bf16" if way == "bf16" else "fp32"
        return [run / "checkpoints" / "last.safetensors", "--data", self.data / "images", "--precision", precision]

    def predicted_by_pytorch(self, seed):
        trained, predictions = self.folder / f"pytorch-{seed}.safetensors", self.folder / f"pytorch-{seed}.csv"
        self.run(
            sys.executable, REFERENCE / "finetune.py", self.start(seed)[0], trained, *self.recipe, "--seed", seed,
            "--data", self.data / "images", "--train", self.data / "train_list.txt", "--test", self.data / "test_list.txt",
            "--predictions", predictions)
        return ["--scores", predictions]


def table(found):
    """`found`: {way: [AUROC by seed]}, the first being what the others are compared with."""
    base, *others = found
    lines = ["seed " + "".join(f"{way:>11}" for way in found)]
    for number, row in enumerate(zip(*found.values()), 1):
        lines.append(f"{number:4} " + "".join(f"{value:11.4f}" for value in row))
    lines.append("mean " + "".join(f"{statistics.mean(values):11.4f}" for values in found.values()))
    for way in others:
        differences = [other - own for other, own in zip(found[way], found[base])]
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
        lines.append(f"AUROC({way}) − AUROC({base}): {statistics.mean(differences):+.4f}, standard error {error:.4f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chexnet")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ways", required=True, metavar="WAY,…", help="pytorch, bf16, no-cache, cache-N")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--augment", choices=["crop-flip", "flip", "none"], default="crop-flip")
    parser.add_argument("--image-size", type=int, default=224, help="of the network's input")
    options = parser.parse_args()
    ways = ["here", *options.ways.split(",")]
    unknown = [way for way in ways if way != "pytorch" and not options_of(way)]
    if unknown:
        parser.error(f"no way is called {', '.join(unknown)}; see --help")

    options.folder.mkdir(parents=True, exist_ok=True)
    experiment = Experiment(pathlib.Path(options.chexnet).resolve(), options.folder.resolve(), options.augment, options.image_size)
    experiment.make_data()
    found = {way: [] for way in ways}
    for seed in range(1, options.seeds + 1):
        for way in ways:
            found[way].append(experiment.auroc(way, seed))
        print(table(found) if seed == options.seeds else f"seed {seed} of {options.seeds} is done", flush=True)


if __name__ == "__main__":
    main()
