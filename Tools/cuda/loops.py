#!/usr/bin/env python3
"""What the kernels' loops are made of: instructions of a trip by class, for each kernel and architecture, from the machine code.

    loops.py [FATBIN | CUBIN]… [--kernel PART] [--architecture sm_90a] [--all]

By default the committed fatbin and only the loops that multiply: with matrix instructions, or with FUSED or more fused multiply-adds.

Exit 1 where
  - a loop that multiplies uses local memory: a spilled register, or an array with an index that is not known when it is compiled;
  - such a loop of a convolution moves less than 16 bytes a thread at once between global memory and the multiprocessor. NARROW says which may, and why.
Kernels that are for another architecture, or have no room there, are left out.

cuobjdump is $CUOBJDUMP, or what `build.sh --install` has fetched, or one of the PATH, with nvdisasm beside it. Without one: "skipped: …" and exit 77.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from architectures import KERNELS, has_room, is_for, shared_bytes

FATBIN = KERNELS / "chexnet.fatbin"

FUSED = 16  # what a loop of addresses or of a division does not reach
CONVOLUTIONS = ("pointwise_", "growth_", "stem_")
# Kernels, and which of their instructions move less at once.
NARROW = (
    (r"stem_\w+", r".*", "the image is in its own layout, in bytes or floats, at any column; it is a fiftieth of what the stem writes"),
    (r"\w+_data_gradient_\w+", r"(LDG|STG)\.E\.64.*", "a lane has four channels of a row, and a warp 256 bytes side by side (gated_tile.h)"),
    (r"pointwise_\d+_bulk_\w+", r"LDG\.E\.64.*", "the bias of a pair of outputs, once a tile"),
)

# Class → the instructions in it, by what stands before the first dot.
CLASSES = {
    "matrix": "HMMA HGMMA IMMA QMMA UTCHMMA WARPGROUP",
    "fused": "FFMA FFMA2",
    "float": "FADD FADD2 FMUL FMUL2 FMNMX FMNMX3 FSEL FSETP FSET F2F F2FP F2I I2F I2FP HADD2 HFMA2 HMUL2 HMNMX2 MUFU DADD DMUL DFMA DSETP",
    "ldmatrix": "LDSM",
    "copy": "LDGSTS UBLKCP UTMALDG",
    "global": "LDG STG LD ST RED ATOM ATOMG",
    "shared": "LDS STS ATOMS STSM",
    "local": "LDL STL",
    "constant": "LDC LDCU ULDC",
    "shuffle": "SHFL",
    "integer": "IADD IADD3 IADD32I IMAD IMUL LOP3 LEA SHF SHL SHR ISETP SEL MOV PRMT VIADD VIADDMNMX VIMNMX VIMNMX3 IABS IMNMX "
    "PLOP3 CS2R S2R S2UR R2UR R2P P2R POPC FLO BREV SGXT BMSK",
    "wait": "BAR LDGDEPBAR DEPBAR WARPSYNC SYNCS MEMBAR",
    "branch": "BRA BSSY BSYNC EXIT CALL RET NOP BREAK",
}
CLASS_OF = {mnemonic: name for name, list_of in CLASSES.items() for mnemonic in list_of.split()}


@dataclass(frozen=True)
class Instruction:
    address: int
    text: str  # without its predicate

    @property
    def opcode(self):
        return self.text.split(maxsplit=1)[0]

    @property
    def kind(self):
        """Its class; those on global memory are `global` where each thread moves 16 bytes or more, and otherwise `narrow`."""
        mnemonic = self.opcode.split(".")[0]
        kind = CLASS_OF.get(mnemonic) or ("uniform" if mnemonic.startswith("U") else "other")
        if kind in ("global", "copy") and mnemonic in ("LDG", "STG", "LD", "ST", "LDGSTS"):
            if not re.search(r"\.(128|256)\b", self.opcode):
                return "narrow"
        return kind

    @property
    def target(self):
        """Where a branch goes."""
        found = re.search(r"0x([0-9a-f]+)\s*$", self.text) if self.opcode.split(".")[0] == "BRA" else None
        return int(found[1], 16) if found else None


@dataclass
class Function:
    architecture: str
    name: str
    instructions: list = field(default_factory=list)

    @property
    def is_convolution(self):
        return self.name.startswith(CONVOLUTIONS)

    def loops(self):
        """Each loop's instructions, those of the loops in it among them: what stands between a branch backwards and where it goes."""
        ends = {}
        for instruction in self.instructions:
            target = instruction.target
            # Behind every kernel stands a branch to itself, which nothing reaches.
            if target is not None and target < instruction.address:
                ends[target] = instruction.address
        return [[i for i in self.instructions if start <= i.address <= end] for start, end in sorted(ends.items())]


