"""A run's figures beside the report's, and all runs in a list, as text. The figures themselves: Report.FIGURES.

Read next: report.py.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from . import REPORTS, report_of
from .report import Figure, Result


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


def summary_table(results: Sequence[Result]) -> str:
    """A line for each run and mode: the figure that its report judges it by, mean and standard deviation over seeds."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.run.name, result.settings.get("mode") or ""), []).append(result)
    name, mode = (max(len(key[k]) for key in groups) for k in (0, 1))
    lines = [f"{'':{name}}  {'':{mode}}  seeds {'test accuracy (%)':>18} {'the report':>11} {'seconds':>9}"]
    for (run, how), some in groups.items():
        figure = report_of(run).FIGURES[0]
        ours = [value for value in map(figure.ours, some) if value is not None]
        seconds = statistics.fmean(float(result.metrics["train_seconds"]) for result in some)
        lines.append(
            f"{run:{name}}  {how:{mode}}  {len(some):5} {spread(ours, figure):>18} "
            f"{written(comparable(figure, some[0]), figure):>11} {seconds:9.1f}"
        )
    return "\n".join(lines)


def spread(values: Sequence[float], figure: Figure) -> str:
    """The mean in the figure's form, and, of several values, their standard deviation."""
    if not values:
        return "-"
    mean = written(statistics.fmean(values), figure)
    return f"{mean} +- {written(statistics.stdev(values), figure)}" if len(values) > 1 else mean


def listing() -> str:
    """All runs with the figure that their report judges them by."""
    blocks = []
    for report in REPORTS.values():
        figure = report.FIGURES[0]
        lines = [f"{report.TITLE}: {figure.label}, in the report"]
        for run in report.RUNS.values():
            lines.append(f"  {run.name:21} {run.data:13} {written(figure.theirs(run), figure):>6}  {run.about}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
