"""tinygrad-edu run and demo: runs of the reports, carried out one after the other or many at a time.

Read next: ../reports/sweep.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import RUNS_MEANT, interval, positive, training_arguments

if TYPE_CHECKING:
    from ..reports.report import Options, Result
    from ..reports.sweep import Outcome

DEMO = "r1-arch-8"
DEMO_MODES = ("as-reported", "corrected")
RESUME = ". The same command with --resume goes on from the last checkpoint."
TOGETHER = 18  # results at most in one figure: that many lines look different (viz/curves.py)


def add(commands: Any) -> None:
    """Add the two commands to the parser."""
    parser = commands.add_parser(
        "run",
        help="train runs of the reports",
        description="Train runs of the reports. Each leaves a folder in DIR; `tinygrad-edu list` shows its result.",
    )
    parser.set_defaults(command=run_command, again=RESUME)
    add = parser.add_argument
    add(
        "runs",
        nargs="+",
        metavar="ID",
        help=RUNS_MEANT,
    )
    add(
        "--mode",
        choices=("as-reported", "corrected", "both"),
        help="reports 1 and 2: as their code computed, or as it should have",
    )
    add(
        "--seeds",
        type=positive(int),
        default=1,
        metavar="N",
        help="so many runs of each, with seeds counted up from --seed",
    )
    training_arguments(add)
    add(
        "--jobs",
        type=positive(int),
        metavar="N",
        help="so many runs at a time, each on one thread (default: 1, on all)",
    )
    add(
        "--backend",
        choices=("loky", "dask"),
        default="loky",
        help="of the jobs: this machine's cores, or dask.distributed",
    )
    add(
        "--scheduler", metavar="ADDRESS", help="of a dask cluster, such as tcp://10.0.0.1:8786 (default: one made here)"
    )
    add("--lr", type=positive(float), metavar="X", help="learning rate; one-cycle's largest")
    add("--clip-grad-norm", type=positive(float), metavar="X", help="report 1: clip the norm of all gradients together")
    add("--schedule", choices=("constant", "onecycle"), help="report 3: of the learning rate (CNNs: onecycle)")
    add("--patience", type=positive(int), metavar="N", help="report 3: stop when the best epoch is N epochs old")
    add(
        "--resume",
        action="store_true",
        help="leave out what is finished, go on from the checkpoints of what was stopped",
    )
    add(
        "--checkpoint-every",
        type=interval,
        metavar="N",
        default=(None, 30.0),
        help="a checkpoint after N steps, or 30s for seconds (the default), besides the one after every epoch",
    )
    add("--json", action="store_true", help="print a JSON object for each run, as the last lines")

    text = f"Train {DEMO} in both modes and draw its figure; on scikit-learn's digits if Fashion-MNIST can't be had."
    parser = commands.add_parser("demo", help=f"train {DEMO} in both modes", description=text)
    parser.set_defaults(command=demo_command)
    training_arguments(parser.add_argument)


def options_of(args: argparse.Namespace) -> Options:
    """The options that `tinygrad-edu run` was given."""
    from ..reports.report import Options

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


def set_threads(args: argparse.Namespace) -> None:
    """Set the threads, if that was asked for."""
    from ..config import set_num_threads

    if args.threads is not None:
        set_num_threads(args.threads)


def run_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu run"""
    from ..reports import runner
    from ..reports.sweep import carry_out_all, jobs_of, select

    if args.scheduler and args.backend != "dask":
        usage("--scheduler is for --backend dask")
    if args.threads and (args.jobs or 1) > 1:
        usage("--threads is not for --jobs: each job has one thread")
    try:
        jobs = jobs_of(select(args.runs), options_of(args), args.seeds)
    except ValueError as error:
        usage(str(error))
    set_threads(args)
    outcomes: dict[str, Outcome] = {}
    stopped = False
    try:
        for outcome in carry_out_all(jobs, runner.load, args.jobs, args.backend, args.scheduler):
            outcomes[outcome.job.title] = outcome
    except KeyboardInterrupt:
        stopped = True
    ended = [outcomes[job.title] for job in jobs if job.title in outcomes]
    print_results([outcome.result for outcome in ended if outcome.result], args.seeds, Path(args.out))
    lines = [line for outcome in ended for line in outcome.figures if len(jobs) == 1 or not line.startswith("figure")]
    for line in dict.fromkeys(lines):
        print(line)
    failed = [outcome for outcome in ended if outcome.error]
    if args.json:
        for outcome in ended:
            if outcome.result:
                print(json.dumps(summary(outcome.result)))
            elif outcome.error:
                about = {"run": outcome.job.run, "mode": outcome.job.options.mode, "seed": outcome.job.options.seed}
                print(json.dumps({**about, "error": outcome.error}))
    if failed:
        print(failures(failed, len(jobs)), file=sys.stderr)
    if stopped:
        raise KeyboardInterrupt
    return 1 if failed else 0


