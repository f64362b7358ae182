"""The command `berrante`: bench, convert, demo, info, run, summary."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a subcommand; gives the exit status."""
    parser = argparse.ArgumentParser(prog="berrante", description="Keras' API on a small compiled core.")
    commands = parser.add_subparsers(dest="command", required=True)
    from berrante.cli.demos import DEMOS

    listed = "; ".join(f"{name}: {what}" for name, (_, what) in DEMOS.items())
    demo = commands.add_parser("demo", help="train on real images: LeNet-5 on digits, or one of the named demos")
    demo.add_argument(
        "name", nargs="?", choices=("lenet5", *DEMOS), default="lenet5", help=f"lenet5 (default); {listed}"
    )
    demo.add_argument("--data", choices=("digits", "mnist"), default="digits")
    demo.add_argument(
        "--path", help="mnist.npz or a folder of idx files (default: Keras' cache); segment: a folder of images"
    )
    demo.add_argument("--epochs", type=int, default=None)
    demo.add_argument("--out", default="berrante-demo", help="folder for the results")
    demo.add_argument("--seed", type=int, default=0)
    commands.add_parser("info", help="this machine, as berrante sees it")
    run = commands.add_parser("run", help="run a script or notebook written for Keras, unchanged")
    run.add_argument(
        "--keras", type=int, choices=(2, 3), help="whose habits to take (default: by what the script uses)"
    )
    run.add_argument("script", help="a Python file or a Jupyter notebook")
    run.add_argument("args", nargs=argparse.REMAINDER, help="the script's own arguments")
    summary = commands.add_parser("summary", help="the layers of a saved model")
    summary.add_argument("file")
    change = commands.add_parser(
        "convert", help="a model's file of any Keras into another format, by the target's suffix"
    )
    change.add_argument("source")
    change.add_argument("target", help=".keras, .h5, .weights.h5, .weights, .json, or any name for legacy HDF5")
    change.add_argument("--config", help="the model (a file or JSON config) that a file of weights alone belongs to")
    change.add_argument("--overwrite", action="store_true", help="replace the target if it exists")
    commands.add_parser("bench", help="time berrante beside its peers; berrante bench --help says more")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bench"]:
        from berrante_bench.cli import main as run_benchmarks

        return run_benchmarks(given[1:])
    args = parser.parse_args(given)
    if args.command == "demo" and args.name != "lenet5":
        from berrante.cli.demos import run as run_named
        from berrante.cli.demos.common import Options

        run_named(args.name, Options(args.data, args.path, args.epochs, args.out, args.seed))
        return 0
    if args.command == "demo":
        from berrante.cli.demo import run_demo

        return run_demo(args.data, args.path, args.epochs, args.out, args.seed)
    if args.command == "info":
        from berrante.cli.info import print_info

        print_info()
        return 0
    if args.command == "run":
        from berrante.cli.run import run_script

        return run_script(args.script, args.args, args.keras)
    from berrante.cli.files import convert, print_summary

    if args.command == "convert":
        return convert(args.source, args.target, args.config, args.overwrite)
    return print_summary(args.file)
