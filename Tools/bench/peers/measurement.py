"""How every peer is measured: as Tools/bench measures chexnet, and printed as one line of JSON."""

import argparse
import json
import statistics
import time

OUTPUTS, SIDE = 14, 224
ROWS = ("training-b16", "inference-b16", "inference-b1")
# Steps of training with what comes before them, reading and decoding; asked for by name.
TEN_CROP = "ten-crop-b4"
PRECISIONS = ("fp32", "bf16")


def parser(description, rows=ROWS, precisions=PRECISIONS):
    """The options that all peers take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--row", choices=rows, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--precision", choices=precisions, default="fp32")
    parser.add_argument("--warm-up", type=int, default=6, help="calls before the first round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="a round repeats its row until it lasted this long")
    return parser


def batch_size(row):
    return int(row.split("-b")[1])


def report(call, options, versions):
    """Calls `call` to warm up, then in rounds; prints the rate in images/s and the peak memory of this process."""
    for _ in range(options.warm_up):
        call()
    rates = []
    for _ in range(options.rounds):
        start, calls, elapsed = time.perf_counter(), 0, 0.0
        while calls == 0 or elapsed < options.seconds:
            call()
            calls += 1
            elapsed = time.perf_counter() - start
        rates.append(calls * batch_size(options.row) / elapsed)
    print(json.dumps({
        "row": options.row, "unit": "images/s", "median": statistics.median(rates), "min": min(rates),
        "max": max(rates), "peak_mb": peak_megabytes(), "threads": options.threads, "versions": versions,
    }))


def peak_megabytes():
    """The most memory (10^6 bytes) that this process has had at once. Not getrusage's, which a child inherits."""
    with open("/proc/self/status") as file:
        kibibytes = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    return kibibytes * 1024 / 1e6
