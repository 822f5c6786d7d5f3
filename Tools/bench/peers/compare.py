"""Measures chexnet and its peers in turns and prints one table. Started by Tools/bench/compare.sh, which builds first.

Every measurement is a process of its own, so that its peak memory is its own. A round measures each contender once in
each row; the table has medians over the rounds. What the machine's other processes used meanwhile is measured too, and
a figure that they may have spoilt is marked.
"""

import argparse
import ctypes.util
import dataclasses
import datetime
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import measurement

HERE = pathlib.Path(__file__).resolve().parent
TITLES = {
    "training-b16": "training b16", "inference-b16": "inference b16", "inference-b1": "inference b1",
    measurement.TEN_CROP: "training on ten crops b4",
}
TRAINING = "training-b16"
INFERENCE = tuple(row for row in measurement.ROWS if row.startswith("inference"))
# Ours alone: the processor's peak, and what training and the peak gain from threads, those of one thread and of all in turns.
LIMITS = ("peak", f"scaling-{TRAINING}", "scaling-peak")
JEMALLOC = {"LD_PRELOAD": "libjemalloc.so.2", "MALLOC_CONF": "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"}
# One process compiles, and its time is the contender's, not that of others.
COMPILE = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
# What keeps the peers to AVX2. Each of their parts chooses instructions by itself: PyTorch's own kernels, oneDNN, MKL,
# the compiler behind torch.compile (ATEN_CPU_CAPABILITY alone leaves it -march=native), OpenVINO (with oneDNN's too).
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "TORCHINDUCTOR_CPP_MARCH": "x86-64-v3", "OV_CPU_MAX_ISA": "AVX2",
}
# What a step of training DenseNet-121 at 224 takes for an image, in 10⁹ floating-point operations, by the definition of its convolutions but
# for the transitions, which pool first: 3 × 5.20 forward, less the images' gradient in the stem (0.24).
TRAINING_GFLOP = 15.4
# Processors that others may use before a figure counts as spoilt.
QUIET = 0.1
DASH = "–"


@dataclasses.dataclass
class Contender:
    name: str
    command: list
    rows: tuple = measurement.ROWS
    environment: dict = dataclasses.field(default_factory=dict)
    # Whether it needs the network as ONNX.
    takes_model: bool = False
    # Why it is not measured here.
    missing: str | None = None
    # It compiles for minutes, in each measurement again.
    compiles: bool = False
    # Ours in another configuration: shown, but neither a peer nor what the ratios are of.
    is_variant: bool = False


def contenders(options):
    """chexnet first, then its variants, then every peer, those included that this machine lacks."""
    ours = [options.bench, "--json", "--device", options.device, *(["--level", options.isa] if options.isa else [])]
    folder = ["--images", options.images] if options.images else []
    found = [
        Contender("chexnet", [*ours, *folder], (*measurement.ROWS, measurement.TEN_CROP)),
        Contender("chexnet, memory-efficient", [*ours, "--memory-efficient"], (TRAINING,), is_variant=True),
    ]
    if options.precision == "bf16":
        found += pytorch("PyTorch, autocast") + pytorch("PyTorch, bf16 weights", ["--bf16-weights"], INFERENCE)
    else:
        found += pytorch("PyTorch")
    found += ten_crops(folder) + runtimes(options)
    for contender in found:
        contender.command = [*contender.command, "--precision", options.precision]
        if options.isa and not contender.name.startswith("chexnet"):
            contender.environment = contender.environment | AVX2
        if options.quick and contender.compiles:
            contender.missing = "left out by --quick: it compiles for minutes"
    return found


def pytorch(name, arguments=(), rows=measurement.ROWS):
    """Eager and compiled, each with the system's allocator and with jemalloc."""
    torch = missing_modules("torch", "torchvision")
    jemalloc = torch or no_jemalloc()
    eager = [sys.executable, str(HERE / "pytorch_peer.py"), *arguments]
    compiled = [*eager, "--compile"]
    return [
        Contender(name, eager, rows, missing=torch),
        Contender(f"{name}, jemalloc", eager, rows, JEMALLOC, missing=jemalloc),
        Contender(f"{name}, compiled", compiled, rows, COMPILE, missing=torch, compiles=True),
        Contender(f"{name}, compiled, jemalloc", compiled, rows, COMPILE | JEMALLOC, missing=jemalloc, compiles=True),
    ]


