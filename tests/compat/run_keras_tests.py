"""Runs Keras' own unit tests, from a checkout of its sources, against berrante under the name keras, and counts.

    python tests/compat/run_keras_tests.py --source KERAS_2.2.4 --keras 2 [FILES...] [--failures N] [--jobs N]
    python tests/compat/run_keras_tests.py --source KERAS_3.15 --keras 3 [FILES OR FOLDERS...]

Files and folders are named below tests/ (Keras 2) or keras/src/ (Keras 3); without any, all run but for those that
`keras_tests_scope.txt` leaves out, which says why. Each file runs in a process of its own, with a time limit. What is
printed: per file what passed; every failure with the line that says why; what is excluded, by reason; and the share of
those in scope that pass. Nothing of Keras is kept here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCOPE = HERE / "keras_tests_scope.txt"


# What test files say about which of Keras' own backends runs, and about private constants, and what they say to run here.
ADAPTED = {
    "saving_lib._MEMORY_UPPER_BOUND": "saving_lib.__dict__['a_limit_that_only_keras_has']",
    "self.original_value = saving_lib.__dict__['a_limit_that_only_keras_has']": "self.original_value = None",
    "saving_lib._CONFIG_FILENAME": "'config.json'",
    "saving_lib._METADATA_FILENAME": "'metadata.json'",
    'raise ImportError(f"Invalid backend: {backend.backend()}")': "from keras.src.trainers.trainer import Trainer",
    "CPU_DEVICES[backend.backend()]": "CPU_DEVICES.get(backend.backend())",
}


@dataclass(frozen=True)
class Exclusion:
    """A pattern for `file::test` of one version of Keras, and why what it matches is left out."""

    version: int
    pattern: str
    reason: str

    @property
    def expression(self) -> str:
        return re.escape(self.pattern).replace(r"\*", ".*")


def read_scope(path: Path = SCOPE) -> list[Exclusion]:
    """The list of what is left out: `[reason]` lines, then below each `2 pattern` or `3 pattern` lines."""
    found, reason = [], ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            reason = line[1:-1]
            continue
        version, _, pattern = line.partition(" ")
        if version not in ("2", "3") or not pattern or not reason:
            raise ValueError(
                f"{path.name}:{number}: expected '2 pattern' or '3 pattern' below a [reason]; read {line!r}"
            )
        found.append(Exclusion(int(version), pattern.strip(), reason))
    return found


def first_error(text: str) -> str:
    """The first line that tells what went wrong."""
    lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return " ".join((lines or text.splitlines() or [""])[0].split())[:200]


def run_file(
    file: Path, name: str, args: argparse.Namespace, exclusions: list[Exclusion]
) -> list[tuple[str, str, str]]:
    """(outcome, test, text) of each test of a file."""
    with tempfile.TemporaryDirectory() as folder:
        report, listed = Path(folder) / "report.json", Path(folder) / "exclusions.json"
        listed.write_text(json.dumps([(e.expression, e.reason) for e in exclusions]))
        work = Path(folder) / "work"
        work.mkdir()
        path = [str(HERE.parent.parent / "python"), os.environ.get("PYTHONPATH", "")]
        test = file
        if args.keras == 3:  # away from its package, whose name is taken
            test = work / file.name
            text = file.read_text()
            for old, new in ADAPTED.items():
                text = text.replace(old, new)
            test.write_text(text)
        else:
            path.append(str(file.parent))
        command = [sys.executable, str(HERE / "keras_tests_child.py"), str(args.source), str(args.keras), str(report)]
        environment = {"KERAS_HOME": str(Path.home() / ".keras"), **os.environ, "PYTHONPATH": os.pathsep.join(path)}
        try:
            done = subprocess.run(
                [*command, str(listed), str(test), name],
                cwd=work, env=environment, timeout=args.timeout, capture_output=True, text=True,
            )  # fmt: skip
            said = done.stdout[-1500:] + done.stderr[-1500:]
        except subprocess.TimeoutExpired:
            said = f"took more than {args.timeout} s"
        if report.exists():
            return [(o, n, t) for o, n, t in json.loads(report.read_text())]
        return [("error", name, said)]


def print_failures(lines: list[tuple[str, str, str]], in_full: int) -> None:
    """Each failure with its one line; the first few in full."""
    bad = [(name, text) for outcome, name, text in lines if outcome in ("failed", "error")]
    if bad:
        print("\nfailures:")
    for name, text in bad:
        print(f"  {name}\n      {first_error(text)}")
    for name, text in bad[:in_full]:
        print("=" * 100, f"\n{name}\n{text}")


def print_table(lines: list[tuple[str, str, str]]) -> None:
    """Passed, in scope and share of each folder; layers are counted folder by folder too."""
    folders: dict[str, Counter[str]] = {}
    for outcome, name, _ in lines:
        parts = name.partition("::")[0].split("/")
        folder = "/".join(parts[: 2 if parts[0] == "layers" else 1] if len(parts) > 1 else ["."])
        folders.setdefault(folder, Counter())[outcome] += 1
    print(f"\n{'folder':24s} {'passed':>7s} {'scope':>7s}  share")
    for folder, counts in sorted(folders.items()):
        scope = counts["passed"] + counts["failed"] + counts["error"]
        if scope:
            print(f"{folder:24s} {counts['passed']:7d} {scope:7d}  {100 * counts['passed'] / scope:5.1f}%")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a checkout of Keras")
    parser.add_argument("--keras", type=int, choices=(2, 3), required=True)
    parser.add_argument("--failures", type=int, default=0, help="how many failing tests to print in full")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for one file")
    parser.add_argument("--jobs", type=int, default=1, help="files at the same time")
    parser.add_argument("--save", type=Path, help="a JSON file for (outcome, test, text) of every test")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    args.source = args.source.resolve()
    root = args.source / ("tests" if args.keras == 2 else "keras/src")
    exclusions = [e for e in read_scope() if e.version == args.keras]
    pattern = "*test*.py" if args.keras == 2 else "*_test.py"
    files: list[Path] = []
    for chosen in args.files or ["."]:
        found = [root / chosen] if (root / chosen).is_file() else sorted((root / chosen).rglob(pattern))
        files += [file for file in found if file.name != "conftest.py"]
    left_out: Counter[str] = Counter()
    wanted = []
    for file in files:
        name = str(file.relative_to(root))
        reason = next(
            (e.reason for e in exclusions if "::" not in e.pattern and re.fullmatch(e.expression, name)), None
        )
        if reason is None:
            wanted.append((file, name))
        else:
            left_out[reason] += 1
    lines: list[tuple[str, str, str]] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        work = pool.map(lambda w: run_file(*w, args, exclusions), wanted)
        for (_, name), result in zip(wanted, work):
            counts = Counter(outcome for outcome, _, _ in result)
            print(f"{name}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())), flush=True)
            lines += result
    if args.save:
        args.save.write_text(json.dumps(lines))
    print_failures(lines, args.failures)
    totals = Counter(outcome for outcome, _, _ in lines)
    print("\nexcluded:")
    for reason, n in left_out.most_common():
        print(f"  {n:4d} files  {reason}")
    for reason, n in Counter(text for outcome, _, text in lines if outcome == "excluded").most_common():
        print(f"  {n:4d} tests  {reason}")
    print_table(lines)
    scope = totals["passed"] + totals["failed"] + totals["error"]
    share = 100 * totals["passed"] / max(scope, 1)
    print(f"\nin scope {scope}, passed {totals['passed']} ({share:.1f}%); {totals['skipped']} skipped by Keras itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
