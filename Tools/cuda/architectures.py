"""What the architectures of the fatbin have, and which of its kernels run on each."""

import re
from dataclasses import dataclass
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "Sources/Accelerators/CUDA/Kernels"


@dataclass(frozen=True)
class Multiprocessor:
    """CUDA C++ Programming Guide 13.0, "Technical Specifications per Compute Capability". All have 65,536 registers."""

    shared: int  # bytes; a block takes 1 KiB of it for itself
    block_shared: int  # bytes a block may have at most
    threads: int
    blocks: int


KIB = 1024
MULTIPROCESSORS = {
    "sm_80": Multiprocessor(164 * KIB, 163 * KIB, 2048, 32),
    "sm_86": Multiprocessor(100 * KIB, 99 * KIB, 1536, 16),
    "sm_89": Multiprocessor(100 * KIB, 99 * KIB, 1536, 24),
    "sm_90a": Multiprocessor(228 * KIB, 227 * KIB, 2048, 32),
    "sm_100": Multiprocessor(228 * KIB, 227 * KIB, 2048, 32),
    "sm_120": Multiprocessor(100 * KIB, 99 * KIB, 1536, 24),
}


def is_for(kernel, architecture):
    """With `_90a` in its name it is for that one alone, with `_90` for those from there on: on others it is a trap."""
    first = re.search(r"_(90)(a?)(?=_|$)", kernel)
    if not first:
        return True
    return architecture == "sm_90a" if first[2] else int(re.sub(r"\D", "", architecture)) >= int(first[1])


def shared_bytes():
    """Of each kernel's block, by kernel_list.h."""
    text = (KERNELS / "include/kernel_list.h").read_text(encoding="utf-8")
    return {name: int(count) for name, count in re.findall(r"\bK\((\w+), \w+, \d+, \d+, (\d+),", text)}


def has_room(shared, architecture):
    """Whether a block may have so many bytes of shared memory; also where nothing is known of the architecture."""
    multiprocessor = MULTIPROCESSORS.get(architecture)
    return multiprocessor is None or shared <= multiprocessor.block_shared
