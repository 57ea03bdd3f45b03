"""When, where and with what the results of a page came to be. Read next: model.py."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import __version__
from ..reports.report import Result


def machine() -> str:
    """The processor's name, how many of its cores this process may use, and the system."""
    name, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {platform.system()}"


def day(time: float) -> str:
    """The date of a time in seconds since 1970."""
    return datetime.date.fromtimestamp(time).isoformat()


def span(values: Sequence[str]) -> str:
    """The first and the last of several, or the only one."""
    ordered = sorted(set(values))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def listed(values: Sequence[object]) -> str:
    """Each of several once, in order."""
    return ", ".join(str(value) for value in sorted(set(values), key=lambda value: (len(str(value)), str(value))))


def facts_of(runs: int, found: Sequence[Result]) -> list[tuple[str, str]]:
    """Of a report with so many runs."""
    versions = f"tinygrad_edu {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    made = [
        ("Machine", f"{machine()} (this page’s; run folders do not tell theirs)"),
        ("Page made", f"{datetime.date.today().isoformat()} by {versions}"),
    ]
    trained = len({result.run.name for result in found})
    told = [("Runs trained", f"{trained} of {runs}, {len({result.folder for result in found})} trainings")]
    if found:
        told += [
            ("Finished", span([day((result.folder / "metrics.json").stat().st_mtime) for result in found])),
            ("Seeds", listed([result.settings["seed"] for result in found])),
            ("Backend", listed([result.metrics.get("backend", "?") for result in found])),
            ("Threads a run", listed([result.metrics.get("threads", "?") for result in found])),
        ]
    return told + made
