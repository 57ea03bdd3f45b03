"""Order: sort, argsort, topk, kthvalue. The ops find positions; the values are gathered, and so is their gradient.

Always stable, NaN counts as the largest, as in PyTorch. A signature met before skips all checks. Read next: matmul.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..dtypes import int64
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import exactly, integer, normal_dim, remember, same_shape
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
    key = (input.layout, exactly(dim), descending)
    spec = argsort_op.specs.get(key)
    if spec is None:
        d = normal_dim(dim, input.layout.ndim, "argsort")
        if input.layout.ndim == 0:
            return reshape(argsort(unsqueeze(input, 0)), ())
        spec = remember(argsort_op, (input,), key, dim=d, descending=bool(descending))
    return argsort_op.run(spec, (input,))


def _picked(input: Tensor, indices: Tensor, dim: int) -> Ordered:
    """What lies at positions that need no check."""
    spec = gather_op.specs.get((input.layout, dim, indices.layout))
    if spec is None:
        if input.layout.ndim == 0:
            return Ordered(copy_op(input), indices)
        key = (input.layout, dim, indices.layout)
        spec = remember(gather_op, (input, indices), key, dim=dim % input.layout.ndim)
    return Ordered(gather_op.run(spec, (input, indices)), indices)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Ordered:
    """(values, indices): sorted along dimension dim, and where each value came from."""
    return _picked(input, argsort(input, dim, descending), dim)


def msort(input: Tensor) -> Tensor:
    """The values sorted along dimension 0."""
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ordered:
    """(values, indices) of the k largest (or smallest) elements along dimension dim, always in order; of equal ones
    the first. Raises RuntimeError for k above the size."""
    key = (input.layout, exactly(k), exactly(dim), largest)
    spec = topk_indices.specs.get(key)
    if spec is None:
        k, d = integer(k, "topk: k"), normal_dim(dim, input.layout.ndim, "topk")
        if input.layout.ndim == 0:
            values, indices = topk(unsqueeze(input, 0), k, dim, largest)
            return Ordered(squeeze(values), squeeze(indices))
        spec = remember(topk_indices, (input,), key, k=k, dim=d, largest=bool(largest))
    return _picked(input, topk_indices.run(spec, (input,)), dim)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Ordered:
    """(values, indices) of the k-th smallest element (from 1 on) along dimension dim."""
    n = input.layout.shape[normal_dim(dim, input.layout.ndim, "kthvalue")] if input.layout.ndim else 1
    k = integer(k, "kthvalue: k")
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue: k = {k} is out of range for dimension {dim} of size {n}")
    values, indices = sort(input, dim)
    if input.layout.ndim == 0:
        return Ordered(values, indices)
    values, indices = narrow(values, dim, k - 1, 1), narrow(indices, dim, k - 1, 1)
    return Ordered(values, indices) if keepdim else Ordered(squeeze(values, dim), squeeze(indices, dim))
