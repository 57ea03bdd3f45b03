"""Scattered values reduced: sums, products, means and extrema of what meets at a place; and masked_scatter.

Read next: gather.py, scatter and what it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import bool_, int64
from ..dtypes import dtype as Dtype
from ..modes import modes
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import broadcast_shapes, normal_dim
from .compare import maximum, where
from .create import ones_like
from .elementwise import div
from .gather import _placed, gather_op, scatter, scatter_add
from .index import getitem
from .move import Array, Ints, copy_op
from .reduce import cumsum
from .views import expand, reshape

REDUCES = ("sum", "prod", "mean", "amax", "amin")


def _at(index: Array, dim: int) -> tuple[Array, ...]:
    grid: list[Array] = list(np.indices(index.shape, sparse=True))
    grid[dim] = index
    return tuple(grid)


def _shape(input: Layout, index: Layout, src: Layout, *, dim: int) -> Ints:
    return input.shape


@partial(Op, shape=_shape, name="scatter_prod")
def scatter_prod(out, input, index, src, *, dim):
    """input times all of src that meets there."""
    out[...] = input
    np.multiply.at(out, _at(index, dim), src)


@partial(Op, shape=_shape, name="scatter_amax")
def scatter_amax(out, input, index, src, *, dim):
    """The largest of input and all of src that meets there."""
    out[...] = input
    np.maximum.at(out, _at(index, dim), src)


@partial(Op, shape=_shape, name="scatter_amin")
def scatter_amin(out, input, index, src, *, dim):
    out[...] = input
    np.minimum.at(out, _at(index, dim), src)


def _product_rule(g: Tensor, input: Tensor, index: Tensor, src: Tensor, y: Tensor, dim: int, of_src: bool) -> Tensor:
    """g * y / x; for an x that is 0, g times the product of the others, written such that it can be differentiated: if
    there is one more 0, that is what all zeros add up to, less x."""
    d, none, nothing = g.layout.dtype, input == 0.0, src == 0.0
    zeros = scatter_add(none.to(d), dim, index, nothing.to(d))
    others = g * scatter_prod(where(none, 1.0, input), index, where(nothing, 1.0, src), dim=dim)
    added = scatter_add(where(none, input, 0.0), dim, index, where(nothing, src, 0.0))
    whole, x = g * y, input
    if of_src:
        whole, others, added, zeros = [gather_op(z, index, dim=dim) for z in (whole, others, added, zeros)]
        none, x = nothing, src
    alone = where(zeros == 1.0, others, where(zeros == 2.0, others * (added - x), 0.0))
    return where(none, alone, whole / where(none, 1.0, x))


def _extremum_rule(g: Tensor, input: Tensor, index: Tensor, src: Tensor, y: Tensor, dim: int, of_src: bool) -> Tensor:
    """Shared evenly by all that equal the extremum."""
    d = g.layout.dtype
    own = (input == y).to(d)
    theirs = (src == gather_op(y, index, dim=dim)).to(d)
    share = g / scatter_add(own, dim, index, theirs)
    return gather_op(share, index, dim=dim) * theirs if of_src else where(own == 0.0, 0.0, share)


def _give_rules(op: Op, rule: Callable[..., Tensor]) -> None:
    op.vjps(
        input=lambda g, input, index, src, y, dim: rule(g, input, index, src, y, dim, False),
        index=None,
        src=lambda g, input, index, src, y, dim: rule(g, input, index, src, y, dim, True),
    )


_give_rules(scatter_prod, _product_rule)
_give_rules(scatter_amax, _extremum_rule)
_give_rules(scatter_amin, _extremum_rule)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """input with all src[i][j] that meet at [index[i][j]][j] (dim 0, alike for others) reduced by sum, prod, mean, amax
    or amin, input's own element among them unless include_self is False. Ties share the gradient.

    Third derivatives of a product of which three factors are 0 are left out. Raises as scatter, and RuntimeError for
    another reduce."""
    if reduce not in REDUCES:
        raise RuntimeError(f"scatter_reduce: reduce must be one of {', '.join(REDUCES)}, got {reduce!r}")
    x, d, i, source = _placed("scatter_reduce", input, dim, index, src)
    if not i.layout.numel:
        return copy_op(input)
    used = getitem(source, tuple([slice(n) for n in i.layout.shape]))
    return reshape(_reduced(x, d, i, used, reduce, include_self), input.layout.shape)


def _beyond(d: Dtype, above: bool) -> Any:
    """What no element is below, or above."""
    if d is bool_:
        return above
    if d.is_floating_point:
        return math.inf if above else -math.inf
    limits = np.iinfo(d.name)
    return int(limits.max if above else limits.min)


def _reduced(x: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    if reduce in ("amax", "amin"):
        op = scatter_amax if reduce == "amax" else scatter_amin
        if not include_self:
            x = scatter(x, dim, index, _beyond(x.layout.dtype, reduce == "amin"))
        return op(x, index, src, dim=dim)
    if not include_self:
        x = scatter(x, dim, index, 1 if reduce == "prod" else 0)
    if reduce == "prod":
        return scatter_prod(x, index, src, dim=dim)
    total = scatter_add(x, dim, index, src)
    if reduce == "sum":
        return total
    one = ones_like(x.detach())
    counts = scatter_add(one if include_self else scatter(one, dim, index, 0), dim, index, ones_like(src.detach()))
    counts = maximum(counts, one)
    return total / counts if total.layout.dtype.is_floating_point else div(total, counts, rounding_mode="floor")


def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """scatter_reduce of whole rows, index (k,): source has size k in dimension dim. reduce: prod, mean, amax, amin."""
    if reduce not in REDUCES[1:]:
        raise RuntimeError(f"index_reduce: reduce must be one of {', '.join(REDUCES[1:])}, got {reduce!r}")
    d = normal_dim(dim, input.layout.ndim, "index_reduce")
    sizes = [1] * max(source.layout.ndim, 1)
    if index.layout.ndim > 1:
        raise IndexError(f"index_reduce: index must be a vector, got shape {index.layout.shape}")
    sizes[d] = index.layout.numel
    places = expand(reshape(index, sizes), source.layout.shape or (1,))
    return scatter_reduce(input, dim, places, source, reduce, include_self=include_self)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with the elements of source, one after the other, where the mask (bool, which broadcasts) is true.

    Raises RuntimeError for two dtypes and, unless a step is being recorded, where source has too few elements."""
    if source.layout.dtype is not input.layout.dtype:
        raise RuntimeError(f"masked_scatter: source of {source.layout.dtype} for a tensor of {input.layout.dtype}")
    if mask.layout.dtype is not bool_:
        raise RuntimeError(f"masked_scatter: the mask must be bool, got {mask.layout.dtype}")
    shape = broadcast_shapes("masked_scatter", input.layout.shape, mask.layout.shape)
    chosen, n = expand(mask, shape), source.layout.numel
    order = cumsum(reshape(chosen, -1).to(int64), 0)
    if not modes.recording and order.layout.numel and order.array()[-1] > n:
        raise RuntimeError(f"masked_scatter: {order.array()[-1]} places are true, source has {n} elements")
    if not n:
        return copy_op(expand(input, shape))
    taken = gather_op(reshape(source, -1), (order - 1).clamp(0, n - 1), dim=0)
    return where(chosen, reshape(taken, shape), input)
