"""The reports that this project retrains, and their runs by id; a run id never changes its meaning."""

from __future__ import annotations

import difflib

from . import report1
from .report1 import Run

RUNS: dict[str, Run] = {**report1.RUNS}


def find(name: str) -> Run:
    """The run of that id. Raises ValueError, with the ids that look like it, when there is none."""
    if name not in RUNS:
        near = difflib.get_close_matches(name, RUNS, 3, 0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"there is no run {name!r}{meant} `tinygrad-edu list` shows all {len(RUNS)}.")
    return RUNS[name]


__all__ = ["RUNS", "Run", "find"]
