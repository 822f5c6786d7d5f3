"""The full-size files of PyTorch programs: torchvision, MONAI, timm, torchxrayvision, and the CheXNets of GitHub."""

import copy
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import load_file, save_file
from torch import nn

import old_torch
from dialects import ddp_name
from full_size_networks import DENSENET, findings
from old_torch import Era, on_device


class Weights:
    """A file: how it is written, how its own library reads it back, and how chexnet is asked to import it.

    write(networks, path) makes the file. read(path, networks) returns the module that its library makes of the file, in eval
    mode, giving logits. size, channels and outputs say which network it is; `rounded` is the type that its tensors had before.
    """

    def __init__(self, name, write, read, *, size=121, channels=3, outputs=14, preprocessing="center-crop", options=(),
                 library="torchvision", rounded=torch.float32, tolerance=1e-4):
        self.name, self.write, self.read = name, write, read
        self.shape = dict(size=size, channels=channels, outputs=outputs)
        self.preprocessing, self.options, self.library = preprocessing, list(options), library
        self.rounded, self.tolerance = rounded, tolerance

    def expected_state(self, networks):
        state = networks.state(**self.shape)
        return {name: t.to(self.rounded).float() if t.is_floating_point() else t for name, t in state.items()}

    def findings(self):
        return findings(self.shape["outputs"])

    def logits(self, path, networks):
        """(tensors read back, function of images)."""
        module = self.read(path, networks).eval()
        return module.state_dict(), module


# -- Writing -----------------------------------------------------------------------------------------------------------


def save_legacy(value, path, **options):
    torch.save(value, path, _use_new_zipfile_serialization=False, **options)


def state_writer(save=torch.save, rename=lambda name: name, counters=True, wrap=lambda state: state, change=lambda t: t, **shape):
    """A writer of a state_dict: every tensor changed, every name renamed, the whole wrapped, then saved."""

    def write(networks, path):
        state = networks.state(**shape).items()
        kept = ((name, t) for name, t in state if counters or not name.endswith("num_batches_tracked"))
        save(wrap(OrderedDict((rename(name), change(t) if t.is_floating_point() else t) for name, t in kept)), path)

    return write


def module_writer(save=torch.save, change=lambda network: network, **shape):
    """A writer of a whole module, which `change` may have changed or wrapped."""

    def write(networks, path):
        save(change(copy.deepcopy(networks.network(**shape))), path)

    return write


def write_channels_last(networks, path):
    network = copy.deepcopy(networks.network()).to(memory_format=torch.channels_last)
    torch.save(network.state_dict(), path)


def write_deflated(networks, path):
    """A file of torch.save that someone has unpacked and packed again."""
    torch.save(networks.state(), path)
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


def adam_checkpoint(network):
    """What a training program saves: Adam with both moments of every parameter."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0, betas=(0.9, 0.999), weight_decay=1e-5)
    torch.manual_seed(2)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-3
    optimizer.step()  # at a rate of 0 it fills the moments and leaves the parameters
    optimizer.param_groups[0]["lr"] = 1e-4
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=5)
    return {
        "epoch": 7, "state_dict": network.state_dict(), "best_loss": 0.1534, "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }


def write_zoogzog(networks, path):
    """torch 0.3, Adam's state by the address of the parameter."""
    state = {ddp_name(name): t for name, t in networks.state().items() if not name.endswith("num_batches_tracked")}
    parameters = [tensor for name, tensor in state.items() if "running_" not in name]
    moments = {
        140000000000000 + 64 * place: {"step": 1000, "exp_avg": t * 1e-3, "exp_avg_sq": t.square() * 1e-6}
        for place, t in enumerate(parameters)
    }
    group = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-5, "params": list(moments)}
    checkpoint = {
        "epoch": 12, "state_dict": OrderedDict(state), "best_loss": 0.1534,
        "optimizer": {"state": moments, "param_groups": [group]},
    }
    old_torch.save(checkpoint, path, Era.TORCH_0_3)


def with_sigmoid(network):
    """The head of the CheXNets: Sequential(Linear, Sigmoid)."""
    network.classifier = nn.Sequential(network.classifier, nn.Sigmoid())
    return network


def jrzech(network):
    return {"model": with_sigmoid(network), "best_loss": 0.1534, "epoch": 3, "rng_state": torch.get_rng_state(), "LR": 0.01}


def save_old(value, path):
    old_torch.save(value, path, Era.TORCH_0_3)


def reference_name(name):
    """Under DistributedDataParallel, of the reference implementation."""
    return "module.densenet121." + name.replace("classifier.", "classifier.0.")


def save_hpu(value, path):
    with on_device("hpu:0"):
        torch.save(value, path)


def filters_last(tensor):
    """KCRS → RSCK, as CheXNet_ddp did it for Gaudi."""
    return tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor


# -- Reading -----------------------------------------------------------------------------------------------------------


def torchvision_reader(get=lambda value: value, rename=None, change=lambda t: t, load=None, **shape):
    """Reads a state_dict into torchvision's network. `rename` is how the names of the network became those of the file."""

    def read(path, networks):
        load_it = load or (lambda path: torch.load(path, map_location="cpu", weights_only=False))
        network = DENSENET[shape.get("size", 121)](num_classes=shape.get("outputs", 14))
        state = get(load_it(path))
        if rename:
            own = {rename(name): name for name in network.state_dict()}
            state = {own[name]: change(tensor) for name, tensor in state.items()}
        missing, unexpected = network.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
        return network

    return read


def module_reader(get=lambda value: value):
    """Reads a whole module, and takes the sigmoid off its head."""

    def read(path, networks):
        network = get(torch.load(path, map_location="cpu", weights_only=False))
        for module in network.modules():  # torchxrayvision's patch for files of torch < 1.6, and its like
            for name, value in vars(nn.Module()).items():
                if name not in vars(module):
                    setattr(module, name, copy.copy(value))
            if isinstance(module, nn.BatchNorm2d):
                module._buffers.setdefault("num_batches_tracked", None)
            if isinstance(module, nn.Conv2d):
                vars(module).setdefault("padding_mode", "zeros")
                vars(module).setdefault("_reversed_padding_repeated_twice", [0, 0, 0, 0])
            if isinstance(module, nn.AvgPool2d):
                vars(module).setdefault("divisor_override", None)
        if isinstance(network.classifier, nn.Sequential):
            network.classifier = network.classifier[0]
        return network

    return read


def read_old_module(path, networks):
    """A torchvision module of 2017: its dense layers have names that today's torchvision does not call."""
    network = module_reader(lambda value: value["model"])(path, networks)
    twin = DENSENET[121](num_classes=14)
    old = [tensor for tensor in network.state_dict().values()]
    own = [name for name in twin.state_dict() if not name.endswith("num_batches_tracked")]
    twin.load_state_dict(dict(zip(own, old, strict=True)), strict=False)
    return twin


def make_monai(channels):
    from monai.networks.nets import DenseNet121

    return DenseNet121(spatial_dims=2, in_channels=channels, out_channels=14)


def make_timm():
    import timm

    return timm.create_model("densenet121", num_classes=14)


def make_xrv(thresholds=None):
    import torchxrayvision as xrv

    return xrv.models.DenseNet(num_classes=18, in_channels=1, op_threshs=thresholds)


def library_writer(make, save=torch.save, whole=False, **shape):
    """Fills a library's own network, whose tensors come in torchvision's order, and saves it or its state_dict."""

    def write(networks, path):
        module = make()
        own = [name for name in module.state_dict() if name != "op_threshs"]
        module.load_state_dict(dict(zip(own, networks.state(**shape).values(), strict=True)), strict=False)
        save(module.eval() if whole else module.state_dict(), path)

    return write


def library_reader(make, load=torch.load):
    def read(path, networks):
        module = make()
        module.load_state_dict(load(path))
        return module

    return read


def raw(read):
    """torchxrayvision's network without what it does to the logits: the thresholds turn them into other numbers."""

    def without_thresholds(path, networks):
        module = read(path, networks)
        module.op_threshs = None
        return module

    return without_thresholds


def xrv_thresholds():
    import torchxrayvision as xrv

    return torch.tensor(xrv.models.model_urls["all"]["op_threshs"])


# -- The files ---------------------------------------------------------------------------------------------------------


def chexpert_name(name):
    return "module.model." + name


