"""Shows which check refuses each hostile file, and that the file would be accepted without it.

    python3 Tools/fuzz/removed_checks.py [--scratch FOLDER [--built]] [FILE…]

Copies the package, numbers every check of Sources/WeightFormats (a `guard`, `if` or `for … where` whose body throws) and makes each one
removable by the environment; builds that copy; then lists each file (`--inspect`) with all checks, notes which one refused it, and
lists it again without that one. Four things can happen then: it is accepted; the reader is stopped by a trap of Swift's or does not end
in ten seconds, which is what the check is for; another check refuses it, a second line of defence, which is removed too, and so on; or
the check binds a value without which there is nothing to go on with, and cannot be removed.

Files: by default the malformed ones of fixtures/weight-files, but those of Keras, whose checks run in a process without environment, and
`foreign`, which are recognised and not checked. A file that is accepted with every check is an error.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

SUPPORT = '''
import Foundation

/// Which checks are removed, and which one was the last to refuse.
enum RemovedChecks {
  private static let removed = Set(
    (ProcessInfo.processInfo.environment["CHEXNET_REMOVED_CHECKS"] ?? "").split(separator: ",").compactMap { Int($0) })

  static func contains(_ number: Int) -> Bool { removed.contains(number) }

  static func note(_ number: Int) {
    FileHandle.standardError.write(Data("check \\(number)\\n".utf8))
  }
}
'''


def end_of(text, start, stops):
    """The place of the first of `stops` behind `start`, outside of brackets and texts."""
    depth, index = 0, start
    while index < len(text):
        if text.startswith('"""', index):
            index = text.index('"""', index + 3) + 3
            continue
        if text[index] == '"':
            index += 1
            while text[index] != '"':
                index += 2 if text[index] == "\\" else 1
        elif depth == 0 and any(text.startswith(stop, index) for stop in stops):
            return index
        elif text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
        index += 1
    raise ValueError("no end")


def conditions(text):
    """The parts of `text` between its commas, outside of brackets and texts."""
    parts, start = [], 0
    while True:
        try:
            comma = end_of(text, start, [","])
        except ValueError:
            return [*parts, text[start:]]
        parts.append(text[start:comma])
        start = comma + 1


def binds(condition):
    return re.match(r"\s*(let|var|case)\b", condition) is not None or re.search(r"\btry\b", condition) is not None


class Rewriter:
    def __init__(self):
        self.checks = []  # (file, line, can it be removed)

    def rewrite(self, path, text):
        # From the last to the first, so that places stay.
        starts = [match.start() for match in re.finditer(r"\b(guard|if|for)\b(?= )", text)]
        for start in reversed(starts):
            if text.rfind("//", text.rfind("\n", 0, start) + 1, start) >= 0:
                continue
            word = re.match(r"\w+", text[start:]).group()
            try:
                body = end_of(text, start + len(word), ["else {"] if word == "guard" else ["{"])
            except (ValueError, IndexError):
                continue
            brace = body + len("else ") if word == "guard" else body
            throw = re.match(r"\{\s*throw\b", text[brace:])
            if not throw:
                continue
            number = len(self.checks)
            head = text[start + len(word):body]
            removed = f"RemovedChecks.contains({number})"
            if word == "guard":
                parts = conditions(head)
                removable = any(not binds(part) for part in parts)
                head = ",".join(part if binds(part) else f" ({part.strip()}) || {removed} " for part in parts)
            elif word == "if":
                removable, head = True, f"{head.rstrip()}, !{removed} "
            else:
                where = head.find(" where ")
                if where < 0:
                    continue
                removable, head = True, f"{head[:where]} where !{removed} && ({head[where + 7:].strip()}) "
            self.checks.append((path, text.count("\n", 0, start) + 1, removable))
            at = brace + throw.end() - len("throw")
            text = (text[:start + len(word)] + head + text[body:brace] + "{ RemovedChecks.note(" + str(number) + "); "
                    + text[at:])
        return text


