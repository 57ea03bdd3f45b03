"""Reading and writing at positions that a tensor holds: gather, scatter, and what users call index_select and the like.

What it says in rows.py of positions and their checks holds here too. A signature met before skips all other checks.
Left out: put_. Read next: masks.py; scatters.py, scatter_reduce.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import int64
from ..modes import modes
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import as_tensor, constant, exactly, integer, normal_dim, remember, stored
from .compare import eq, where
from .elementwise import mul
from .move import Array, Ints, cast_op, copy_op, place_op
from .rows import (
    bounded,
    check_positions,
    index_add_op,
    index_op,
    index_put_op,
    nothing_to_read,
    positions,
    zero,
)
from .views import expand, reshape, unsqueeze


def _at(index: Array, dim: int, n: int) -> tuple[Array, ...]:
    """The positions that gather and scatter mean, as NumPy wants them: index along dim, its own place elsewhere."""
    grid: list[Array] = list(np.indices(index.shape, sparse=True))
    grid[dim] = bounded(index, n)
    return tuple(grid)


# Along one dimension, element by element: index has the result's shape


def _gather_shape(input: Layout, index: Layout, *, dim: int) -> Ints:
    _covers("gather", input.shape, index.shape, dim)
    nothing_to_read("gather", input, index, dim)
    return index.shape


def _covers(name: str, shape: Ints, index: Ints, dim: int) -> None:
    if len(shape) != len(index):
        raise RuntimeError(f"{name}: the index must have as many dimensions as the input; got {index} and {shape}")
    for d, (n, m) in enumerate(zip(shape, index, strict=True)):
        if d != dim and m > n:
            raise RuntimeError(
                f"{name}: an index of shape {index} does not fit an input of shape {shape}: "
                f"size {m} exceeds {n} at dimension {d}"
            )


def _gather(out: Array, input: Array, index: Array, *, dim: int) -> None:
    if out.size:
        out[...] = input[_at(index, dim, input.shape[dim])]


def _scatter_shape(input: Layout, index: Layout, source: Layout, *, dim: int) -> Ints:
    _covers("scatter", input.shape, index.shape, dim)
    if source.ndim:
        _covers("scatter", source.shape, index.shape, -1)
    nothing_to_read("scatter", input, index, dim)
    return input.shape


def _used(source: Array, index: Array) -> Array:
    """The part of a source that the index speaks of."""
    return source[tuple([slice(n) for n in index.shape])] if source.ndim else source


def _in_corner(g: Tensor, shape: Ints) -> Tensor:
    """The gradient of that part as one of the whole source."""
    if not shape or g.layout.shape == shape:
        return g
    n = len(shape)
    return place_op(g, start=(0,) * n, step=(1,) * n, axis=tuple(range(n)), shape=shape, value=0.0)


def _scatter(out: Array, input: Array, index: Array, source: Array, *, dim: int) -> None:
    """out = input; out[..., index[i...], ...] = source[i...]"""
    out[...] = input
    if index.size:
        out[_at(index, dim, input.shape[dim])] = _used(source, index)


def _scatter_add(out: Array, input: Array, index: Array, source: Array, *, dim: int) -> None:
    """out = input; out[..., index[i...], ...] += source[i...]"""
    out[...] = input
    if index.size:
        np.add.at(out, _at(index, dim, input.shape[dim]), _used(source, index))


def _scatter_mul(out: Array, input: Array, index: Array, source: Array, *, dim: int) -> None:
    """out = input; out[..., index[i...], ...] *= source[i...]"""
    out[...] = input
    if index.size:
        np.multiply.at(out, _at(index, dim, input.shape[dim]), _used(source, index))


class ScatterOp(Op):
    """An op that writes a source to positions of a copy of its input: what is in index's shape from the source's first
    element on, or its single one."""

    def __init__(self, reference: Any) -> None:
        super().__init__(reference, _scatter_shape, name=reference.__name__.removeprefix("_"))

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The kernel sees the source in the shape of the index."""
        input, index, source = spec.inputs
        source = layout_of(index.shape, source.dtype, source.strides or (0,) * index.ndim)
        return [spec.layout, input, index, source], [spec.attrs["dim"]], []


