"""Windows of pictures: unfold lays them side by side as columns, fold adds columns back into a picture.

The two are each other's gradient, and the NumPy references of convolution (conv.py) are a matrix product between them:
a window is first seen through strides, without a copy. Left out: other than two spatial dimensions, as in PyTorch.
Read next: conv.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..dtypes import bool_
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import as_tensor, is_int

Ints = tuple[int, ...]


def ints_of(value: Any, n: int, name: str, what: str) -> Ints:
    """An int, or one or n of them, as n ints. Raises TypeError for other types, RuntimeError for another number."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not all(map(is_int, given)):
        raise TypeError(f"{name}: {what} must be an int or {n} of them, got {value!r}")
    given = tuple(map(int, given))
    if len(given) not in (1, n):
        raise RuntimeError(f"{name}: expected {what} to be an int or {n} of them, got {value!r}")
    return given * n if len(given) == 1 else given


def check_window(name: str, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> None:
    """Raise RuntimeError for what no window can have."""
    for what, values, least in (
        ("kernel size", kernel, 1),
        ("stride", stride, 1),
        ("padding", padding, 0),
        ("dilation", dilation, 1),
    ):
        if min(values) < least:
            raise RuntimeError(f"{name}: expected a {what} of at least {least}, got {values}")


LARGEST = 2**44  # elements of a padded picture: above no memory holds one, and numbers of bytes pass 2^63


def check_padded(name: str, sizes: Sequence[int], padding: Ints) -> None:
    """Raise MemoryError for padded pictures that are too large for any machine, though the result may be small."""
    padded = tuple(n + 2 * p for n, p in zip(sizes, padding, strict=True))
    if math.prod(padded) > LARGEST:
        raise MemoryError(f"{name}: padded by {padding}, pictures of {tuple(sizes)} would have size {padded}")


def nearer(stride: Ints, sizes: Sequence[int], padding: Ints) -> Ints:
    """The strides, those that leave room for one window only cut to the least that do: kernels prepare every phase."""
    return tuple(min(s, max(n + 2 * p, 1)) for s, n, p in zip(stride, sizes, padding, strict=True))


def counts(sizes: Sequence[int], kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    """How many windows fit along each dimension; none or fewer where the kernel is too large."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


def windows(x: Any, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Any:
    """x (N, C, H, W) as (N, C, R, S, P, Q): element (r, s) of every window, for all windows; a view where unpadded."""
    p, q = counts(x.shape[2:], kernel, stride, padding, dilation)
    if any(padding):
        x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    n, c, h, w = x.strides
    steps = (n, c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1])
    return as_strided(x, (*x.shape[:2], *kernel, p, q), steps, writeable=False)


def add_windows(out: Any, columns: Any, stride: Ints, padding: Ints, dilation: Ints) -> None:
    """out (N, C, H, W) = the sum of columns (N, C, R, S, P, Q), each element at its place: the adjoint of windows."""
    (h, w), (top, left), (r, s, p, q) = out.shape[2:], padding, columns.shape[2:]
    padded = np.zeros((*out.shape[:2], h + 2 * top, w + 2 * left), out.dtype)
    for i in range(r):
        for j in range(s):
            rows = slice(i * dilation[0], i * dilation[0] + stride[0] * (p - 1) + 1, stride[0])
            cols = slice(j * dilation[1], j * dilation[1] + stride[1] * (q - 1) + 1, stride[1])
            padded[:, :, rows, cols] += columns[:, :, i, j]
    out[...] = padded[:, :, top : top + h, left : left + w]


def _unfold_shape(input: Layout, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    n, c, *sizes = input.shape
    check_window("unfold", kernel, stride, padding, dilation)
    found = counts(sizes, kernel, stride, padding, dilation)
    if min(found) < 1:
        raise RuntimeError(
            f"unfold: no window of kernel_size {kernel} with dilation {dilation} fits into an input of size "
            f"{tuple(sizes)} with padding {padding}"
        )
    return (n, c * math.prod(kernel), math.prod(found))


def _unfold(out, input, *, kernel, stride, padding, dilation):
    columns = windows(input, kernel, stride, padding, dilation)
    out.reshape(columns.shape)[...] = columns


def _fold_shape(columns: Layout, *, size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    n, rows, windows = columns.shape
    check_window("fold", kernel, stride, padding, dilation)
    area = math.prod(kernel)
    if rows % area:
        raise RuntimeError(
            f"fold: input {columns.shape} has {rows} rows (dimension -2), expected a multiple of {area}, the number of "
            f"elements in kernel_size {kernel}"
        )
    found = counts(size, kernel, stride, padding, dilation)
    if min(found) < 1 or math.prod(found) != windows:
        raise RuntimeError(
            f"fold: input {columns.shape} has {windows} windows (dimension -1), expected {' * '.join(map(str, found))} "
            f"= {math.prod(found)} for output_size {size}, kernel_size {kernel}, dilation {dilation}, padding "
            f"{padding}, stride {stride}"
        )
    return (n, rows // area, *size)


def _fold(out, columns, *, size, kernel, stride, padding, dilation):
    split = (*out.shape[:2], *kernel, *counts(size, kernel, stride, padding, dilation))
    add_windows(out, columns.reshape(split), stride, padding, dilation)


unfold_op = Op(_unfold, _unfold_shape, name="unfold")
fold_op = Op(_fold, _fold_shape, name="fold")
unfold_op.vjps(
    input=lambda g, input_shape, kernel, stride, padding, dilation: fold_op.apply(
        g.contiguous(), size=input_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )
)
fold_op.vjps(
    columns=lambda g, kernel, stride, padding, dilation: unfold_op.apply(
        g.contiguous(), kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )
)


# What users call


def _checked(x: Any, name: str, *ndims: int) -> Tensor:
    tensor = as_tensor(x, name)
    if not tensor.layout.dtype.is_floating_point and tensor.layout.dtype is not bool_:
        raise NotImplementedError(f"{name}: expected floating-point numbers or bools, got {tensor.dtype}")
    shape = tensor.layout.shape
    if len(shape) not in ndims or 0 in shape[len(shape) - ndims[0] :]:
        raise RuntimeError(
            f"{name}: expected an input of {ndims[0]} dimensions, or {ndims[1]} with a batch, of which only the "
            f"batch may be empty; got shape {shape}"
        )
    return tensor


def unfold(
    input: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """The windows of pictures as columns: (N, C, H, W) gives (N, C * kernel elements, windows); N may be missing.

    Raises RuntimeError for shapes or sizes that don't fit, NotImplementedError for integers."""
    x = _checked(input, "unfold", 3, 4)
    attrs = {
        "kernel": ints_of(kernel_size, 2, "unfold", "kernel_size"),
        "stride": ints_of(stride, 2, "unfold", "stride"),
        "padding": ints_of(padding, 2, "unfold", "padding"),
        "dilation": ints_of(dilation, 2, "unfold", "dilation"),
    }
    if x.layout.ndim == 3:
        return unfold_op.apply(x.unsqueeze(0).contiguous(), **attrs).squeeze(0)
    return unfold_op.apply(x.contiguous(), **attrs)


def fold(
    input: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Columns added up into pictures of output_size (H, W), overlaps summed: (N, C * kernel elements, windows) gives
    (N, C, H, W); N may be missing.

    Raises RuntimeError for shapes or sizes that don't fit, NotImplementedError for integers."""
    x = _checked(input, "fold", 2, 3)
    attrs = {
        "size": ints_of(output_size, 2, "fold", "output_size"),
        "kernel": ints_of(kernel_size, 2, "fold", "kernel_size"),
        "stride": ints_of(stride, 2, "fold", "stride"),
        "padding": ints_of(padding, 2, "fold", "padding"),
        "dilation": ints_of(dilation, 2, "fold", "dilation"),
    }
    if x.layout.ndim == 2:
        return fold_op.apply(x.unsqueeze(0).contiguous(), **attrs).squeeze(0)
    return fold_op.apply(x.contiguous(), **attrs)
