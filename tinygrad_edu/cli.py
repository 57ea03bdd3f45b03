"""The command line, tinygrad-edu: run a report's models by id, list them, or watch a demonstration.

Thin: arguments in, what reports/runner.py made out. Exit status 2 for a wrong command line, 1 for what failed, with a
paragraph that says why. Read next: reports/runner.py.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DEMO = "r1-arch-8"
DEMO_MODES = ("as-reported", "corrected")


def positive(kind: type[int] | type[float]) -> Any:
    """An argument's type: a finite number above 0."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(
                f"expected a positive {'whole ' if kind is int else ''}number, got {text!r}"
            )
        return value

    return parse


def seed(text: str) -> int:
    """An argument's type: what NumPy's generator takes as a seed."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^32 - 1, got {text!r}")
    return value


def arguments() -> argparse.ArgumentParser:
    """The parser."""
    parser = argparse.ArgumentParser(prog="tinygrad-edu", description="Train the reports' models with tinygrad_edu.")
    commands = parser.add_subparsers(dest="command", required=True)

    common = argparse.ArgumentParser(add_help=False)
    add = common.add_argument
    add("--data", metavar="ROOT", help="where to look for the data first, and to download it to")
    add("--out", metavar="DIR", default="runs", help="where each run leaves its folder (default: runs)")
    add("--epochs", type=positive(int), metavar="N", help="instead of the report's 30")
    add("--seed", type=seed, default=42, metavar="N", help="of weights and order (default: 42, the report's)")
    add("--threads", type=positive(int), metavar="N", help="how many to use (default: TG_THREADS, else all cores)")

    run = commands.add_parser(
        "run", parents=[common], help="train runs of a report", description="Train runs of a report."
    )
    add = run.add_argument
    add("runs", nargs="+", metavar="ID", help="such as r1-arch-8; see `tinygrad-edu list`")
    add("--mode", choices=DEMO_MODES, default="as-reported", help="as the report's code computed, or as it should have")
    add("--lr", type=positive(float), metavar="X", help="learning rate")
    add("--clip-grad-norm", type=positive(float), metavar="X", help="clip the norm of all gradients together")
    add("--json", action="store_true", help="print a JSON object for each run, as the last line")

    text = f"Train {DEMO} in both modes and draw its figure; on scikit-learn's digits if Fashion-MNIST can't be had."
    commands.add_parser("demo", parents=[common], help=f"train {DEMO} in both modes", description=text)
    commands.add_parser("list", help="show all runs and the reports' figures", description="Show all runs.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = arguments()
    args = parser.parse_args(argv)
    from .datasets import DatasetError
    from .reports import find

    if args.command == "run":
        try:
            for name in args.runs:
                find(name)
        except ValueError as error:
            parser.error(str(error))
    command = {"run": run_command, "demo": demo_command, "list": list_command}[args.command]
    try:
        command(args)
    except BrokenPipeError:  # who read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DatasetError, RuntimeError, ValueError, OSError, MemoryError) as error:
        if "trace" in os.environ.get("TG_DEBUG", ""):
            raise
        print(f"tinygrad-edu: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tinygrad-edu: interrupted; the epochs so far are in the run's log.jsonl", file=sys.stderr)
        return 130
    return 0


def prepare(args: argparse.Namespace) -> None:
    """Set the threads."""
    from .config import set_num_threads

    if args.threads is not None:
        set_num_threads(args.threads)


def figure(results: Sequence[Any], path: Path) -> str:
    """Draw the results in one figure; returns a line that says where it is, or why there is none."""
    from .train.plots import draw

    try:
        files = draw({r.title: r.history for r in results}, path)
    except ImportError as error:
        return str(error)
    return "figure: " + " and ".join(map(str, files))


def run_command(args: argparse.Namespace) -> None:
    """tinygrad-edu run"""
    from .reports import find
    from .reports.runner import Options, carry_out, load, table
    from .train.folder import as_json

    prepare(args)
    options = Options(args.mode, args.seed, args.epochs, args.lr, args.clip_grad_norm, args.data, args.out)
    data = load(args.data)
    results = []
    for name in dict.fromkeys(args.runs):
        result = carry_out(find(name), options, data)
        results.append(result)
        print(f"\n{table(result)}\n{figure([result], result.folder / 'figure')}")
    if len(results) > 1:
        print(figure(results, Path(args.out) / f"figure-{args.mode}"))
    if args.json:
        for result in results:
            print(json.dumps(as_json(result.metrics())))


def demo_command(args: argparse.Namespace) -> None:
    """tinygrad-edu demo"""
    from .datasets import DatasetError
    from .reports import find
    from .reports.runner import Options, carry_out, load, table

    prepare(args)
    try:
        data = load(args.data)
    except DatasetError as error:
        print(
            f"{error}\n\nNOTICE: the demo goes on with scikit-learn's handwritten digits instead (1,797 images "
            "of 8 x 8). Its figures can't be compared with the report's, which are for Fashion-MNIST.\n",
            file=sys.stderr,
        )
        data = load(args.data, digits=True)
    results = []
    for mode in DEMO_MODES:
        options = Options(mode, args.seed, args.epochs, data=args.data, out=args.out)
        results.append(carry_out(find(DEMO), options, data))
        print(f"\n{table(results[-1])}")
    print(f"\n{figure(results, Path(args.out) / 'demo')}")


def list_command(args: argparse.Namespace) -> None:
    """tinygrad-edu list"""
    from .reports import RUNS

    print("As reported: test accuracy (%) after epochs 1 and 30, test loss, and the time of 30 epochs.")
    print(
        f"{'run':14} {'architecture':29} {'batch':>5} {'lr':>6} {'epoch 1':>8} {'epoch 30':>8} {'loss':>7} {'time':>6}"
    )
    for run in RUNS.values():
        print(
            f"{run.name:14} {run.architecture:29} {run.batch:5} {run.lr:6g} {run.first_accuracy:8.2f} "
            f"{run.accuracy:8.2f} {run.loss:7.3f} {run.seconds:4.0f} s"
        )


if __name__ == "__main__":
    sys.exit(main())
