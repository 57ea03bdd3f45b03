"""A group of runs as tables: the report's figures beside ours, and what training took.

Plain data, of which html.py and markdown.py each make their own form. Read next: model.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..reports.report import Figure, Report, Result
from ..reports.results import Results
from ..reports.tables import comparable

DASH, NOT_RUN = "–", "not run"
OTHER_EPOCHS = ("†", "After more or fewer epochs than the report's.")
SPEED_UP = ("§", "The report's time, on its authors' machine, over ours, on ours.")
SAME = ("‡", "Both modes train this run alike: a result of one is a result of the other.")


@dataclass(frozen=True)
class Cell:
    """A number of ours or theirs as text, marks of footnotes behind it, and what is written small beneath it."""

    text: str
    kind: str  # theirs, ours or missing
    marks: str = ""
    small: str = ""


@dataclass(frozen=True)
class Columns:
    """Columns under a common title."""

    title: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A run's."""

    name: str
    about: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Of a group of runs."""

    title: str
    columns: tuple[Columns, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[tuple[str, str], ...]

    @property
    def firsts(self) -> set[int]:
        """The cells of a row that begin columns under a common title."""
        return {sum(len(columns.names) for columns in self.columns[:k]) for k in range(len(self.columns))}


@dataclass(frozen=True)
class Ours:
    """A run's results in one mode, none where it was not run."""

    run: Any
    mode: str | None
    results: list[Result]
    same: bool  # the report's first mode trains this run alike

    @property
    def epochs(self) -> int:
        """How many our runs trained."""
        return int(self.results[0].history[-1]["epoch"])

    def numbers(self, figure: Figure) -> list[float]:
        """A figure of each result that has it."""
        values = [figure.ours(result) for result in self.results]
        return [value for value in values if value is not None and math.isfinite(value)]

    def cell(self, text: str, small: str = "", compared: bool = False) -> Cell:
        """A number of ours; compared: beside one of the report's."""
        marks = OTHER_EPOCHS[0] * (compared and self.epochs != self.run.epochs) + SAME[0] * self.same
        return Cell(text, "ours", marks, small)


Line = tuple[Ours, ...]  # a run's results, mode by mode
Block = tuple[Columns, Callable[[Line], list[Cell]]]  # columns, and what a run has in them


def modes_of(report: Report, runs: Iterable[Any]) -> Sequence[str | None]:
    """The modes to tell apart: the first alone where all train each of the runs alike; None where there are none."""
    return (report.MODES[:1] if all(run.alike for run in runs) else report.MODES) or (None,)


def ours_of(report: Report, run: Any, mode: str | None, results: Results) -> Ours:
    """A run's results in a mode."""
    return Ours(run, mode, results.of(run.name, mode), run.alike and mode not in (None, *report.MODES[:1]))


def mean(values: Sequence[float], form: str) -> str:
    """The mean, and of several values their standard deviation."""
    if len(values) == 1:
        return format(values[0], form)
    form = ".1f" if form == "d" else form
    return f"{statistics.fmean(values):{form}} ± {statistics.stdev(values):{form}}"


def result_cell(ours: Ours, figure: Figure) -> Cell:
    """Ours, and beneath it how far it is from the report's, where they compare."""
    if not ours.results:
        return Cell(NOT_RUN, "missing")
    values = ours.numbers(figure)
    if not values:
        return Cell(DASH, "ours")
    theirs = comparable(figure, ours.results[0])
    away = "" if theirs is None else format(statistics.fmean(values) - theirs, f"+{figure.form}").replace("-", "−")
    return ours.cell(mean(values, figure.form), away, figure.theirs(ours.run) is not None)


def time_cell(ours: Ours, figure: Figure) -> Cell:
    """The median of our times."""
    values = ours.numbers(figure)
    return ours.cell(format(statistics.median(values), figure.form)) if values else Cell(NOT_RUN, "missing")


def speed_up_cell(ours: Ours, figure: Figure) -> Cell:
    """How many times less that is than the report's."""
    values, theirs = ours.numbers(figure), figure.theirs(ours.run)
    if not values:
        return Cell(NOT_RUN, "missing")
    return Cell(DASH, "ours") if theirs is None else ours.cell(f"{theirs / statistics.median(values):.3g}×", "", True)


def counted(line: Line, count: Callable[[Ours], int]) -> list[Cell]:
    """A whole number about a run's results in each mode, once where all have the same."""
    told = dict.fromkeys(str(count(ours)) if ours.results else NOT_RUN for ours in line)
    if list(told) == [NOT_RUN]:
        return [Cell(NOT_RUN, "missing")]
    return [Cell(", ".join(told), "ours")]


def tables_of(title: str, report: Report, runs: Sequence[Any], results: Results) -> list[Table]:
    """What came of the runs, and what it took."""
    modes = modes_of(report, runs)
    lines = [tuple(ours_of(report, run, mode, results) for mode in modes) for run in runs]
    here = tuple(map(str, modes)) if len(modes) > 1 else ("here",)

    def block(label: str, cell: Callable[[Ours], Cell], theirs: Callable[[Any], str] | None = None) -> Block:
        def cells(line: Line) -> list[Cell]:
            before = [] if theirs is None else [Cell(theirs(line[0].run), "theirs")]
            return before + [cell(ours) for ours in line]

        return Columns(label, ("report",) * (theirs is not None) + here), cells

    outcome: list[Block] = []
    epochs: Block = (
        Columns("epochs", ("report", "here")),
        lambda line: [Cell(str(line[0].run.epochs), "theirs"), *counted(line, lambda ours: ours.epochs)],
    )
    seeds: Block = (Columns("seeds", ("here",)), lambda line: counted(line, lambda ours: len(ours.results)))
    cost = [epochs]
    for figure in report.FIGURES:
        reported = any(figure.theirs(run) is not None for run in runs)
        if not reported and not any(ours.numbers(figure) for line in lines for ours in line):
            continue

        def told(run: Any, figure: Figure = figure) -> str:
            value = figure.theirs(run)
            return DASH if value is None else format(value, figure.form)

        def cell(ours: Ours, figure: Figure = figure) -> Cell:
            return (time_cell if figure.time else result_cell)(ours, figure)

        def speed_up(ours: Ours, figure: Figure = figure) -> Cell:
            return speed_up_cell(ours, figure)

        label = f"{figure.label}, median" if figure.time else figure.label
        (cost if figure.time else outcome).append(block(label, cell, told if reported else None))
        if figure.time and reported:
            cost.append(block(f"speed-up {SPEED_UP[0]}", speed_up))
    return [table(f"{title}: results", lines, [*outcome, seeds]), table(f"{title}: cost", lines, [*cost, seeds])]


def table(title: str, lines: Sequence[Line], blocks: Sequence[Block]) -> Table:
    """Blocks side by side, with the footnotes that their marks need."""
    rows = []
    for line in lines:
        cells = tuple(cell for _, cells in blocks for cell in cells(line))
        rows.append(Row(line[0].run.name, line[0].run.about, cells))
    columns = tuple(columns for columns, _ in blocks)
    marks = "".join([*(cell.marks for row in rows for cell in row.cells), *(some.title for some in columns)])
    footnotes = tuple(note for note in (OTHER_EPOCHS, SAME, SPEED_UP) if note[0] in marks)
    return Table(title, columns, tuple(rows), footnotes)