def ten_crops(folder):
    """The reference implementation's steps, as they stand and in PyTorch's faster layout."""
    command = [sys.executable, str(HERE / "pytorch_ten_crop.py"), *folder]
    name, rows, torch = "reference implementation", (measurement.TEN_CROP,), missing_modules("torch", "torchvision", "PIL")
    return [
        Contender(name, command, rows, missing=torch),
        Contender(f"{name}, channels_last", [*command, "--channels-last"], rows, missing=torch),
        Contender(f"{name}, channels_last, jemalloc", [*command, "--channels-last"], rows, JEMALLOC, missing=torch or no_jemalloc()),
    ]


def no_jemalloc():
    return None if ctypes.util.find_library("jemalloc") else "libjemalloc.so.2 is not installed"


def runtimes(options):
    """Those that take the network as ONNX, for inference only."""
    unable = {}
    if options.precision == "bf16":
        unable["ONNX Runtime"] = "it has no convolution in bf16 for processors"
    elif options.isa:
        unable["ONNX Runtime"] = "it has no setting that keeps it to an instruction set"
    found = []
    for name, script, module in (
        ("ONNX Runtime", "onnxruntime_peer.py", "onnxruntime"), ("OpenVINO", "openvino_peer.py", "openvino"),
    ):
        missing = unable.get(name) or missing_modules(module, "numpy", "torch", "torchvision", "onnx", "onnxscript")
        found.append(
            Contender(name, [sys.executable, str(HERE / script)], INFERENCE, takes_model=True, missing=missing))
    return found


def missing_modules(*names):
    lacking = [name for name in names if importlib.util.find_spec(name) is None]
    return f"this Python has no {', '.join(lacking)}" if lacking else None


def busy_seconds():
    """Processor seconds that the machine has worked since it started, those stolen by other guests included."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, interrupts, soft_interrupts, stolen = map(int, file.readline().split()[1:9])
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def run(contender, row, options, models):
    """One measurement: what the contender printed, and `others`, the processors that others used meanwhile."""
    command = [
        *contender.command, "--row", row, "--threads", str(options.threads),
        "--warm-up", str(options.warm_up), "--rounds", str(options.repeats), "--seconds", str(options.seconds),
    ]
    if contender.takes_model:
        command += ["--model", models[row]]
    start, busy = time.perf_counter(), busy_seconds()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **contender.environment})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - start
        others = (busy_seconds() - busy - usage.ru_utime - usage.ru_stime) / elapsed
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            said = errors.read().strip().splitlines()
            return {"error": said[-1] if said else f"ended with status {process.returncode}"}
        document = json.loads(output.read())
    result = document["rows"][0] if "rows" in document else document
    if "rows" in document:
        result["versions"] = {key: document["machine"][key] for key in ("chexnet", "openblas")}
        result["device"] = document["settings"]["device"]
    return {**result, "others": max(0.0, others)}


def export(rows, folder):
    """The network as ONNX, a file for each row."""
    models = {}
    for row in rows:
        models[row] = str(pathlib.Path(folder) / f"{row}.onnx")
        command = [sys.executable, str(HERE / "export_onnx.py"), "--row", row, models[row]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"error: the network could not be written as ONNX\n{done.stderr}")
    return models


def measure_all(options, field):
    """Every measurement of every round, and why some contenders have none."""
    failures = {c.name: c.missing for c in field if c.missing and set(c.rows) & set(options.rows)}
    measurements = []
    with tempfile.TemporaryDirectory() as folder:
        wanted = [row for row in INFERENCE if row in options.rows]
        models = export(wanted, folder) if any(c.takes_model and not c.missing for c in field) else {}
        for number in range(1, options.rounds + 1):
            limits = LIMITS if options.threads > 1 else LIMITS[:1]
            for row in limits if TRAINING in options.rows else ():
                limit = run(Contender(row, field[0].command), row, options, models)
                if "error" not in limit:
                    measurements.append({"round": number, "contender": row, **limit})
            for row in options.rows:
                for contender in field:
                    if contender.name in failures or row not in contender.rows:
                        continue
                    if contender.compiles and number > options.compiled_rounds:
                        continue
                    progress = f"round {number}/{options.rounds}  {row}  {contender.name} …"
                    print(progress, end="", file=sys.stderr, flush=True)
                    result = run(contender, row, options, models)
                    if "error" in result:
                        print(f" failed: {result['error']}", file=sys.stderr)
                        if contender is field[0]:
                            raise SystemExit(1)
                        failures[contender.name] = f"{row} failed: {result['error']}"
                        continue
                    spoilt = f", others used {result['others']:.2f} processors" if result["others"] > QUIET else ""
                    print(f" {result['median']:.2f} images/s, {result['peak_mb']:.0f} MB{spoilt}", file=sys.stderr)
                    measurements.append({"round": number, "contender": contender.name, **result})
    return measurements, failures


def summarise(measurements):
    """For each (contender, row): median rate and peak memory of the undisturbed rounds, or of all where none was."""
    cells = {}
    for key in dict.fromkeys((m["contender"], m["row"]) for m in measurements):
        every = [m for m in measurements if (m["contender"], m["row"]) == key]
        quiet = [m for m in every if m["others"] <= QUIET]
        cells[key] = {
            "images_per_second": statistics.median(m["median"] for m in quiet or every),
            "peak_mb": statistics.median(m["peak_mb"] for m in every), "spoilt": not quiet,
        }
    return cells


def ratios(cells, rows):
    """chexnet's rate over the fastest peer's, and its peak memory over the smallest peer's, for each row."""
    found = {}
    for row in rows:
        peers = {
            name: cell for (name, its_row), cell in cells.items()
            if its_row == row and not name.startswith("chexnet")
        }
        if not peers:
            continue
        fastest = max(peers, key=lambda name: peers[name]["images_per_second"])
        smallest = min(peers, key=lambda name: peers[name]["peak_mb"])
        ours = cells["chexnet", row]
        found[row] = {
            "speed": ours["images_per_second"] / peers[fastest]["images_per_second"], "fastest_peer": fastest,
            "memory": ours["peak_mb"] / peers[smallest]["peak_mb"], "smallest_peer": smallest,
            # Any of them: a disturbed peer might have been the fastest.
            "spoilt": ours["spoilt"] or any(cell["spoilt"] for cell in peers.values()),
        }
    return found


