"""The reports' figure: test accuracy above test loss, against the epoch, a line for each run; as SVG and PNG.

matplotlib is imported here and nowhere else, and draws without a display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def draw(histories: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, title: str = "") -> list[Path]:
    """Draw PATH.svg and PATH.png. histories: names for the legend, and records with epoch, test_accuracy, test_loss.

    Raises ImportError when matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError("no figure: drawing needs matplotlib: pip install 'tinygrad_edu[examples]'") from None
    figure = Figure(figsize=(7, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True)
    for axis, key, label in zip(
        axes, ("test_accuracy", "test_loss"), ("test accuracy (%)", "test loss (cross-entropy)"), strict=True
    ):
        for name, records in histories.items():
            axis.plot([r["epoch"] for r in records], [r[key] for r in records], ".-", label=name)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    axes[0].set_title(title)
    axes[1].set_xlabel("epoch")
    axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    files = [path.with_name(path.name + suffix) for suffix in (".svg", ".png")]
    for file in files:
        figure.savefig(file, dpi=150)
    return files
