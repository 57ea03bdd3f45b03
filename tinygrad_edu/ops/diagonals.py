"""Matrices from diagonals and back, triangles' positions, and parts of a tensor written out of place.

All compositions of views, copies and picks, whose gradients serve. Read next: products.py.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import dtype as Dtype
from ..dtypes import int64
from ..tensor import Tensor
from .common import as_tensor, normal_dim
from .create import arange, finished
from .gather import index_copy
from .index import getitem
from .join import cat
from .move import copy_op, place_op
from .pad import pad
from .reduce import sum
from .views import diagonal, expand, reshape, select, whole


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix' diagonal. Raises RuntimeError for what is no matrix."""
    if input.layout.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, got shape {input.layout.shape}")
    return sum(diagonal(input))


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector as its diagonal; of a matrix the diagonal, a copy. RuntimeError for anything else."""
    if input.layout.ndim == 1:
        return diag_embed(input, diagonal)
    if input.layout.ndim != 2:
        raise RuntimeError(f"diag: expected 1 or 2 dimensions, got shape {input.layout.shape}")
    return copy_op(_diagonal(input, diagonal))


_diagonal = diagonal  # which diag's argument hides


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension as the diagonal of two new ones at dim1 and dim2; elsewhere 0. offset > 0: above the main
    diagonal, < 0 below."""
    shape = input.layout.shape
    if not shape:
        raise RuntimeError("diag_embed: expected 1 dimension or more, got a 0-d tensor")
    n = len(shape) + 1
    a, b = normal_dim(dim1, n, "diag_embed"), normal_dim(dim2, n, "diag_embed")
    if a == b:
        raise RuntimeError(f"diag_embed: dim1 {dim1} and dim2 {dim2} are the same dimension")
    sizes = list(shape[:-1])
    for d in sorted((a, b)):
        sizes.insert(d, shape[-1] + abs(offset))
    start, step, _, _ = whole(tuple(sizes))
    start[a], start[b] = max(-offset, 0), max(offset, 0)
    axis = [n - 2 if d in (a, b) else d - (d > a) - (d > b) for d in range(n)]
    at = {"start": tuple(start), "step": tuple(step), "axis": tuple(axis)}
    return place_op(input, **at, shape=tuple(sizes), value=0.0)


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements as its diagonal."""
    return diag_embed(reshape(input, -1), offset)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices (vectors are rows, numbers 1 x 1) along a diagonal, elsewhere 0."""
    if not tensors:
        tensors = (expand(as_tensor(0.0, "block_diag"), 1, 0),)
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"block_diag: expected tensors, got {type(x).__name__}")
        if x.layout.ndim > 2:
            raise RuntimeError(f"block_diag: expected at most 2 dimensions, got shape {x.layout.shape}")
    blocks = [x if x.layout.ndim == 2 else reshape(x, 1, -1) for x in tensors]
    widths = [x.layout.shape[1] for x in blocks]
    before = [builtins.sum(widths[:k]) for k in range(len(blocks))]
    total = builtins.sum(widths)
    rows = [pad(x, (at, total - at - n)) for x, at, n in zip(blocks, before, widths, strict=True)]
    return cat(rows, 0)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Dtype = int64, device: Any = None) -> Tensor:
    """The positions, (2, k), of the lower triangle of a row x col matrix, by rows."""
    return _triangle("tril_indices", np.tril, row, col, offset, dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Dtype = int64, device: Any = None) -> Tensor:
    """The positions, (2, k), of the upper triangle of a row x col matrix, by rows."""
    return _triangle("triu_indices", np.triu, row, col, offset, dtype, device)


def _triangle(name: str, part: Any, row: int, col: int, offset: int, dtype: Dtype, device: Any) -> Tensor:
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}: sizes must not be negative, got {row} and {col}")
    found = np.array(np.nonzero(part(np.ones((row, col), bool), offset)))
    return finished(Tensor.over(*memory.from_python(found, dtype)), False, device)


# A part replaced: what x[part] = src does, out of place


def _replaced(name: str, input: Tensor, src: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
    """input with src where `part`, a view, looks at."""
    n = input.layout.numel
    places = part(reshape(arange(n), input.layout.shape))
    if places.layout.shape != src.layout.shape:
        raise RuntimeError(f"{name}: src must have the shape {places.layout.shape} of the part, got {src.layout.shape}")
    source = src.to(input.layout.dtype)
    return reshape(index_copy(reshape(input, n), 0, reshape(places, -1), reshape(source, -1)), input.layout.shape)


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """input with src at one index of a dimension."""
    return _replaced("select_scatter", input, src, lambda x: select(x, dim, index))


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """input with src at start:end:step of a dimension."""
    d = normal_dim(dim, input.layout.ndim, "slice_scatter")
    return _replaced("slice_scatter", input, src, lambda x: getitem(x, (slice(None),) * d + (slice(start, end, step),)))


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """input with src as a diagonal; see diagonal."""
    return _replaced("diagonal_scatter", input, src, lambda x: diagonal(x, offset, dim1, dim2))
