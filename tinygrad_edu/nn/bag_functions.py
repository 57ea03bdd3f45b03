"""Bags of embeddings: the rows of a table that a bag names, summed, averaged or compared.

The rows are looked up as by embedding, so memory for all of them is needed. Left out: sparse gradients. Read next:
bags.py, the layer.
"""

from __future__ import annotations

import math

from ..ops.compare import ne, where
from ..ops.create import arange, zeros
from ..ops.gather import index_add
from ..ops.rows import positions
from ..ops.scatters import index_reduce
from ..ops.sets import searchsorted
from ..ops.views import narrow, reshape, unsqueeze
from ..tensor import Tensor
from .layer_functions import embedding

MODES = ("sum", "mean", "max")


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or max of rows of weight, (n, d): (bags, d). A bag is a row of input, (bags, k), or the stretch of
    input, (k,), from its offset, (bags,), to the next; include_last_offset: offsets end with k. An empty one gives 0.

    per_sample_weights, in the shape of input, multiply a sum. Row padding_idx takes no part. max_norm, norm_type,
    scale_grad_by_freq: as in embedding. Raises ValueError for arguments that don't fit together."""
    if mode not in MODES:
        raise ValueError(f"embedding_bag: mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("embedding_bag: mode 'max' can't scale the gradient by frequency")
    shape = input.layout.shape
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(f"embedding_bag: per_sample_weights are for mode 'sum', not {mode!r}")
        if per_sample_weights.layout.shape != shape:
            raise ValueError(
                f"embedding_bag: per_sample_weights have shape {per_sample_weights.layout.shape}, input {shape}"
            )
    bags, bag = _bags(shape, offsets, include_last_offset)
    names = reshape(positions(input, "embedding_bag"), -1)
    rows = embedding(names, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * reshape(per_sample_weights, -1, 1)
    d = rows.layout.dtype
    taken = names >= 0 if padding_idx is None else ne(names, padding_idx % weight.layout.shape[0])
    start = zeros(bags, weight.layout.shape[1], dtype=d)
    counts = unsqueeze(index_add(zeros(bags, dtype=d), 0, bag, taken.to(d)), 1)
    if mode == "max":
        largest = index_reduce(start, 0, bag, where(unsqueeze(taken, 1), rows, -math.inf), "amax", include_self=False)
        return where(counts == 0.0, 0.0, largest)
    total = index_add(start, 0, bag, where(unsqueeze(taken, 1), rows, 0.0))
    return total if mode == "sum" else total / counts.clamp(min=1.0)


def _bags(shape: tuple[int, ...], offsets: Tensor | None, include_last: bool) -> tuple[int, Tensor]:
    """How many bags there are, and the one that each element is in."""
    if len(shape) == 2:
        if offsets is not None:
            raise ValueError("embedding_bag: rows of a matrix are the bags; offsets are for vectors")
        return shape[0], reshape(unsqueeze(arange(shape[0]), 1).expand(shape), -1)
    if len(shape) != 1:
        raise ValueError(f"embedding_bag: expected an input of 1 or 2 dimensions, got shape {shape}")
    if offsets is None or offsets.layout.ndim != 1:
        raise ValueError("embedding_bag: a vector of positions needs a vector of offsets")
    starts = positions(offsets, "embedding_bag")
    if include_last:
        if not starts.layout.numel:
            raise ValueError("embedding_bag: include_last_offset needs one offset at least")
        starts = narrow(starts, 0, 0, starts.layout.numel - 1)
    return starts.layout.numel, searchsorted(starts, arange(shape[0]), right=True) - 1
