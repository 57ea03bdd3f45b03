"""Tensors repeated and rearranged: repeat, flip, roll, and the triangles of matrices.

Each moves elements and computes nothing, so each is linear and its gradient is another of them. Read next: gather.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import int64
from ..modes import modes
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import exactly, integer, layout_in, normal_dim, normal_dims, remember, same_shape
from .move import Array, Ints, contiguous, copy_op
from .rows import index_op, positions
from .views import expand, reshape, shape_of, unsqueeze

# The ops


class Repeat(Op):
    """repeat, whose kernel is copy's, seeing each repeated dimension as two, the first of stride 0."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        x, repeats = spec.inputs[0], spec.attrs["repeats"]
        new = len(repeats) - x.ndim
        shape, strides = list(_apart(x.shape, repeats)[0]), []
        for by, k in zip((1,) * new + x.strides, repeats, strict=True):
            strides += [by] if k == 1 else [0, by]
        return [layout_of(tuple(shape), x.dtype), layout_of(tuple(shape), x.dtype, tuple(strides))], [], []


def _apart(shape: Ints, repeats: Ints) -> tuple[Ints, Ints]:
    """The repeated shape with a dimension more for each one that is repeated, and which these are."""
    sizes: list[int] = []
    counts: list[int] = []
    for n, k in zip((1,) * (len(repeats) - len(shape)) + shape, repeats, strict=True):
        if k != 1:
            counts.append(len(sizes))
            sizes.append(k)
        sizes.append(n)
    return tuple(sizes), tuple(counts)


def _repeat_shape(input: Layout, *, repeats: Ints) -> Ints:
    new = len(repeats) - input.ndim
    if new < 0 or any(k < 0 for k in repeats):
        raise RuntimeError(f"repeat: {repeats} must be a count for each dimension of shape {input.shape}, or more")
    return tuple([n * k for n, k in zip((1,) * new + input.shape, repeats, strict=True)])


def _repeat(out: Array, input: Array, *, repeats: Ints) -> None:
    out[...] = np.tile(input, repeats)


def _repeat_rule(g: Tensor, input_shape: Ints, repeats: Ints) -> Tensor:
    sizes, counts = _apart(input_shape, repeats)
    return reshape(reshape(g, sizes).sum(counts) if counts else g, input_shape)


def _flip(out: Array, input: Array, *, dims: Ints) -> None:
    out[...] = np.flip(input, dims)


class Roll(Op):
    """roll: one shift for each dimension, or one in all for the contiguous tensor seen as one dimension."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        layout, shifts = spec.layout, spec.attrs["shifts"]
        if spec.attrs["flat"]:
            row = layout_of((layout.numel,), layout.dtype)
            return [row, row], list(shifts), []
        return [layout, *spec.inputs], list(shifts), []


def _roll(out: Array, input: Array, *, shifts: Ints, flat: bool) -> None:
    """The shifts are 0 to size - 1: out[(i + shift) % n] = input[i]."""
    out[...] = np.roll(input, shifts[0]) if flat else np.roll(input, shifts, tuple(range(input.ndim)))


def _roll_rule(g: Tensor, input_shape: Ints, shifts: Ints, flat: bool) -> Tensor:
    sizes = (math.prod(input_shape),) if flat else input_shape
    back = tuple([-s % max(n, 1) for s, n in zip(shifts, sizes, strict=True)])
    return roll_op(contiguous(g) if flat else g, shifts=back, flat=flat)


def _tril(out: Array, input: Array, *, diagonal: int) -> None:
    out[...] = np.tril(input, diagonal)


def _triu(out: Array, input: Array, *, diagonal: int) -> None:
    out[...] = np.triu(input, diagonal)


def _matrices(name: str) -> Any:
    def shape(input: Layout, *, diagonal: int) -> Ints:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: expected 2 or more dimensions, got shape {input.shape}")
        return input.shape

    return shape


repeat_op = Repeat(_repeat, _repeat_shape, name="repeat")
flip_op = Op(_flip, same_shape, name="flip")
roll_op = Roll(_roll, same_shape, name="roll")
tril_op = Op(_tril, _matrices("tril"), name="tril")
triu_op = Op(_triu, _matrices("triu"), name="triu")

repeat_op.vjps(input=_repeat_rule)
flip_op.vjps(input=lambda g, dims: flip_op(g, dims=dims))
roll_op.vjps(input=_roll_rule)
tril_op.vjps(input=lambda g, diagonal: tril_op(g, diagonal=diagonal))
triu_op.vjps(input=lambda g, diagonal: triu_op(g, diagonal=diagonal))

# What users call


def repeat(input: Tensor, *args: Any, repeats: Any = None) -> Tensor:
    """The whole tensor repeats[d] times along each dimension d, more of them than it has: new ones come in front."""
    times = shape_of(args if repeats is None else (repeats,), "repeat")
    key = layout_in("repeat", input), times
    spec = repeat_op.specs.get(key) or remember(repeat_op, (input,), key, repeats=times)
    return repeat_op.run(spec, (input,))


def tile(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """NumPy's repeat of whole tensors: as repeat, with missing counts in front being 1."""
    times = shape_of(args if dims is None else (dims,), "tile")
    return repeat(input, (1,) * (input.layout.ndim - len(times)) + times)


