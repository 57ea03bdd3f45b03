"""tinygrad-edu list: every run, what the report says of it, what came of it here. Read next: ../reports/tables.py."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .arguments import RUNS_MEANT, out_argument

NOTES = 5  # at most, on folders without a result


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "list",
        help="show the runs, the reports' figures, and ours so far",
        description="Show the runs, with the figure that their report judges them by, and ours from finished runs in "
        "DIR: of several seeds the mean ± standard deviation (number of seeds).",
    )
    parser.set_defaults(command=list_command)
    parser.add_argument("runs", nargs="*", metavar="ID", help=f"{RUNS_MEANT} (default: all)")
    out_argument(parser.add_argument)


def list_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu list"""
    from ..reports.results import read_all
    from ..reports.sweep import select
    from ..reports.tables import overview

    try:
        runs = select(args.runs or ["*"])
    except ValueError as error:
        usage(str(error))
    results = read_all(Path(args.out))
    print(overview(runs, results, max(100, shutil.get_terminal_size((100, 24)).columns)))
    if results.notes:
        more = len(results.notes) - NOTES
        print("\nNot among these:", *results.notes[:NOTES], *([f"and {more} more"] if more > 0 else []), sep="\n  ")
    return 0
