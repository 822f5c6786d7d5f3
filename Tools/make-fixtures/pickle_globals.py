#!/usr/bin/env python3
"""Lists what PyTorch files ask an unpickler to import: every `module name` in their pickles. Nothing in them is executed.

    python pickle_globals.py FILE...
"""

import pickletools
import sys
import zipfile

# What the first of a legacy stream's five pickles holds; protocol 4 has other bytes around it than protocol 2.
LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa85019")


def globals_of_pickle(stream):
    """The globals of the next pickle in a stream, and the opcodes it uses."""
    found, opcodes, strings, memo = set(), set(), [], {}
    for opcode, argument, _ in pickletools.genops(stream):
        opcodes.add(opcode.name)
        if opcode.name in ("GLOBAL", "INST"):
            found.add(argument)
            strings.append(None)
        elif opcode.name == "STACK_GLOBAL":
            # Its two strings are the last two values pushed, or taken from the memo, before it.
            found.add(f"{strings[-2]} {strings[-1]}")
            strings.append(None)
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else None
        elif opcode.name.endswith("BINPUT"):
            memo[argument] = strings[-1] if strings else None
        elif opcode.name.endswith("BINGET"):
            strings.append(memo.get(argument))
        elif opcode.name.endswith(("UNICODE", "UNICODE8", "STRING")):
            strings.append(argument)
        elif opcode.stack_after:
            strings.append(None)
    return found, opcodes


def globals_of_file(path):
    """(globals, opcodes) of the pickles in a file of torch.save."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            results = []
            for name in names:
                with archive.open(name) as stream:
                    results.append(globals_of_pickle(stream))
    else:
        with open(path, "rb") as stream:
            if LEGACY_MAGIC not in stream.read(32):
                raise ValueError(f"{path} is no file of torch.save")
            stream.seek(0)
            results = [globals_of_pickle(stream) for _ in range(5)]
    return set().union(*(found for found, _ in results)), set().union(*(opcodes for _, opcodes in results))


def main():
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    for path in sys.argv[1:]:
        found, opcodes = globals_of_file(path)
        print(f"{path}\n  globals: {', '.join(sorted(found))}\n  opcodes: {' '.join(sorted(opcodes))}")


if __name__ == "__main__":
    main()
