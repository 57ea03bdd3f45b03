"""Reading and writing at positions that a tensor holds: gather, scatter, and what users call index_select and the like.

What it says in rows.py of positions and their checks holds here too. Left out: scatter_reduce, put_. Read next:
index.py, x[...].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, held, int64
from ..modes import modes
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import as_tensor, broadcast_shapes, constant, normal_dim
from .compare import eq, where
from .elementwise import add, mul
from .move import Array, Ints, cast_op, copy_op
from .rows import (
    add_rows,
    bounded,
    check_positions,
    index_copy_op,
    index_select_op,
    nothing_to_read,
    pick_rows,
    positions,
    rows_fit,
    true_positions,
    zero,
)
from .views import expand, narrow, reshape, unsqueeze


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


def _gather_grad(out: Array, g: Array, index: Array, *, dim: int, shape: Ints) -> None:
    """out = 0; out[..., index[i...], ...] += g[i...]"""
    out.fill(0)
    if g.size:
        np.add.at(out, _at(index, dim, shape[dim]), g)


def _scatter_shape(input: Layout, index: Layout, source: Layout, *, dim: int) -> Ints:
    _covers("scatter", input.shape, index.shape, dim)
    nothing_to_read("scatter", input, index, dim)
    return input.shape


def _scatter(out: Array, input: Array, index: Array, source: Array, *, dim: int) -> None:
    out[...] = input
    if index.size:
        out[_at(index, dim, input.shape[dim])] = source


def _scatter_mul(out: Array, input: Array, index: Array, source: Array, *, dim: int) -> None:
    """out = input; out[..., index[i...], ...] *= source[i...]"""
    out[...] = input
    if index.size:
        np.multiply.at(out, _at(index, dim, input.shape[dim]), source)


gather_op = Op(_gather, _gather_shape, name="gather")
gather_grad = Op(_gather_grad, lambda g, index, *, shape, **_: shape, name="gather_grad")
scatter_op = Op(_scatter, _scatter_shape, name="scatter")  # index and source have one shape
scatter_mul = Op(_scatter_mul, _scatter_shape, name="scatter_mul")  # without a gradient, as in PyTorch

gather_op.vjps(input=lambda g, index, input_shape, dim: gather_grad(g, index, dim=dim, shape=input_shape), index=None)
gather_grad.vjps(g=lambda g, index, dim: gather_op(g, index, dim=dim), index=None)
scatter_op.vjps(
    input=lambda g, index, dim: scatter_op(g, index, zero(g, index.layout.shape), dim=dim),
    index=None,
    source=lambda g, index, dim: gather_op(g, index, dim=dim),
)


# What users call


def _dimensional(x: Tensor) -> Tensor:
    """A 0-d tensor as (1,): most functions here take both."""
    return x if x.layout.ndim else unsqueeze(x, 0)


def _prepared(name: str, input: Tensor, dim: int, index: Any, negative: bool = False) -> tuple[Tensor, int, Tensor]:
    x, i = _dimensional(input), _dimensional(positions(index, name))
    d = normal_dim(dim, input.layout.ndim, name)
    n = x.layout.shape[d]
    check_positions(i, n, d, name, -n if negative else 0)
    return x, d, i


def _placed(name: str, input: Tensor, dim: int, index: Any, src: Any = None) -> tuple[Tensor, int, Tensor, Any]:
    """What _prepared gives for an index that holds a position for each element, and src in its shape."""
    x, i = _dimensional(input), _dimensional(positions(index, name))
    d = normal_dim(dim, input.layout.ndim, name)
    if i.layout.numel:  # PyTorch takes an empty index of any shape
        _covers(name, x.layout.shape, i.layout.shape, d)
    source = None if src is None or not i.layout.numel else _source(name, x, i, src)
    check_positions(i, x.layout.shape[d], d, name, error=RuntimeError)  # as in PyTorch; elsewhere it is IndexError
    return x, d, i, source


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and alike for others; the result has the shape of index.

    Raises RuntimeError for a position outside the dimension, or where index is larger elsewhere than input."""
    spec = gather_op.specs.get((input.layout, dim, getattr(index, "layout", None)))
    if spec is not None:  # a signature met before: only values are to be checked
        check_positions(index, input.layout.shape[dim], dim, "gather", error=RuntimeError)
        return gather_op.run(spec, (input, index))
    x, d, i, _ = _placed("gather", input, dim, index)
    if not i.layout.numel:
        i = reshape(i, (0,) * x.layout.ndim)
    if x is input and i is index:
        gather_op.specs[x.layout, dim, i.layout] = gather_op.spec((x, i), {"dim": d})
    return reshape(gather_op(x, i, dim=d), index.layout.shape)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As gather, input and indices broadcast against each other but for dim, negative positions counted from the end;
    without dim both are seen as one dimension."""
    if dim is None:
        input, indices, dim = reshape(input, -1), reshape(indices, -1), 0
    x, d, i = _prepared("take_along_dim", input, dim, indices, negative=True)
    a, b = list(x.layout.shape), list(i.layout.shape)
    if len(a) != len(b):
        raise RuntimeError(f"take_along_dim: input and indices need as many dimensions; got shapes {a} and {b}")
    for k in range(len(a)):
        if k != d:
            a[k] = b[k] = b[k] if a[k] == 1 else a[k]
    return gather_op(expand(x, a), expand(i, b), dim=d)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy with out[index[i][j]][j] = src[i][j] for dim 0, and alike for others; src may be a number.

    With repeated positions any may win, and the gradient for src is right only without them. reduce "add" or
    "multiply": each is added to, or multiplied with, what is there; the latter has no gradient. Raises as gather."""
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    x, d, i, source = _placed("scatter", input, dim, index, value if src is None else src)
    if not i.layout.numel:
        return copy_op(input)
    if reduce == "add":
        return add(input, reshape(gather_grad(source, i, dim=d, shape=x.layout.shape), input.layout.shape))
    op = scatter_mul if reduce else scatter_op
    return reshape(op(x, i, source, dim=d), input.layout.shape)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src[i][j] added at [index[i][j]][j] for dim 0, and alike for others. Raises as gather."""
    x, d, i, source = _placed("scatter_add", input, dim, index, src)
    if not i.layout.numel:
        return copy_op(input)
    added = gather_grad(source, i, dim=d, shape=x.layout.shape)
    return add(input, reshape(added, input.layout.shape))


def _source(name: str, x: Tensor, index: Tensor, src: Any) -> Tensor:
    """src as the tensor of index's shape that is written."""
    if isinstance(src, (bool, int, float)):
        return expand(converted(src, x, name), index.layout.shape)
    source = _dimensional(as_tensor(src, name))
    if source.layout.dtype is not x.layout.dtype:
        raise RuntimeError(f"{name}: src of {source.layout.dtype} for an input of {x.layout.dtype}")
    _covers(name, source.layout.shape, index.layout.shape, -1)
    for d, n in enumerate(index.layout.shape):
        if n != source.layout.shape[d]:
            source = narrow(source, d, 0, n)
    return source


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The rows (or columns, ...) at the positions in index, (k,): a tensor with size k in dimension dim.

    Raises IndexError for a position outside the dimension."""
    spec = index_select_op.specs.get((input.layout, dim, getattr(index, "layout", None)))
    if spec is not None:  # a signature met before: only values are to be checked
        check_positions(index, input.layout.shape[dim], dim, "index_select")
        return index_select_op.run(spec, (input, index))
    x, d, i = _prepared("index_select", input, dim, index)
    if i.layout.ndim != 1:
        raise IndexError(f"index_select: the index must have one dimension, got shape {i.layout.shape}")
    if x is input and i is index:
        index_select_op.specs[x.layout, dim, i.layout] = index_select_op.spec((x, i), {"dim": d, "dims": 1})
    out = pick_rows(x, i, d)
    return out if input.layout.ndim else reshape(out, ())


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """input with alpha * source added at the positions in index, (k,); repeats add up."""
    x, d, i = _prepared("index_add", input, dim, index)
    s = _dimensional(source)
    rows_fit("index_add")(x.layout, i.layout, s.layout, dim=d)
    added = add_rows(s if alpha == 1 else mul(s, alpha), i, d, (x.layout.shape[d],))
    return add(input, reshape(added, input.layout.shape))


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with the rows of source at the positions in index, (k,)."""
    x, d, i = _prepared("index_copy", input, dim, index)
    return reshape(index_copy_op(x, i, _dimensional(source), dim=d), input.layout.shape)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with one value (a number or a 0-d tensor) at the positions in index, (k,)."""
    x, d, i = _prepared("index_fill", input, dim, index)
    chosen, true = constant(False, bool_), constant(True, bool_)  # as a mask a repeated position counts once
    rows = index_copy_op(expand(chosen, x.layout.shape[d]), i, expand(true, i.layout.shape), dim=0)
    rows = reshape(rows, [-1 if k == d else 1 for k in range(x.layout.ndim)])
    return reshape(masked_fill(x, rows, value), input.layout.shape)


def converted(value: Any, x: Tensor, name: str) -> Tensor:
    """A value to be written into x, in x's dtype: for integers truncated, -1 in uint8 being 255, as in PyTorch.

    Raises RuntimeError for a number that an integer dtype can't hold."""
    d = x.layout.dtype
    if isinstance(value, (bool, int, float)):
        return constant(held(value, d, name), d)
    value = as_tensor(value, name)
    return value if value.layout.dtype is d else cast_op(value, dtype=d)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions (negative ones count from the end) in the input seen as one dimension."""
    i = positions(index, "take")
    n = input.layout.numel
    check_positions(i, n, 0, "take", -n)
    return pick_rows(reshape(input, n), i, 0)


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1) -> Tensor:
    """Row indices[i...] of weight, (n, d), for each i: shape (*indices.shape, d). Row padding_idx gets no gradient.

    Raises IndexError for an index outside 0 to n - 1."""
    if weight.layout.ndim != 2:
        raise RuntimeError(f"embedding: the weight must have 2 dimensions, got shape {weight.layout.shape}")
    i = positions(indices, "embedding")
    check_positions(i, weight.layout.shape[0], 0, "embedding")
    rows = pick_rows(weight, i, 0)
    if padding_idx < 0 or not rows.needs_grad:
        return rows
    return where(unsqueeze(eq(i, padding_idx), -1), rows.detach(), rows)


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
        num_classes = int(tensor.array().max()) + 1
    if num_classes < 1:
        raise RuntimeError(f"one_hot: num_classes must be positive, got {num_classes}")
    check_positions(tensor, num_classes, -1, "one_hot", error=RuntimeError)
    return one_hot_op(tensor, num_classes=num_classes)


# Masks


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of elements that are not 0: int64 (k, ndim), or with as_tuple a tuple of ndim tensors (k,).

    Their number depends on values, so a step that calls this can't be recorded (RuntimeError)."""
    modes.leaves_tape("nonzero(), or indexing with a mask,")
    array = input.array()
    if not as_tuple:
        return Tensor.over(*memory.from_python(np.argwhere(array), int64))
    return tuple([Tensor.over(*memory.from_python(at, int64)) for at in np.nonzero(np.atleast_1d(array))])


def argwhere(input: Tensor) -> Tensor:
    """nonzero as one tensor, (k, ndim)."""
    return nonzero(input)  # type: ignore[no-any-return]


def _mask(mask: Any, name: str) -> Tensor:
    found = as_tensor(mask, name)
    if found.layout.dtype is not bool_:
        raise RuntimeError(f"{name}: the mask must be bool, got {found.layout.dtype}")
    return found


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with one value (a number or a 0-d tensor) where the mask, which broadcasts, is true."""
    filler = converted(value, input, "masked_fill")
    if filler.layout.ndim:
        raise RuntimeError(f"masked_fill: the value must be a number or a 0-d tensor, got shape {filler.layout.shape}")
    return where(_mask(mask, "masked_fill"), filler, input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, (k,); both broadcast. Not in a recorded step, as nonzero."""
    shape = broadcast_shapes("masked_select", input.layout.shape, mask.layout.shape)
    at = true_positions(expand(_mask(mask, "masked_select"), shape))
    return pick_rows(reshape(expand(input, shape), -1), at, 0)
