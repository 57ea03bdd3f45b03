"""The ops on what lies at positions that tensors hold: x[i], x[:, i, j], and writing and adding there.

index_select, embeddings and masks are made of them as well as x[...]. Positions are int64. Outside of a recorded step
they are checked here, in Python, and a wrong one raises IndexError with value, dimension and size; a kernel must be
safe with any number, for a replayed step checks nothing: it counts a negative one from the end, then clamps it to the
ends (`bounded`). Read next: gather.py, element by element, and what users call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, dtype, int64
from ..modes import modes, watching
from ..op import Fetch, Op, Spec
from ..op_kinds import UpdateOp
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
    if index.layout.numel == 0 or modes.recording:
        return
    values = index.array()
    low, high = np.minimum.reduce(values, None), np.maximum.reduce(values, None)  # half the cost of min() and max()
    if low < lowest or high >= n:
        wrong = low if low < lowest else high
        raise error(f"{name}: index {wrong} is out of range for dimension {dim} of size {n}")


def true_positions(mask: Tensor, flat: bool = True) -> Tensor:
    """The positions of what is true in a bool tensor: int64 (k, ndim), or flat, seen as one dimension, (k,).

    Their number depends on values, so a step that calls this can't be recorded (RuntimeError)."""
    if watching:
        modes.leaves_tape("nonzero(), or indexing with a mask,")
    layout = mask.layout
    if layout.contiguous and layout.ndim:
        found = memory.true_places(mask.address, layout.numel, (layout.numel,) if flat else layout.shape)
        if found is not None:
            storage, count = found
            return Tensor.over(storage, layout_of((count,) if flat else (count, layout.ndim), int64))
    array = mask.array()
    return Tensor.over(*memory.from_python(np.flatnonzero(array) if flat else np.argwhere(array), int64))


def nothing_to_read(name: str, x: Layout, index: Layout, dim: int) -> None:
    if index.numel and not x.shape[dim]:
        raise IndexError(f"{name}: {index.numel} positions in dimension {dim} of shape {x.shape}, which has no element")


# Ops whose last inputs are index tensors. They broadcast, and there is one for each of `dims`, the dimensions of the
# first input that they look into; or one alone, of positions in all of those, seen as one dimension.


def _place(dims: Ints) -> int:
    """Where the index's own dimensions stand in what is picked: for dims if these are neighbours, else first."""
    return dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0


def picked_shape(shape: Ints, dims: Ints, index: Ints) -> Ints:
    """The shape of what is picked: that of the index stands for dims."""
    first = _place(dims)
    rest = [n for d, n in enumerate(shape) if d not in dims]
    return (*rest[:first], *index, *rest[first:])


def _index_shape(input: Layout, *indices: Layout, dims: Ints) -> Ints:
    shape = broadcast_shapes("x[...]", *[i.shape for i in indices])
    if 0 not in shape and 0 in [input.shape[d] for d in dims]:
        raise IndexError(f"x[...]: positions in dimensions {dims} of shape {input.shape}, where no element is")
    return picked_shape(input.shape, dims, shape)


def _written_shape(input: Layout, source: Layout, *indices: Layout, dims: Ints) -> Ints:
    wanted = _index_shape(input, *indices, dims=dims)
    fitting(source, wanted)
    if source.dtype is not input.dtype:
        raise RuntimeError(f"x[...] = value: a value of {source.dtype} for a tensor of {input.dtype}")
    return input.shape


def fitting(source: Layout, shape: Ints) -> Layout:
    """The layout of a source expanded to what it is to replace. Raises RuntimeError where it can't be."""
    if source.shape == shape:
        return source
    sizes = zip(reversed(source.shape), reversed(shape), strict=False)
    if source.ndim > len(shape) or any(n not in (1, m) for n, m in sizes):
        raise RuntimeError(f"x[...] = value: a value of shape {source.shape} does not broadcast to shape {shape}")
    return expand_op.specialise((source,), {"shape": shape}).layout


def joined(x: Layout, dim: int, dims: int) -> bool:
    """Whether x can see `dims` dimensions from `dim` on as one."""
    return view_strides(x, (*x.shape[:dim], math.prod(x.shape[dim : dim + dims]), *x.shape[dim + dims :])) is not None


def _at(indices: Sequence[Array], dims: Ints, shape: Ints) -> tuple[Any, ...]:
    """The positions as NumPy wants them."""
    if len(indices) < len(dims):
        sizes = tuple([shape[d] for d in dims])
        indices = np.unravel_index(bounded(indices[0], math.prod(sizes)), sizes)
    at: list[Any] = [slice(None)] * len(shape)
    for d, index in zip(dims, indices, strict=True):
        at[d] = bounded(index, shape[d])
    return tuple(at)


