"""Pictures of a test set with what the model said of them, as a run keeps them. Read next: ../train/pictures.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .figure import SMALL, WIDTH, look, new_figure

COLUMNS = 4
PITCH = 1.16  # of the rows, in columns' widths: a picture and two lines of text


def pictures(tensors: Mapping[str, Any], classes: Sequence[str], worst: bool, title: str = "") -> Any:
    """A figure of the first pictures of a test set, or of the worst mistakes. Returns matplotlib's Figure.

    tensors: as train.pick gives them, arrays or tensors: images uint8 (m, H, W) or (m, 3, H, W), targets, predicted,
    sure (m,), samples (). Raises ImportError when matplotlib is not installed.
    """
    images, targets, predicted, sure, samples = (
        np.asarray(tensors[name]) for name in ("images", "targets", "predicted", "sure", "samples")
    )
    rows = range(int(samples), len(images)) if worst else range(int(samples))
    lines = -(-len(rows) // COLUMNS)
    about = "the mistakes that the model was surest of" if worst else "test images with the model's answers"
    figure = new_figure(max(lines, 0.4) * WIDTH / COLUMNS * PITCH + 0.3 * bool(title), title, about)
    with look():
        axis = figure.subplots()
        axis.axis("off")
        for place, row in enumerate(rows):
            y, x = divmod(place, COLUMNS)
            image = images[row] if images.ndim == 3 else images[row].transpose(1, 2, 0)
            box = (x + 0.07, x + 0.93, PITCH * y + 0.86, PITCH * y)
            axis.imshow(image, cmap="gray", vmin=0, vmax=255, extent=box, interpolation="none")
            true, said = classes[targets[row]], classes[predicted[row]]
            percent = min(100 * float(sure[row]), 99.9)  # 99.96 is not 100
            told = f"{said}, {percent:.3g} %" + ("" if true == said else f"\nis: {true}")
            axis.text(x + 0.5, PITCH * y + 0.89, told, ha="center", va="top", fontsize=SMALL)
        if not rows:
            axis.text(0.5, 0.5, "none", ha="center", va="center")
        axis.set_xlim(0, COLUMNS)
        axis.set_ylim(PITCH * max(lines, 1), 0)
    return figure
