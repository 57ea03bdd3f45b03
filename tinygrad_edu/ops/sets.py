"""Values as sets: unique values, membership, places in an order.

What has a size that depends on values is no part of a recorded step. Nothing here has a gradient. Read next:
scatters.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, int32, int64
from ..modes import modes
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import constant, is_number, normal_dim, promoted
from .move import Array, Ints


def _tensor(array: Array, like: Tensor | None = None) -> Tensor:
    return Tensor.over(*memory.from_python(array, int64 if like is None else like.layout.dtype))


def _several(found: list[Tensor]) -> Any:
    return found[0] if len(found) == 1 else tuple(found)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different values (with dim: the different slices), in order; with return_inverse also where each one went,
    with return_counts how often each one stands there. NaN differs from NaN. Not in a recorded step."""
    modes.leaves_tape("unique()")
    array = input.array()
    shape: Ints = array.shape
    if dim is None:
        values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, equal_nan=False)
    else:
        d = normal_dim(dim, len(shape), "unique")
        if not array.size and 0 in shape[:d] + shape[d + 1 :]:
            raise RuntimeError(f"unique: slices of shape {shape} along dimension {d} hold no elements")
        values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=d)
        shape = inverse.shape = (array.shape[d],)
    return _answer(input, values, inverse.reshape(shape), counts, return_inverse, return_counts)


def _answer(
    input: Tensor, values: Array, inverse: Array, counts: Array, wants_inverse: bool, wants_counts: bool
) -> Any:
    found = [_tensor(values, input)]
    if wants_inverse:
        found.append(_tensor(inverse))
    if wants_counts:
        found.append(_tensor(counts))
    return _several(found)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The values (with dim: slices) without those that equal the one before; otherwise as unique."""
    modes.leaves_tape("unique_consecutive()")
    array = input.array()
    d = 0 if dim is None else normal_dim(dim, array.ndim, "unique_consecutive")
    lines = array.reshape(-1) if dim is None else np.moveaxis(array, d, 0)
    n = lines.shape[0]
    first = np.ones(n, bool)
    if n > 1:
        first[1:] = (lines[1:] != lines[:-1]).reshape(n - 1, -1).any(1)
    inverse = np.cumsum(first) - 1
    counts = np.diff(np.append(np.flatnonzero(first), n)) if n else np.zeros(0, np.int64)
    values = np.moveaxis(lines[first], 0, d)
    shape = array.shape if dim is None else (n,)
    return _answer(input, values, inverse.reshape(shape), counts, return_inverse, return_counts)


@partial(Op, shape=lambda elements, test: elements.shape, out_dtype=bool_, name="isin")
def isin_op(out, elements, test):
    np.copyto(out, np.isin(elements, test))


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Where elements are among test_elements (or with invert are not), one of which may be a number; bool.
    assume_unique changes nothing."""
    if is_number(elements) and is_number(test_elements):
        raise TypeError("isin: expected a Tensor on one side at least")
    found = isin_op(*promoted("isin", elements, test_elements))
    return ~found if invert else found


def _search_dtype(boundaries: Layout, input: Layout, *, right: bool, narrow: bool) -> Any:
    return int32 if narrow else int64


@partial(Op, shape=lambda boundaries, input, **_: input.shape, out_dtype=_search_dtype, name="searchsorted")
def searchsorted_op(out, boundaries, input, *, right, narrow):
    side: Any = "right" if right else "left"
    if boundaries.ndim == 1:
        out[...] = np.searchsorted(boundaries, input, side)
    else:
        for at in np.ndindex(*boundaries.shape[:-1]):
            out[at] = np.searchsorted(boundaries[at], input[at], side)


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where values would be put into a sorted vector (n,), or rows of input (.., m) into those of (.., n): before what
    equals them, or with right (side="right") behind; int64, or int32. sorter: the positions that sort the sequence.

    Raises RuntimeError for shapes or arguments that don't fit."""
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side={side!r} and right={right} don't fit together")
    given = constant(input, sorted_sequence.layout.dtype) if is_number(input) else input
    if sorter is not None:
        if sorter.layout.dtype is not int64 or sorter.layout.shape != sorted_sequence.layout.shape:
            raise RuntimeError(f"searchsorted: sorter must be int64 of shape {sorted_sequence.layout.shape}")
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    a, b = sorted_sequence.layout.shape, given.layout.shape
    if not a or (len(a) > 1 and (len(a) != len(b) or a[:-1] != b[:-1])):
        raise RuntimeError(f"searchsorted: a sequence of shape {a} and values of shape {b} don't fit")
    if given.layout.dtype is not sorted_sequence.layout.dtype:
        raise RuntimeError(
            f"searchsorted: expected one dtype, got {sorted_sequence.layout.dtype} and {given.layout.dtype}"
        )
    is_right = right or side == "right"
    return searchsorted_op(sorted_sequence.detach(), given.detach(), right=is_right, narrow=bool(out_int32))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """For each element, a number or a tensor, the first boundary that is not below it, or with right above it."""
    if boundaries.layout.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries must be a vector, got shape {boundaries.layout.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
