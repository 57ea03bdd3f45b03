"""Draws from other distributions than random.py's, made of its uniform and normal numbers.

So a generator's state says all, a step recorded by tg.replay draws anew, and the numbers are the same on every backend
up to the last digits of its logarithm. Read next: random.py.
"""

from __future__ import annotations

import math

import numpy as np

from ..modes import modes
from ..tensor import Tensor
from .common import float_only
from .elementwise import ceil, exp, log1p, tan
from .inplace import change
from .order import topk
from .random import Generator, rand, rand_like, randn_like
from .reduce import cumsum
from .sets import searchsorted
from .views import narrow


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """num_samples positions drawn from each row of weights, (n,) or (m, n), by them; int64. Without replacement no
    position twice. Raises RuntimeError for integers, other shapes, more samples than there are and, unless a step is
    being recorded, for weights that are negative, not finite or all 0."""
    layout = input.layout
    if layout.ndim not in (1, 2) or not layout.numel:
        raise RuntimeError(f"multinomial: expected weights (n,) or (m, n), got shape {layout.shape}")
    float_only("multinomial", input)
    if num_samples <= 0 or (not replacement and num_samples > layout.shape[-1]):
        raise RuntimeError(f"multinomial: can't draw {num_samples} of {layout.shape[-1]}, replacement={replacement}")
    weights = input.detach()
    if not modes.recording:
        given = weights.array()
        if not (np.isfinite(given).all() and (given >= 0).all() and (given.sum(-1) > 0).all()):
            raise RuntimeError("multinomial: weights must be finite, not negative, and not all 0")
        if not replacement and ((given > 0).sum(-1) < num_samples).any():
            raise RuntimeError(f"multinomial: fewer than {num_samples} weights of a row are not 0, without replacement")
    if not replacement:  # who comes first of exponential waits at these rates
        waits = (-log1p(-rand_like(weights, generator=generator))).clamp(min=float(np.finfo(layout.dtype.name).tiny))
        return topk(weights / waits, num_samples, -1).indices
    ends = cumsum(weights, -1)
    total = narrow(ends, -1, layout.shape[-1] - 1, 1)
    shape = (*layout.shape[:-1], num_samples)
    drawn = rand(shape, dtype=layout.dtype, generator=generator) * total
    last = searchsorted(ends, total, right=False)  # where rounding would lead beyond the last weight
    return searchsorted(ends, drawn, right=True).minimum(last)


# In place: methods of Tensor


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of trials up to the first success, of probability p each. Raises RuntimeError for a p that
    is not between 0 and 1."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: expected 0 < p < 1, got {p}")

    def draw(x: Tensor) -> Tensor:
        uniform = rand(x.shape, generator=generator, dtype=x.dtype if x.dtype.is_floating_point else None)
        return ceil(log1p(-uniform) * (1 / math.log1p(-p))).clamp(min=1).to(x.dtype)

    return change(self, draw)


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of Cauchy's distribution. Raises RuntimeError for sigma <= 0, and for integers."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_: expected sigma > 0, got {sigma}")
    float_only("cauchy_", self)
    return change(self, lambda x: tan((rand_like(x, generator=generator) - 0.5) * math.pi) * sigma + median)


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exp of normal numbers. Raises RuntimeError for std <= 0, and for integers."""
    if not std > 0:
        raise RuntimeError(f"log_normal_: expected std > 0, got {std}")
    float_only("log_normal_", self)
    return change(self, lambda x: exp(randn_like(x, generator=generator) * std + mean))
