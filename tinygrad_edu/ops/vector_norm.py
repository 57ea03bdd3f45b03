"""The p-norm, one op for every p.

Its rule is written for derivatives of any order: what a power would make infinite at 0 is kept out of the graph, so
that gradients are 0 where an element, or the norm, is 0, as in PyTorch. Norms of matrices are in ../linalg.py.
Read next: norm.py, which normalises.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from .. import dtypes
from ..storage import Layout
from ..tensor import Tensor
from .common import float_only, zeros_as
from .compare import where
from .elementwise import abs, pow, sign
from .extremum import shape_of_some, shared_by_ties
from .reduce import Dims, Reduction, converted, reduced_shape, spread


def _norm_shape(input: Layout, *, dim: tuple[int, ...], keepdim: bool, p: float) -> tuple[int, ...]:
    return (shape_of_some if p < 0 or p == math.inf else reduced_shape)(input, dim=dim, keepdim=keepdim)


@partial(Reduction, shape=_norm_shape)
def norm_op(out, input, *, dim, keepdim, p):
    """sum(|x|^p)^(1/p); of p = 0, inf and -inf what that tends to."""
    if p == 0:
        np.sum(input != 0, axis=dim, keepdims=keepdim, out=out)
    elif math.isinf(p):
        (np.max if p > 0 else np.min)(np.abs(input), axis=dim, keepdims=keepdim, out=out)
    else:
        with np.errstate(divide="ignore"):  # 0 to a negative power
            np.power(np.sum(np.abs(input) ** p, axis=dim, keepdims=keepdim), 1 / p, out=out)


def _norm_rule(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool, p: float) -> Tensor:
    """sign(x) |x|^(p - 1) * g y^(1 - p)"""
    shape = input.layout.shape
    if p == 0:
        return zeros_as(input)
    if math.isinf(p):
        return shared_by_ties(g, abs(input), y, dim, keepdim) * sign(input)
    if p == 1:
        return sign(input) * spread(g, shape, dim, keepdim)
    none = y == 0.0
    size = where(none, 1.0, y)
    if p == 2:
        return input * spread(where(none, 0.0, g / size), shape, dim, keepdim)
    powers = sign(input) * pow(where(input == 0.0, 1.0, abs(input)), p - 1)
    return powers * spread(where(none, 0.0, g * pow(size, 1 - p)), shape, dim, keepdim)


norm_op.vjps(input=_norm_rule)


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """The p-norm over dim (default all): sum(|x|^p)^(1/p); p = 0 counts what is not 0, inf and -inf take the largest
    and smallest |x|, "fro" is 2. Gradient 0 where x, or the norm, is 0. Raises RuntimeError for integers, IndexError or
    RuntimeError for a negative or infinite p of no elements."""
    float_only("norm", input)
    if p == "fro" or p is None:
        p = 2.0
    elif isinstance(p, str):
        raise ValueError(f"norm: p must be a number or 'fro', got {p!r}")
    if dtype is not None:
        input = converted(input, dtype, "norm")
    return norm_op.over(input, dim, keepdim, float(p))
