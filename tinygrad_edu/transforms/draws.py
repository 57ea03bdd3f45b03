"""Where random transforms draw from: the default generator, or, inside a DataLoader, one for each batch.

A loader draws one seed an epoch; batch k then has the streams of that seed from k 2^32 on. So an augmented epoch is the
same for any number of workers, whichever thread prepares which batch, and after a resume of the generator's state.
Read next: ../utils/data/loader.py, geometry.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property

import numpy as np

from ..ops.augment import numbers_of
from ..ops.create import tensor
from ..ops.random import Generator, default_generator


class Draws:
    """The random numbers of batch number `batch` of an epoch with that seed."""

    def __init__(self, seed: int, batch: int) -> None:
        self.seed, self.batch = seed, batch

    @cached_property
    def generator(self) -> Generator:
        """Made when first asked for: most data sets draw nothing."""
        generator = Generator()
        generator.set_state(tensor(np.array([self.seed, self.batch << 32])))
        return generator


_current: ContextVar[Draws | None] = ContextVar("draws", default=None)


@contextmanager
def drawing_from(draws: Draws) -> Iterator[None]:
    """Let the transforms of this thread draw from there."""
    token = _current.set(draws)
    try:
        yield
    finally:
        _current.reset(token)


def generator() -> Generator:
    """What transforms draw from now."""
    draws = _current.get()
    return default_generator if draws is None else draws.generator


def numbers() -> list[float]:
    """The random numbers of one step on one image."""
    return numbers_of(generator().take_key().array(), 1, 1)[0][0]