def build(scratch, is_built):
    copy = scratch / "package"
    if not is_built:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".build*", ".git", "demo", "runs"), symlinks=True)
    rewriter = Rewriter()
    home = copy / "Sources" / "WeightFormats"
    sources = ROOT / "Sources" / "WeightFormats"
    for path in sorted(sources.rglob("*.swift")):
        name = path.relative_to(sources)
        if "Writer" in path.name:
            continue
        text = rewriter.rewrite(str(name), path.read_text())
        if not is_built:
            (home / name).write_text(text)
    executable = scratch / "build" / "release" / "chexnet"
    if is_built:
        return executable, rewriter.checks
    (home / "RemovedChecks.swift").write_text(SUPPORT)
    subprocess.run(
        ["swift", "build", "-c", "release", "--product", "chexnet", "--scratch-path", str(scratch / "build")], cwd=copy,
        check=True, stdout=sys.stderr)
    return executable, rewriter.checks


def refused_import(executable, path):
    """The line of the error with which the file is not imported; None where it is."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [executable, "import-weights", path, "--output", f"{folder}/imported"], capture_output=True, text=True, timeout=60)
    return next((line for line in result.stderr.splitlines() if line.startswith("error: ")), None) if result.returncode else None


def inspect(executable, path, removed):
    """(accepted, the number of the check that refused, the last line of the error)"""
    environment = {**os.environ, "CHEXNET_REMOVED_CHECKS": ",".join(map(str, removed))}
    target = tempfile.mktemp(suffix=".safetensors")
    try:
        result = subprocess.run(
            [executable, "import-weights", path, "--inspect", "--output", target], env=environment, capture_output=True, text=True,
            timeout=10)
    except subprocess.TimeoutExpired:
        return False, None, "does not end in ten seconds"
    if result.returncode < 0:
        return False, None, f"signal {-result.returncode} stops it"
    notes = [int(line.split()[1]) for line in result.stderr.splitlines() if re.fullmatch(r"check \d+", line)]
    error = next((line for line in result.stderr.splitlines() if line.startswith("error: ")), f"status {result.returncode}")
    return result.returncode == 0, notes[-1] if notes else None, error


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--scratch", help="where the copy is built; kept")
    parser.add_argument("--built", action="store_true", help="the copy stands in --scratch, built from these sources")
    options = parser.parse_args()
    files = options.files or [
        str(path) for path in sorted((ROOT / "fixtures" / "weight-files").rglob("*"))
        if path.is_file() and path.suffix not in (".json", ".md") and not path.with_name(path.name + ".expected.json").exists()
        and path.parent.name in ("hostile", "zip", "pickle", "torch", "stream", "safetensors")]
    scratch = pathlib.Path(options.scratch or tempfile.mkdtemp())
    scratch.mkdir(parents=True, exist_ok=True)
    executable, checks = build(scratch, options.built)
    counts = {"one": 0, "stopped": 0, "more": 0, "binding": 0, "elsewhere": 0, "listed": 0, "accepted": 0}
    for path in files:
        removed, verdict = [], None
        while verdict is None:
            accepted, check, error = inspect(executable, path, removed)
            place = "" if check is None else f"{checks[check][0]}:{checks[check][1]}"
            if accepted and not removed and (error := refused_import(executable, path)):
                kind, verdict = "listed", f"only listed: {error}"
            elif accepted:
                kind = "accepted" if not removed else "one" if len(removed) == 1 else "more"
                verdict = "ACCEPTED WITH EVERY CHECK" if not removed else "accepted without " + ", ".join(
                    f"{checks[number][0]}:{checks[number][1]}" for number in removed)
            elif check is None and removed and not error.startswith("error: "):
                kind, verdict = "stopped", "without " + ", ".join(
                    f"{checks[number][0]}:{checks[number][1]}" for number in removed) + ": " + error
            elif check is None:
                kind, verdict = "elsewhere", f"refused outside of these checks: {error}"
            elif not checks[check][2] or check in removed:
                kind = "binding"
                verdict = ("" if not removed else f"without {len(removed)} more: ") + f"{place} has nothing to go on with"
            else:
                removed.append(check)
        counts[kind] += 1
        print(f"{os.path.relpath(path, ROOT):64} {verdict}", flush=True)
    print(f"\n{len(files)} files, {len(checks)} checks: {counts['one']} accepted without one check, {counts['more']} without several, {counts['stopped']} stopped or endless without theirs, "
          f"{counts['binding']} refused by a check that binds a value, {counts['elsewhere']} refused elsewhere, {counts['listed']} "
          f"only listed by --inspect and not imported, "
          f"{counts['accepted']} accepted with every check")
    sys.exit(1 if counts["accepted"] else 0)


if __name__ == "__main__":
    main()
