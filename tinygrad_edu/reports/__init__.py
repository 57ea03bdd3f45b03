"""The reports that this project retrains, and their runs by id; a run id never changes its meaning."""

from __future__ import annotations

import difflib
from typing import Any

from . import report1, report2, report3, report4
from .report import Report

REPORTS: dict[str, Report] = {"r1": report1, "r2": report2, "r3": report3, "r4": report4}
RUNS: dict[str, Any] = {name: run for report in REPORTS.values() for name, run in report.RUNS.items()}
_REPORT_OF = {name: report for report in REPORTS.values() for name in report.RUNS}


def find(name: str) -> Any:
    """The run of that id. Raises ValueError, with the ids that look like it, when there is none."""
    if name not in RUNS:
        near = difflib.get_close_matches(name, RUNS, 3, 0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(f"there is no run {name!r}{meant} `tinygrad-edu list` shows all {len(RUNS)}.")
    return RUNS[name]


def report_of(name: str) -> Report:
    """The report that a run belongs to."""
    return _REPORT_OF[name]


__all__ = ["REPORTS", "RUNS", "Report", "find", "report_of"]
