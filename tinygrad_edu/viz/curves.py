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
FEW = 12  # epochs; of so few, each has a dot
RATIO = 20  # a collapsed run's loss is more times the others' than this; no accuracy over ten classes is


def curves(histories: Mapping[str, Records | Sequence[Records]], panels: Sequence[Panel], title: str = "") -> Any:
    """A figure of the panels, one below the other; all runs in each. Returns matplotlib's Figure.

    histories: names for the legend, and for each its records, which have "epoch" and the panels' keys; or a list of
    several seeds' records: then their mean is drawn, in a band from the lowest to the highest, as far as all have come.
    What is missing, None or not finite is a gap. An axis is logarithmic, and says so, where a run's numbers have left
    the others' far behind. Raises ImportError when matplotlib is not installed.
    """
    about = " and ".join(label for label, keys in panels) + " against the epoch"
    columns = legend_columns(list(histories))
    styles = styles_of(panels)
    rows = -(-len(histories) // columns) + bool(len(styles) > 1)
    figure = new_figure(2.5 * len(panels) + 0.2 * rows + 0.6, title, about)
    seeds = {name: by_seed(records) for name, records in histories.items()}
    with look():
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        drawn: set[str] = set()
        for axis, (label, keys) in zip(axes, panels, strict=True):
            firsts, highest = [], 0.0
            for number, (name, runs) in enumerate(seeds.items()):
                for k, key in enumerate(keys):
                    epochs, low, mean, high = over_seeds(runs, key)
                    finite = [value for value in high if math.isfinite(value)]
                    if not finite:
                        continue
                    drawn.add(name)
                    firsts.append(finite[0])
                    highest = max(highest, *finite)
                    style = line(number, k)
                    axis.plot(epochs, mean, marker="o" if len(epochs) <= FEW else None, markersize=3, **style)
                    if len(runs) > 1:
                        axis.fill_between(epochs, low, high, color=style["color"], alpha=0.18, linewidth=0)
            if firsts and min(firsts) > 0 and highest > RATIO * min(firsts):
                logarithmic(axis)
                label += ", on a logarithmic scale"
            axis.set_title(label)
            axis.margins(x=0.015)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
        legend(figure, seeds, drawn, styles, columns)
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


def line(number: int, key: int) -> dict[str, Any]:
    """How the number-th run's key-th key is drawn."""
    dashes = DASHES[min(key, len(DASHES) - 1)]
    turn, color = divmod(number, len(COLORS))
    return {"color": COLORS[color], "linestyle": dashes[turn % len(dashes)], "linewidth": 1.3}


def logarithmic(axis: Any) -> None:
    """Make the axis of values logarithmic, with plain numbers: 0.5, 1, 2, 5."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def styles_of(panels: Sequence[Panel]) -> list[str]:
    """What the first, second ... key of the panels is of: such as validation, train. One only where each has one."""
    most = max((keys for label, keys in panels), key=len, default=())
    return [key.partition("_")[0] for key in most]


def legend_columns(names: Sequence[str]) -> int:
    """How many names stand side by side."""
    widest = max(map(len, names), default=0)
    return max(1, min(5, int(WIDTH * 72 / (widest * 5.8 + 42))))


def legend(figure: Any, seeds: Mapping[str, Any], drawn: set[str], styles: Sequence[str], columns: int) -> None:
    """Below the panels: each run's line; what the dashes mean, and the band."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], **line(number, 0)) for number in range(len(seeds))]
    names = [name if name in drawn else f"{name} (no numbers)" for name in seeds]
    if len(styles) > 1:
        handles += [Line2D([], [], **{**line(0, k), "color": INK}) for k in range(len(styles))]
        names += styles
    several = {len(runs) for runs in seeds.values()} - {0, 1}
    if several:
        handles.append(Patch(color=INK, alpha=0.18, linewidth=0))
        names.append(f"lowest to highest of {' or '.join(map(str, sorted(several)))} seeds")
    if handles:
        figure.legend(handles, names, loc="outside lower left", ncols=columns, handlelength=2.4)