gather_op = Op(_gather, _gather_shape, name="gather")
scatter_op = ScatterOp(_scatter)
scatter_add_op = ScatterOp(_scatter_add)
scatter_mul = ScatterOp(_scatter_mul)  # without a gradient, as in PyTorch

gather_op.vjps(
    input=lambda g, index, input_shape, dim: scatter_add_op(zero(g.layout.dtype, input_shape), index, g, dim=dim),
    index=None,
)
scatter_op.vjps(
    input=lambda g, index, dim: scatter_op(g, index, zero(g.layout.dtype), dim=dim),
    index=None,
    source=lambda g, index, source_shape, dim: _in_corner(gather_op(g, index, dim=dim), source_shape),
)
scatter_add_op.vjps(
    input=lambda g: g,
    index=None,
    source=lambda g, index, source_shape, dim: _in_corner(gather_op(g, index, dim=dim), source_shape),
)


# What users call


def dimensional(x: Tensor) -> Tensor:
    """A 0-d tensor as (1,): most functions here take both."""
    return x if x.layout.ndim else unsqueeze(x, 0)


def prepared(name: str, input: Tensor, dim: int, index: Any, negative: bool = False) -> tuple[Tensor, int, Tensor]:
    x, i = dimensional(input), dimensional(positions(index, name))
    d = normal_dim(dim, input.layout.ndim, name)
    n = x.layout.shape[d]
    check_positions(i, n, d, name, -n if negative else 0)
    return x, d, i


def _placed(name: str, input: Tensor, dim: int, index: Any, src: Any = None) -> tuple[Tensor, int, Tensor, Any]:
    """What _prepared gives for an index that holds a position for each element, and src in its shape."""
    x, i = dimensional(input), dimensional(positions(index, name))
    d = normal_dim(dim, input.layout.ndim, name)
    if i.layout.numel:  # PyTorch takes an empty index of any shape
        _covers(name, x.layout.shape, i.layout.shape, d)
    source = None if src is None or not i.layout.numel else _source(name, x, i, src)
    check_positions(i, x.layout.shape[d], d, name, error=RuntimeError)  # as in PyTorch; elsewhere it is IndexError
    return x, d, i, source


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and alike for others; the result has the shape of index.

    Raises RuntimeError for a position outside the dimension, or where index is larger elsewhere than input."""
    key = (input.layout, exactly(dim), getattr(index, "layout", None))
    spec = gather_op.specs.get(key)
    if spec is not None:
        check_positions(index, input.layout.shape[dim], dim, "gather", 0, RuntimeError)
        return gather_op.run(spec, (input, index))
    x, d, i, _ = _placed("gather", input, dim, index)
    if not i.layout.numel:
        i = reshape(i, (0,) * x.layout.ndim)
    if x is input and i is index:
        remember(gather_op, (x, i), key, dim=d)
    return reshape(gather_op(x, i, dim=d), index.layout.shape)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As gather, input and indices broadcast against each other but for dim, negative positions counted from the end;
    without dim both are seen as one dimension."""
    key = ("take_along_dim", input.layout, exactly(dim), getattr(indices, "layout", None))
    spec = gather_op.specs.get(key)
    if spec is not None and dim is not None:
        n = input.layout.shape[dim]
        check_positions(indices, n, dim, "take_along_dim", -n)
        return gather_op.run(spec, (input, indices))
    if dim is None:
        input, indices, dim = reshape(input, -1), reshape(indices, -1), 0
    x, d, i = prepared("take_along_dim", input, dim, indices, negative=True)
    a, b = list(x.layout.shape), list(i.layout.shape)
    if len(a) != len(b):
        raise RuntimeError(f"take_along_dim: input and indices need as many dimensions; got shapes {a} and {b}")
    for k in range(len(a)):
        if k != d:
            a[k] = b[k] = b[k] if a[k] == 1 else a[k]
    wide, at = expand(x, a), expand(i, b)
    if wide.layout is input.layout and at.layout is indices.layout:
        remember(gather_op, (wide, at), key, dim=d)
    return gather_op(wide, at, dim=d)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy with out[index[i][j]][j] = src[i][j] for dim 0, and alike for others; src may be a number.

    With repeated positions any may win, and the gradient for src is right only without them. reduce "add" or
    "multiply": each is added to, or multiplied with, what is there; the latter has no gradient. Raises as gather."""
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    op = scatter_add_op if reduce == "add" else scatter_mul if reduce else scatter_op
    return _scattered("scatter", op, input, dim, index, value if src is None else src)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src[i][j] added at [index[i][j]][j] for dim 0, and alike for others. Raises as gather."""
    return _scattered("scatter_add", scatter_add_op, input, dim, index, src)


