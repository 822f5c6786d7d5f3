"""Writes PyTorch's legacy stream as the versions before 1.6 wrote it, byte for byte but for the keys of the storages.

Today's `torch.save(…, _use_new_zipfile_serialization=False)` writes the same container but other pickles: it has no way to leave
out what later versions added. The files that people have are of these two eras:

    Era.TORCH_0_3   arnoweng, zoogzog, jrzech (2017, 2018): tensors by `_rebuild_tensor`, parameters by their class, every
                    module with a `_backend`, dense layers with dotted module names (`norm.1`), no counters of batches
    Era.TORCH_1_3   torchxrayvision (2020): `_rebuild_tensor_v2` and `_rebuild_parameter`, modules without the attributes
                    that came later

Sources: `Parameter.__reduce_ex__` and `_backend` in torch 0.3, `nn.Module.__init__` in torch 1.3.
"""

import copyreg
import contextlib
import enum
import inspect
import pickle
import re
import struct
from collections import OrderedDict

import torch
from torch import nn
from torch.nn.backends.thnn import _get_thnn_function_backend

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}

STORAGES = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage, torch.uint8: torch.ByteStorage}
MODULE_ATTRIBUTES = {
    "_parameters", "_buffers", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_modules", "training",
}
# Attributes that later versions gave to the layers themselves; torchvision's own layers had neither of the last two.
LATER = {"padding_mode", "_reversed_padding_repeated_twice", "divisor_override", "memory_efficient"}


@contextlib.contextmanager
def on_device(location):
    """Makes torch.save write that the tensors were on another device: this machine need not have it."""
    registry = torch.serialization._package_registry
    torch.serialization.register_package(0, lambda storage: location, lambda storage, place: None)
    try:
        yield
    finally:
        registry[:] = [entry for entry in registry if entry[0] != 0]


class Era(enum.Enum):
    TORCH_0_3 = enum.auto()
    TORCH_1_3 = enum.auto()


class _Backend:
    """torch 0.3's table of functions, pickled as a call of the function that returns it."""


class _Storage:
    def __init__(self, tensor):
        self.tensor = tensor.detach().contiguous().flatten()
        self.key = str(self.tensor.data_ptr())


class _Pickler(pickle.Pickler):
    def __init__(self, file, era, location):
        super().__init__(file, protocol=2)
        self.era, self.location, self.backend = era, location, _Backend()
        self.storages, self.seen = {}, set()

    def persistent_id(self, value):
        if isinstance(value, type) and issubclass(value, nn.Module):
            if value in self.seen:
                return None
            self.seen.add(value)
            return "module", value, inspect.getsourcefile(value), inspect.getsource(value)
        if isinstance(value, _Storage):
            self.storages[value.key] = value.tensor
            kind = STORAGES[value.tensor.dtype]
            return "storage", kind, value.key, self.location, value.tensor.numel(), None
        return None

    def reducer_override(self, value):
        if isinstance(value, _Backend):
            return _get_thnn_function_backend, ()
        if isinstance(value, nn.Module):
            return copyreg.__newobj__, (type(value),), self.module_state(value)
        if isinstance(value, nn.Parameter):
            data = value.detach()
            if self.era is Era.TORCH_0_3:
                return nn.Parameter, (data,), (value.requires_grad, False, OrderedDict())
            return torch._utils._rebuild_parameter, (data, value.requires_grad, OrderedDict())
        if isinstance(value, torch.Tensor):
            arguments = (_Storage(value), 0, tuple(value.shape), value.contiguous().stride())
            if self.era is Era.TORCH_0_3:
                return torch._utils._rebuild_tensor, arguments
            return torch._utils._rebuild_tensor_v2, (*arguments, False, OrderedDict())
        return NotImplemented

    def module_state(self, module):
        own = {key: value for key, value in vars(module).items() if key not in vars(nn.Module()) and key not in LATER}
        base = {key: value for key, value in vars(module).items() if key in MODULE_ATTRIBUTES}
        if self.era is Era.TORCH_1_3:
            own |= {"padding_mode": "zeros"} if isinstance(module, nn.Conv2d) else {}
            return base | {"_state_dict_hooks": OrderedDict(), "_load_state_dict_pre_hooks": OrderedDict()} | own
        children = base["_modules"].items()
        base["_modules"] = OrderedDict((re.sub(r"^(norm|relu|conv)([12])$", r"\1.\2", name), child) for name, child in children)
        base["_buffers"] = OrderedDict(
            (name, value) for name, value in base["_buffers"].items() if name != "num_batches_tracked")
        return {"_backend": self.backend} | base | own


def save(value, path, era, location="cuda:0"):
    """`torch.save(value, path)` of the era, on a machine whose tensors were on `location`."""
    with open(path, "wb") as file:
        for header in (MAGIC, PROTOCOL, SYSTEM):
            pickle.dump(header, file, protocol=2)
        pickler = _Pickler(file, era, location)
        pickler.dump(value)
        keys = sorted(pickler.storages)
        pickle.dump(keys, file, protocol=2)
        for key in keys:
            tensor = pickler.storages[key]
            file.write(struct.pack("<q", tensor.numel()))
            file.write(tensor.numpy().tobytes())
