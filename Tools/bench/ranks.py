"""Measures training by ranks beside training by threads, in turns, and says what to expect of many machines.

    swift build -c release --product bench
    python3 Tools/bench/ranks.py .build/release/bench [--mpirun mpirun] [--rounds 15] [--batch 16]

`mpirun -n 2 bench --row ranks-b16`: one rank with two threads takes a step on 16 images while the other waits, then both with a thread and 8 images
each, whose gradients are summed; so in turns, step by step. Then the sum of the gradients alone, over 2 and 4 ranks of this machine (`ranks-sum`), and
what one process does (`training-b16`).

The table of many machines follows from both, by arithmetic and not by measurement: a rank a machine like this one; a ring, over which each rank sends and adds up
2 (n − 1)/n of the gradients; the network's full speed for the sending, this machine's measured sum for the rest; 2 log₂ n messages of 20 µs; nothing of it
beside the step; no rank slower than the others.
"""

import argparse
import json
import math
import subprocess
import sys

LATENCY = 20e-6
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
NETWORKS = (10, 100, 400)


def row(command, name, rounds, warm_up, *more):
    """What `bench` says of a row."""
    arguments = ["--row", name, "--warm-up", str(warm_up), "--rounds", str(rounds), "--json", *more]
    run = subprocess.run(command + arguments, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"error: {' '.join(command + arguments)} ended with {run.returncode}")
    return json.loads(run.stdout)["rows"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--mpirun", default="mpirun", help="with options, in quotes: 'mpirun --oversubscribe --bind-to none'")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16, help="images of a step, of both ranks together")
    options = parser.parse_args()

    def ranks(count, name, rounds, warm_up):
        return row(options.mpirun.split() + ["-n", str(count), options.bench], name, rounds, warm_up, "--seconds", "0")

    found = ranks(2, f"ranks-b{options.batch}", options.rounds, 2)
    print(f"2 ranks × 1 thread over 1 × 2  {found['median']:6.3f} ×   {found['min']:.3f} to {found['max']:.3f} over {options.rounds} rounds; {found['subject']}")
    sums = {}
    for count in (2, 4):
        found = ranks(count, "ranks-sum", 51, 10)
        sums[count] = found["median"]
        print(f"sum of the gradients           {found['median']:6.1f} ms  {found['subject']}")
    size = float(found["subject"].split()[0]) * 1e6
    found = row([options.bench], f"training-b{options.batch}", 5, 2)
    rate = found["median"]
    print(f"one process                    {rate:6.2f} images/s  {found['subject']}")

    # Of two ranks each sends and adds up the whole, once.
    seconds_a_byte = sums[2] / 1000 / size
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
        print(f"| {count} | " + " | ".join(f"{cell:.{0 if cell >= 100 else 1}f} ({100 * cell / (count * rate):.0f} %)" for cell in cells) + " |")


main()
