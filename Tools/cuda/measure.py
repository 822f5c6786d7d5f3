"""Measures inference or training beside PyTorch, in turns, and writes what on-gpu.sh has found as Markdown. on-gpu.sh calls it.

    measure.py inference|training FOLDER --chexnet PATH [--rounds 5] [--seconds 840] [--compile-minutes 8] [-- OPTIONS OF peer_pytorch.py]
    measure.py report FOLDER [--machine LINE] [--version VERSION] [--status FILE]

Either starts peer_pytorch.py, which compiles and then waits; each round then is one run of `chexnet doctor --device cuda --json` and one measurement of
PyTorch, while the other rests. What is found so far is in FOLDER/inference.json or FOLDER/training.json after every round. Without torch and torchvision
chexnet is measured alone.
`report` makes FOLDER/MEASURED.md of what is in FOLDER, whichever parts are.
"""

import argparse
import datetime
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, Queue

import markdown

HERE = Path(__file__).resolve().parent
KINDS = ("eager", "eager-cast", "compile", "max-autotune", "reduce-overhead", "frozen")


class Fault(Exception):
    pass


class Peer:
    """peer_pytorch.py, which measures a round whenever it is asked."""

    def __init__(self, arguments):
        command = [sys.executable, str(HERE / "peer_pytorch.py"), "--interactive", *arguments]
        # In a process group of its own: a compiler's processes end with it.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.lines = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def document(self, seconds):
        """The next document it prints."""
        try:
            line = self.lines.get(timeout=max(seconds, 0))
        except Empty:
            raise Fault(f"PyTorch said nothing for {seconds:.0f} s") from None
        if line is None:
            raise Fault(f"PyTorch ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, seconds):
        try:
            self.process.stdin.write("round\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Fault(f"PyTorch ended with {self.process.wait()}") from None
        return self.document(seconds)["results"]

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def ours(executable, task, seconds):
    """What doctor says of inference or training. It says so also where it does not conform."""
    command = [executable, "doctor", "--device", "cuda", "--keep-kernels", "--json"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=max(seconds, 1))
    except subprocess.TimeoutExpired:
        raise Fault(f"chexnet doctor was stopped after {seconds:.0f} s") from None
    try:
        found = json.loads(run.stdout)[task]
    except (ValueError, KeyError, TypeError):
        raise Fault(f"chexnet doctor ended with {run.returncode}, without `{task}`: {run.stderr.strip()[-300:]}") from None
    if not found:
        raise Fault(f"chexnet doctor measured no {task}")
    return found


def write_json(path, document):
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(path)


def measure(options):
    end = time.monotonic() + options.seconds
    path = options.folder / f"{options.task}.json"
    document = {"pytorch": None, "rounds": [], "faults": []}

    def left():
        return end - time.monotonic()

    def fault(text):
        document["faults"].append(text)
        print(f"error: {text}", file=sys.stderr, flush=True)

    peer = None
    try:
        if subprocess.run([sys.executable, "-c", "import torch, torchvision"], capture_output=True).returncode:
            fault(f"{sys.executable} has no torch and torchvision: PyTorch was not measured")
        else:
            peer = Peer(["--mode", options.task, "--compile-minutes", str(options.compile_minutes), *options.peer])
            try:
                # A compilation that cannot be interrupted is given two minutes more.
                document["pytorch"] = peer.document(min(left(), 60 * options.compile_minutes + 120))
            except Fault as found:
                fault(str(found))
                peer.end()
                peer = None
        for number in range(1, options.rounds + 1):
            started = time.monotonic()
            one = {}
            try:
                one["chexnet"] = ours(options.chexnet, options.task, left())
            except Fault as found:
                fault(f"round {number}: {found}")
            if peer:
                try:
                    one["pytorch"] = peer.ask(left())
                except Fault as found:
                    fault(f"round {number}: {found}")
                    peer.end()
                    peer = None
            if one:
                document["rounds"].append(one)
            write_json(path, document)
            seconds = time.monotonic() - started
            print(f"round {number} of {options.rounds}: {seconds:.0f} s", file=sys.stderr, flush=True)
            # The next one takes about as long.
            if not one or left() < 1.2 * seconds:
                break
    finally:
        if peer:
            peer.end()
        write_json(path, document)
    return 1 if document["faults"] or not document["rounds"] else 0


# MARK: Report


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def rates(rounds, task):
    """(contender, name, precision, batch) → images/s of each round."""
    found = {}
    for one in rounds:
        for row in one.get("chexnet", []):
            found.setdefault(("chexnet", task, row["precision"], row["batch"]), []).append(row["images_per_second"])
        for row in one.get("pytorch", []):
            if "error" not in row:
                found.setdefault((row["kind"], row["name"], row["precision"], row["batch"]), []).append(row["images_per_second"])
    return found


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


TITLES = {
    "inference": "Images on the device",
    "upload": "Images copied to the device and normalised there in every step: PyTorch",
    "training": "Forward, back and Adam; PyTorch's images are on the device, chexnet's are sent meanwhile",
}


def memory_rows(rounds):
    """Of training: what each holds on the device at the most, in GB."""
    bytes_of = {}
    for one in rounds:
        for row in one.get("chexnet", []):
            bytes_of["chexnet", row["precision"], row["batch"]] = row["bytes"]
        for row in one.get("pytorch", []):
            if row.get("peak_bytes"):
                bytes_of[row["kind"], row["precision"], row["batch"]] = row["peak_bytes"]
    for (contender, precision, batch), size in sorted(bytes_of.items(), key=lambda item: (item[0][1], -item[0][2], item[0][0] != "chexnet")):
        mine = bytes_of.get(("chexnet", precision, batch))
        yield [precision, batch, contender, f"{size / 1e9:.2f}", f"{mine / size:.2f} ×" if mine else "–"]


def timing_part(document, task):
    found = rates(document["rounds"], task)
    kinds = [kind for kind in KINDS if any(key[0] == kind for key in found)]
    lines = []
    for name, title in TITLES.items():
        shapes = sorted({key[2:] for key in found if key[1] == name}, key=lambda shape: (shape[0], -shape[1]))
        if not shapes:
            continue
        columns = (["chexnet"] if name == task else []) + kinds
        rows = []
        for precision, batch in shapes:
            median = {c: statistics.median(v) for c in columns if (v := found.get((c, name, precision, batch)))}
            row = [precision, batch]
            for column in columns:
                values = found.get((column, name, precision, batch))
                row.append(f"{number(median[column])} ({number(min(values))}–{number(max(values))})" if values else "–")
            if name == task:
                peers = [median[kind] for kind in kinds if kind in median]
                mine = median.get("chexnet")
                row.append(f"{mine / median['eager']:.2f} ×" if mine and "eager" in median else "–")
                row.append(f"{mine / max(peers):.2f} ×" if mine and peers else "–")
            rows.append(row)
        header = ["precision", "batch", *columns] + (["chexnet over eager", "over PyTorch's fastest"] if name == task else [])
        lines += [f"{title}, images/s: median (lowest–highest) of {len(document['rounds'])} rounds in turns.", "", markdown.table(header, rows), ""]
    if rows := list(memory_rows(document["rounds"])) if task == "training" else []:
        lines += ["Memory on the device:", "", markdown.table(["precision", "batch", "", "GB", "chexnet's of it"], rows, left=3), ""]
    for row in (document["pytorch"] or {}).get("prepared", []):
        if "error" in row:
            lines.append(f"- not measured: {row['kind']}, {row['precision']}, batch {row['batch']}: {row['error'].splitlines()[0]}")
    lines += [f"- {fault}" for fault in document["faults"]]
    return "\n".join(lines)


def kernels_part(kernels):
    rows = [
        [row["name"], row["shape"], f"{row['microseconds']:.1f}", f"{row['floor_microseconds']:.1f}",
         f"{100 * row['floor_microseconds'] / row['microseconds']:.0f} %" if row["microseconds"] else "–", row["bound"]]
        for row in kernels
    ]
    return markdown.table(["kernel", "shape", "µs", "floor µs", "of the floor's speed", "floor by"], rows, left=2)


def choices_part(choices):
    """Where several kernels do the same, and another than the rule's is the fastest."""

    def time(row, index):
        return f"{row['candidates'][index]['microseconds']:.1f}"

    others = [row for row in choices if row["fastest"] != row["rule"]]
    rows = [
        [row["operation"], row["shape"], *(row["candidates"][row[key]]["kernels"] for key in ("fastest", "rule")),
         time(row, row["fastest"]), time(row, row["rule"])]
        for row in others
    ]
    text = f"Other than the rule's: {len(others)} of {len(choices)}."
    return text + ("\n\n" + markdown.table(["operation", "shape", "fastest", "by the rule", "µs", "by the rule, µs"], rows, left=4) if rows else "")


def machine_part(options, timing):
    """What was measured on what."""
    said = [f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"]
    fields = options.machine.split(", ")
    if len(fields) == 3:
        said.append(f"{fields[0]} ({fields[2]}), driver {fields[1]}")
    if options.version:
        said.append(f"chexnet {options.version}")
    if versions := ((timing or {}).get("pytorch") or {}).get("versions"):
        said.append(f"PyTorch {versions['torch']}, CUDA {versions['cuda']}, cuDNN {versions['cudnn']}")
    return "; ".join(said) + "."


def report(options):
    folder = options.folder
    doctor, inference, training = (read_json(folder / f"{name}.json") for name in ("doctor", "inference", "training"))
    conforms = doctor.get("conforms") if isinstance(doctor, dict) else None
    parts = [machine_part(options, inference or training)]
    parts.append({
        True: "`chexnet doctor --device cuda`: every operation conforms.", False: "**`chexnet doctor --device cuda`: does not conform** (doctor.txt).",
    }.get(conforms, "`chexnet doctor --device cuda` gave no verdict (doctor.txt)."))
    if inference and inference["rounds"]:
        parts += ["### Inference, DenseNet-121, 224 × 224, 14 outputs", timing_part(inference, "inference")]
    if training and training["rounds"]:
        parts += ["### Training, the same network", timing_part(training, "training")]
    if isinstance(doctor, dict) and doctor.get("choices"):
        parts += ["### Kernels chosen by measurement", choices_part(doctor["choices"])]
    for key, title in (("kernels", "Kernels of inference"), ("training_kernels", "Kernels of training")):
        if isinstance(doctor, dict) and doctor.get(key):
            parts += [f"### {title}", kernels_part(doctor[key])]
    sanitizer = folder / "sanitizer.txt"
    if sanitizer.exists():
        summaries = re.findall(r"^(?:tool: .*|=+ (?:ERROR|RACECHECK) SUMMARY.*)$", sanitizer.read_text(errors="replace"), re.MULTILINE)
        parts += ["### compute-sanitizer", "\n".join(f"- {line.strip('= ')}" for line in summaries) or "No verdict (sanitizer.txt)."]
    if options.status and (lines := options.status.read_text().splitlines()):
        parts += ["### Parts of the run", "\n".join(f"- {line}" for line in lines)]
    found = "\n\n".join(part.strip() for part in parts if part.strip())
    template = HERE / "MEASURED.md"
    if template.exists():
        found = markdown.with_part(template.read_text(encoding="utf-8"), "measured", found)
    (folder / "MEASURED.md").write_text(found.rstrip() + "\n", encoding="utf-8")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("inference", "training", "report"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chexnet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=840)
    parser.add_argument("--compile-minutes", type=float, default=8)
    parser.add_argument("--machine", default="", help="name, driver, memory: what nvidia-smi says, with commas")
    parser.add_argument("--version", default="", help="chexnet's")
    parser.add_argument("--status", type=Path, help="a file with a line for each part of the run")
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:end])
    options.peer = arguments[end + 1 :]
    # So that the processes started here end with this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.task != "report" and not options.chexnet:
        parser.error("expected --chexnet PATH")
    sys.exit(report(options) if options.task == "report" else measure(options))


if __name__ == "__main__":
    main()
