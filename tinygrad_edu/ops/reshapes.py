"""Shapes: rotated, flipped, split at positions, stacked, made of windows or of all combinations.

Compositions of join.py's and views.py's functions; only unfold is an op, whose windows may overlap. Read next:
diagonals.py.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import int64
from ..interop import Size
from ..op import Op
from ..op_kinds import ViewOp
from ..storage import Layout
from ..tensor import Tensor
from .common import broadcast_shapes as common_shape
from .common import normal_dim
from .join import cat, hstack, meshgrid, stack
from .move import Array, Ints
from .rearrange import flip
from .rows import index_op
from .views import narrow, reshape, shape_of, transpose, unsqueeze

# Turned


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters in the plane of two dimensions, from the first to the second; a copy."""
    n = input.layout.ndim
    if len(dims) != 2 or n < 2:
        raise RuntimeError(f"rot90: expected 2 dimensions to turn in, got {tuple(dims)} for shape {input.layout.shape}")
    a, b = normal_dim(dims[0], n, "rot90"), normal_dim(dims[1], n, "rot90")
    if a == b:
        raise RuntimeError(f"rot90: the dimensions {tuple(dims)} are one")
    k %= 4
    if k == 0:
        return input.clone()
    if k == 2:
        return flip(input, (a, b))
    return flip(transpose(input, a, b), a if k == 1 else b)


