"""A confusion matrix: what the model said of the images of each class.

Right answers and mistakes have colours of their own, so that few mistakes are seen beside many right answers.
Read next: ../train/evaluate.py, which counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .figure import BLUE, ORANGE, SMALL, WIDTH, look, new_figure

DARKEST = 0.62  # the opacity at which both light and dark text can be read on the colours


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str = "") -> Any:
    """A figure of the matrix, a row for each true class, a column for each predicted one. Returns matplotlib's Figure.

    Each number is shaded by its share of the row: right answers up to 1; mistakes up to the largest share, by its
    square root, so that small ones are seen.

    Raises ImportError when matplotlib is not installed, ValueError when the matrix is not of as many rows and columns
    as there are classes.
    """
    n = len(classes)
    if len(matrix) != n or any(len(row) != n for row in matrix):
        shape = f"{len(matrix)} rows of {sorted({len(row) for row in matrix})} numbers"
        raise ValueError(f"confusion: {shape} for {n} classes; expected {n} rows of {n}")
    figure = new_figure(0.9 * WIDTH, title, "confusion matrix, true classes down, predicted classes across")
    with look():
        from matplotlib.patches import Patch, Rectangle

        axis = figure.subplots()
        shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
        largest = max((shares[i][j] for i in range(n) for j in range(n) if i != j), default=0)
        for i, row in enumerate(matrix):
            for j, count in enumerate(row):
                if count:
                    share = shares[i][j]
                    color, alpha = (BLUE, share) if i == j else (ORANGE, math.sqrt(share / largest))
                    axis.add_patch(
                        Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=color, alpha=DARKEST * alpha, linewidth=0)
                    )
                    axis.text(j, i, str(count), ha="center", va="center_baseline", fontsize=SMALL)
        axis.set_xticks(range(n), classes, rotation=40, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(n), classes)
        axis.tick_params(length=0)
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.set_xlim(-0.5, n - 0.5)
        axis.set_ylim(n - 0.5, -0.5)
        axis.set_xlabel("predicted class")
        axis.set_ylabel("true class")
        handles = [Patch(color=color, alpha=DARKEST, linewidth=0) for color in (BLUE, ORANGE)]
        figure.legend(handles, ("right", "mistaken; the stronger, the more"), loc="outside lower left", ncols=2)
    return figure
