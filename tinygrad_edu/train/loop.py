"""One pass over the training set: an order of its rows, cut into mini-batches, a step for each.

A step takes the numbers of its rows (int64, (b,)) and gathers the batch itself, so that a replayed step is all there
is to an iteration. Read next: evaluate.py, ../reports/report1.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..replay import Replay
from ..tensor import Tensor

STEPS = 64  # between two reports of progress: rare enough to cost nothing at a batch size of 1


def train_epoch(
    step: Replay,
    order: Tensor,
    batch_size: int,
    advance: Callable[[int], Any] = lambda rows: None,
) -> None:
    """Call step(rows) for one mini-batch of `order` (int64, (n,)) after the other; the last may be smaller.

    advance(rows) is told how many rows were done since it was last called.
    """
    for piece in order.split(batch_size * STEPS):
        step.over(batch_size, piece)
        advance(len(piece))
