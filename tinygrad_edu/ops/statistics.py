"""Medians, quantiles, the most frequent value, sums and means without NaN, histograms.

The ops find positions, as in order.py; values are gathered, and so is their gradient. Read next: sets.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, float64, get_default_dtype, int64
from ..dtypes import dtype as Dtype
from ..modes import modes
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import constant, float_only, is_number, normal_dim
from .compare import isnan, logical_not, where
from .elementwise import add, ceil, floor, mul, sqrt, sub
from .extremum import amax, amin, shared_by_ties
from .gather import gather_op
from .matmul import matmul
from .move import Array, Ints
from .order import Ordered, sort
from .reduce import Dims, Reduction, converted, sum
from .views import diagonal, expand, movedim, reshape, squeeze, transpose, unsqueeze


class MinMax(NamedTuple):
    """What aminmax returns."""

    min: Tensor
    max: Tensor


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """(min, max) over dim, or of all elements; ties share the gradient."""
    return MinMax(
        amin(input, dim if dim is not None else (), keepdim), amax(input, () if dim is None else dim, keepdim)
    )


# Without NaN


def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """The sum over dim (default all), NaN counting as 0."""
    x = converted(input, dtype, "nansum")
    return sum(where(isnan(x), 0.0, x) if x.layout.dtype.is_floating_point else x, dim, keepdim, dtype=dtype)


def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """The mean over dim (default all) of what is not NaN; NaN of nothing. Raises RuntimeError for integers."""
    float_only("nanmean", input)
    counted = sum(logical_not(isnan(input.detach())), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / counted


# The middle


def _middle(input: Array, ignore: bool) -> Array:
    """For each line of the last dimension, where in its order the median stands: the lower of two. NaN, last in order,
    is the median of all lines that hold one, or is ignored where there is anything else."""
    n = input.shape[-1]
    numbers: Array = n - np.count_nonzero(input != input, axis=-1, keepdims=True)
    found: Array = np.maximum((numbers - 1) // 2, 0) if ignore else np.where(numbers < n, numbers, (n - 1) // 2)
    return found


def _one_shape(input: Layout, *, dim: int, ignore: bool) -> Ints:
    return (*input.shape[:dim], 1, *input.shape[dim + 1 :])


@partial(Op, shape=_one_shape, out_dtype=int64, name="median_index")
def median_index(out, input, *, dim, ignore):
    lines = np.moveaxis(input, dim, -1)
    order = np.argsort(lines, axis=-1, kind="stable")
    np.copyto(out, np.moveaxis(np.take_along_axis(order, _middle(lines, ignore), -1), -1, dim))


class Middle(Reduction):
    """The median of all elements."""


@partial(Middle, shape=lambda input, **_: ())
def median_op(out, input, *, dim, keepdim):
    flat = np.sort(input, axis=None)
    out[...] = flat[_middle(flat, False)[0]] if flat.size else np.nan


@partial(Middle, shape=lambda input, **_: ())
def nanmedian_op(out, input, *, dim, keepdim):
    flat = np.sort(input, axis=None)
    out[...] = flat[_middle(flat, True)[0]] if flat.size else np.nan


median_op.vjps(input=shared_by_ties)
nanmedian_op.vjps(input=shared_by_ties)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """median(input): the median of all elements, the lower of two, ties sharing the gradient; median(input, dim):
    (values, indices). NaN where there is any, and of no floats; IndexError along a dimension of no elements."""
    return _median("median", median_op, input, dim, keepdim)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """median of what is not NaN."""
    return _median("nanmedian", nanmedian_op, input, dim, keepdim)


def _median(name: str, of_all: Reduction, input: Tensor, dim: int | None, keepdim: bool) -> Any:
    if input.layout.dtype is bool_:
        raise RuntimeError(f"{name} is not supported for bool")
    if dim is None:
        if not input.layout.numel and not input.layout.dtype.is_floating_point:
            raise RuntimeError(f"{name}: there is none of no integers")
        return of_all(input, dim=tuple(range(input.layout.ndim)), keepdim=False)
    return _along(name, median_index, input, dim, keepdim, ignore=name == "nanmedian")


def _along(name: str, op: Op, input: Tensor, dim: int, keepdim: bool, **attrs: Any) -> Ordered:
    """(values, indices) of one element a line, which `op` finds."""
    d = normal_dim(dim, input.layout.ndim, name)
    if not input.layout.ndim:
        values, indices = _along(name, op, reshape(input, 1), 0, False, **attrs)
        return Ordered(values, indices)
    if input.layout.shape[d] == 0:
        raise IndexError(f"{name}: dimension {dim} of shape {input.layout.shape} has no elements")
    indices = op(input.detach(), dim=d, **attrs)
    values = gather_op(input, indices, dim=d)
    return Ordered(values, indices) if keepdim else Ordered(squeeze(values, d), squeeze(indices, d))


@partial(Op, shape=lambda input, *, dim: _one_shape(input, dim=dim, ignore=False), out_dtype=int64, name="mode_index")
def mode_index(out, input, *, dim):
    """The last place of the smallest of the most frequent values."""
    lines, places = np.moveaxis(input, dim, -1), np.moveaxis(out, dim, -1)
    for at in np.ndindex(*lines.shape[:-1]):
        values, counts = np.unique(lines[at], return_counts=True, equal_nan=False)
        chosen = values[np.argmax(counts)]
        same = lines[at] == chosen if chosen == chosen else lines[at] != lines[at]
        places[at] = np.flatnonzero(same)[-1]


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Ordered:
    """(values, indices): the most frequent value along dim, the smallest of several, and its last place."""
    return _along("mode", mode_index, input, dim, keepdim)


# Quantiles

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """What a share q, 0 to 1, of the elements along dim (None: of all) is not above: a number or a vector of shares,
    whose dimension comes first. Between two elements by `interpolation`: linear, lower, higher, midpoint, nearest. NaN
    where there is any. Raises RuntimeError for what is none of it, integers or no elements."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """quantile of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str) -> Tensor:
    d = input.layout.dtype
    shares = constant(float(q), d) if is_number(q) else q
    if not d.is_floating_point or shares.layout.dtype is not d:
        raise RuntimeError(f"{name}: expected floats, and q of the same dtype; got {d} and {shares.layout.dtype}")
    if shares.layout.ndim > 1:
        raise RuntimeError(f"{name}: q must be a number or a vector, got shape {shares.layout.shape}")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(f"{name}: interpolation must be one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}")
    if not modes.recording and not ((shares.array() >= 0) & (shares.array() <= 1)).all():
        raise RuntimeError(f"{name}: q must be between 0 and 1")
    if not input.layout.numel:
        raise RuntimeError(f"{name}: there is none of no elements")
    shape = list(input.layout.shape)
    if dim is None:
        lines, kept = reshape(input, -1), [1] * len(shape)
    else:
        along = normal_dim(dim, len(shape), name)
        lines = movedim(input, along, -1) if shape else reshape(input, 1)
        kept = [1 if k == along else n for k, n in enumerate(shape)]
    ordered = sort(lines, -1).values
    n = lines.layout.shape[-1]
    numbers = sum(logical_not(isnan(lines.detach())), -1, keepdim=True)
    if name == "nanquantile":
        last = (numbers - 1).clamp(min=0).to(d)
        ranks = mul(last, reshape(shares, -1))
    else:
        ranks = mul(expand(reshape(shares, -1), (*numbers.layout.shape[:-1], shares.layout.numel)), n - 1)
        ranks = where(numbers < n, float(n - 1), ranks)
    found = _between(ordered, ranks, interpolation)
    found = movedim(found, -1, 0)
    rest = kept if keepdim else [k for j, k in enumerate(kept) if dim is not None and j != along]
    return reshape(found, [*([shares.layout.numel] if shares.layout.ndim else []), *rest])


