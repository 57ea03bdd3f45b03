"""Bars: a run's number here, beside the report's.

Always lying, since the labels are runs' names. Left out: bars on logarithmic axes, which have no foot to stand on.
Read next: figure.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .figure import BLUE, INK, ORANGE, look, new_figure


def bars(
    labels: Sequence[str],
    ours: Sequence[float | None],
    errors: Sequence[float | None] | None,
    theirs: Sequence[float | None] | None,
    axis_label: str,
    title: str = "",
) -> Any:
    """A figure with a bar for each label, as long as ours, with errors (standard deviations over seeds) each way; a
    diamond at the report's. Returns matplotlib's Figure.

    None and NaN: not known. The axis starts at 0, or where all values lie close together above it, at a number that it
    tells. Raises ImportError when matplotlib is not installed, ValueError when the lists are not of one length.
    """
    n = len(labels)
    columns = {"ours": ours, "errors": errors or [None] * n, "theirs": theirs or [None] * n}
    for name, column in columns.items():
        if len(column) != n:
            raise ValueError(f"bars: {len(column)} {name} for {n} labels; expected one for each")
    here, spread, there = ([known(value) for value in column] for column in columns.values())
    figure = new_figure(0.26 * n + 1.2, title, f"{axis_label}, here and in the report")
    with look():
        axis = figure.subplots()
        rows = range(n)
        start = foot([*here, *there, *(a - b for a, b in zip(here, spread, strict=True) if b > 0)])
        base = max(start, 0.0)
        lengths = [0.0 if math.isnan(value) else value - base for value in here]
        handles = [axis.barh(rows, lengths, left=base, height=0.62, color=BLUE, alpha=0.75)]
        names = ["here"]
        drawn = [b if b > 0 and not math.isnan(a) else math.nan for a, b in zip(here, spread, strict=True)]
        if known_of(drawn):
            handles.append(axis.errorbar(here, rows, xerr=drawn, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5))
            names.append("standard deviation over seeds")
        if not all(map(math.isnan, there)):
            mark = {"marker": "D", "markersize": 5, "markeredgecolor": INK, "markeredgewidth": 0.6}
            handles += axis.plot(there, rows, linestyle="none", color=ORANGE, clip_on=False, **mark)
            names.append("in the report")
        most = max(map(abs, known_of(here)), default=0.0)
        form = ".3f" if most < 10 else ".2f" if most < 1000 else ".0f"
        told = ["-" if math.isnan(value) else format(value, form) for value in here]
        right = {"xytext": (6 + 5.8 * max(map(len, told), default=0), 0), "textcoords": "offset points"}
        for row, text in enumerate(told):  # a column right of the axis, its digits one below the other
            at = axis.get_yaxis_transform()
            axis.annotate(text, (1, row), xycoords=at, **right, ha="right", va="center", fontsize=9)
        axis.set_yticks(rows, labels)
        axis.tick_params(axis="y", length=0)
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)
        axis.set_ylim(n - 0.4, -0.6)
        axis.set_xlim(left=start)
        axis.set_xlabel(axis_label + (f", axis from {start:g}" if start > 0 else ""))
        figure.legend(handles, names, loc="outside lower left", ncols=3)
    return figure


def known(value: float | None) -> float:
    """As a float, NaN if it is None or not finite."""
    return math.nan if value is None or not math.isfinite(value) else float(value)


def known_of(values: Sequence[float]) -> list[float]:
    """Those that are not NaN."""
    return [value for value in values if not math.isnan(value)]


def foot(values: Sequence[float]) -> float:
    """Where the axis starts: 0, or a round number below values that lie close together."""
    from matplotlib.ticker import MaxNLocator

    finite = known_of(values)
    if not finite or min(finite) <= 0.6 * max(finite):
        return min([0.0, *finite])
    low, high = min(finite), max(finite)
    return float(MaxNLocator(6).tick_values(low - 0.3 * (high - low), high)[0])
