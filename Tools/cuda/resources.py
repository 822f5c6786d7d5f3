"""What each kernel takes of a multiprocessor: registers, spilled bytes, shared memory, and how many of its blocks fit at once.

    resources.py LIST LOG ARCHITECTURE… [--into MEASURED.md]

build.sh calls it. LIST has a line for each kernel: the list it is in, its name, threads of a block, blocks wanted, bytes of dynamic shared
memory, with tabs between. LOG is what `ptxas -v` said. Exit 1 where a kernel of a list of convolutions spills registers or has a stack frame on an
architecture whose shared memory has room for it, or where the log lacks a kernel.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import markdown
from architectures import KIB, MULTIPROCESSORS, is_for


@dataclass(frozen=True)
class Kernel:
    list_name: str
    name: str
    threads: int
    blocks: int
    dynamic_shared: int

    @property
    def is_convolution(self):
        return "CONVOLUTION" in self.list_name


@dataclass
class Use:
    """Of one kernel on one architecture."""

    registers: int = 0
    stack: int = 0
    spilled: int = 0
    static_shared: int = 0

    def shared(self, kernel):
        return self.static_shared + kernel.dynamic_shared

    def blocks(self, kernel, processor):
        """How many blocks a multiprocessor holds; 0 where not even one can be started. A warp's registers are given in units of 256."""
        if self.shared(kernel) > processor.block_shared:
            return 0
        warps = -(-kernel.threads // 32)
        registers = warps * -(-self.registers * 32 // 256) * 256
        return min(65536 // registers, processor.shared // (self.shared(kernel) + KIB), processor.threads // (warps * 32), processor.blocks)


def read_log(text):
    """(kernel, architecture) → Use."""
    uses, use = {}, None
    for line in text.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line):
            use = uses[found[1], found[2]] = Use()
        elif use and (found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)):
            use.stack, use.spilled = int(found[1]), max(int(found[2]), int(found[3]))
        elif use and (found := re.search(r"Used (\d+) registers", line)):
            use.registers = int(found[1])
            if found := re.search(r"(\d+) bytes smem", line):
                use.static_shared = int(found[1])
    return uses


def cell(kernel, use, processor):
    """`128 ×2`: registers of a thread, blocks of a multiprocessor."""
    text = f"{use.registers}"
    if use.spilled:
        text += f" +{use.spilled} B spilled"
    elif use.stack:
        text += f" +{use.stack} B of stack"
    blocks = use.blocks(kernel, processor)
    return f"{text} ×{blocks}" if blocks else "–"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("architectures", nargs="+", choices=MULTIPROCESSORS)
    parser.add_argument("--into", type=Path, help="a file whose part `resources` becomes the table")
    options = parser.parse_args()

    kernels = []
    for line in options.list.read_text().splitlines():
        list_name, name, *numbers = line.split("\t")
        kernels.append(Kernel(list_name, name, *map(int, numbers)))
    uses = read_log(options.log.read_text())
    faults, rows = [], []
    for kernel in kernels:
        row, shared = [], set()
        for architecture in options.architectures:
            use, processor = uses.get((kernel.name, architecture)), MULTIPROCESSORS[architecture]
            if use is None or not use.registers:
                faults.append(f"{kernel.name} is not in nvcc's log for {architecture}")
                row.append("?")
                continue
            if not is_for(kernel.name, architecture):
                row.append("–")
                continue
            row.append(cell(kernel, use, processor))
            shared.add(use.shared(kernel))
            if kernel.is_convolution and (use.stack or use.spilled) and use.blocks(kernel, processor):
                faults.append(f"{kernel.name} on {architecture}: {use.spilled} bytes spilled, a stack frame of {use.stack}")
        row[:0] = [kernel.name, f"{kernel.threads} ×{kernel.blocks}", " or ".join(f"{size / KIB:.1f}" for size in sorted(shared))]
        rows.append(row)
    found = markdown.table(["kernel", "threads, blocks wanted", "shared KiB", *options.architectures], rows)
    if options.into:
        legend = (
            "Registers of a thread, and × how many blocks a multiprocessor holds at once; – where a block needs more shared memory than it may have there, "
            "or where the kernel is for another architecture. "
            "Shared memory of a block, static and dynamic."
        )
        markdown.replace_part(options.into, "resources", f"{found}\n\n{legend}")
    else:
        print(found)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