def is_unexplained(kernel, opcode):
    return not any(re.fullmatch(of, kernel) and re.fullmatch(which, opcode) for of, which, _ in NARROW)


def multiplies(counts):
    return counts["matrix"] > 0 or counts["fused"] >= FUSED


def disassembler():
    """cuobjdump, or None."""
    if named := os.environ.get("CUOBJDUMP"):
        if not shutil.which(named):
            sys.exit(f"error: CUOBJDUMP is {named}, which is no command")
        return shutil.which(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for path in (cache / "chexnet/nvcc-13.0/lib").glob("python3*/site-packages/nvidia/cu13/bin/cuobjdump"):
        return str(path)
    return shutil.which("cuobjdump")


def functions(command, path):
    """Every kernel's machine code in a fatbin or cubin."""
    environment = dict(os.environ, PATH=f"{os.path.dirname(command)}:{os.environ.get('PATH', '')}")
    run = subprocess.run([command, "-sass", path], capture_output=True, text=True, env=environment)
    if run.returncode:
        sys.exit(f"error: {command} -sass {path}: {run.stderr.strip()}")
    architecture, function = None, None
    for line in run.stdout.splitlines():
        if found := re.match(r"\s*code for (sm_\w+)", line):
            architecture, function = found[1], None
        elif found := re.match(r"\s*Function : (\w+)", line):
            if function:
                yield function
            function = Function(architecture, found[1])
        elif function and (found := re.match(r"\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([^;]+?)\s*;", line)):
            function.instructions.append(Instruction(int(found[1], 16), found[2]))
        elif function and line.strip().startswith("......"):
            yield function
            function = None
    if function:
        yield function


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=[str(FATBIN)])
    parser.add_argument("--kernel", default="", help="only kernels with this in their names")
    parser.add_argument("--architecture", help="only this one")
    parser.add_argument("--all", action="store_true", help="also loops that do not multiply, and what a whole kernel has")
    options = parser.parse_args()
    command = disassembler()
    if command is None:
        print("skipped: there is no cuobjdump here; Tools/cuda/build.sh --install fetches it, or CUOBJDUMP names one")
        sys.exit(77)

    faults, seen, shared = [], 0, shared_bytes()
    for path in options.files:
        for function in functions(command, path):
            if options.kernel not in function.name or options.architecture not in (None, function.architecture):
                continue
            if not is_for(function.name, function.architecture) or not has_room(shared.get(function.name, 0), function.architecture):
                continue
            seen += 1
            title = f"{function.name} {function.architecture}"
            if options.all:
                report(f"{title} all", function.instructions)
            for loop in function.loops():
                counts = Counter(instruction.kind for instruction in loop)
                if multiplies(counts) or options.all:
                    report(f"{title} {loop[0].address:#x}", loop)
                if not multiplies(counts):
                    continue
                if counts["local"]:
                    faults.append(f"{title}: {counts['local']} accesses of local memory in the loop at {loop[0].address:#x}")
                opcodes = sorted({i.opcode for i in loop if i.kind == "narrow" and is_unexplained(function.name, i.opcode)})
                if opcodes and function.is_convolution:
                    faults.append(f"{title}: {', '.join(opcodes)} in the loop at {loop[0].address:#x}, which move less than 16 bytes a thread")
    if not seen:
        sys.exit("error: no such kernel")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


def report(title, instructions):
    counts = Counter(instruction.kind for instruction in instructions)
    order = [*CLASSES, "narrow", "uniform", "other"]
    print(f"{title}: {len(instructions)} instructions: " + ", ".join(f"{counts[name]} {name}" for name in order if counts[name]))


if __name__ == "__main__":
    main()
