"""Measures `chexnet import-weights` beside copying the file and hashing both copies, which an import has to do at the least.

    swift build -c release --static-swift-stdlib --product chexnet
    python3 Tools/bench/import.py .build/release/chexnet FILE… [--rounds 20] [--json FILE]

The two take turns: `import-weights FILE --output B` and `cp FILE B && sync B && openssl dgst -sha256 FILE B`, each into a file that
did not exist. Printed are the medians, the median of the rounds' ratios, and the largest peak memory (VmHWM) of the import, that of a
process that it starts included. The file is in the system's cache from the first, unmeasured round on.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time


def run(arguments):
    """Seconds, and the peak memory in bytes of the process and of those that it waited for."""
    begin = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)}: status {status}")
    return seconds, usage.ru_maxrss * 1024


def measure(executable, path, rounds, folder):
    target = os.path.join(folder, "B.safetensors")
    ours = [executable, "import-weights", path, "--output", target]
    copy = ["sh", "-c", 'cp "$1" "$2" && sync "$2" && openssl dgst -sha256 "$1" "$2"', "sh", path, target]
    times = {"import": [], "copy": []}
    peak = 0
    for round in range(rounds + 1):
        for name, arguments in (("import", ours), ("copy", copy)):
            seconds, memory = run(arguments)
            os.remove(target)
            if round > 0:
                times[name].append(seconds)
            if name == "import":
                peak = max(peak, memory)
    return {
        "file": os.path.basename(path), "bytes": os.path.getsize(path),
        "import_s": statistics.median(times["import"]), "copy_s": statistics.median(times["copy"]),
        "ratio": statistics.median(a / b for a, b in zip(times["import"], times["copy"])), "peak_bytes": peak,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("executable")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", help="where copies are written; by default the system's temporary folder")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    print(f"{'file':36} {'MB':>6} {'import ms':>9} {'copy ms':>8} {'ratio':>6} {'peak MB':>8}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for path in options.files:
            row = measure(os.path.abspath(options.executable), path, options.rounds, folder)
            rows.append(row)
            print(f"{row['file'][:36]:36} {row['bytes'] / 1e6:6.1f} {row['import_s'] * 1e3:9.1f} {row['copy_s'] * 1e3:8.1f} "
                  f"{row['ratio']:6.2f} {row['peak_bytes'] / 1e6:8.1f}", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
