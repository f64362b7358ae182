"""Compares berrante with Keras on random cases: `python tests/parity/run.py --count 1000 --seed 1 --family layers`."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from parity import harness, peers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="cases of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", action="append", choices=list(harness.FAMILIES), help="repeatable; default all")
    parser.add_argument("--match", default="", help="only kinds whose names contain this")
    parser.add_argument("--index", type=int, help="only this case")
    parser.add_argument("--backend", choices=["jax", "torch"], help="Keras' backend (torch is quicker, jax is exact)")
    arguments = parser.parse_args()
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
    families = arguments.family or list(harness.FAMILIES)
    families = [f for f in families if harness.kinds_of(f, arguments.match)]
    theirs = peers.KerasPeer()
    report = harness.run(
        families, arguments.count, arguments.seed, peers.OurPeer(), theirs, arguments.match, arguments.index
    )
    failures = report.failures or []
    by_kind = Counter(text.split("[", 1)[1].split("]")[0] for text in failures)
    print(
        f"{report.cases} cases against Keras {theirs.k.__version__} on {theirs.k.backend.backend()} "
        f"({report.raised} where Keras raises): {len(failures)} differ, {report.seconds:.0f} s"
    )
    for kind, n in by_kind.most_common():
        print(f"  {n:4d} {kind}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
