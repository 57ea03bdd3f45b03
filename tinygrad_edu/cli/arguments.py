"""What several commands take: kinds of numbers, and the options of all that trains. Read next: run.py."""

from __future__ import annotations

import argparse
import sys
from typing import Any

LARGEST = {int: 10**9, float: sys.float_info.max}  # above are slips, and what can't be counted, timed or computed
RUNS_MEANT = "a run such as r1-arch-8, the beginning of ids such as r1 or r2-batch, or a pattern such as 'r1-*-8'"


def positive(kind: type[int] | type[float]) -> Any:
    """An argument's type: a number above 0, finite and at most LARGEST."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not 0 < value <= LARGEST[kind]:
            whole = f"whole number, {LARGEST[int]:,} at most" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"expected a positive {whole}, got {text!r}")
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


def out_argument(add: Any) -> None:
    """Where the runs' folders are."""
    add("--out", metavar="DIR", default="runs", help="the folder of the runs' folders (default: runs)")


def data_argument(add: Any) -> None:
    """Where the data are."""
    add("--data", metavar="ROOT", help="where to look for the data first, and to download it to")


def training_arguments(add: Any) -> None:
    """What everything takes that trains."""
    data_argument(add)
    out_argument(add)
    add("--epochs", type=positive(int), metavar="N", help="instead of the run's own number")
    add("--seed", type=seed, default=42, metavar="N", help="of weights, order and validation set (default: 42)")
    add("--threads", type=positive(int), metavar="N", help="how many to use (default: TG_THREADS, else all cores)")