def _scattered(name: str, op: Op, input: Tensor, dim: int, index: Any, src: Any) -> Tensor:
    number = src.__class__ is float and input.layout.dtype.is_floating_point
    source = constant(src, input.layout.dtype) if number else src
    key = (input.layout, exactly(dim), getattr(index, "layout", None), getattr(source, "layout", None), number)
    spec = op.specs.get(key)
    if spec is not None:
        check_positions(index, input.layout.shape[dim], dim, name, 0, RuntimeError)
        return op.run(spec, (input, index, source))
    x, d, i, source = _placed(name, input, dim, index, src)
    if not i.layout.numel:
        return copy_op(input)
    if x is input and i is index and (number or source is src):
        remember(op, (x, i, source), key, dim=d)
    return reshape(op(x, i, source, dim=d), input.layout.shape)


def _source(name: str, x: Tensor, index: Tensor, src: Any) -> Tensor:
    """src as a tensor that is as large as index at least, or a 0-d one of a number."""
    if isinstance(src, (bool, int, float)):
        return converted(src, x, name)
    source = dimensional(as_tensor(src, name))
    if source.layout.dtype is not x.layout.dtype:
        raise RuntimeError(f"{name}: src of {source.layout.dtype} for an input of {x.layout.dtype}")
    _covers(name, source.layout.shape, index.layout.shape, -1)
    return source


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The rows (or columns, ...) at the positions in index, (k,): a tensor with size k in dimension dim.

    Raises IndexError for a position outside the dimension."""
    key = (input.layout, exactly(dim), getattr(index, "layout", None))
    spec = index_op.specs.get(key)
    if spec is not None:
        check_positions(index, input.layout.shape[dim], dim, "index_select")
        return index_op.run(spec, (input, index))
    x, d, i = prepared("index_select", input, dim, index)
    if i.layout.ndim != 1:
        raise IndexError(f"index_select: the index must have one dimension, got shape {i.layout.shape}")
    if x is input and i is index:
        remember(index_op, (x, i), key, dims=(d,))
    out = index_op(x, i, dims=(d,))
    return out if input.layout.ndim else reshape(out, ())


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """input with alpha * source added at the positions in index, (k,); repeats add up."""
    return _with_rows("index_add", index_add_op, input, dim, index, source if alpha == 1 else mul(source, alpha))


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with the rows of source at the positions in index, (k,)."""
    return _with_rows("index_copy", index_put_op, input, dim, index, source)


