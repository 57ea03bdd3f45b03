"""A progress bar over all images of a training, with the last loss and accuracy; silent unless on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


class Progress:
    """What a training reports to; this one says nothing (without tqdm, or off a terminal)."""

    def advance(self, images: int) -> None:
        """So many more images were trained on."""

    def measured(self, epoch: int, accuracy: float, loss: float) -> None:
        """The test or validation metrics after an epoch."""


class Bar(Progress):
    """tqdm's bar."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def advance(self, images: int) -> None:
        """Move the bar."""
        self.bar.update(images)

    def measured(self, epoch: int, accuracy: float, loss: float) -> None:
        """Show the metrics at its end."""
        self.bar.set_postfix(epoch=epoch, loss=f"{loss:.3f}", accuracy=f"{accuracy:.2f} %", refresh=False)


@contextlib.contextmanager
def progress(name: str, images: int, done: int = 0) -> Iterator[Progress]:
    """A bar of that many images in all, of which some were done by an earlier run."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield Progress()
        return
    settings = {"unit": " images", "unit_scale": True, "disable": None, "dynamic_ncols": True}
    with tqdm(total=images, initial=done, desc=name, **settings) as bar:
        yield Bar(bar)