def _between(ordered: Tensor, ranks: Tensor, interpolation: str) -> Tensor:
    """The values at ranks, which may lie between two."""
    at = gather_op
    last = ordered.layout.ndim - 1
    if interpolation == "nearest":
        return at(ordered, ranks.round().to(int64), dim=last)
    below, above = floor(ranks), ceil(ranks)
    if interpolation == "lower":
        return at(ordered, below.to(int64), dim=last)
    if interpolation == "higher":
        return at(ordered, above.to(int64), dim=last)
    low, high = at(ordered, below.to(int64), dim=last), at(ordered, above.to(int64), dim=last)
    weight: Any = 0.5 if interpolation == "midpoint" else sub(ranks, below)
    same = low == high  # of equal infinities too
    return where(same, low, add(low, mul(weight, sub(high, low))))


# Counts


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often (with weights: how much of them, in float64 unless float32) 0, 1, 2, ... stand in a vector of integers,
    up to the largest and at least minlength of them. Not in a recorded step: its size depends on values."""
    modes.leaves_tape("bincount()")
    if input.layout.ndim != 1 or input.layout.dtype.category != 1:
        raise RuntimeError(f"bincount: expected a vector of integers, got {input.dtype} of shape {input.layout.shape}")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength must not be negative, got {minlength}")
    if weights is not None and weights.layout.shape != input.layout.shape:
        raise RuntimeError(f"bincount: weights have shape {weights.layout.shape}, input {input.layout.shape}")
    values = input.array()
    if values.size and values.min() < 0:
        raise RuntimeError(f"bincount: expected no negative numbers, got {values.min()}")
    found = np.bincount(values.astype(np.int64), None if weights is None else weights.array(), minlength)
    d = int64 if weights is None else weights.layout.dtype if weights.layout.dtype.is_floating_point else float64
    return Tensor.over(*memory.from_python(found, d))


@partial(Op, shape=lambda input, *, bins, min, max: (bins,), name="histc")
def histc_op(out, input, *, bins, min, max):
    """min == max: from the smallest to the largest element."""
    low, high = (min, max) if min != max or not input.size else (float(np.min(input)), float(np.max(input)))
    if low == high:
        low, high = low - 1, high + 1
    inside = input[(input >= low) & (input <= high)]
    places = np.minimum(((inside - low) / (high - low) * bins).astype(np.int64), bins - 1)
    out[...] = np.bincount(places, minlength=bins)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal parts of min to max (both 0: the range of the elements), in input's
    dtype. Elements outside, and NaN, are not counted. Raises RuntimeError for integers, no bins, or max < min."""
    float_only("histc", input)
    if bins <= 0 or not max >= min:
        raise RuntimeError(f"histc: expected bins > 0 and max >= min, got bins={bins}, min={min}, max={max}")
    return histc_op(input.detach(), bins=int(bins), min=float(min), max=float(max))


