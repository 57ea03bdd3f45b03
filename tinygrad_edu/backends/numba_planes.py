"""Numba kernels of planes: max and average pooling, the statistics of batch norm, its application and gradients.

A parallel loop runs over planes (a channel of a picture), or over channels where all pictures add up to one number, in
double precision. On one core (Zen 5, planes of 28 x 28) 2 to 31 times as fast as the references. Left out: adaptive
pooling, which runs once a network. Read next: ops/pool.py and ops/batch_norm.py, whose formulas these are.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from .numba_kernels import Array, jit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..op import Spec
    from ..tensor import Tensor

    Launch = Callable[..., None]

# Pooling. Arrays are (planes, height, width), windows pairs for height and width.


def _max_pool_loops(out: Any, places: Any, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """The first maximum of each window, a NaN counting as larger than all before it, and its place there."""
    planes, p, q = out.shape
    h, w = x.shape[1:]
    for plane in numba.prange(planes):
        for i in range(p):
            top = i * stride[0] - padding[0]
            first_r = max(0, -(top // dilation[0])) if top < 0 else 0
            for j in range(q):
                left = j * stride[1] - padding[1]
                first_s = max(0, -(left // dilation[1])) if left < 0 else 0
                best, place = -np.inf, first_r * kernel[1] + first_s
                for r in range(first_r, kernel[0]):
                    row = top + r * dilation[0]
                    if row >= h:
                        break
                    for s in range(first_s, kernel[1]):
                        column = left + s * dilation[1]
                        if column >= w:
                            break
                        value = x[plane, row, column]
                        if value > best or value != value:
                            best, place = value, r * kernel[1] + s
                out[plane, i, j], places[plane, i, j] = best, place


def _max_put_loops(out: Any, grad: Any, places: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """Zeros, and every element of grad added at its window's place."""
    planes, p, q = grad.shape
    h, w = out.shape[1:]
    for plane in numba.prange(planes):
        out[plane] = 0
        for i in range(p):
            for j in range(q):
                place = np.int64(places[plane, i, j])
                row = i * stride[0] - padding[0] + place // kernel[1] * dilation[0]
                column = j * stride[1] - padding[1] + place % kernel[1] * dilation[1]
                if 0 <= row < h and 0 <= column < w:
                    out[plane, row, column] += grad[plane, i, j]