def torch_files():
    plain = torchvision_reader()
    files = [
        Weights("torchvision.pt", state_writer(), plain),
        Weights("torchvision-1000.pt", state_writer(outputs=1000), torchvision_reader(outputs=1000), outputs=1000),
        Weights("torchvision-1000-legacy.pth", state_writer(save_legacy, outputs=1000), torchvision_reader(outputs=1000), outputs=1000),
        Weights("torchvision-legacy.pth", state_writer(save_legacy), plain),
        Weights("torchvision-cuda.pt", state_writer(save_on("cuda:3")), plain),
        Weights("torchvision-channels-last.pt", write_channels_last, plain),
        Weights("torchvision-deflated.pt", write_deflated, plain),
        Weights("torchvision.safetensors", state_writer(save_tensors), torchvision_reader(load=load_file)),
        Weights("checkpoint-adam.pt", module_writer(change=adam_checkpoint), torchvision_reader(lambda v: v["state_dict"])),
        Weights("checkpoint-adam-legacy.pth.tar", module_writer(save_legacy, adam_checkpoint), torchvision_reader(lambda v: v["state_dict"])),
        Weights("module.pt", module_writer(), module_reader()),
        Weights("module-legacy.pth", module_writer(save_legacy), module_reader()),
        Weights("module-protocol4.pt", module_writer(save_protocol(4)), module_reader()),
    ]
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        name = str(kind).removeprefix("torch.")
        files.append(Weights(f"torchvision-{name}.pt", state_writer(change=lambda t, kind=kind: t.to(kind)), plain, rounded=kind))
    for protocol in (3, 4, 5):
        files.append(Weights(f"torchvision-protocol{protocol}.pt", state_writer(save_protocol(protocol)), plain))
    files.append(Weights("torchvision-protocol4-legacy.pth", state_writer(save_protocol(4, save_legacy)), plain))
    for size in (161, 169, 201):
        files.append(Weights(f"torchvision-densenet{size}.pt", state_writer(size=size), torchvision_reader(size=size), size=size))

    wrapped = torchvision_reader(lambda v: v["state_dict"], ddp_name)
    reference = torchvision_reader(rename=reference_name)
    hpu = torchvision_reader(rename=reference_name, change=lambda t: t.permute(3, 2, 0, 1) if t.ndim == 4 else t)
    files += [
        Weights("arnoweng-legacy.pth.tar", state_writer(
            save_legacy, ddp_name, counters=False, wrap=lambda s: {"epoch": 1, "state_dict": s, "best_loss": 0.15}), wrapped),
        Weights("arnoweng-torch03.pth.tar", state_writer(
            save_old, ddp_name, counters=False, wrap=lambda s: {"state_dict": s}), wrapped),
        Weights("zoogzog-torch03.pth.tar", write_zoogzog, wrapped),
        Weights("jrzech-legacy.pth", module_writer(save_legacy, jrzech), module_reader(lambda v: v["model"])),
        Weights("jrzech.pt", module_writer(change=jrzech), module_reader(lambda v: v["model"])),
        Weights("jrzech-torch03.pth", module_writer(save_old, jrzech), read_old_module),
        Weights("reference-ddp.pth", state_writer(save_on("cuda:0"), reference_name), reference),
        Weights("reference-hpu.pth", state_writer(save_hpu, reference_name, change=lambda t: filters_last(t).contiguous()), hpu),
        Weights("reference-hpu-strided.pth", state_writer(save_hpu, reference_name, change=filters_last), hpu),
        Weights("chexpert.pth.tar", state_writer(
            rename=chexpert_name, wrap=lambda s: {"model_state": s, "epoch": 2}),
            torchvision_reader(lambda v: v["model_state"], chexpert_name)),
    ]
    for channels, preprocessing in ((1, "xrv"), (3, "center-crop")):
        make = lambda channels=channels: make_monai(channels)
        files.append(Weights(
            f"monai-{channels}ch.pt", library_writer(make, channels=channels), library_reader(make), channels=channels,
            preprocessing=preprocessing, library="monai", tolerance=5e-3 if channels == 1 else 1e-4,
            options=["--preprocessing", preprocessing] if channels == 1 else ()))
    files += [
        Weights("timm.pt", library_writer(make_timm), library_reader(make_timm), library="timm"),
        Weights("timm.safetensors", library_writer(make_timm, save_tensors), library_reader(make_timm, load_file), library="timm"),
    ]
    xrv = dict(channels=1, outputs=18, preprocessing="xrv", options=["--preprocessing", "xrv"], library="torchxrayvision", tolerance=5e-3)
    shape = dict(channels=1, outputs=18)
    with_thresholds = lambda: make_xrv(xrv_thresholds())
    save_1_3 = lambda value, path: old_torch.save(value, path, Era.TORCH_1_3)
    files += [
        Weights("xrv-legacy.pt", library_writer(make_xrv, save_legacy, whole=True, **shape), raw(module_reader()), **xrv),
        Weights("xrv-thresholds-legacy.pt", library_writer(with_thresholds, save_legacy, whole=True, **shape), raw(module_reader()), **xrv),
        Weights("xrv-torch13.pt", library_writer(make_xrv, save_1_3, whole=True, **shape), raw(module_reader()), **xrv),
        Weights("xrv-thresholds-torch13.pt", library_writer(with_thresholds, save_1_3, whole=True, **shape), raw(module_reader()), **xrv),
        Weights("xrv-state.pt", library_writer(make_xrv, **shape), raw(library_reader(make_xrv)), **xrv),
        Weights("xrv-thresholds-state.pt", library_writer(with_thresholds, **shape), raw(library_reader(with_thresholds)), **xrv),
    ]
    return files


def save_on(location):
    def save(value, path):
        with on_device(location):
            torch.save(value, path)

    return save


def save_protocol(protocol, save=torch.save):
    return lambda value, path: save(value, path, pickle_protocol=protocol)


def save_tensors(state, path):
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, {"format": "pt"})