def _with_rows(name: str, op: Op, input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    key = (input.layout, exactly(dim), getattr(index, "layout", None), source.layout)
    spec = op.specs.get(key)
    if spec is not None:
        check_positions(index, input.layout.shape[dim], dim, name)
        return op.run(spec, (input, source, index))
    x, d, i = prepared(name, input, dim, index)
    rows, shape = dimensional(source), x.layout.shape
    wanted = (*shape[:d], i.layout.numel, *shape[d + 1 :])
    if i.layout.ndim != 1 or rows.layout.shape != wanted:
        raise RuntimeError(
            f"{name}: for an index of shape {i.layout.shape} in dimension {d} of shape {shape}, the source must have "
            f"shape {wanted}, got {rows.layout.shape}"
        )
    if rows.layout.dtype is not x.layout.dtype:
        raise RuntimeError(f"{name}: source of {rows.layout.dtype} for a tensor of {x.layout.dtype}")
    nothing_to_read(name, x.layout, i.layout, d)
    if x is input and i is index and rows is source:
        remember(op, (x, rows, i), key, dims=(d,))
    return reshape(op(x, rows, i, dims=(d,)), input.layout.shape)


def converted(value: Any, x: Tensor, name: str) -> Tensor:
    """A value to be written into x, in x's dtype: for integers truncated, -1 in uint8 being 255, as in PyTorch.

    Raises RuntimeError for a number that an integer dtype can't hold."""
    d = x.layout.dtype
    if isinstance(value, Tensor):
        return value if value.layout.dtype is d else cast_op(value, dtype=d)
    if isinstance(value, (bool, int, float)):
        return stored(value, d, name)
    return converted(as_tensor(value, name), x, name)


def everywhere(input: Tensor) -> Ints:
    return tuple(range(input.layout.ndim))


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions (negative ones count from the end) in the input seen as one dimension."""
    key = ("take", input.layout, getattr(index, "layout", None))
    spec, n = index_op.specs.get(key), input.layout.numel
    if spec is None:
        x, i = dimensional(input), positions(index, "take")
        check_positions(i, n, 0, "take", -n)
        spec = index_op.spec((x, i), {"dims": everywhere(x)})
        if x is input and i is index:
            index_op.specs[key] = spec
        return index_op.run(spec, (x, i))
    check_positions(index, n, 0, "take", -n)
    return index_op.run(spec, (input, index))


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1) -> Tensor:
    """Row indices[i...] of weight, (n, d), for each i: shape (*indices.shape, d). Row padding_idx gets no gradient.

    Raises IndexError for an index outside 0 to n - 1."""
    key = ("embedding", weight.layout, getattr(indices, "layout", None))
    spec = index_op.specs.get(key)
    if spec is None:
        if weight.layout.ndim != 2:
            raise RuntimeError(f"embedding: the weight must have 2 dimensions, got shape {weight.layout.shape}")
        i, indices = indices, positions(indices, "embedding")
        spec = index_op.spec((weight, indices), {"dims": (0,)})
        if i is indices:
            index_op.specs[key] = spec
    check_positions(indices, weight.layout.shape[0], 0, "embedding")
    rows = index_op.run(spec, (weight, indices))
    if padding_idx < 0 or not rows.needs_grad:
        return rows
    return where(unsqueeze(eq(indices, padding_idx), -1), rows.detach(), rows)


def _one_hot(out: Array, input: Array, *, num_classes: int) -> None:
    np.equal(input[..., None], np.arange(num_classes), out=out, casting="unsafe")


one_hot_op = Op(_one_hot, lambda input, *, num_classes: (*input.shape, num_classes), name="one_hot")


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of shape (*tensor.shape, num_classes): 1 at the class in tensor, else 0; -1: as many as the largest needs.

    Raises RuntimeError for a class below 0 or from num_classes on."""
    if tensor.layout.dtype is not int64:
        raise RuntimeError(f"one_hot: the classes must be int64, got {tensor.layout.dtype}")
    if num_classes == -1:
        modes.leaves_tape("one_hot() without num_classes")
        if tensor.layout.numel == 0:
            raise RuntimeError("one_hot: of an empty tensor, num_classes must be given")
        num_classes = int(np.maximum.reduce(tensor.storage.lent(tensor.layout, tensor.offset), None)) + 1
    num_classes = integer(num_classes, "one_hot: num_classes")
    if num_classes < 1:
        raise RuntimeError(f"one_hot: num_classes must be positive, got {num_classes}")
    check_positions(tensor, num_classes, -1, "one_hot", error=RuntimeError)
    return one_hot_op(tensor, num_classes=num_classes)
