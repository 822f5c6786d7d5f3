"""What nodes of a Synapse graph look like where a framework has once written them: of a recorded step of ResNet-50.

    git clone https://github.com/HabanaAI/Intel_Gaudi3_Software
    python gaudi_nodes.py Intel_Gaudi3_Software/synapse/tests/gc_tests/platform_tests/gaudi_tests/auto_generated OUTPUT.json

Reads resnet50_full_fwd_bwd_bf16_autogen_test.cpp and its float32 sibling, which a recorder has written, and keeps of each kind of node facts alone: how
many inputs and outputs it is given, their types (that of a tensor as it is created, not as a comment has it), and the struct of its parameters. A kind that
is written in several ways has a row for each. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import re

FILES = ["resnet50_full_fwd_bwd_bf16_autogen_test.cpp", "resnet50_full_fwd_bwd_float32_autogen_test.cpp"]
TYPES = {"syn_type_bf16": "bf16", "syn_type_single": "f32", "syn_type_float": "f32", "syn_type_int16": "i16", "syn_type_uint8": "u8", "syn_type_int8": "i8",
         "syn_type_int32": "i32", "syn_type_fixed": "i8"}


def rows(text):
    types = {name: TYPES[kind] for name, kind in re.findall(r"(\w+)\s*=\s*createTensor\(\s*[\w.()]+,\s*(syn_type_\w+)", text)}
    lists = {name: [entry.strip() for entry in entries.split(",")] for name, entries in re.findall(r"synTensor (\w+)\[\d+\] = \{([^}]*)\};", text)}
    structs = {name: struct for struct, name in re.findall(r"(\S+)\s+(\w+_kernel_params);", text)}

    def of(name):
        return [None if entry == "nullptr" else types[entry] for entry in lists[name]]

    for ins, outs, parameters, guid in re.findall(r"synNodeCreate\(graphHandle, (\w+), (\w+), \d+, \d+, (?:\(void \*\)&)?(\w+), [^,]+, \"(\w+)\"", text):
        yield {"guid": guid, "inputs": of(ins), "outputs": of(outs), "parameters": structs.get(parameters)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("output", type=pathlib.Path)
    options = arguments.parse_args()
    found = {json.dumps(row) for file in FILES for row in rows((options.folder / file).read_text())}
    lines = ",\n".join("  " + row for row in sorted(found))
    options.output.write_text(f"[\n{lines}\n]\n")


main()