def fliplr(input: Tensor) -> Tensor:
    """Dimension 1 reversed; a copy."""
    if input.layout.ndim < 2:
        raise RuntimeError(f"fliplr: expected 2 or more dimensions, got shape {input.layout.shape}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """Dimension 0 reversed; a copy."""
    if input.layout.ndim < 1:
        raise RuntimeError("flipud: expected 1 or more dimensions, got a 0-d tensor")
    return flip(input, 0)


# Apart


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views along dimension dim: so many pieces, the first ones larger by 1 where they can't be equal, or the pieces
    between the positions listed, as slices would give them."""
    if not input.layout.ndim:
        raise RuntimeError("tensor_split: a 0-d tensor can't be split")
    d = normal_dim(dim, input.layout.ndim, "tensor_split")
    n = input.layout.shape[d]
    at = indices_or_sections
    if isinstance(at, Tensor):
        if at.layout.dtype is not int64 or at.layout.ndim > 1:
            raise RuntimeError(f"tensor_split: expected int64 of at most 1 dimension, got {at.dtype} {at.shape}")
        at = at.tolist()
    if isinstance(at, int):
        if at < 1:
            raise RuntimeError(f"tensor_split: the number of sections must be positive, got {at}")
        small, more = divmod(n, at)
        ends = list(itertools.accumulate(small + (k < more) for k in range(at)))
    else:
        ends = [min(max(i + n if i < 0 else i, 0), n) for i in map(operator.index, at)] + [n]
    starts = [0, *ends[:-1]]
    return tuple([narrow(input, d, i, max(j - i, 0)) for i, j in zip(starts, ends, strict=True)])


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dimension 1, or 0 of 1-d tensors, into equal pieces."""
    return _split("hsplit", input, indices_or_sections, 0 if input.layout.ndim == 1 else 1, 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dimension 0 into equal pieces."""
    return _split("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dimension 2 into equal pieces."""
    return _split("dsplit", input, indices_or_sections, 2, 3)


def _split(name: str, input: Tensor, at: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    shape = input.layout.shape
    if len(shape) < least:
        raise RuntimeError(f"{name}: expected {least} or more dimensions, got shape {shape}")
    if isinstance(at, int) and (at < 1 or shape[dim] % at):
        raise RuntimeError(f"{name}: dimension {dim} of size {shape[dim]} can't be split into {at} equal pieces")
    return tensor_split(input, at, dim)


# Together


def _each(name: str, tensors: tuple[Any, ...], change: Any) -> Any:
    """One tensor changed, or a tuple of several, given as arguments or in a sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return change(tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    for x in given:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected tensors, got {type(x).__name__}")
    return tuple([change(x) for x in given])


def _deep(x: Tensor) -> Tensor:
    shape = x.layout.shape
    return x if len(shape) >= 3 else reshape(x, (1, shape[0] if shape else 1, 1) if len(shape) < 2 else (*shape, 1))


def atleast_1d(*tensors: Any) -> Any:
    """The tensor (or each of several), a 0-d one as (1,)."""
    return _each("atleast_1d", tensors, lambda x: x if x.layout.ndim else reshape(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """The tensor (or each of several) with 2 dimensions at least, new ones in front."""
    return _each(
        "atleast_2d",
        tensors,
        lambda x: x if x.layout.ndim >= 2 else reshape(x, 1, -1) if x.layout.numel else unsqueeze(x, 0),
    )


def atleast_3d(*tensors: Any) -> Any:
    """The tensor (or each of several) with 3 dimensions at least: (n,) becomes (1, n, 1), (n, m) becomes (n, m, 1)."""
    return _each("atleast_3d", tensors, _deep)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side in dimension 2; see atleast_3d."""
    if not tensors:
        raise RuntimeError("dstack: expected at least one tensor")
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side in dimension 1, vectors as columns."""
    return hstack([x if x.layout.ndim >= 2 else reshape(x, x.layout.numel, 1) for x in tensors])


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes broadcast to; a number n means (n,). Raises RuntimeError for none."""
    sizes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    if any(n < 0 for s in sizes for n in s):
        raise RuntimeError(f"broadcast_shapes: sizes must not be negative, got {shapes}")
    return Size(common_shape("broadcast_shapes", *sizes))


# Combinations


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All tuples of one element of each vector, (k, number of vectors), the last one changing fastest; of one vector
    the vector."""
    if any(x.layout.ndim != 1 for x in tensors):
        raise RuntimeError(f"cartesian_prod: expected vectors, got {[x.layout.shape for x in tensors]}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, -1) for x in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All sets of r elements of a vector, (k, r), in order of position; with_replacement: an element more than once."""
    if input.layout.ndim != 1:
        raise RuntimeError(f"combinations: expected a vector, got shape {input.layout.shape}")
    if r < 0:
        raise RuntimeError(f"combinations: r must not be negative, got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = np.array(list(choose(range(input.layout.numel), r)), np.int64)
    if r == 0 or not chosen.size:
        return narrow(input, 0, 0, 0) if r == 0 else reshape(narrow(input, 0, 0, 0), 0, r)
    return index_op(input, Tensor.over(*memory.from_python(chosen, int64)), dims=(0,))


# Windows


def _windows(input: Layout, *, dim: int, size: int, step: int) -> tuple[Ints, Ints, int]:
    n = (input.shape[dim] - size) // step + 1
    shape = (*input.shape[:dim], n, *input.shape[dim + 1 :], size)
    strides = (*input.strides[:dim], input.strides[dim] * step, *input.strides[dim + 1 :], input.strides[dim])
    return shape, strides, 0


def _windows_sum(out: Array, g: Array, *, dim: int, size: int, step: int, shape: Ints) -> None:
    """out = 0; out[.., i * step + k, ..] += g[.., i, .., k], the windows in dimension dim."""
    out.fill(0)
    here = np.moveaxis(out, dim, -1)
    windows = np.moveaxis(g, dim, -2)
    for i in range(windows.shape[-2]):
        here[..., i * step : i * step + size] += windows[..., i, :]


windows_op = ViewOp(_windows, "windows")
windows_sum = Op(_windows_sum, lambda g, *, shape, **_: shape, name="windows_sum")
windows_op.vjps(
    input=lambda g, input_shape, dim, size, step: windows_sum(g, dim=dim, size=size, step=step, shape=input_shape)
)
windows_sum.vjps(g=lambda g, dim, size, step: windows_op(g, dim=dim, size=size, step=step))


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` neighbours along a dimension, one every `step`: a view, the window as a new last dimension.

    Raises RuntimeError for a size that is larger than the dimension, or a step below 1."""
    if not input.layout.ndim:
        return unfold(reshape(input, 1), dimension, size, step)[0]
    d = normal_dim(dimension, input.layout.ndim, "unfold")
    size, step = shape_of((size, step), "unfold")
    if not 0 <= size <= input.layout.shape[d]:
        raise RuntimeError(f"unfold: size {size} is out of range for dimension {d} of size {input.layout.shape[d]}")
    if step < 1:
        raise RuntimeError(f"unfold: step must be positive, got {step}")
    return windows_op(input, dim=d, size=size, step=step)
