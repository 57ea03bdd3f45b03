"""Numba kernels of images: convolution, and its windows as columns.

Windows of some pictures at a time are copied by compiled loops into columns that stay in a core's cache, and NumPy's
BLAS multiplies them. Against ops/conv.py's references on one core (Zen 5): forward and weight gradient 0.95 to 1.2
times as fast on dense layers and 1.3 to 2.8 with groups, input gradient 1.1 to 5 times. Each unit of a parallel loop
writes its own planes, so results don't depend on threads. Left out: Winograd, which the C core has.
Read next: numba_planes.py; ops/conv.py, whose formulas these are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from .numba_kernels import Array, jit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..op import Spec
    from ..storage import Layout
    from ..tensor import Tensor

    Launch = Callable[..., None]

COLUMNS = 1 << 18  # elements of columns made at a time: 1 MB of float32, a core's L2 cache


@jit
def _inside(count: int, size: int, step: int, start: int) -> tuple[int, int]:
    """The j in 0 .. count - 1 for which j * step + start is in 0 .. size - 1: first, one past the last."""
    first = 0 if start >= 0 else (step - 1 - start) // step
    past = 0 if start >= size else (size - 1 - start) // step + 1
    first = min(first, count)
    return first, max(min(past, count), first)


# Rows of flat arrays. Unsigned positions can't count from the end, so LLVM makes vectors of these loops.


@jit
def _copy(to: Any, at: int, source: Any, start: int, step: int, count: int) -> None:
    """to[at + j] = source[start + j * step] for j below count."""
    a, b, by = np.uint64(at), np.uint64(start), np.uint64(step)
    if step == 1:
        for j in range(np.uint64(count)):
            to[a + j] = source[b + j]
    else:
        for j in range(np.uint64(count)):
            to[a + j] = source[b + j * by]


@jit
def _zero(to: Any, at: int, count: int) -> None:
    a = np.uint64(at)
    for j in range(np.uint64(count)):
        to[a + j] = 0


@jit
def _add(to: Any, at: int, to_step: int, source: Any, start: int, step: int, count: int, factor: Any) -> None:
    """to[at + j * to_step] += factor * source[start + j * step] for j below count."""
    a, b, to_by, by = np.uint64(at), np.uint64(start), np.uint64(to_step), np.uint64(step)
    if step == 1 and to_step == 1:
        for j in range(np.uint64(count)):
            to[a + j] += factor * source[b + j]
    else:
        for j in range(np.uint64(count)):
            to[a + j * to_by] += factor * source[b + j * by]


@jit
def _zero_edges(columns: Any, at: int, q: int, top: int, bottom: int, left: int, right: int) -> None:
    """Zero all but columns left to right - 1 of rows top to bottom - 1, of q elements each, which start at `at`."""
    for i in range(top, bottom):
        _zero(columns, at + i * q, left)
        _zero(columns, at + i * q + right, q - right)


# Planes. sizes: H W, kernel R S, P Q. A step of 1 that keeps the width takes a plane's rows as one; what that brings
# round the edges is set to zero.


def _fill_loops(columns: Any, x: Any, planes: int, sizes: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """columns (planes, R, S, P, Q) = element (r, s) of every window of x (planes, H, W); 0 in the padding."""
    h, w, kernel_r, kernel_s, p, q = sizes
    for plane in numba.prange(planes):
        for r in range(kernel_r):
            top, bottom = _inside(p, h, stride[0], r * dilation[0] - padding[0])
            for s in range(kernel_s):
                start = s * dilation[1] - padding[1]
                left, right = _inside(q, w, stride[1], start)
                to = ((plane * kernel_r + r) * kernel_s + s) * p * q
                _zero(columns, to, top * q)
                _zero(columns, to + bottom * q, (p - bottom) * q)
                if stride[0] == 1 and stride[1] == 1 and q == w:
                    shift = (r * dilation[0] - padding[0]) * w + start
                    first = max(top * w, -shift)
                    past = max(min(bottom * w, h * w - shift), first)
                    _copy(columns, to + first, x, plane * h * w + first + shift, 1, past - first)
                    _zero_edges(columns, to, q, top, bottom, left, right)
                    continue
                for i in range(top, bottom):
                    row = (plane * h + i * stride[0] + r * dilation[0] - padding[0]) * w
                    at = to + i * q
                    if left > 0:
                        _zero(columns, at, left)
                    if right < q:
                        _zero(columns, at + right, q - right)
                    _copy(columns, at + left, x, row + left * stride[1] + start, stride[1], right - left)


def _fold_loops(
    out: Any, columns: Any, scratch: bool, planes: int, sizes: Any, stride: Any, padding: Any, dilation: Any
) -> None:
    """out (planes, H, W) = the sum of columns (planes, R, S, P, Q), each at its place; scratch: they may be changed."""
    h, w, kernel_r, kernel_s, p, q = sizes
    one = columns.dtype.type(1)
    for plane in numba.prange(planes):
        _zero(out, plane * h * w, h * w)
        for r in range(kernel_r):
            top, bottom = _inside(p, h, stride[0], r * dilation[0] - padding[0])
            for s in range(kernel_s):
                start = s * dilation[1] - padding[1]
                left, right = _inside(q, w, stride[1], start)
                if scratch and stride[0] == 1 and stride[1] == 1 and q == w:
                    shift = (r * dilation[0] - padding[0]) * w + start
                    first = max(top * w, -shift)
                    past = max(min(bottom * w, h * w - shift), first)
                    source = ((plane * kernel_r + r) * kernel_s + s) * p * q
                    _zero_edges(columns, source, q, top, bottom, left, right)
                    _add(out, plane * h * w + first + shift, 1, columns, source + first, 1, past - first, one)
                    continue
                for i in range(top, bottom):
                    at = (plane * h + i * stride[0] + r * dilation[0] - padding[0]) * w + left * stride[1] + start
                    source = (((plane * kernel_r + r) * kernel_s + s) * p + i) * q + left
                    _add(out, at, stride[1], columns, source, 1, right - left, one)


_fill, _fold = jit(_fill_loops, parallel=True), jit(_fold_loops, parallel=True)


def _blocks(pictures: int, columns: int) -> list[slice]:
    each = max(1, COLUMNS // max(columns, 1))
    return [slice(n, n + each) for n in range(0, pictures, each)]


class _Signature:
    """What the launchers know of a convolution."""

    def __init__(self, spec: Spec, picture: tuple[int, ...], weight: tuple[int, ...], result: tuple[int, ...]) -> None:
        attrs = spec.attrs
        self.window = attrs["stride"], attrs["padding"], attrs["dilation"]
        self.groups, self.dtype = attrs["groups"], spec.layout.dtype.name
        self.channels, self.depth, self.places = picture[1], math.prod(weight[1:]), math.prod(result[2:])
        self.sizes = (*picture[2:], *weight[2:], *result[2:])
        self.blocks = _blocks(picture[0], self.groups * self.depth * self.places)
        self.pointwise = self.window == ((1, 1), (0, 0), (1, 1)) and weight[2:] == (1, 1)
        if self.pointwise:
            self.blocks = [slice(None)]

    def columns(self, x: Array | None, pictures: int) -> Array:
        """Columns (N, groups, C / groups R S, P Q) of so many pictures, filled from x if there is one."""
        if x is not None and self.pointwise:
            return x.reshape(pictures, self.groups, self.depth, self.places)
        columns = np.empty((pictures, self.groups, self.depth, self.places), self.dtype)
        if x is not None:
            _fill(columns.reshape(-1), x.reshape(-1), pictures * self.channels, self.sizes, *self.window)
        return columns

    def matrices(self, x: Array) -> Array:
        """(N, K, P, Q) as (N, groups, K / groups, P Q)."""
        return x.reshape(len(x), self.groups, -1, self.places)

    def rows(self, weight: Array) -> Array:
        """(K, C / groups, R, S) as (groups, K / groups, C / groups R S)"""
        return weight.reshape(self.groups, -1, self.depth)


def conv2d(spec: Spec) -> Launch:
    """out = the products of weights and columns, plus bias, at least 0 if there is an activation."""
    of = _Signature(spec, spec.inputs[0].shape, spec.inputs[1].shape, spec.layout.shape)
    relu = spec.attrs["activation"] == 1

    def launch(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
        y, x, w = out.array(), input.array(), weight.array()
        for some in of.blocks:
            np.matmul(of.rows(w), of.columns(x[some], len(x[some])), out=of.matrices(y[some]))
        if bias is not None:
            y += bias.array()[:, None, None]
        if relu:
            np.maximum(y, 0, out=y)

    return launch


def conv2d_grad_input(spec: Spec) -> Launch:
    """out = the products of transposed weights and gradients, added up as columns are."""
    of = _Signature(spec, spec.layout.shape, spec.inputs[1].shape, spec.inputs[0].shape)

    def launch(out: Tensor, grad: Tensor, weight: Tensor) -> None:
        dx, g, w = out.array(), grad.array(), weight.array()
        for some in of.blocks:
            pictures = len(g[some])
            columns = of.columns(dx[some] if of.pointwise else None, pictures)
            product = np.multiply if of.groups == len(w) else np.matmul  # by one column, BLAS is slow
            product(of.rows(w).swapaxes(1, 2), of.matrices(g[some]), out=columns)
            if not of.pointwise:
                _fold(dx[some].reshape(-1), columns.reshape(-1), True, pictures * of.channels, of.sizes, *of.window)

    return launch


def conv2d_grad_weight(spec: Spec) -> Launch:
    """out = the sum over pictures of the products of gradients and transposed columns."""
    of = _Signature(spec, spec.inputs[1].shape, spec.layout.shape, spec.inputs[0].shape)

    def launch(out: Tensor, grad: Tensor, input: Tensor) -> None:
        dw, g, x = out.array(), grad.array(), input.array()
        total = np.zeros(of.rows(dw).shape, dw.dtype)
        for some in of.blocks:
            columns = of.columns(x[some], len(x[some]))
            total += np.matmul(of.matrices(g[some]), columns.swapaxes(2, 3)).sum(0)
        dw[...] = total.reshape(dw.shape)

    return launch


def _planes(spec: Spec, pictures: Layout) -> tuple[Any, ...]:
    """What the loops of unfold and fold need to know: how many planes, their sizes, the windows."""
    kernel, *window = (spec.attrs[name] for name in ("kernel", "stride", "padding", "dilation"))
    sizes = pictures.shape[2:]
    found = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(sizes, kernel, *window, strict=True)]
    return pictures.shape[0] * pictures.shape[1], (*sizes, *kernel, *found), *window


def unfold(spec: Spec) -> Launch:
    """out = columns of the windows."""
    planes = _planes(spec, spec.inputs[0])
    return lambda out, input: _fill(out.array().reshape(-1), input.array().reshape(-1), *planes)


def fold(spec: Spec) -> Launch:
    """out = columns added up."""
    planes = _planes(spec, spec.layout)
    return lambda out, columns: _fold(out.array().reshape(-1), columns.array().reshape(-1), False, *planes)


LAUNCHERS = {f.__name__: f for f in (conv2d, conv2d_grad_input, conv2d_grad_weight, unfold, fold)}


def prepare(spec: Spec) -> Launch | None:
    """A launcher for one of LAUNCHERS, or None for what only the reference does."""
    return LAUNCHERS[spec.op.name](spec) if spec.layout.dtype.is_floating_point and spec.layout.numel else None
