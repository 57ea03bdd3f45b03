"""tinygrad-edu report: the page of a report, or of all, from the folders of finished runs. Read next: ../page."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .arguments import out_argument


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="make a report's page: figures beside the report's, and a verdict on each claim",
        description="Make a page of finished runs, as one HTML file and as Markdown with SVG figures: a report's "
        "tables and figures with ours beside them, and a verdict on each of its claims. Nothing is trained.",
    )
    parser.set_defaults(command=report_command)
    parser.add_argument("report", metavar="REPORT", help="r1, r2, r3, r4 or all")
    out_argument(parser.add_argument)
    parser.add_argument(
        "--to", metavar="DIR", type=Path, help="where the files go (default: the folder report in that of the runs)"
    )


def report_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu report"""
    from ..page import make
    from ..reports import REPORTS

    if args.report not in (*REPORTS, "all"):
        usage(f"there is no report {args.report!r}; there are {', '.join(REPORTS)}, and all of them: all")
    out = Path(args.out)
    made = make(args.report, out, args.to or out / "report")
    for file in made.files:
        print(file)
    if not made.trainings:
        first = "r1" if args.report == "all" else args.report
        raise ValueError(
            f"there is no finished run of {args.report} in {out}, and the page says so. Train some first: "
            f"tinygrad-edu run {first} --out {out}"
        )
    return 0
