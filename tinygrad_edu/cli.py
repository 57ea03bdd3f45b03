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
RESUME = ". The same command with --resume goes on from the last checkpoint."


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


def interval(text: str) -> tuple[int | None, float | None]:
    """An argument's type: a number of steps, such as 500, or of seconds, such as 30s."""
    try:
        return (None, float(positive(float)(text[:-1]))) if text.endswith("s") else (int(positive(int)(text)), None)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected a number of steps, such as 500, or 30s, got {text!r}") from None


def arguments() -> argparse.ArgumentParser:
    """The parser."""
    parser = argparse.ArgumentParser(prog="tinygrad-edu", description="Train the reports' models with tinygrad_edu.")
    commands = parser.add_subparsers(dest="command", required=True)

    common = argparse.ArgumentParser(add_help=False)
    add = common.add_argument
    add("--data", metavar="ROOT", help="where to look for the data first, and to download it to")
    add("--out", metavar="DIR", default="runs", help="where each run leaves its folder (default: runs)")
    add("--epochs", type=positive(int), metavar="N", help="instead of the run's own number")
    add("--seed", type=seed, default=42, metavar="N", help="of weights, order and validation set (default: 42)")
    add("--threads", type=positive(int), metavar="N", help="how many to use (default: TG_THREADS, else all cores)")

    run = commands.add_parser(
        "run", parents=[common], help="train runs of a report", description="Train runs of a report."
    )
    add = run.add_argument
    add("runs", nargs="+", metavar="ID", help="such as r1-arch-8; see `tinygrad-edu list`")
    add("--mode", choices=DEMO_MODES, help="reports 1, 2: as its code computed (the default), or as it should have")
    add("--lr", type=positive(float), metavar="X", help="learning rate; one-cycle's largest")
    add("--clip-grad-norm", type=positive(float), metavar="X", help="report 1: clip the norm of all gradients together")
    add("--schedule", choices=("constant", "onecycle"), help="report 3: of the learning rate (CNNs: onecycle)")
    add("--patience", type=positive(int), metavar="N", help="report 3: stop when the best epoch is N epochs old")
    add("--resume", action="store_true", help="go on from the checkpoint of a run that was stopped, to the same result")
    add(
        "--checkpoint-every",
        type=interval,
        metavar="N",
        default=(None, 30.0),
        help="a checkpoint after N steps, or 30s for seconds (the default), besides the one after every epoch",
    )
    add("--json", action="store_true", help="print a JSON object for each run, as the last line")

    text = f"Train {DEMO} in both modes and draw its figure; on scikit-learn's digits if Fashion-MNIST can't be had."
    commands.add_parser("demo", parents=[common], help=f"train {DEMO} in both modes", description=text)
    commands.add_parser("list", help="show all runs and the reports' figures", description="Show all runs.")
    return parser


def options_of(args: argparse.Namespace) -> Any:
    """The options that `tinygrad-edu run` was given."""
    from .reports.report import Options

    steps, seconds = args.checkpoint_every
    return Options(
        mode=args.mode,
        seed=args.seed,
        epochs=args.epochs,
        lr=args.lr,
        clip_grad_norm=args.clip_grad_norm,
        schedule=args.schedule,
        patience=args.patience,
        data=args.data,
        out=args.out,
        resume=args.resume,
        checkpoint_steps=steps,
        checkpoint_seconds=seconds,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = arguments()
    args = parser.parse_args(argv)
    from .datasets import DatasetError
    from .reports import find

    if args.command == "run":
        from .reports.runner import check

        try:
            for name in args.runs:
                check(find(name), options_of(args))
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
        again = RESUME if args.command == "run" and isinstance(error, (OSError, MemoryError)) else ""
        print(f"tinygrad-edu: {error}{again}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"tinygrad-edu: interrupted{RESUME if args.command == 'run' else ''}", file=sys.stderr)
        return 130
    return 0


def prepare(args: argparse.Namespace) -> None:
    """Set the threads."""
    from .config import set_num_threads

    if args.threads is not None:
        set_num_threads(args.threads)


def figure(results: Sequence[Any], path: Path) -> str:
    """Draw results of one report in one figure; returns a line that says where it is, or why there is none."""
    from .reports import report_of
    from .train.plots import draw

    try:
        files = draw({r.title: r.history for r in results}, path, report_of(results[0].run.name).PANELS)
    except ImportError as error:
        return str(error)
    return "figure: " + " and ".join(map(str, files))


def confusion(result: Any) -> str:
    """Draw a result's confusion matrix, if it has one; returns what `figure` does, on a line of its own."""
    from .train.plots import draw_confusion

    if "confusion" not in result.metrics:
        return f"\n{result.metrics['note']}" if "note" in result.metrics else ""
    path, classes = result.folder / "confusion", list(result.metrics["classes"])
    try:
        files = draw_confusion(result.metrics["confusion"], classes, path, f"{result.title}, best model, test set")
    except ImportError:  # figure() has said so
        return ""
    return "\nfigure: " + " and ".join(map(str, files))


def summary(result: Any) -> dict[str, Any]:
    """A result's metrics without those by class, fit for JSON."""
    from .train.folder import as_json

    plain = {k: v for k, v in result.metrics.items() if not isinstance(v, (dict, list)) and k != "note"}
    return dict(as_json(plain))


def run_command(args: argparse.Namespace) -> None:
    """tinygrad-edu run"""
    from .reports import find
    from .reports.runner import carry_out, load
    from .reports.tables import table

    prepare(args)
    options = options_of(args)
    data: dict[str, Any] = {}
    results = []
    for run in map(find, dict.fromkeys(args.runs)):
        if run.data not in data:
            data[run.data] = load(run.data, args.data)
        result = carry_out(run, options, data[run.data])
        results.append(result)
        print(f"\n{table(result)}\n{figure([result], result.folder / 'figure')}{confusion(result)}")
    reports: dict[str, list[Any]] = {}
    for result in results:
        reports.setdefault(result.run.name.partition("-")[0], []).append(result)
    for name, some in reports.items():
        if len(some) > 1:
            mode = some[0].settings.get("mode")
            print(figure(some, Path(args.out) / f"figure-{name}{f'-{mode}' if mode else ''}"))
    if args.json:
        for result in results:
            print(json.dumps(summary(result)))


def demo_command(args: argparse.Namespace) -> None:
    """tinygrad-edu demo"""
    from .datasets import DatasetError
    from .reports import find
    from .reports.report import Options
    from .reports.runner import carry_out, load
    from .reports.tables import table

    prepare(args)
    run = find(DEMO)
    try:
        data = load(run.data, args.data)
    except DatasetError as error:
        print(
            f"{error}\n\nNOTICE: the demo goes on with scikit-learn's handwritten digits instead (1,797 images "
            "of 8 x 8). Its figures can't be compared with the report's, which are for Fashion-MNIST.\n",
            file=sys.stderr,
        )
        data = load("Digits", args.data)
    results = []
    for mode in DEMO_MODES:
        options = Options(mode=mode, seed=args.seed, epochs=args.epochs, data=args.data, out=args.out)
        results.append(carry_out(run, options, data))
        print(f"\n{table(results[-1])}")
    print(f"\n{figure(results, Path(args.out) / 'demo')}")


def list_command(args: argparse.Namespace) -> None:
    """tinygrad-edu list"""
    from .reports.tables import listing

    print(listing())


if __name__ == "__main__":
    sys.exit(main())