def print_results(results: Sequence[Result], seeds: int, out: Path) -> None:
    """One run's figures in full; of several a line each, and where the figures are that show some together."""
    from ..reports.figures import draw_together
    from ..reports.results import Results
    from ..reports.tables import overview, table

    if not results:
        return
    print()
    if len(results) == 1:
        print(table(results[0]))
        return
    found = Results()
    for result in results:
        found.found.setdefault((result.run.name, result.settings.get("mode")), []).append(result)
    print(overview([*{result.run.name: result.run for result in results}.values()], found))
    groups: dict[str, dict[str, Result]] = {}
    for result in results:
        report, mode = result.run.name.partition("-")[0], result.settings.get("mode")
        name = result.run.name + (f", seed {result.settings['seed']}" if seeds > 1 else "")
        groups.setdefault(f"{report}-{mode}" if mode else report, {})[name] = result
    for name, group in groups.items():
        if 1 < len(group) <= TOGETHER:
            print(draw_together(group, out / f"figure-{name}"))


def summary(result: Result) -> dict[str, Any]:
    """A result's metrics without those by class, fit for JSON."""
    from ..train.folder import as_json

    plain = {k: v for k, v in result.metrics.items() if not isinstance(v, (dict, list)) and k != "note"}
    return dict(as_json(plain))


def failures(failed: Sequence[Outcome], count: int) -> str:
    """A paragraph on what failed of so many jobs; those of the same cause together."""
    causes: dict[str, list[str]] = {}
    for outcome in failed:
        causes.setdefault(outcome.error, []).append(outcome.job.title)
    resume = RESUME if any(outcome.resumable for outcome in failed) else ""
    if count == 1:
        return f"tinygrad-edu: {failed[0].error}{resume}"
    lines = [f"tinygrad-edu: {len(failed)} of {count} runs failed{resume}"]
    lines += [f"  {', '.join(titles)}: {cause}" for cause, titles in causes.items()]
    return "\n".join(lines)


def demo_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu demo"""
    from ..datasets import DatasetError
    from ..reports import find, runner
    from ..reports.figures import draw_together
    from ..reports.report import Options
    from ..reports.runner import carry_out
    from ..reports.tables import table

    set_threads(args)
    run = find(DEMO)
    try:
        data = runner.load(run.data, args.data)
    except DatasetError as error:
        print(
            f"{error}\n\nNOTICE: the demo goes on with scikit-learn's handwritten digits instead (1,797 images "
            "of 8 x 8). Its figures can't be compared with the report's, which are for Fashion-MNIST.\n",
            file=sys.stderr,
        )
        data = runner.load("Digits", args.data)
    results = {}
    for mode in DEMO_MODES:
        options = Options(mode=mode, seed=args.seed, epochs=args.epochs, data=args.data, out=args.out)
        result = carry_out(run, options, data)
        results[result.title] = result
        print(f"\n{table(result)}")
    print(f"\n{draw_together(results, Path(args.out) / 'demo')}")
    return 0