def repeat_interleave(
    input: Tensor, repeats: int | Tensor, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element repeated on the spot along dimension dim (None: of the tensor seen as one dimension); repeats may
    hold a count for each, which a recorded step can't look at. output_size, if given, is checked."""
    if dim is None:
        input, dim = reshape(input, -1), 0
    d = normal_dim(dim, input.layout.ndim, "repeat_interleave")
    shape = input.layout.shape
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError(f"repeat_interleave: repeats must not be negative, got {repeats}")
        apart = expand(unsqueeze(input, d + 1), (*shape[: d + 1], repeats, *shape[d + 1 :]))
        return reshape(copy_op(apart), (*shape[:d], shape[d] * repeats, *shape[d + 1 :]))
    counts = positions(repeats, "repeat_interleave")
    if counts.layout.shape not in ((), (1,), (shape[d],)):
        raise RuntimeError(f"repeat_interleave: {counts.layout.shape} counts for dimension {d} of size {shape[d]}")
    modes.leaves_tape("repeat_interleave() with a tensor of counts")
    times = np.broadcast_to(counts.array(), (shape[d],))
    if times.size and times.min() < 0:
        raise RuntimeError(f"repeat_interleave: repeats must not be negative, got {times.min()}")
    if output_size not in (None, int(times.sum())):
        raise RuntimeError(f"repeat_interleave: the counts add up to {times.sum()}, not to output_size {output_size}")
    return index_op(input, constant_index(np.repeat(np.arange(shape[d]), times)), dims=(d,))


def constant_index(index: Array) -> Tensor:
    return Tensor.over(*memory.from_python(index, int64))


def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The order of elements reversed along the dimensions named, flip(x, 0, 1) or flip(x, dims=(0, 1)); a copy."""
    named = shape_of(args if dims is None else (dims,), "flip")
    key = layout_in("flip", input), named
    spec = flip_op.specs.get(key)
    if spec is None:
        reversed_dims = normal_dims(named, input.layout.ndim, "flip") if named else ()
        spec = remember(flip_op, (input,), key, dims=reversed_dims)
    return flip_op.run(spec, (input,))


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Elements moved by shifts[k] along dims[k], round the end to the beginning; without dims, in the tensor seen as
    one dimension."""
    by, along = shape_of((shifts,), "roll"), () if dims is None else shape_of((dims,), "roll")
    layout = layout_in("roll", input)
    if not along and not layout.contiguous:
        input = copy_op(input)
        layout = input.layout
    key = layout, by, along
    spec = roll_op.specs.get(key)
    if spec is None:
        shape = input.layout.shape
        if len(by) != (len(along) or 1):
            raise RuntimeError(
                f"roll: {len(by)} shifts for {len(along)} dims"
                if along
                else f"roll: {len(by)} shifts need as many dims"
            )
        total = [0] * len(shape)
        for d, n in zip(along, by, strict=False):
            d = normal_dim(d, len(shape), "roll")
            total[d] = (total[d] + n) % max(shape[d], 1)
        flat = not along
        spec = remember(
            roll_op, (input,), key, shifts=(by[0] % max(input.layout.numel, 1),) if flat else tuple(total), flat=flat
        )
    return roll_op.run(spec, (input,))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangles of matrices, 0 above `diagonal` (0: the main one, positive above it)."""
    return _triangle(tril_op, input, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangles of matrices, 0 below `diagonal`."""
    return _triangle(triu_op, input, diagonal)


def _triangle(op: Op, input: Tensor, diagonal: int) -> Tensor:
    key = layout_in(op.name, input), exactly(diagonal)
    spec = op.specs.get(key)
    if spec is None:
        spec = remember(op, (input,), key, diagonal=integer(diagonal, f"{op.name}: diagonal"))
    return op.run(spec, (input,))