# Together


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of variables, a row of (n, k) each, or one vector: (n, n), 0-d of one. fweights: how often each
    observation, a column, counts (integers); aweights: how much it does. The sum is divided by the observations less
    correction."""
    if input.layout.ndim > 2:
        raise RuntimeError(f"cov: expected at most 2 dimensions, got shape {input.layout.shape}")
    x = reshape(input, 1, -1) if input.layout.ndim < 2 else input
    x = x if x.layout.dtype.is_floating_point else x.to(get_default_dtype())
    k = x.layout.shape[1]
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        if given.layout.shape != (k,) or given.layout.dtype.is_floating_point is (name == "fweights"):
            kind = "integers" if name == "fweights" else "floats"
            raise RuntimeError(f"cov: {name} must be {kind} of shape ({k},), got {given.dtype} of shape {given.shape}")
        if not modes.recording and (given.array() < 0).any():
            raise RuntimeError(f"cov: {name} must not be negative")
        weights = given if weights is None else mul(weights, given)
    if weights is None:
        total: Any = k
        apart = sub(x, sum(x, 1, keepdim=True) / k) if k else x
        spread = matmul(apart, transpose(apart, 0, 1))
    else:
        total = sum(weights)
        apart = sub(x, sum(mul(x, weights), 1, keepdim=True) / total)
        spread = matmul(mul(apart, weights), transpose(apart, 0, 1))
    if weights is None or aweights is None:
        less: Any = total - correction
    else:
        less = total - sum(mul(weights, aweights)) / total * correction
    less = max(less, 0) if weights is None else less.clamp(min=0)
    found = spread / (float(less) if weights is None else less)
    return squeeze(found)


def corrcoef(input: Tensor) -> Tensor:
    """The correlations, -1 to 1, of variables, a row of (n, k) each: (n, n); of one vector 1."""
    found = cov(input)
    if not found.layout.ndim:
        return found / found
    scale = sqrt(diagonal(found))
    return (found / unsqueeze(scale, 1) / scale).clamp(-1, 1)