def table(field, rows, cells, ratio, device):
    """A Markdown table that is also readable as text: a rate and a peak memory for each row."""
    lines = [[""] + [text for row in rows for text in (f"{TITLES[row]}, images/s", "peak MB")]]
    for contender in field:
        if not any((contender.name, row) in cells for row in rows):
            continue
        line = [f"chexnet, {device}" if contender is field[0] else contender.name]
        for row in rows:
            cell = cells.get((contender.name, row))
            line += [rate(cell), f"{cell['peak_mb']:.0f}"] if cell else [DASH, DASH]
        lines.append(line)
    if ratio:
        line = ["chexnet / best peer"]
        for row in rows:
            found = ratio.get(row)
            line += [f"{found['speed']:.2f}×{star(found)}", f"{found['memory']:.2f}×"] if found else [DASH, DASH]
        lines.append(line)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    pad = lambda line: [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
    text = [pad(lines[0]), rule, *map(pad, lines[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in text)


def rate(cell):
    value = cell["images_per_second"]
    return (f"{value:.2f}" if value < 10 else f"{value:.1f}") + star(cell)


def star(figure):
    return "*" if figure["spoilt"] else ""


def notes(options, measurements, failures, ratio, machine):
    """What the table does not say: circumstances, versions, the best peers, what was not measured."""
    versions = {}
    for result in measurements:
        versions.update(result["versions"])
    others = [m["others"] for m in measurements]
    yield (
        f"DenseNet-121, 14 outputs, {measurement.SIDE}×{measurement.SIDE}, {options.precision}, "
        f"{'all kept to AVX2, ' if options.isa else ''}{options.threads} threads; "
        f"medians of {options.rounds} alternating rounds, each the median of {options.repeats} of at least "
        f"{options.seconds} s after {options.warm_up} calls. "
        f"{machine['processor']}, {machine['processors']} processors, {machine['date']}, commit {machine['commit']}."
    )
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + "."
    if options.compiled_rounds < options.rounds and any("compiled" in m["contender"] for m in measurements):
        yield f"torch.compile took part in {options.compiled_rounds} of the rounds."
    cells = summarise(measurements)
    peak_name = "bf16 peak" if options.precision == "bf16" else "FMA peak"
    training, peak = cells.get(("chexnet", TRAINING)), cells.get(("peak", "peak"))
    if training and peak:
        share = 100 * TRAINING_GFLOP * training["images_per_second"] / peak["images_per_second"]
        yield (
            f"Training: {TRAINING_GFLOP} GFLOP an image are {share:.0f} % of the {peak_name} measured in the same run, "
            f"{peak['images_per_second']:.0f} GFLOP/s."
        )
    scales = [cells.get((row, row)) for row in LIMITS[1:]]
    if all(scales):
        ours, limit = (f"{scale['images_per_second']:.2f}×{star(scale)}" for scale in scales)
        yield f"Training, 1 → {options.threads} threads, step by step in turns: {ours} (the {peak_name}: {limit})."
    for row, found in ratio.items():
        yield f"Best peers, {TITLES[row]}: fastest {found['fastest_peer']}, smallest {found['smallest_peer']}."
    for name, reason in failures.items():
        yield f"Not measured: {name} ({reason})."
    yield f"Other processes used {statistics.median(others):.2f} processors in the median, at most {max(others):.2f}."
    if any(cell["spoilt"] for cell in cells.values()):
        yield f"* Others used more than {QUIET} processors in every round of this figure: measure again when it is quiet."


def describe_machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "processor": names[0] if names else "unknown", "processors": len(os.sched_getaffinity(0)),
        "date": now.isoformat(timespec="seconds"), "commit": commit or "unknown",
    }


def main():
    parser = argparse.ArgumentParser(
        "compare.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # The executable of Tools/bench, which compare.sh has built.
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="auto", help="chexnet's; default: auto")
    parser.add_argument("--precision", choices=measurement.PRECISIONS, default="fp32", help="of all; default: fp32")
    parser.add_argument("--isa", choices=["avx2"], help="keeps all to it; default: the processor's best")
    processors = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=processors, help="default: as many as processors may be used")
    parser.add_argument("--rows", nargs="+", choices=(*measurement.ROWS, measurement.TEN_CROP), default=list(measurement.ROWS))
    parser.add_argument("--images", metavar="FOLDER", help=f"radiographs, 1024 × 1024, for {measurement.TEN_CROP}")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; default: 5")
    parser.add_argument(
        "--compiled-rounds", type=int, help="rounds that torch.compile takes part in; default: all")
    parser.add_argument("--quick", action="store_true", help="one round of shorter measurements, without torch.compile")
    parser.add_argument("--json", metavar="FILE", help="also write every measurement and the ratios")
    options = parser.parse_args()
    if options.threads < 1 or options.rounds < 1:
        parser.error("--threads and --rounds need at least 1")
    if options.isa and options.precision == "bf16":
        # PyTorch takes four times as long as in fp32 then, OpenVINO computes in fp32.
        parser.error("--isa avx2 has no arithmetic in bf16: compare in fp32")
    if options.isa and options.device == "reference":
        parser.error("--isa keeps the engine to it, but not --device reference, which is OpenBLAS")
    if measurement.TEN_CROP in options.rows and (not options.images or options.precision != "fp32" or options.isa):
        parser.error(f"{measurement.TEN_CROP} needs --images, and knows neither --precision bf16 nor --isa")
    # PyTorch takes six steps to settle.
    options.warm_up = 6
    options.repeats, options.seconds = (3, 0.5) if options.quick else (5, 1.0)
    if options.quick:
        options.rounds = 1
    if options.rows == [measurement.TEN_CROP]:
        # Its steps take seconds: short turns, so that all meet the same neighbours.
        options.warm_up, options.repeats = 2, 3
    if options.compiled_rounds is None:
        options.compiled_rounds = options.rounds

    machine, field = describe_machine(), contenders(options)
    peers = [contender for contender in field[1:] if not contender.is_variant]
    if all(contender.missing for contender in peers):
        reasons = "\n".join(f"  {contender.name}: {contender.missing}" for contender in peers)
        print(f"error: there is no peer to compare with\n{reasons}", file=sys.stderr)
        print("hint: set PEERS_PYTHON to a Python that has them (Tools/bench/README.md)", file=sys.stderr)
        raise SystemExit(69)
    measurements, failures = measure_all(options, field)
    cells = summarise(measurements)
    ratio = ratios(cells, options.rows)
    device = next(m["device"] for m in measurements if m["contender"] == "chexnet")
    print(table(field, options.rows, cells, ratio, device), end="\n\n")
    print("\n".join(notes(options, measurements, failures, ratio, machine)))
    if options.json:
        document = {
            "machine": machine, "threads": options.threads, "device": device, "precision": options.precision,
            "isa": options.isa, "measurements": measurements, "ratios": ratio, "not_measured": failures,
        }
        pathlib.Path(options.json).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
