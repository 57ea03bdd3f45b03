"""Order: sort, argsort, topk, kthvalue. The ops find positions; the values are gathered, and so is their gradient.

Always stable, NaN counts as the largest, as in PyTorch. Read next: matmul.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..dtypes import int64
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import normal_dim, same_shape
from .gather import gather_op
from .move import Array, Ints, copy_op
from .views import narrow, reshape, squeeze, unsqueeze


class Ordered(NamedTuple):
    """What sort, topk, kthvalue, and max and min along a dimension return."""

    values: Tensor
    indices: Tensor


def _argsort(out: Array, input: Array, *, dim: int, descending: bool) -> None:
    if descending:  # the last of equals must stay last, so sort backwards what lies backwards
        backwards = np.argsort(np.flip(input, dim), axis=dim, kind="stable")
        out[...] = input.shape[dim] - 1 - np.flip(backwards, dim)
    else:
        out[...] = np.argsort(input, axis=dim, kind="stable")


def _topk_indices(out: Array, input: Array, *, k: int, dim: int, largest: bool) -> None:
    """The first k of argsort(descending=largest)."""
    order = np.empty(input.shape, np.int64)
    _argsort(order, input, dim=dim, descending=largest)
    out[...] = order[(slice(None),) * dim + (slice(k),)]


def _topk_shape(input: Layout, *, k: int, dim: int, largest: bool) -> Ints:
    n = input.shape[dim]
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: k = {k} is out of range for dimension {dim} of size {n}")
    return (*input.shape[:dim], k, *input.shape[dim + 1 :])


argsort_op = Op(_argsort, same_shape, int64, "argsort")
topk_indices = Op(_topk_indices, _topk_shape, int64, "topk_indices")


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The positions, int64, that would sort along dimension dim. Equal elements keep their order, `stable` or not."""
    if input.layout.ndim == 0:
        normal_dim(dim, 0, "argsort")
        return reshape(argsort(unsqueeze(input, 0)), ())
    return argsort_op(input.detach(), dim=normal_dim(dim, input.layout.ndim, "argsort"), descending=bool(descending))


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Ordered:
    """(values, indices): sorted along dimension dim, and where each value came from."""
    order = argsort(input, dim, descending, stable)
    return Ordered(_picked(input, order, dim), order)


def _picked(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    if input.layout.ndim == 0:
        return copy_op(input)
    return gather_op(input, indices, dim=normal_dim(dim, input.layout.ndim, "sort"))


def msort(input: Tensor) -> Tensor:
    """The values sorted along dimension 0."""
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ordered:
    """(values, indices) of the k largest (or smallest) elements along dimension dim, always in order; of equal ones
    the first. Raises RuntimeError for k above the size."""
    if input.layout.ndim == 0:
        values, indices = topk(unsqueeze(input, 0), k, dim, largest, sorted)
        return Ordered(squeeze(values), squeeze(indices))
    d = normal_dim(dim, input.layout.ndim, "topk")
    indices = topk_indices(input.detach(), k=int(k), dim=d, largest=bool(largest))
    return Ordered(gather_op(input, indices, dim=d), indices)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Ordered:
    """(values, indices) of the k-th smallest element (from 1 on) along dimension dim."""
    n = input.layout.shape[normal_dim(dim, input.layout.ndim, "kthvalue")] if input.layout.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue: k = {k} is out of range for dimension {dim} of size {n}")
    values, indices = sort(input, dim)
    if input.layout.ndim == 0:
        return Ordered(values, indices)
    values, indices = narrow(values, dim, k - 1, 1), narrow(indices, dim, k - 1, 1)
    return Ordered(values, indices) if keepdim else Ordered(squeeze(values, dim), squeeze(indices, dim))
