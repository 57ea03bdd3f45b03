"""Distances: between two tensors, between all pairs of rows of one set of vectors, or of two.

Every difference is taken as it is, so memory for all of them is needed; nothing cancels. Left out: PyTorch's way of p=2
by a product of matrices (compute_mode). Read next: vector_norm.py.
"""

from __future__ import annotations

from ..tensor import Tensor
from .common import float_only
from .diagonals import triu_indices
from .elementwise import sub
from .gather import index_select
from .vector_norm import norm
from .views import select, unsqueeze


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, which broadcast."""
    return norm(sub(input, other), p)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    """The p-norms of all differences of rows: (.., n, m) and (.., k, m) give (.., n, k). Gradient 0 where rows are
    equal. compute_mode says nothing here. Raises RuntimeError for integers, a negative p, or sizes m that differ."""
    a, b = x1.layout, x2.layout
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise RuntimeError(f"cdist: expected (.., n, m) and (.., k, m), got shapes {a.shape} and {b.shape}")
    _check("cdist", p, x1, x2)
    return norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows of (n, m), each pair once: (n (n - 1) / 2,)."""
    if input.layout.ndim != 2:
        raise RuntimeError(f"pdist: expected a matrix, got shape {input.layout.shape}")
    _check("pdist", p, input)
    n = input.layout.shape[0]
    pairs = triu_indices(n, n, 1)
    first, second = index_select(input, 0, select(pairs, 0, 0)), index_select(input, 0, select(pairs, 0, 1))
    return norm(sub(first, second), p, 1)


def _check(name: str, p: float, *tensors: Tensor) -> None:
    if not p >= 0:
        raise RuntimeError(f"{name}: p must not be negative, got {p}")
    for x in tensors:
        float_only(name, x)
