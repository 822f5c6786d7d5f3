"""Measures training by ranks beside training by threads, in turns, and says what to expect of many machines.

    swift build -c release --product bench
    python3 Tools/bench/ranks.py .build/release/bench [--mpirun mpirun] [--rounds 5] [--steps 3] [--batch 16] [--json FILE]

In a round one process with two threads takes `--steps` steps on `--batch` images (`bench --row training-b16 --threads 2`), then two ranks with a
thread each on half as many, whose gradients are summed (`mpirun -n 2 bench --row ranks-b8 --threads 1`), each behind one unmeasured step. Printed are the
medians over the rounds, and the median, the least and the largest of the rounds' ratios: how many times as fast the ranks are. Then the sum of the
gradients alone, over 2 and 4 ranks of this machine (`--row ranks-sum`).

The table of many machines follows from both, by arithmetic and not by measurement: a rank a machine like this one; a ring, over which each rank sends and adds up
2 (n − 1)/n of the gradients; the network's full speed for the sending, this machine's measured sum for the rest; 2 log₂ n messages of 20 µs; nothing of it
beside the step; no rank slower than the others.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys

LATENCY = 20e-6
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
NETWORKS = (10, 100, 400)


def row(command, name, threads, rounds, warm_up):
    """The median of a row, and what it was done on."""
    arguments = ["--row", name, "--threads", str(threads), "--seconds", "0", "--warm-up", str(warm_up), "--rounds", str(rounds), "--json"]
    run = subprocess.run(command + arguments, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"error: {' '.join(command + arguments)} ended with {run.returncode}")
    found = json.loads(run.stdout)["rows"][0]
    return found["median"], found["subject"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--mpirun", default="mpirun", help="with options, in quotes: 'mpirun --oversubscribe'")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="images of a step, of both ranks together")
    parser.add_argument("--json", help="a file for all measurements")
    options = parser.parse_args()

    def ranks(count):
        return options.mpirun.split() + ["-n", str(count), options.bench]

    threads, processes = [], []
    for _ in range(options.rounds):
        value, on = row([options.bench], f"training-b{options.batch}", 2, options.steps, 1)
        threads.append(value)
        value, on_ranks = row(ranks(2), f"ranks-b{options.batch // 2}", 1, options.steps, 1)
        processes.append(value)
    ratios = sorted(ours / theirs for ours, theirs in zip(processes, threads))
    print(f"1 rank  × 2 threads  {statistics.median(threads):7.2f} images/s  {on}")
    print(f"2 ranks × 1 thread   {statistics.median(processes):7.2f} images/s  {on_ranks}")
    print(f"ratio                {statistics.median(ratios):7.3f}           ({ratios[0]:.3f} to {ratios[-1]:.3f} over {len(ratios)} rounds)")
    sums = {}
    for count in (2, 4):
        sums[count], on_sum = row(ranks(count), "ranks-sum", 1, 21, 5)
        print(f"sum over {count} ranks     {sums[count]:7.1f} ms        {on_sum}")
    size = float(on_sum.split()[0]) * 1e6

    # Of two ranks each sends and adds up the whole, once.
    seconds_a_byte = sums[2] / 1000 / size
    rate = statistics.median(threads)
    step = options.batch / rate

    def expected(count, gigabits):
        parts = 2 * (count - 1) / count * size
        time = parts * (8 / (gigabits * 1e9) + seconds_a_byte) + 2 * math.log2(count) * LATENCY
        return count * options.batch / (step + time)

    print(f"\nexpected images/s of n machines like this one, {options.batch} images each a step, and of n times one (see --help for what is assumed)\n")
    print("| ranks | " + " | ".join(f"{speed} Gb/s" for speed in NETWORKS) + " |")
    print("|---|" + "---|" * len(NETWORKS))
    for count in RANKS:
        cells = [expected(count, speed) for speed in NETWORKS]
        print(f"| {count} | " + " | ".join(f"{cell:.0f} ({100 * cell / (count * rate):.0f} %)" for cell in cells) + " |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"threads": threads, "ranks": processes, "sums_ms": sums, "bytes": size}, file)


main()
