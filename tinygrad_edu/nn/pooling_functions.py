"""Lp pooling and the inverse of max pooling, by PyTorch's names and arguments; functional.py exports them.

Compositions of the pools in ../ops/pooling.py. Left out: 3 dimensions. Read next: ../ops/pooling.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..dtypes import int64
from ..ops.activation import relu
from ..ops.create import zeros
from ..ops.elementwise import abs, pow, sign
from ..ops.fold import Ints, ints_of
from ..ops.pooling import Size, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from ..tensor import Tensor


def _lp_pool(
    n: int, input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None, ceil_mode: bool
) -> Tensor:
    largest: Any = (max_pool1d, max_pool2d)[n - 1]
    if math.isinf(norm_type):
        s = 1.0 if norm_type > 0 else -1.0
        y: Tensor = largest(abs(input) * s, kernel_size, stride, ceil_mode=ceil_mode) * s
        return y
    means = (avg_pool1d, avg_pool2d)[n - 1](pow(input, norm_type), kernel_size, stride, 0, ceil_mode)
    elements = math.prod(ints_of(kernel_size, n, f"lp_pool{n}d", "kernel_size"))
    return pow(sign(means) * relu(abs(means)) * elements, 1.0 / norm_type)  # relu: no gradient where a sum is 0


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum x^p)^(1/p), p = norm_type, of each window of (N, C, L) or (C, L); as avg_pool1d otherwise."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum x^p)^(1/p), p = norm_type, of each window of (N, C, H, W) or (C, H, W); as avg_pool2d otherwise. inf: the
    largest |x|."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def _unpooled_size(name: str, sizes: Ints, kernel: Ints, stride: Ints, padding: Ints, wanted: Any) -> Ints:
    """What max_pool was given, as far as its result tells. Raises ValueError for a wanted size that it can't be."""
    n = len(kernel)
    usual = tuple((m - 1) * s + k - 2 * p for m, k, s, p in zip(sizes[-n:], kernel, stride, padding, strict=True))
    if wanted is None:
        return usual
    size = tuple(wanted)[2:] if len(wanted) == n + 2 else tuple(wanted)
    if len(size) != n:
        raise ValueError(f"{name}: output_size must have {n} or {n + 2} elements, got {tuple(wanted)}")
    if any(not u - s < m < u + s for m, u, s in zip(size, usual, stride, strict=True)):
        raise ValueError(f"{name}: output_size must be within the stride {stride} of {usual}, got {tuple(wanted)}")
    return size


def _max_unpool(
    n: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Tensor:
    name, shape = f"max_unpool{n}d", input.layout.shape
    kernel = ints_of(kernel_size, n, name, "kernel_size")
    steps = kernel if stride is None else ints_of(stride, n, name, "stride")
    size = _unpooled_size(name, shape, kernel, steps, ints_of(padding, n, name, "padding"), output_size)
    if indices.layout.dtype is not int64:
        raise RuntimeError(f"{name}: indices must be int64, got {indices.dtype}")
    if indices.layout.shape != shape or len(shape) not in (n + 1, n + 2) or 0 in shape[-n - 1 :] or min(size) < 1:
        raise RuntimeError(
            f"{name}: expected an input of {n + 1} or {n + 2} dimensions, only the batch empty, and indices of its "
            f"shape; got {shape} and {indices.layout.shape}, for a result of size {size}"
        )
    lead = shape[:-n]
    flat = zeros(*lead, math.prod(size), dtype=input.dtype)
    return flat.scatter(-1, indices.reshape(*lead, -1), input.reshape(*lead, -1)).reshape(*lead, *size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """max_pool1d's input again, zeros but for the largest elements; as max_unpool2d."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """max_pool2d's input again, zeros but for the largest elements: values and indices are those that it returned with
    return_indices, the other arguments those that it got. output_size: which of the sizes that fit.

    Raises ValueError for an output_size out of reach, RuntimeError for other shapes, indices that are not int64 or lie
    outside."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)
