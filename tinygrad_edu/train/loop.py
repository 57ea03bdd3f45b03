"""One pass over the training set: an order of its rows, cut into mini-batches, a step for each.

A step takes the numbers of its rows (int64, (b,)) and gathers the batch itself, so that a replayed step is all there
is to an iteration. Read next: training.py, which remembers where the pass is; evaluate.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..replay import Replay
from ..tensor import Tensor

STEPS = 64  # at most, between two reports of progress: rare enough to cost nothing at a batch size of 1
SECONDS = 0.2  # about, between two reports: what a progress bar wants


def train_epoch(
    step: Replay,
    order: Tensor,
    batch_size: int,
    advance: Callable[[int], Any] = lambda rows: None,
    most: int = STEPS,
) -> None:
    """Call step(rows) for one mini-batch of `order` (int64, (n,)) after the other; the last may be smaller.

    advance(rows) is told how many rows were done since it was last called, which is after every `most` steps, or more
    often where steps take long. The steps do not depend on that.
    """
    at, steps = 0, 1
    while at < len(order):
        start = time.perf_counter()
        piece = order[at : at + batch_size * steps]
        step.over(batch_size, piece)
        at += len(piece)
        advance(len(piece))
        seconds = time.perf_counter() - start
        steps = min(2 * steps if seconds < SECONDS / 2 else steps, most)
