"""The ops on whole rows at positions that a tensor holds: what index_select, indexing and embeddings are made of.

Each op that reads has one that adds into zeros as its gradient, and the other way round. Positions are int64. Outside
of a recorded step they are checked here, in Python, and a wrong one raises IndexError with value, dimension and size; a
kernel must be safe with any number, for a replayed step checks nothing: it counts a negative one from the end, then
clamps it to the ends (`bounded`). Read next: gather.py, element by element, and what users call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, int64
from ..modes import modes
from ..op import Op, Spec
from ..op_kinds import update
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import as_tensor, broadcast_shapes, constant
from .move import Array, Ints, cast_op, copy_op, expand_op, view_strides
from .views import expand

# Positions


def bounded(index: Array, n: int) -> Array:
    """Positions from 0 to n - 1 of any numbers: negative ones count from the end, then what is outside is clamped."""
    return np.clip(np.where(index < 0, index + n, index), 0, n - 1)


def positions(index: Any, name: str) -> Tensor:
    """An index as an int64 tensor. Raises RuntimeError for what holds no integers."""
    index = as_tensor(index, name)
    d = index.layout.dtype
    if d.is_floating_point or d is bool_:
        raise RuntimeError(f"{name}: the index must hold integers, got {d}")
    return index if d is int64 else cast_op(index, dtype=int64)


def all_in_range(index: Tensor, low: int, high: int) -> bool:
    """Whether all of an int64 tensor is seen, at little cost, to be from low to high."""
    layout = index.layout
    return layout.contiguous and bool(memory.in_range(index.address, layout.numel, low, high))


def check_positions(
    index: Tensor, n: int, dim: int, name: str, lowest: int = 0, error: type[Exception] = IndexError
) -> None:
    """Raise the error for a position outside lowest to n - 1. While a step is recorded values can't be looked at."""
    if all_in_range(index, lowest, n - 1):
        return  # NumPy would take longer to look than the kernel to pick
    if index.layout.numel == 0 or (modes.watchers and modes.recording):
        return
    values = index.array()
    low, high = np.minimum.reduce(values, None), np.maximum.reduce(values, None)  # half the cost of min() and max()
    if low < lowest or high >= n:
        wrong = low if low < lowest else high
        raise error(f"{name}: index {wrong} is out of range for dimension {dim} of size {n}")


def true_positions(mask: Tensor) -> Tensor:
    """The positions, int64 (k,), of what is true in a bool tensor seen as one dimension.

    Their number depends on values, so a step that calls this can't be recorded (RuntimeError)."""
    modes.leaves_tape("indexing with a mask")
    layout = mask.layout
    found = memory.true_places(mask.address, layout.numel) if layout.contiguous else None
    if found is None:
        return Tensor.over(*memory.from_python(np.flatnonzero(mask.array()), int64))
    storage, count = found
    return Tensor.over(storage, layout_of((count,), int64))


# Rows: an index of any shape into one dimension, or into several neighbours that count as one


def _rows(index: Array, dim: int, n: int) -> tuple[Any, ...]:
    return (*[slice(None)] * dim, bounded(index, n))


def _resized(x: Layout, dim: int, n: int) -> Ints:
    return (*x.shape[:dim], n, *x.shape[dim + 1 :])


def nothing_to_read(name: str, x: Layout, index: Layout, dim: int, dims: int = 1) -> None:
    if index.numel and 0 in x.shape[dim : dim + dims]:
        raise IndexError(f"{name}: {index.numel} positions in dimension {dim} of shape {x.shape}, which has no element")


def joined(x: Layout, dim: int, dims: int) -> Layout | None:
    """x with `dims` dimensions from `dim` on seen as one; None where strides don't allow it."""
    shape = (*x.shape[:dim], math.prod(x.shape[dim : dim + dims]), *x.shape[dim + dims :])
    strides = view_strides(x, shape)
    return None if strides is None else layout_of(shape, x.dtype, strides)


def _joinable(x: Tensor, dim: int, dims: int) -> Tensor:
    """x, or a copy of it in which these dimensions can be seen as one."""
    layout = x.layout
    return x if dims == 1 or layout.contiguous or joined(layout, dim, dims) is not None else copy_op(x)


