#!/usr/bin/env python3
"""Makes fixtures/training: what PyTorch's optimizers, schedules and averages do, in float64.

    python training_recipe.py            # writes the files
    python training_recipe.py --check    # makes them again elsewhere and compares byte for byte

Needs fixtures/small-densenet, whose first network, images, labels and class weights the runs start from. The tensors are listed in
fixtures/README.md.
"""

from small_densenet import FIRST, ROOT, main, masked_loss, write_tensors

import numpy as np
import torch
from safetensors.torch import load_file
from torch.optim import lr_scheduler as schedulers
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.models import DenseNet

SOURCE = ROOT / "fixtures" / "small-densenet"
STEPS = 10
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=1e-5),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=1e-2),
}
# Runs whose last weights are kept; of the others the losses say enough.
KEPT = {"weighted.adam", "accumulated.adamw", "frozen.sgd", "frozen.adamw"}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def network():
    state = {name: tensor.double() for name, tensor in load_file(SOURCE / "weights.safetensors").items()}
    made = DenseNet(**FIRST).double()
    made.load_state_dict(state, strict=False)
    return made.train()


def run(optimizer, recorded, weighted=False, micro_batches=(3,), clip=None, frozen_steps=0):
    """Ten steps on the same images: the losses before each, the norms before clipping, the last state."""
    trained = network()
    images, labels = recorded["images"], recorded["labels"]
    weights = (recorded["positive_weights"], recorded["negative_weights"]) if weighted else ()
    optimizer = OPTIMIZERS[optimizer](trained.parameters())
    losses, norms = [], []
    for step in range(STEPS):
        trained.features.requires_grad_(step >= frozen_steps)
        optimizer.zero_grad(set_to_none=True)
        loss, known = 0, (labels >= 0).sum()
        for part, truth in zip(images.split(micro_batches), labels.split(micro_batches)):
            # The mean over the known labels of the whole step, whatever each part knows.
            share = masked_loss(trained(part), truth, *weights) * (truth >= 0).sum() / known
            share.backward()
            loss += share.item()
        losses.append(loss)
        norms.append(torch.nn.utils.clip_grad_norm_(trained.parameters(), clip or float("inf")).item())
        optimizer.step()
    assert not clip or min(norms) > clip, "the clip must bite"
    state = {name: tensor for name, tensor in trained.state_dict().items() if "num_batches" not in name}
    return double(losses), double(norms), state


def make_runs(recorded):
    runs = {f"weighted.{name}": dict(optimizer=name, weighted=True) for name in OPTIMIZERS}
    runs |= {f"accumulated.{name}": dict(optimizer=name, micro_batches=(2, 1)) for name in OPTIMIZERS}
    runs |= {f"clipped.{name}": dict(optimizer=name, clip=0.25) for name in OPTIMIZERS}
    runs |= {f"frozen.{name}": dict(optimizer=name, frozen_steps=4) for name in OPTIMIZERS}
    result = {}
    for name, options in runs.items():
        losses, norms, state = run(recorded=recorded, **options)
        result |= {name + ".losses": losses, name + ".norms": norms}
        if name in KEPT:
            result |= {f"{name}.final.{key}": tensor for key, tensor in state.items()}
        print(f"  {name}: loss {losses[0]:.4f} → {losses[-1]:.4f}, gradient norm {norms[0]:.3f}")
    return result


def rates(base, make, losses=None, epochs=None, steps=1):
    """The rate of each step. `make` gives what is stepped behind a step and behind an epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    by_step, by_epoch = make(optimizer)
    found = []
    for epoch in range(epochs or len(losses)):
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if by_step:
                by_step.step()
        if by_epoch:
            by_epoch.step(*([losses[epoch]] if losses is not None else []))
    return double(found)


def make_schedules(random):
    # Down, then a noisy floor with hair's-breadth improvements about the threshold of 10⁻⁴.
    falling = [1 / (1 + 0.3 * epoch) for epoch in range(15)]
    floor = [falling[-1] * (1 + 3e-4 * (random.random() - 0.6)) for _ in range(45)]
    losses = falling + floor
    plateau = lambda patience: lambda o: (None, schedulers.ReduceLROnPlateau(o, factor=0.1, patience=patience, threshold=1e-4))
    warmup = lambda o: schedulers.LinearLR(o, start_factor=1 / 12, total_iters=11)
    return {
        "plateau.losses": double(losses),
        # Of base 10⁻⁴. With patience 0 the divisions end where one would move the rate by 10⁻⁸ at the most.
        "plateau.5": rates(1e-4, plateau(5), losses), "plateau.0": rates(1e-4, plateau(0), losses),
        "cosine.10": rates(1e-3, lambda o: (None, schedulers.CosineAnnealingLR(o, T_max=10)), epochs=10),
        "step.9": rates(1e-3, lambda o: (None, schedulers.StepLR(o, step_size=3, gamma=0.1)), epochs=9),
        "step.10": rates(1e-3, lambda o: (None, schedulers.MultiStepLR(o, milestones=[4, 7], gamma=0.1)), epochs=10),
        # Four epochs of three steps are the warm-up.
        "warmup.constant": rates(1e-3, lambda o: (warmup(o), None), epochs=6, steps=3),
        "warmup.cosine.10": rates(
            1e-3, lambda o: (warmup(o), schedulers.CosineAnnealingLR(o, T_max=10)), epochs=10, steps=3),
    }


def make_average(random):
    """Six steps of weights and buffers, exact in float32, and their moving average behind each, decay 0.9."""
    class Numbers(torch.nn.Module):
        def __init__(self, values):
            super().__init__()
            self.weight = torch.nn.Parameter(values[:30].clone())
            self.register_buffer("statistic", values[30:].clone())

    steps = torch.from_numpy(random.normal(size=(7, 40)).astype(np.float32)).double()
    model = Numbers(steps[0])
    average, found = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True), []
    for values in steps[1:]:
        with torch.no_grad():
            model.weight.copy_(values[:30])
            model.statistic.copy_(values[30:])
        average.update_parameters(model)
        found.append(torch.cat([average.module.weight.detach(), average.module.statistic]).clone())
    return {"average.weights": steps, "average.averages": torch.stack(found)}


def make_all(folder):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.Generator(np.random.PCG64(7))
    write_tensors(make_runs(load_file(SOURCE / "reference.safetensors")), folder / "runs.safetensors")
    write_tensors(make_schedules(random) | make_average(random), folder / "schedules.safetensors")


if __name__ == "__main__":
    main(make_all, ROOT / "fixtures" / "training", __doc__)
