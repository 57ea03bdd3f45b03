"""The figures of a run, and of several runs of one report together, drawn where they were not before.

Where matplotlib is missing, or a metric needs scikit-learn, a line says so instead. Read next: ../viz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import viz
from . import report_of
from .report import Result


def told(files: Sequence[Path]) -> str:
    """Where they are."""
    return "figure: " + " and ".join(map(str, files))


def draw_result(result: Result) -> list[str]:
    """Draw a result's curves and its confusion matrix into its folder; returns lines that say where they are, or why
    there are none."""
    if (result.folder / "figure.svg").exists():  # drawn when it was finished
        return []
    lines = []
    try:
        panels = report_of(result.run.name).PANELS
        lines.append(told(viz.write(viz.curves({result.title: result.history}, panels), result.folder / "figure")))
        if "confusion" in result.metrics:
            matrix, classes = result.metrics["confusion"], list(result.metrics["classes"])
            title = f"{result.title}, best model, test set"
            lines.append(told(viz.write(viz.confusion(matrix, classes, title), result.folder / "confusion")))
    except ImportError as error:
        lines.append(str(error))
    return [*lines, *([result.metrics["note"]] if "note" in result.metrics else [])]


def draw_together(results: Mapping[str, Result], path: Path) -> str:
    """Draw the curves of results of one report, by their names, as PATH.svg and PATH.png; returns a line as above."""
    panels = report_of(next(iter(results.values())).run.name).PANELS
    try:
        return told(viz.write(viz.curves({name: r.history for name, r in results.items()}, panels), path))
    except ImportError as error:
        return str(error)