def _max_pick_loops(out: Any, x: Any, places: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """What stands at the places of the windows; 0 for a place in the padding."""
    planes, p, q = out.shape
    h, w = x.shape[1:]
    for plane in numba.prange(planes):
        for i in range(p):
            for j in range(q):
                place = np.int64(places[plane, i, j])
                row = i * stride[0] - padding[0] + place // kernel[1] * dilation[0]
                column = j * stride[1] - padding[1] + place % kernel[1] * dilation[1]
                inside = 0 <= row < h and 0 <= column < w
                out[plane, i, j] = x[plane, row, column] if inside else 0


@jit
def _mean_window(i: int, n: int, kernel: int, stride: int, padding: int, padded: bool) -> tuple[int, int, int]:
    """Of window i along a dimension: the part that is inside, and how many elements count."""
    start = i * stride - padding
    first = max(start, 0)
    past = max(min(start + kernel, n), first)
    return first, past, min(start + kernel, n + padding) - start if padded else past - first


def _avg_pool_loops(
    out: Any, x: Any, kernel: Any, stride: Any, padding: Any, padded: bool, divisor: int, spread: bool
) -> None:
    """out (.., P, Q) = the sum of each window of x (.., H, W) over its divisor; with `spread` the transpose of that,
    x from out."""
    planes, p, q = out.shape
    h, w = x.shape[1:]
    for plane in numba.prange(planes):
        if spread:
            x[plane] = 0
        for i in range(p):
            top, bottom, rows = _mean_window(i, h, kernel[0], stride[0], padding[0], padded)
            for j in range(q):
                left, right, columns = _mean_window(j, w, kernel[1], stride[1], padding[1], padded)
                by = divisor if divisor else max(rows * columns, 1)
                if spread:
                    share = out[plane, i, j] / by
                    for row in range(top, bottom):
                        for column in range(left, right):
                            x[plane, row, column] += share
                else:
                    total = 0.0
                    for row in range(top, bottom):
                        for column in range(left, right):
                            total += x[plane, row, column]
                    out[plane, i, j] = total / by


# Batch norm. Arrays are flat, of `pictures` times `channels` times `places` elements. Unsigned positions can't count
# from the end, and sums may be taken in any order, so LLVM makes vectors of these loops; NaN and infinity are kept.
_ordered_anyhow = functools.partial(jit, fastmath={"reassoc", "contract"})


@_ordered_anyhow
def _sum(x: Any, at: int, count: int) -> float:
    a, total = np.uint64(at), 0.0
    for j in range(np.uint64(count)):
        total += np.float64(x[a + j])
    return total


@_ordered_anyhow
def _sum_products(x: Any, y: Any, at: int, count: int, mean: float) -> float:
    """The sum of x * (y - mean)."""
    a, total = np.uint64(at), 0.0
    for j in range(np.uint64(count)):
        total += np.float64(x[a + j]) * (np.float64(y[a + j]) - mean)
    return total


@_ordered_anyhow
def _sum_squares(x: Any, at: int, count: int, mean: float) -> float:
    """The sum of (x - mean)^2."""
    a, total = np.uint64(at), 0.0
    for j in range(np.uint64(count)):
        deviation = np.float64(x[a + j]) - mean
        total += deviation * deviation
    return total


def _moments_loops(out: Any, x: Any, pictures: int, channels: int, places: int) -> None:
    """out (2, C) = mean and biased variance of each channel."""
    for c in numba.prange(channels):
        mean, squares = 0.0, 0.0
        for n in range(pictures):
            mean += _sum(x, (n * channels + c) * places, places)
        mean /= pictures * places
        for n in range(pictures):
            squares += _sum_squares(x, (n * channels + c) * places, places, mean)
        out[0, c], out[1, c] = mean, squares / (pictures * places)


def _sums_loops(out: Any, g: Any, x: Any, moments: Any, eps: float, pictures: int, channels: int, places: int) -> None:
    """out (2, C) = sum(g) and sum(g xhat) of each channel."""
    for c in numba.prange(channels):
        mean, total, products = np.float64(moments[0, c]), 0.0, 0.0
        for n in range(pictures):
            at = (n * channels + c) * places
            total += _sum(g, at, places)
            products += _sum_products(g, x, at, places, mean)
        out[0, c], out[1, c] = total, products / np.sqrt(np.float64(moments[1, c]) + eps)


def _affine_loops(out: Any, x: Any, mean: Any, scale: Any, bias: Any, channels: int, places: int) -> None:
    """(x - mean) * scale + bias"""
    for plane in numba.prange(len(out) // places):
        c, a = plane % channels, np.uint64(plane * places)
        m, s, b = mean[c], scale[c], bias[c]
        for j in range(np.uint64(places)):
            out[a + j] = (x[a + j] - m) * s + b


def _grad_input_loops(
    out: Any, g: Any, x: Any, mean: Any, grad_mean: Any, slope: Any, scale: Any, channels: int, places: int
) -> None:
    """(g - grad_mean - (x - mean) * slope) * scale"""
    for plane in numba.prange(len(out) // places):
        c, a = plane % channels, np.uint64(plane * places)
        m, d, s, f = mean[c], grad_mean[c], slope[c], scale[c]
        for j in range(np.uint64(places)):
            out[a + j] = (g[a + j] - d - (x[a + j] - m) * s) * f


_max_pool, _max_put, _max_pick, _avg_pool, _moments, _sums, _affine, _grad_input = (
    jit(loops, parallel=True)
    for loops in (
        _max_pool_loops,
        _max_put_loops,
        _max_pick_loops,
        _avg_pool_loops,
        _moments_loops,
        _sums_loops,
        _affine_loops,
        _grad_input_loops,
    )
)


# Launchers


def _planes(x: Tensor) -> Array:
    """(N, C, H, W) as (N C, H, W)."""
    array: Array = x.array()
    return array.reshape(-1, *array.shape[2:])


def _window(spec: Spec, *more: str) -> tuple[Any, ...]:
    return tuple(spec.attrs[name] for name in ("kernel", "stride", "padding", *more))


def max_pool2d(spec: Spec) -> Launch:
    """Values, and places beside them."""
    window = _window(spec, "dilation")
    return lambda out, x, places: _max_pool(_planes(out), _planes(places), _planes(x), *window)


def max_pool2d_grad(spec: Spec) -> Launch:
    """Gradients at the places of the maxima."""
    window = _window(spec, "dilation")
    return lambda out, grad, places: _max_put(_planes(out), _planes(grad), _planes(places), *window)


def max_pool2d_pick(spec: Spec) -> Launch:
    """What stands at the places of the maxima."""
    window = _window(spec, "dilation")
    return lambda out, x, places: _max_pick(_planes(out), _planes(x), _planes(places), *window)


def avg_pool2d(spec: Spec) -> Launch:
    """The means of windows."""
    window = _window(spec, "count_include_pad", "divisor")
    return lambda out, x: _avg_pool(_planes(out), _planes(x), *window, False)


def avg_pool2d_grad(spec: Spec) -> Launch:
    """Gradients spread over the windows."""
    window = _window(spec, "count_include_pad", "divisor")
    return lambda out, grad: _avg_pool(_planes(grad), _planes(out), *window, True)


def _sizes(spec: Spec, at: int) -> tuple[int, int, int]:
    """Pictures, channels and places of input number `at`."""
    n, c, *places = spec.inputs[at].shape
    return n, c, math.prod(places)


def _flat(x: Tensor) -> Array:
    return np.ascontiguousarray(x.array()).reshape(-1)


def batch_moments(spec: Spec) -> Launch:
    """Mean and biased variance of each channel."""
    sizes = _sizes(spec, 0)
    return lambda out, x: _moments(out.array(), _flat(x), *sizes)


def batch_norm_grad_sums(spec: Spec) -> Launch:
    """sum(grad) and sum(grad * xhat) of each channel."""
    sizes, eps = _sizes(spec, 1), spec.attrs["eps"]
    return lambda out, grad, x, moments: _sums(
        out.array(), _flat(grad), _flat(x), np.ascontiguousarray(moments.array()), eps, *sizes
    )


def _scale(moments: Array, weight: Array, eps: float) -> Array:
    scale: Array = weight / np.sqrt(moments[1].astype(np.float64) + eps)
    return scale.astype(weight.dtype)


def batch_norm(spec: Spec) -> Launch:
    """(x - mean) * (weight / sqrt(var + eps)) + bias"""
    (_, channels, places), eps = _sizes(spec, 0), spec.attrs["eps"]

    def launch(out: Tensor, x: Tensor, moments: Tensor, weight: Tensor, bias: Tensor) -> None:
        m, b = np.ascontiguousarray(moments.array()), np.ascontiguousarray(bias.array())
        _affine(_flat(out), _flat(x), m[0], _scale(m, weight.array(), eps), b, channels, places)

    return launch


def batch_norm_grad_input(spec: Spec) -> Launch:
    """weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat))"""
    (pictures, channels, places), eps, d = _sizes(spec, 1), spec.attrs["eps"], spec.layout.dtype.name

    def launch(out: Tensor, grad: Tensor, x: Tensor, moments: Tensor, sums: Tensor, weight: Tensor) -> None:
        m, means = np.ascontiguousarray(moments.array()), sums.array().astype(np.float64) / (pictures * places)
        slope = (means[1] / np.sqrt(m[1].astype(np.float64) + eps)).astype(d)
        scale = _scale(m, weight.array(), eps)
        _grad_input(_flat(out), _flat(grad), _flat(x), m[0], means[0].astype(d), slope, scale, channels, places)

    return launch


LAUNCHERS = {
    f.__name__: f
    for f in (
        max_pool2d,
        max_pool2d_grad,
        max_pool2d_pick,
        avg_pool2d,
        avg_pool2d_grad,
        batch_moments,
        batch_norm,
        batch_norm_grad_sums,
        batch_norm_grad_input,
    )
}


def prepare(spec: Spec) -> Launch | None:
    """A launcher for one of LAUNCHERS, or None for what only the reference does."""
    full = spec.layout.numel and all(x.numel for x in spec.inputs)
    return LAUNCHERS[spec.op.name](spec) if spec.layout.dtype.is_floating_point and full else None
