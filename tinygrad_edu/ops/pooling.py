"""Pooling as users call it: PyTorch's arguments checked and brought into the form that the ops of pool.py take.

Inputs are (N, C, L) or (N, C, H, W), or the same without N. Left out: 3 dimensions, fractional and Lp pooling,
unpooling. Read next: pool.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from ..dtypes import bool_, float32, float64, int64
from ..tensor import Tensor
from .common import is_int, no_tensor
from .move import Ints
from .pool import (
    PLACES,
    adaptive_avg_pool2d_op,
    adaptive_max_pool2d_indices,
    at_indices,
    avg_pool2d_op,
    max_pool2d_indices,
    max_pool_planes,
)
from .reduce import mean
from .views import reshape, unsqueeze

Size = int | Sequence[int]
OptionalSize = int | Sequence[int | None] | None


# Arguments


def _numbers(name: str, what: str, value: Any, n: int) -> Ints:
    """One int for all n dimensions, or one for each."""
    if is_int(value):
        return (int(value),) * n
    if not isinstance(value, (tuple, list)) or not all(map(is_int, value)):
        raise TypeError(f"{name}: {what} must be an int or a tuple of ints, got {value!r}")
    if len(value) not in (1, n):
        raise RuntimeError(f"{name}: {what} must be an int or a tuple of {n} ints, got {value!r}")
    return tuple(map(int, value)) * (n // len(value))


def _window(name: str, kernel: Any, stride: Any, padding: Any, dilation: Any, n: int) -> tuple[Ints, Ints, Ints, Ints]:
    """The four as pairs: a 1-D window lies in the last dimension of a plane. Raises RuntimeError for wrong ones."""
    kernel = _numbers(name, "kernel_size", kernel, n)
    stride = kernel if stride is None or stride == () or stride == [] else _numbers(name, "stride", stride, n)
    padding = _numbers(name, "padding", padding, n)
    dilation = _numbers(name, "dilation", dilation, n)
    for what, values in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(values) < 1:
            raise RuntimeError(f"{name}: {what} must be greater than zero, got {values}")
    for p, k in zip(padding, kernel, strict=True):
        if not 0 <= p <= k // 2:
            raise RuntimeError(
                f"{name}: padding must be at least 0 and at most half of the kernel size, got {padding} for {kernel}"
            )
    if n == 1:
        return (1, *kernel), (1, *stride), (0, *padding), (1, *dilation)
    return kernel, stride, padding, dilation


def _planes(name: str, input: Tensor, n: int) -> Tensor:
    """The input as (N, C, H, W)."""
    if not isinstance(input, Tensor):
        raise no_tensor(name, input)
    layout = input.layout
    if layout.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}: expected {n + 1} dimensions, or {n + 2} with a batch, got a tensor of shape {layout.shape}"
        )
    x = input if layout.ndim == n + 2 else unsqueeze(input, 0)
    return x if n == 2 else unsqueeze(x, 2)


def _not_empty(name: str, input: Tensor, n: int) -> None:
    if 0 in input.layout.shape[-n - 1 :]:
        raise RuntimeError(f"{name}: only the batch may be empty, got a tensor of shape {input.layout.shape}")


def _of_planes(y: Tensor, input: Tensor, n: int) -> Tensor:
    """A result (N, C, P, Q) in the input's number of dimensions."""
    if y.layout.ndim == input.layout.ndim:
        return y
    return reshape(y, (*input.layout.shape[:-n], *y.layout.shape[-n:]))


def _check_dtype(name: str, input: Tensor, *more: Any) -> None:
    if not isinstance(input, Tensor):
        raise no_tensor(name, input)
    d = input.layout.dtype
    if d not in (float32, float64, *more):
        raise NotImplementedError(f"{name}: not implemented for {d}; expected a floating-point tensor")


# The largest


def _max_pool(
    name: str,
    n: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    x = _planes(name, input, n)
    _not_empty(name, input, n)
    if n == 1 or input.layout.dtype is bool_:
        _check_dtype(name, input)
    kernel, stride, padding, dilation = _window(name, kernel_size, stride, padding, dilation, n)
    if not return_indices and kernel[0] * kernel[1] <= PLACES:
        return _of_planes(max_pool_planes(x, kernel, stride, padding, dilation, bool(ceil_mode)), input, n)
    indices = max_pool2d_indices.apply(
        x.detach(), kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=bool(ceil_mode)
    )
    values = _of_planes(at_indices(x, indices), input, n)
    return (values, _of_planes(indices, input, n)) if return_indices else values


@overload
def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, L) or (C, L); as max_pool2d in one dimension."""
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, H, W) or (C, H, W): (N, C, P, Q) with

        P = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1

    or, with ceil_mode, rounded up if the last window begins before the padding at the end. stride: kernel_size where
    not given. Padding counts as -Inf. The first of equal elements is taken, and the last NaN before all else: it alone
    gets the gradient. With return_indices also its position in its plane, row * W + column, int64.
    Raises RuntimeError for another number of dimensions, an empty plane, a kernel, stride or dilation below 1, padding
    over half the kernel, a window that does not fit; NotImplementedError for bools.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool1d(..., return_indices=True), whatever return_indices says."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool2d(..., return_indices=True), whatever return_indices says."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


# The mean


def _avg_pool(
    name: str,
    n: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    x = _planes(name, input, n)
    _not_empty(name, input, n)
    _check_dtype(name, input, int64)
    if divisor_override == 0:
        raise RuntimeError(f"{name}: divisor_override must not be zero")
    kernel, stride, padding, _ = _window(name, kernel_size, stride, padding, 1, n)
    if kernel == x.layout.shape[2:] and padding == (0, 0) and not divisor_override and x.is_floating_point():
        return _of_planes(mean(x, dim=(2, 3), keepdim=True), input, n)  # its gradient is a view
    y = avg_pool2d_op.apply(
        x,
        kernel=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=bool(ceil_mode),
        count_include_pad=bool(count_include_pad),
        divisor=divisor_override or 0,
    )
    return _of_planes(y, input, n)


def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L); as avg_pool2d in one dimension."""
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (N, C, H, W) or (C, H, W), whose number and place max_pool2d states.

    Padding counts as zeros, or not at all without count_include_pad; what a window has beyond it, with ceil_mode,
    never counts. divisor_override: the number that sums are divided by instead. Raises RuntimeError as max_pool2d does
    and for a divisor of 0, NotImplementedError for integers but int64 (rounded towards 0) and for bools.
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


