"""Pooling: the largest element or the mean of every window of a plane, with PyTorch's geometry.

The ops take planes (N, C, H, W); one dimension is two, the first of size 1. Max pooling fills a second output, the
place of each maximum within its window, in a byte: its gradient needs nothing else, neither the input nor the output.
All else is linear: picking at places and putting back there are each other's gradient, and so are means and their
spreading. Left out: 3 dimensions, fractional and Lp pooling. Read next: pooling.py, what users call; csrc/pool.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..dtypes import int64, uint8
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .fold import check_padded
from .gather import gather_op
from .move import Array, Ints
from .views import reshape

PLACES = 256  # of a window, which a byte can tell apart

Bounds = list[tuple[int, int]]  # of the windows along a dimension: first position, one past the last


class PlaneOp(Op):
    """An op on planes, which kernels expect to lie one behind the other."""

    def apply(self, *inputs: Tensor, **attrs: Any) -> Tensor:
        return super().apply(*[x.contiguous() for x in inputs], **attrs)


# Windows


def pooled_size(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit in a dimension of size n, padded at both ends. With ceil_mode the last one may go over the
    end, but must begin before the padding there."""
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= n + padding else count


def _pooled(
    name: str, input: Layout, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Ints:
    n, c, *plane = input.shape
    check_padded(name, plane, padding)
    sizes = tuple([pooled_size(*of, ceil_mode) for of in zip(plane, kernel, stride, padding, dilation, strict=True)])
    if min(sizes) < 1:
        raise RuntimeError(
            f"{name}: a kernel of {kernel} with padding {padding} and dilation {dilation} does not fit planes of "
            f"{tuple(plane)}: the output would be {sizes}"
        )
    return (n, c, *sizes)


def _taps(x: Array, out: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, fill: Any) -> Any:
    """x in a frame of `fill`, and an iterator over the places of a window: its number, and what all windows have there,
    as a view of the frame of shape (N, C, P, Q)."""
    sizes = [
        max((o - 1) * s + (k - 1) * d + 1, n + p)
        for o, n, k, s, p, d in zip(out[2:], x.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    (top, left), (h, w) = padding, x.shape[2:]
    frame = np.full((*x.shape[:2], max(sizes[0], top + h), max(sizes[1], left + w)), fill, x.dtype)
    frame[:, :, top : top + h, left : left + w] = x

    def each() -> Iterator[tuple[int, Array]]:
        for r in range(kernel[0]):
            for s in range(kernel[1]):
                a, b = r * dilation[0], s * dilation[1]
                rows = slice(a, a + (out[2] - 1) * stride[0] + 1, stride[0])
                yield r * kernel[1] + s, frame[:, :, rows, b : b + (out[3] - 1) * stride[1] + 1 : stride[1]]

    return frame, each()


def _first_places(count: int, stride: int, padding: int, dilation: int) -> Array:
    """For each window along a dimension, the first of its places that is not padding."""
    before = np.maximum(padding - np.arange(count) * stride, 0)
    return -(-before // dilation)


def _lowest(x: Array) -> Any:
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


# The largest


def _largest(x: Array, out: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> tuple[Array, Array]:
    """The values and places of the first maxima; a NaN counts as larger than all before it."""
    top, left = (_first_places(*of) for of in zip(out[2:], stride, padding, dilation, strict=True))
    places = np.broadcast_to(top[:, None] * kernel[1] + left, out).astype(np.int64)
    values = np.full(out, _lowest(x), x.dtype)
    _, taps = _taps(x, out, kernel, stride, padding, dilation, _lowest(x))
    for place, value in taps:
        larger = (value > values) | (value != value)
        np.copyto(values, value, where=larger)
        np.copyto(places, place, where=larger)
    return values, places


def _max_pool2d_shape(
    input: Layout, places: Layout, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Ints:
    return _pooled("max_pool2d", input, kernel, stride, padding, dilation, ceil_mode)


class MaxPool(PlaneOp):
    """The op that fills `places` beside its output."""

    def writes(self, spec: Spec) -> tuple[int, ...]:
        return (0, 2)


def _max_pool2d(out, input, places, *, kernel, stride, padding, dilation, ceil_mode):
    """The first maximum of each window; places: uint8, row * kernel width + column of it within the window."""
    out[...], places[...] = _largest(input, out.shape, kernel, stride, padding, dilation)


def _max_pool2d_pick(out, input, places, *, kernel, stride, padding, dilation):
    """What stands at those places of the windows of `input`; 0 for a place in the padding."""
    out.fill(0)
    _, taps = _taps(input, out.shape, kernel, stride, padding, dilation, 0)
    for place, value in taps:
        np.copyto(out, value, where=places == place)


def _max_pool2d_grad(out, grad, places, *, size, kernel, stride, padding, dilation):
    """Zeros, and every element of grad added at its window's place: inverts the pick."""
    out.fill(0)
    frame, taps = _taps(out, grad.shape, kernel, stride, padding, dilation, 0)
    for place, target in taps:
        target += np.where(places == place, grad, 0)
    out[...] = frame[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


max_pool2d_op = MaxPool(_max_pool2d, _max_pool2d_shape, name="max_pool2d")
max_pool2d_pick = PlaneOp(_max_pool2d_pick, lambda input, places, **_: places.shape, name="max_pool2d_pick")
max_pool2d_grad = PlaneOp(
    _max_pool2d_grad, lambda grad, places, *, size, **_: (*grad.shape[:2], *size), name="max_pool2d_grad"
)


def _put_back(g: Tensor, places: Tensor, input_shape: Ints, **window: Ints) -> Tensor:
    return max_pool2d_grad.apply(g, places, size=input_shape[2:], **window)


max_pool2d_op.vjps(
    input=lambda g, places, input_shape, kernel, stride, padding, dilation: _put_back(
        g, places, input_shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    ),
    places=None,
)
max_pool2d_pick.vjps(
    input=lambda g, places, input_shape, kernel, stride, padding, dilation: _put_back(
        g, places, input_shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    ),
    places=None,
)
max_pool2d_grad.vjps(
    grad=lambda g, places, kernel, stride, padding, dilation: max_pool2d_pick.apply(
        g, places, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    ),
    places=None,
)


def max_pool_planes(
    input: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Tensor:
    """Max pooling by places: windows of at most PLACES elements."""
    shape = _pooled("max_pool2d", input.layout, kernel, stride, padding, dilation, ceil_mode)
    places = Tensor.empty(layout_of(shape, uint8))
    return max_pool2d_op.apply(
        input, places, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )


def _indices_shape(
    input: Layout, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> Ints:
    return _pooled("max_pool2d", input, kernel, stride, padding, dilation, ceil_mode)


def _max_pool2d_indices(out, input, *, kernel, stride, padding, dilation, ceil_mode):
    """The positions of the maxima in their planes, row * width + column; of an empty window, the last one."""
    places = _largest(input, out.shape, kernel, stride, padding, dilation)[1]
    (h, w), (p, q) = input.shape[2:], out.shape[2:]
    rows = np.arange(p)[:, None] * stride[0] - padding[0] + places // kernel[1] * dilation[0]
    columns = np.arange(q) * stride[1] - padding[1] + places % kernel[1] * dilation[1]
    np.minimum(rows * w + columns, h * w - 1, out=out)


def window_bounds(n: int, count: int) -> Bounds:
    """The windows of adaptive pooling: number i goes from floor(i n / count) to ceil((i + 1) n / count)."""
    return [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]


def _adaptive_max_pool2d_indices(out, input, *, size):
    """The positions of the maxima of adaptive windows in their planes, row * width + column."""
    h, w = input.shape[2:]
    one = (*input.shape[:2], 1, 1)
    for p, (top, bottom) in enumerate(window_bounds(h, size[0])):
        for q, (left, right) in enumerate(window_bounds(w, size[1])):
            window = (bottom - top, right - left)
            _, place = _largest(input[:, :, top:bottom, left:right], one, window, window, (0, 0), (1, 1))
            rows, columns = np.divmod(place[:, :, 0, 0], right - left)
            out[:, :, p, q] = (top + rows) * w + left + columns


def _resized(input: Layout, *, size: Ints) -> Ints:
    return (*input.shape[:2], *size)


max_pool2d_indices = PlaneOp(_max_pool2d_indices, _indices_shape, int64, "max_pool2d_indices")
adaptive_max_pool2d_indices = PlaneOp(_adaptive_max_pool2d_indices, _resized, int64, "adaptive_max_pool2d_indices")


def at_indices(input: Tensor, indices: Tensor) -> Tensor:
    """The elements of planes (N, C, H, W) at positions (N, C, P, Q)."""
    n, c, h, w = input.layout.shape
    shape = indices.layout.shape
    flat = gather_op(reshape(input, (n, c, h * w)), reshape(indices, (n, c, shape[2] * shape[3])), dim=2)
    return reshape(flat, shape)


# The mean


def _window_sums(x: Array, bounds: Bounds, axis: int) -> Array:
    along = np.moveaxis(x, axis, 0)
    sums = np.empty((len(bounds), *along.shape[1:]), x.dtype)
    for total, (a, b) in zip(sums, bounds, strict=True):
        np.sum(along[a:b], 0, out=total)
    return np.moveaxis(sums, 0, axis)


def _spread(g: Array, bounds: Bounds, n: int, axis: int) -> Array:
    """The transpose of _window_sums: every element added to all positions of its window."""
    x = np.moveaxis(np.zeros((*g.shape[:axis], n, *g.shape[axis + 1 :]), g.dtype), axis, 0)
    for (a, b), part in zip(bounds, np.moveaxis(g, axis, 0), strict=True):
        x[a:b] += part
    return np.moveaxis(x, 0, axis)


def _mean_windows(n: int, count: int, kernel: int, stride: int, padding: int, padded: bool) -> tuple[Bounds, Array]:
    """Along a dimension, the part of each window that is in the input, and how many elements it counts as."""
    starts = [i * stride - padding for i in range(count)]
    bounds = [(max(a, 0), max(min(a + kernel, n), max(a, 0))) for a in starts]
    counts = [min(a + kernel, n + padding) - a if padded else bounds[i][1] - bounds[i][0] for i, a in enumerate(starts)]
    return bounds, np.array(counts)


def _mean_geometry(
    plane: Ints, out: Ints, kernel: Ints, stride: Ints, padding: Ints, padded: bool, divisor: int
) -> tuple[Bounds, Bounds, Any]:
    rows, columns = (_mean_windows(*of, padded) for of in zip(plane, out[2:], kernel, stride, padding, strict=True))
    divisors = divisor or np.maximum(rows[1][:, None] * columns[1], 1)  # an empty window gives 0
    return rows[0], columns[0], divisors


def _avg_pool2d(out, input, *, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    """The sum of each window over `divisor`, or over how many elements it has, those in the padding counted or not."""
    rows, columns, divisors = _mean_geometry(
        input.shape[2:], out.shape, kernel, stride, padding, count_include_pad, divisor
    )
    out[...] = _window_sums(_window_sums(input, rows, 2), columns, 3) / divisors


def _avg_pool2d_grad(out, grad, *, size, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    """Every element of grad over the divisor of its window, added to all positions of the window."""
    rows, columns, divisors = _mean_geometry(size, grad.shape, kernel, stride, padding, count_include_pad, divisor)
    out[...] = _spread(_spread((grad / divisors).astype(grad.dtype), columns, size[1], 3), rows, size[0], 2)


def _avg_pool2d_shape(
    input: Layout, *, kernel: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_include_pad: bool, divisor: int
) -> Ints:
    return _pooled("avg_pool2d", input, kernel, stride, padding, (1, 1), ceil_mode)


avg_pool2d_op = PlaneOp(_avg_pool2d, _avg_pool2d_shape, name="avg_pool2d")
avg_pool2d_grad = PlaneOp(_avg_pool2d_grad, lambda grad, *, size, **_: (*grad.shape[:2], *size), name="avg_pool2d_grad")

avg_pool2d_op.vjps(
    input=lambda g, input_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor: avg_pool2d_grad.apply(
        g,
        size=input_shape[2:],
        kernel=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor=divisor,
    )
)
avg_pool2d_grad.vjps(
    grad=lambda g, kernel, stride, padding, ceil_mode, count_include_pad, divisor: avg_pool2d_op.apply(
        g,
        kernel=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor=divisor,
    )
)


def _areas(plane: Ints, size: Ints) -> Any:
    rows, columns = (window_bounds(*of) for of in zip(plane, size, strict=True))
    return rows, columns, np.array([[(b - a) * (d - c) for c, d in columns] for a, b in rows]).reshape(size)


def _adaptive_avg_pool2d(out, input, *, size):
    """The mean of each adaptive window."""
    rows, columns, areas = _areas(input.shape[2:], size)
    out[...] = _window_sums(_window_sums(input, rows, 2), columns, 3) / areas


def _adaptive_avg_pool2d_grad(out, grad, *, size):
    """Every element of grad over the area of its window, added to all positions of the window."""
    rows, columns, areas = _areas(size, grad.shape[2:])
    out[...] = _spread(_spread((grad / areas).astype(grad.dtype), columns, size[1], 3), rows, size[0], 2)


adaptive_avg_pool2d_op = PlaneOp(_adaptive_avg_pool2d, _resized, name="adaptive_avg_pool2d")
adaptive_avg_pool2d_grad = PlaneOp(_adaptive_avg_pool2d_grad, _resized, name="adaptive_avg_pool2d_grad")

adaptive_avg_pool2d_op.vjps(
    input=lambda g, input_shape: adaptive_avg_pool2d_grad.apply(g, size=input_shape[2:]),
)
adaptive_avg_pool2d_grad.vjps(
    grad=lambda g, grad_shape: adaptive_avg_pool2d_op.apply(g, size=grad_shape[2:]),
)