def _c_arguments(spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
    """The kernel sees indices of one shape, and a source in that of what is picked."""
    x, *others = spec.inputs
    sources = [] if spec.op is index_op else others[:1]
    indices = others[len(sources) :]
    shape = broadcast_shapes("x[...]", *[i.shape for i in indices])
    picked = picked_shape(x.shape, spec.attrs["dims"], shape)
    seen = [x, *[fitting(source, picked) for source in sources], *[fitting(i, shape) for i in indices]]
    return (seen if spec.op.updates else [spec.layout, *seen]), list(spec.attrs["dims"]), []


class IndexOp(Op):
    """An op with any number of index tensors as its last inputs, which rules ask for as `indices`."""

    def __init__(self, reference: Any, shape: Callable[..., Ints]) -> None:
        super().__init__(reference, shape, name=reference.__name__.removeprefix("_"))
        own = reference.__code__.co_varnames[1 : reference.__code__.co_argcount]
        self.first, self.variadic = len(own), False
        self.inputs = (*own, *[f"index{k}" for k in range(64)])  # as many dimensions as NumPy has

    c_arguments = staticmethod(_c_arguments)

    def vjps(self, **rules: Callable[..., Tensor | None] | None) -> None:
        super().vjps(**rules, **dict.fromkeys(self.inputs[self.first :]))

    def _words(self, function: Callable[..., Any]) -> set[str]:
        words = super()._words(function)
        return words.union(self.inputs[self.first :]) if "indices" in words else words

    def _fetch(self, word: str) -> Fetch:
        if word == "indices":
            return lambda node, g, i: [node.recall(k) for k in range(self.first, len(node.spec.inputs))]
        return super()._fetch(word)


def _index(out: Array, input: Array, *indices: Array, dims: Ints) -> None:
    """out = input[:, i, j], the indices in dims."""
    if out.size:
        out[...] = input[_at(indices, dims, input.shape)]


def _index_put(out: Array, input: Array, source: Array, *indices: Array, dims: Ints) -> None:
    """out = input; out[:, i, j] = source; the last of repeated positions wins."""
    out[...] = input
    index_put_(out, source, *indices, dims=dims)


def _index_add(out: Array, input: Array, source: Array, *indices: Array, dims: Ints) -> None:
    """out = input; out[:, i, j] += source; repeats add up."""
    out[...] = input
    index_add_(out, source, *indices, dims=dims)


def index_put_(target: Array, source: Array, *indices: Array, dims: Ints) -> None:
    """target[:, i, j] = source"""
    if 0 not in [i.size for i in indices]:
        target[_at(indices, dims, target.shape)] = source


def index_add_(target: Array, source: Array, *indices: Array, dims: Ints) -> None:
    """target[:, i, j] += source; repeats add up."""
    if 0 not in [i.size for i in indices]:
        np.add.at(target, _at(indices, dims, target.shape), source)


class IndexUpdate(UpdateOp):
    """The same in place."""

    c_arguments = staticmethod(_c_arguments)


index_op = IndexOp(_index, _index_shape)
index_put_op = IndexOp(_index_put, _written_shape)
index_add_op = IndexOp(_index_add, _written_shape)
index_put_update = IndexUpdate(index_put_, _written_shape)
index_add_update = IndexUpdate(index_add_, _written_shape)


def wide(source: Tensor, input: Layout, indices: Sequence[Tensor], dims: Ints) -> Tensor:
    """A source that broadcasts to what the indices pick, as kernels can read it: the dimensions of the index at one
    stride. Raises RuntimeError where it does not broadcast."""
    index = broadcast_shapes("x[...]", *[i.layout.shape for i in indices])
    shape = picked_shape(input.shape, dims, index)
    if joined(fitting(source.layout, shape), _place(dims), len(index)):
        return source
    return copy_op(expand(source, shape))


def zero(d: dtype, shape: Ints = ()) -> Tensor:
    """Zeros of a shape without memory of their own."""
    return expand(constant(0, d), shape)


def put(input: Tensor, source: Tensor, indices: Sequence[Tensor], dims: Ints) -> Tensor:
    """input with source, broadcast, at the positions in dims."""
    return index_put_op(input, wide(source, input.layout, indices, dims), *indices, dims=dims)


def add_at(input: Tensor, source: Tensor, indices: Sequence[Tensor], dims: Ints) -> Tensor:
    """input with source, broadcast, added at the positions in dims; repeats add up."""
    return index_add_op(input, wide(source, input.layout, indices, dims), *indices, dims=dims)


index_op.vjps(input=lambda g, indices, input_shape, dims: add_at(zero(g.layout.dtype, input_shape), g, indices, dims))
index_put_op.vjps(
    input=lambda g, indices, dims: put(g, zero(g.layout.dtype), indices, dims),
    source=lambda g, indices, dims: index_op(g, *indices, dims=dims),
)
index_add_op.vjps(input=lambda g: g, source=lambda g, indices, dims: index_op(g, *indices, dims=dims))
