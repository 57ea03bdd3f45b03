"""A run's figures beside the report's, and all runs in a list, as text. The figures themselves: Report.FIGURES.

Read next: report.py.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from . import report_of
from .report import Figure, Result, Run
from .results import Results


def comparable(figure: Figure, result: Result) -> float | None:
    """The report's figure, where ours can be held against it: the same data and, if that matters, as many epochs."""
    run = result.run
    if result.settings["data"] != run.data or (figure.whole and result.history[-1]["epoch"] != run.epochs):
        return None
    return figure.theirs(run)


def written(value: float | None, figure: Figure) -> str:
    """A number in the figure's form."""
    return "-" if value is None else format(value, figure.form)


def table(result: Result) -> str:
    """The run's figures beside the report's."""
    settings, figures = result.settings, report_of(result.run.name).FIGURES
    width = max(len(figure.label) for figure in figures) + 2
    epochs, theirs = result.history[-1]["epoch"], result.run.epochs
    lines = [
        f"{result.title}: {result.run.about}, seed {settings['seed']}, {settings['data']}, "
        f"{epochs} epoch{'s' * (epochs != 1)}" + (f", {theirs} in the report" if epochs != theirs else ""),
        f"{'':{width}}{'this run':>12}{'the report':>12}",
    ]
    for figure in figures:
        pair = [written(value, figure) for value in (figure.ours(result), comparable(figure, result))]
        if pair != ["-", "-"]:
            lines.append(f"{figure.label:{width}}{pair[0]:>12}{pair[1]:>12}")
    return "\n".join(lines)


def overview(runs: Sequence[Run], results: Results, width: int = 100) -> str:
    """A line for each run: its id, the report's figure, ours in each mode that has any, what the run is.

    Ours is the mean over seeds, with the standard deviation and the number of seeds where there are several."""
    blocks: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        blocks.setdefault((run.name.partition("-")[0], run.data), []).append(run)
    return "\n\n".join("\n".join(block(some, results, width)) for some in blocks.values())


def block(runs: Sequence[Run], results: Results, width: int) -> list[str]:
    """The lines on runs of one report and data set, with a heading."""
    report = report_of(runs[0].name)
    figure = report.FIGURES[0]
    modes = [mode for mode in report.MODES or (None,) if any(results.of(run.name, mode) for run in runs)]
    rows = [["run", "report", *(mode or "here" for mode in modes), "what"]]
    for run in runs:
        found = [results.of(run.name, mode) for mode in modes]
        theirs = {comparable(figure, some[0]) for some in found if some} or {figure.theirs(run)}
        ours = [spread([value for value in map(figure.ours, some) if value is not None], figure) for some in found]
        rows.append([run.name, written(theirs.pop(), figure), *ours, run.about])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{report.TITLE} ({runs[0].data}): {figure.label}"]
    for name, *numbers, what in rows:
        cells = [f"{cell:>{size}}" for cell, size in zip(numbers, widths[1:-1], strict=True)]
        lines.append(cut("  ".join([f"  {name:{widths[0]}}", *cells, what]), width))
    return lines


def cut(line: str, width: int) -> str:
    """The line, or as much of it as fits."""
    return line if len(line) <= width else line[: width - 3].rstrip() + "..."


def spread(values: Sequence[float], figure: Figure) -> str:
    """The mean in the figure's form, and, of several values, their standard deviation and number."""
    if not values:
        return "-"
    mean = written(statistics.fmean(values), figure)
    return f"{mean} ± {written(statistics.stdev(values), figure)} ({len(values)})" if len(values) > 1 else mean
