"""The reports' figures as SVG and PNG: curves against the epoch, a line for each run, and confusion matrices.

matplotlib is imported here and nowhere else, and draws without a display. Read next: ../reports/report.py, which says
what a report's panels are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# A panel: the label of its axis, and the keys of a record that are drawn in it; those after the first are dashed.
Panel = tuple[str, tuple[str, ...]]
STYLES = (".-", ".--", ".:")


def new_figure(width: float, height: float) -> Any:
    """Raises ImportError when matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("no figure: drawing needs matplotlib: pip install 'tinygrad_edu[examples]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write(figure: Any, path: Path) -> list[Path]:
    """PATH.svg and PATH.png."""
    files = [path.with_name(path.name + suffix) for suffix in (".svg", ".png")]
    for file in files:
        figure.savefig(file, dpi=150)
    return files


def draw(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, panels: Sequence[Panel], title: str = ""
) -> list[Path]:
    """Draw the panels one below the other as PATH.svg and PATH.png. histories: names for the legend, and records with
    "epoch" and the panels' keys; a key that a record lacks is not drawn.

    Raises ImportError when matplotlib is not installed.
    """
    figure = new_figure(7, 3.5 * len(panels))
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (label, keys) in zip(axes, panels, strict=True):
        for k, (name, records) in enumerate(histories.items()):
            for key, style in zip(keys, STYLES, strict=False):
                drawn = [(r["epoch"], r[key]) for r in records if key in r]
                what = name if len(keys) == 1 else f"{name}: {key.partition('_')[0]}"
                if drawn:
                    axis.plot(*zip(*drawn, strict=True), style, color=f"C{k % 10}", label=what)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    axes[0].set_title(title)
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return write(figure, path)


def draw_confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], path: Path, title: str = "") -> list[Path]:
    """Draw a confusion matrix, shaded by the share of each row (a true class), as PATH.svg and PATH.png.

    Raises ImportError when matplotlib is not installed.
    """
    figure = new_figure(7, 6.5)
    axis = figure.subplots()
    shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            color = "white" if shares[i][j] > 0.5 else "black"
            axis.text(j, i, str(count), ha="center", va="center", fontsize="small", color=color)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set_xlabel("predicted class")
    axis.set_ylabel("true class")
    axis.set_title(title)
    return write(figure, path)