# Windows that divide a plane


def _target(name: str, output_size: Any, x: Tensor, n: int) -> Ints:
    """The output's plane; None keeps the input's size."""
    if n == 1 and (output_size is None or output_size == (None,)):
        raise TypeError(f"{name}: output_size must be an int or a tuple of one int, got {output_size!r}")
    sizes = list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * n
    if len(sizes) != n:
        raise RuntimeError(f"{name}: output_size must be an int or a tuple of {n}, got {output_size!r}")
    sizes = [k if k is not None else x.layout.shape[2 + d] for d, k in enumerate(sizes)]
    if any(not isinstance(k, int) or isinstance(k, bool) for k in sizes):
        raise TypeError(f"{name}: output_size must be of ints and None, got {output_size!r}")
    if min(sizes) < 0:
        raise RuntimeError(f"{name}: output_size must not be negative, got {output_size!r}")
    return (1, *sizes) if n == 1 else tuple(sizes)


def _even(plane: Ints, size: Ints) -> bool:
    """Whether adaptive windows are plain ones, all alike and side by side."""
    return all(k and h % k == 0 for h, k in zip(plane, size, strict=True))


def _adaptive_avg_pool(name: str, n: int, input: Tensor, output_size: OptionalSize) -> Tensor:
    _adaptive_input(name, input, n)
    x = _planes(name, input, n)
    size, plane = _target(name, output_size, x, n), x.layout.shape[2:]
    if size == (1, 1):
        y = mean(x, dim=(2, 3), keepdim=True)
    elif _even(plane, size):
        kernel = plane[0] // size[0], plane[1] // size[1]
        y = avg_pool2d_op.apply(
            x, kernel=kernel, stride=kernel, padding=(0, 0), ceil_mode=False, count_include_pad=True, divisor=0
        )
    else:
        y = adaptive_avg_pool2d_op.apply(x, size=size)
    return _of_planes(y, input, n)


def _adaptive_input(name: str, input: Tensor, n: int) -> None:
    _check_dtype(name, input)
    if input.layout.ndim <= n:
        raise ValueError(f"{name}: expected {n + 1} or more dimensions, got a tensor of shape {input.layout.shape}")
    if 0 in input.layout.shape[-n:]:
        raise RuntimeError(f"{name}: planes must not be empty, got a tensor of shape {input.layout.shape}")


def adaptive_avg_pool1d(input: Tensor, output_size: Size) -> Tensor:
    """The means of output_size windows that cover (N, C, L) or (C, L); as adaptive_avg_pool2d in one dimension."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: OptionalSize) -> Tensor:
    """The means of P x Q windows that cover the planes of (N, C, H, W) or (C, H, W): window i goes from floor(i H / P)
    to ceil((i + 1) H / P). output_size: P and Q, one number for both, None for the input's.

    Raises ValueError for too few dimensions, RuntimeError for too many, an empty plane or a negative size;
    NotImplementedError for integers."""
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive_max_pool(name: str, n: int, input: Tensor, output_size: OptionalSize, return_indices: bool) -> Any:
    _adaptive_input(name, input, n)
    x = _planes(name, input, n)
    _not_empty(name, input, n)
    size, plane = _target(name, output_size, x, n), x.layout.shape[2:]
    if _even(plane, size):
        kernel = plane[0] // size[0], plane[1] // size[1]
        window = {"kernel": kernel, "stride": kernel, "padding": (0, 0), "dilation": (1, 1), "ceil_mode": False}
        if not return_indices and kernel[0] * kernel[1] <= PLACES:
            return _of_planes(max_pool_planes(x, **window), input, n)  # type: ignore[arg-type]
        indices = max_pool2d_indices.apply(x.detach(), **window)
    else:
        indices = adaptive_max_pool2d_indices.apply(x.detach(), size=size)
    values = _of_planes(at_indices(x, indices), input, n)
    return (values, _of_planes(indices, input, n)) if return_indices else values


def adaptive_max_pool1d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """The largest elements of output_size windows that cover (N, C, L) or (C, L); as adaptive_max_pool2d."""
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: OptionalSize, return_indices: bool = False) -> Any:
    """The largest elements of the windows of adaptive_avg_pool2d; with return_indices also their positions in their
    planes, int64. Ties and NaN as in max_pool2d. Raises as adaptive_avg_pool2d does, and for no channels."""
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)
