"""Curves against the epoch: a panel for each kind of number, a line for each run, or for the mean of a run's seeds.

Left out: smoothing; what is drawn was measured. Read next: figure.py; ../reports/report.py, which says what a report's
panels are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .figure import COLORS, INK, WIDTH, look, new_figure

# A panel: the label of its axis, and the keys of a record that are drawn in it, each in a style of its own.
Panel = tuple[str, tuple[str, ...]]
Records = Sequence[Mapping[str, Any]]

# Dashes, in line widths: of a panel's first, second, third key; each list goes on when the colours are used up.
DASHES = (
    ("-", (0, (7, 1.5, 1.5, 1.5)), (0, (6, 1.2, 1.2, 1.2, 1.2, 1.2))),
    ((0, (3, 1.5)), (0, (3, 1.5, 1, 1.5)), (0, (5, 3))),
    ((0, (1, 1.2)), (0, (1, 2.5)), (0, (2, 2))),
)
BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
FEW = 12  # epochs; of so few, each has a dot
RATIO = 20  # a collapsed run's loss is more times the others' than this; no accuracy over ten classes is


def curves(histories: Mapping[str, Records | Sequence[Records]], panels: Sequence[Panel], title: str = "") -> Any:
    """A figure of the panels, one below the other; all runs in each. Returns matplotlib's Figure.

    histories: names for the legend, and for each its records, which have "epoch" and the panels' keys; or a list of
    several seeds' records: then their mean is drawn, in a band from the lowest to the highest, as far as all have come.
    What is missing, None or not finite is a gap. An axis is logarithmic, and says so, where a run's numbers have left
    the others' far behind. Raises ImportError when matplotlib is not installed.
    """
    runs = {name: by_seed(records) for name, records in histories.items()}
    found = {(name, key): over_seeds(runs[name], key) for name in runs for _, keys in panels for key in keys}
    drawn = {name for (name, _), (_, _, _, high) in found.items() if any(map(math.isfinite, high))}
    names = [name if name in drawn else f"{name} (no numbers)" for name in runs]
    kinds = kinds_of(panels)
    several = sorted({len(seeds) for seeds in runs.values()} - {0, 1})
    band = [f"lowest to highest of {' or '.join(map(str, several))} seeds"] if several else []
    texts = [*names, *kinds, *band]
    columns = columns_of(texts)
    rows = -(-len(texts) // columns)
    about = " and ".join(label for label, _ in panels) + " against the epoch"
    figure = new_figure(2.5 * len(panels) + 0.2 * rows + 0.4, title, about)
    with look():
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (label, keys) in zip(axes, panels, strict=True):
            for n, (name, seeds) in enumerate(runs.items()):
                for k, key in enumerate(keys):
                    epochs, low, mean, high = found[name, key]
                    axis.plot(epochs, mean, **line(n, k), marker="o" if len(epochs) <= FEW else None, markersize=3)
                    if len(seeds) > 1:
                        axis.fill_between(epochs, low, high, color=line(n, k)["color"], **BAND)
            far = far_apart([found[name, key][3] for name in runs for key in keys])
            if far:
                logarithmic(axis)
            axis.set_title(label + (", on a logarithmic scale" if far else ""))
            axis.margins(x=0.015)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
        handles: list[Any] = [Line2D([], [], **line(n, 0)) for n in range(len(runs))]
        handles += [Line2D([], [], **{**line(0, k), "color": INK}) for k in range(len(kinds))]
        handles += [Patch(color=INK, **BAND) for _ in band]
        figure.legend(handles, texts, loc="outside lower left", ncols=columns, handlelength=2.4)
    return figure


def by_seed(records: Any) -> list[Records]:
    """The records of each seed, from those of one or of several."""
    return [records] if not records or isinstance(records[0], Mapping) else [run for run in records if run]


def over_seeds(runs: Sequence[Records], key: str) -> tuple[list[int], list[float], list[float], list[float]]:
    """The epochs that all runs have, and the lowest, mean and highest value of each; NaN where one is not finite."""
    tables = [{record["epoch"]: number(record.get(key)) for record in run} for run in runs]
    epochs = sorted(set.intersection(*map(set, tables))) if tables else []
    values = [[table[epoch] for table in tables] for epoch in epochs]
    values = [row if all(map(math.isfinite, row)) else [math.nan] for row in values]
    return epochs, [min(row) for row in values], [sum(row) / len(row) for row in values], [max(row) for row in values]


def number(value: Any) -> float:
    """As a float; NaN for None."""
    return math.nan if value is None else float(value)


def line(run: int, key: int) -> dict[str, Any]:
    """How the run-th run's key-th key is drawn."""
    dashes = DASHES[min(key, len(DASHES) - 1)]
    turn, color = divmod(run, len(COLORS))
    return {"color": COLORS[color], "linestyle": dashes[turn % len(dashes)], "linewidth": 1.3}


def logarithmic(axis: Any) -> None:
    """Make the axis of values logarithmic, with plain numbers: 0.5, 1, 2, 5."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def far_apart(lines: Sequence[Sequence[float]]) -> bool:
    """Whether the highest number is far above the first one of the line that began lowest."""
    finite = [numbers for numbers in ([value for value in line if math.isfinite(value)] for line in lines) if numbers]
    lowest, highest = min((line[0] for line in finite), default=0), max((max(line) for line in finite), default=0)
    return lowest > 0 and highest > RATIO * lowest


def kinds_of(panels: Sequence[Panel]) -> list[str]:
    """What the panels' first, second ... keys are of, such as validation and train; nothing where each has but one."""
    most = max((keys for _, keys in panels), key=len, default=())
    return [key.partition("_")[0] for key in most] if len(most) > 1 else []


def columns_of(texts: Sequence[str]) -> int:
    """How many of a legend's texts fit side by side."""

    def width(columns: int) -> float:
        """In points, the text at 5.6 a letter."""
        parts = (texts[k * len(texts) // columns : (k + 1) * len(texts) // columns + 1] for k in range(columns))
        return sum(46 + 5.6 * max(map(len, part), default=0) for part in parts)

    return next((columns for columns in (5, 4, 3, 2) if width(columns) <= 72 * WIDTH), 1)