class RowsOp(Op):
    """An op on rows; joins(spec) -> how many dimensions of output and first input the kernel is to see as one."""

    def __init__(self, reference: Any, shape: Any, joins: Callable[[Spec], tuple[int, int]]) -> None:
        super().__init__(reference, shape, name=reference.__name__.removeprefix("_"))
        self.joins = joins

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The kernel sees (..., n, ...), (..., k, ...) and an index (k,)."""
        dim, (x, index) = spec.attrs["dim"], spec.inputs
        out_joins, x_joins = self.joins(spec)
        seen = [joined(spec.layout, dim, out_joins), joined(x, dim, x_joins), joined(index, 0, index.ndim)]
        found = [layout for layout in seen if layout is not None]
        return (found, [dim], []) if len(found) == 3 else ([spec.layout, x, index], [-1], [])  # -1: not for the kernel


def _index_select_shape(input: Layout, index: Layout, *, dim: int, dims: int) -> Ints:
    nothing_to_read("index_select", input, index, dim, dims)
    return (*input.shape[:dim], *index.shape, *input.shape[dim + dims :])


def _index_select(out: Array, input: Array, index: Array, *, dim: int, dims: int) -> None:
    if out.size:
        n = math.prod(input.shape[dim : dim + dims])
        table = input.reshape(*input.shape[:dim], n, *input.shape[dim + dims :])
        np.take(table, bounded(index, n), dim, out, mode="clip")  # "raise" would copy out


def _index_add_zeros_shape(g: Layout, index: Layout, *, dim: int, sizes: Ints) -> Ints:
    return (*g.shape[:dim], *sizes, *g.shape[dim + index.ndim :])


def _index_add_zeros(out: Array, g: Array, index: Array, *, dim: int, sizes: Ints) -> None:
    """out = 0; out[:, index] += g, the index in dimension dim, or in those that have the sizes."""
    out.fill(0)
    if g.size:
        n = math.prod(sizes)
        table = out.reshape(*out.shape[:dim], n, *out.shape[dim + len(sizes) :])
        np.add.at(table, _rows(index, dim, n), g)


index_select_op = RowsOp(_index_select, _index_select_shape, lambda spec: (spec.inputs[1].ndim, spec.attrs["dims"]))
index_add_zeros = RowsOp(
    _index_add_zeros, _index_add_zeros_shape, lambda spec: (len(spec.attrs["sizes"]), spec.inputs[1].ndim)
)


def pick_rows(input: Tensor, index: Tensor, dim: int, dims: int = 1) -> Tensor:
    """The rows at the positions in index, whose shape takes the place of `dims` dimensions from `dim` on."""
    return index_select_op(_joinable(input, dim, dims), _joinable(index, 0, index.layout.ndim), dim=dim, dims=dims)


def add_rows(rows: Tensor, index: Tensor, dim: int, sizes: Ints) -> Tensor:
    """Zeros with these rows added at the positions in index; repeats add up."""
    n = index.layout.ndim
    return index_add_zeros(_joinable(rows, dim, n), _joinable(index, 0, n), dim=dim, sizes=sizes)


index_select_op.vjps(
    input=lambda g, index, input_shape, dim, dims: add_rows(g, index, dim, input_shape[dim : dim + dims]), index=None
)
index_add_zeros.vjps(g=lambda g, index, dim, sizes: pick_rows(g, index, dim, len(sizes)), index=None)


# Positions in several dimensions as positions in one


class FlatIndex(Op):
    """The op, of any number of indices that broadcast."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The kernel sees indices of one shape."""
        wide = [expand_op.specialise((x,), {"shape": spec.layout.shape}).layout for x in spec.inputs]
        return [spec.layout, *wide], list(spec.attrs["sizes"]), []


def _flat_index(out: Array, *indices: Array, sizes: Ints) -> None:
    """(i0 * n1 + i1) * n2 + i2 ... of indices into dimensions of these sizes."""
    out.fill(0)
    for index, n in zip(indices, sizes, strict=True):
        np.multiply(out, n, out=out)
        np.add(out, bounded(index, n), out=out)


flat_index = FlatIndex(
    _flat_index, lambda *indices, sizes: broadcast_shapes("x[...]", *[i.shape for i in indices]), name="flat_index"
)


def rows_fit(name: str) -> Any:
    def shape(target: Layout, index: Layout, source: Layout, *, dim: int) -> Ints:
        if index.ndim != 1 or source.shape != _resized(target, dim, index.numel):
            raise RuntimeError(
                f"{name}: for an index of shape {index.shape} in dimension {dim} of shape {target.shape}, "
                f"the source must have shape {_resized(target, dim, index.numel)}, got {source.shape}"
            )
        if source.dtype is not target.dtype:
            raise RuntimeError(f"{name}: source of {source.dtype} for a tensor of {target.dtype}")
        nothing_to_read(name, target, index, dim)
        return target.shape

    return shape


def _index_copy(out: Array, input: Array, index: Array, source: Array, *, dim: int) -> None:
    """out = input; out[:, index] = source, the index in dimension dim; the last of repeated positions wins."""
    out[...] = input
    if source.size:
        out[_rows(index, dim, out.shape[dim])] = source


@update(rows_fit("index_copy_"))
def index_copy_(target: Array, index: Array, source: Array, *, dim: int) -> None:
    """target[:, index] = source, the index in dimension dim."""
    if source.size:
        target[_rows(index, dim, target.shape[dim])] = source


@update(rows_fit("index_add_"))
def index_add_(target: Array, index: Array, source: Array, *, dim: int) -> None:
    """target[:, index] += source, the index in dimension dim; repeats add up."""
    if source.size:
        np.add.at(target, _rows(index, dim, target.shape[dim]), source)


index_copy_op = Op(_index_copy, rows_fit("index_copy"), name="index_copy")

index_copy_op.vjps(
    input=lambda g, index, source_shape, dim: index_copy_op(g, index, zero(g, source_shape), dim=dim),
    index=None,
    source=lambda g, index, dim: pick_rows(g, index, dim),
)


def zero(like: Tensor, shape: Ints) -> Tensor:
    """Zeros of a shape without memory of their own."""
    return expand(constant(0, like.layout.dtype), shape)
