"""How far a long job is: a bar on a terminal or in a notebook, elsewhere a plain line now and then.

A job of less than ten seconds leaves nothing in a log file. Read next: ../reports/runner.py, which tells of a run's
images; ../reports/sweep.py, of many runs' epochs.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

SECONDS = 10.0  # at least, between two lines in a log file, and before the first
LONG = 60.0  # between two where there is no news but that it goes on


class Progress:
    """What a job reports to; this one says nothing."""

    def advance(self, count: int, **news: str) -> None:
        """So much more is done. News: what is worth a line in a log, such as the metrics after an epoch."""

    def line(self, text: str) -> None:
        """A line of its own, whatever else is shown."""


class Bar(Progress):
    """tqdm's bar."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def advance(self, count: int, **news: str) -> None:
        """Move the bar; news stand at its end."""
        if news:
            self.bar.set_postfix(news, refresh=False)
        self.bar.update(count)

    def line(self, text: str) -> None:
        """Above the bar."""
        self.bar.write(text, file=sys.stderr)


class Lines(Progress):
    """Plain lines on stderr."""

    def __init__(self, name: str, total: int, done: int, unit: str) -> None:
        self.name, self.total, self.done, self.unit = name, total, done, unit
        self.start = self.last = time.monotonic()
        self.news: dict[str, str] = {}

    def advance(self, count: int, **news: str) -> None:
        """Count, and say so if the last line is old."""
        self.done += count
        self.news = news or self.news
        now = time.monotonic()
        if now - self.last >= (SECONDS if news else LONG):
            self.last = now
            values = "".join(f", {key} {value}" for key, value in self.news.items())
            passed = time.strftime("%H:%M:%S", time.gmtime(now - self.start))
            self.line(f"{self.name}: {self.done:,} of {self.total:,} {self.unit} after {passed}{values}")

    def line(self, text: str) -> None:
        """At once, for who follows the file."""
        print(text, file=sys.stderr, flush=True)


def bar_class() -> Any | None:
    """The kind of tqdm that fits where stderr goes; None where no bar fits, or without tqdm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns of a notebook without ipywidgets, where this is lines
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return None
    widget = any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
    return tqdm if widget or sys.stderr.isatty() else None


@contextlib.contextmanager
def progress(name: str, total: int, done: int = 0, unit: str = "images") -> Iterator[Progress]:
    """Tell of `total` things in all, of which some were done by an earlier run."""
    kind = bar_class()
    if kind is None:
        yield Lines(name, total, done, unit)
        return
    settings = {"unit": f" {unit}", "unit_scale": total >= 10_000, "dynamic_ncols": True}
    with kind(total=total, initial=done, desc=name, **settings) as bar:
        yield Bar(bar)
