"""Running products, extrema and sums of exponentials; differences of neighbours. cumsum is reduce.py's.

Gradients of products and logarithms go through a scan by doubling: step k joins what lies 2^k apart, so nothing is
divided by (an element may be 0) or overflows, and derivatives of any order are right. Read next: statistics.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import bool_, int64
from ..dtypes import dtype as Dtype
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .activation import sigmoid
from .common import floating, normal_dim, same_shape
from .compare import isinf, logical_xor, where
from .elementwise import sub
from .join import cat
from .move import copy_op
from .order import Ordered, _picked
from .reduce import converted
from .rows import zero
from .transcendental import logaddexp
from .views import narrow

Joins = Callable[[Tensor, Tensor], Tensor]
Slopes = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _wide(input: Layout, **_: Any) -> Dtype:
    return input.dtype if input.dtype.is_floating_point else int64


def _through_doubling(g: Tensor, input: Tensor, dim: int, join: Joins, slopes: Slopes) -> Tensor:
    """The gradient of a scan with `join`, whose derivatives by its two arguments are `slopes`."""
    n, step, steps = input.layout.shape[dim], 1, [input]
    while step < n:
        y = steps[-1]
        joined = join(narrow(y, dim, step, n - step), narrow(y, dim, 0, n - step))
        steps.append(cat([narrow(y, dim, 0, step), joined], dim))
        step *= 2
    for y in reversed(steps[:-1]):
        step //= 2
        tail = narrow(g, dim, step, n - step)
        here, before = slopes(narrow(y, dim, step, n - step), narrow(y, dim, 0, n - step))
        shape = list(input.layout.shape)
        shape[dim] = step
        nothing = zero(g.layout.dtype, tuple(shape))
        g = cat([narrow(g, dim, 0, step), tail * here], dim) + cat([tail * before, nothing], dim)
    return g


@partial(Op, shape=same_shape, out_dtype=_wide, name="cumprod")
def cumprod_op(out, input, *, dim):
    np.cumprod(input, axis=dim, out=out, dtype=out.dtype)


@partial(Op, shape=same_shape, name="logcumsumexp")
def logcumsumexp_op(out, input, *, dim):
    np.logaddexp.accumulate(input, axis=dim, out=out)


@partial(Op, shape=same_shape, out_dtype=int64, name="cummax_index")
def cummax_index(out, input, *, dim):
    """Where the largest element up to here is, the last of equals; the last NaN where there is one."""
    _extreme_so_far(out, input, np.maximum.accumulate(input, axis=dim), dim)


@partial(Op, shape=same_shape, out_dtype=int64, name="cummin_index")
def cummin_index(out, input, *, dim):
    _extreme_so_far(out, input, np.minimum.accumulate(input, axis=dim), dim)


def _extreme_so_far(out: Any, input: Any, running: Any, dim: int) -> None:
    places = np.arange(input.shape[dim]).reshape(-1, *[1] * (input.ndim - dim - 1))
    np.maximum.accumulate(np.where((input == running) | (input != input), places, 0), axis=dim, out=out)


def _gap(a: Tensor, b: Tensor) -> Tensor:
    return where((a == b) & isinf(a), 0.0, a - b)


cumprod_op.vjps(
    input=lambda g, input, dim: _through_doubling(g, input, dim, lambda a, b: a * b, lambda a, b: (b, a)),
)
logcumsumexp_op.vjps(
    input=lambda g, input, dim: _through_doubling(
        g, input, dim, logaddexp, lambda a, b: (sigmoid(_gap(a, b)), sigmoid(_gap(b, a)))
    ),
)


def cumprod(input: Tensor, dim: int, *, dtype: Dtype | None = None) -> Tensor:
    """Element i is the product of elements 0 to i along dim; of integers and bools in int64."""
    x = converted(input, dtype, "cumprod")
    d = normal_dim(dim, x.layout.ndim, "cumprod")
    if not x.layout.ndim:
        x = copy_op(x)
        return converted(x if x.layout.dtype.is_floating_point else x.to(int64), dtype, "cumprod")
    return converted(cumprod_op(x, dim=d), dtype, "cumprod")


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Element i is the logarithm of the sum of exp of elements 0 to i along dim, without overflow."""
    x = floating(input, "logcumsumexp")
    d = normal_dim(dim, x.layout.ndim, "logcumsumexp")
    return logcumsumexp_op(x, dim=d) if x.layout.ndim else copy_op(x)


def cummax(input: Tensor, dim: int) -> Ordered:
    """(values, indices): the largest of elements 0 to i along dim, and where it is, the last of equals. NaN stays."""
    return _running(cummax_index, "cummax", input, dim)


def cummin(input: Tensor, dim: int) -> Ordered:
    """(values, indices): the smallest of elements 0 to i along dim, and where it is, the last of equals. NaN stays."""
    return _running(cummin_index, "cummin", input, dim)


def _running(op: Op, name: str, input: Tensor, dim: int) -> Ordered:
    d = normal_dim(dim, input.layout.ndim, name)
    if not input.layout.ndim:
        return Ordered(copy_op(input), zero(int64).clone())
    return _picked(input, op(input.detach(), dim=d), d)


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Each element less the one before it along dim, n times over, after prepend and append were put on; of bools
    where two neighbours differ."""
    if n < 0:
        raise RuntimeError(f"diff: n must not be negative, got {n}")
    if not input.layout.ndim:
        raise RuntimeError("diff: expected 1 or more dimensions, got a 0-d tensor")
    d = normal_dim(dim, input.layout.ndim, "diff")
    if n == 0:
        return copy_op(input)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = cat(parts, d) if len(parts) > 1 else input
    for _ in range(min(n, x.layout.shape[d])):
        k = x.layout.shape[d] - 1
        after, before = narrow(x, d, 1, k), narrow(x, d, 0, k)
        x = logical_xor(after, before) if x.layout.dtype is bool_ else sub(after, before)
    return x
