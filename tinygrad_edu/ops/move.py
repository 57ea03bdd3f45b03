"""Views, which look at the same memory through another layout, and copies, which don't.

Four view ops carry all of PyTorch's: view (other sizes), permute (other order), expand (repeat by stride 0) and slice
(a part: slices, single rows, diagonals). `place` is the gradient of a slice, and pads. Left out: negative steps;
overlapping windows are in reshapes.py. Read next: views.py, the names that users call.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype
from ..op import Op, Spec
from ..op_kinds import UpdateOp, ViewOp
from ..storage import Layout, contiguous_strides
from ..tensor import Tensor
from .common import broadcast_shapes, layout_in, remember, same_shape

Array = np.ndarray[Any, Any]
Ints = tuple[int, ...]


# The view ops: the reference gives shape, strides and offset, in elements


def _view(input: Layout, *, shape: Ints) -> tuple[Ints, Ints, int]:
    strides = view_strides(input, shape)
    if strides is None:
        raise RuntimeError(
            f"view: a tensor of shape {input.shape} and strides {input.strides} can't be seen as {shape} without a "
            "copy; use reshape()"
        )
    return shape, strides, 0


def view_strides(input: Layout, shape: Ints) -> Ints | None:
    """The strides that give the same elements in the same order another shape; None where there are none."""
    if input.contiguous:
        return contiguous_strides(shape)
    chunks: list[tuple[int, int]] = []  # (size, stride) of the longest runs of evenly spaced elements
    for n, stride in zip(input.shape, input.strides, strict=True):
        if n == 1:
            continue
        if chunks and chunks[-1][1] == n * stride:
            chunks[-1] = chunks[-1][0] * n, stride
        else:
            chunks.append((n, stride))
    strides, room, step = [], 1, 1
    for n in reversed(shape):
        if n != 1 and room == 1:
            room, step = chunks.pop()
        if room % n:
            return None
        strides.append(step)
        room, step = room // n, step * n
    return tuple(reversed(strides))


def _permute(input: Layout, *, dims: Ints) -> tuple[Ints, Ints, int]:
    return tuple([input.shape[d] for d in dims]), tuple([input.strides[d] for d in dims]), 0


def _expand(input: Layout, *, shape: Ints) -> tuple[Ints, Ints, int]:
    new = len(shape) - input.ndim
    sizes, old = (1,) * new + input.shape, (0,) * new + input.strides
    return shape, tuple([s if n == m else 0 for n, m, s in zip(shape, sizes, old, strict=True)]), 0


def _slice(input: Layout, *, start: Ints, step: Ints, axis: Ints, shape: Ints) -> tuple[Ints, Ints, int]:
    """Dimension d begins at start[d] and moves by step[d] along the output's dimension axis[d] (-1: not at all)."""
    strides, offset = [0] * len(shape), 0
    for stride, at, by, j in zip(input.strides, start, step, axis, strict=True):
        offset += at * stride
        if j >= 0:
            strides[j] += by * stride
    return shape, tuple(strides), offset if math.prod(shape) else 0


view_op = ViewOp(_view, "view")
permute_op = ViewOp(_permute, "permute")
expand_op = ViewOp(_expand, "expand")
slice_op = ViewOp(_slice, "slice")


def reshape_op(input: Tensor, shape: Ints) -> Tensor:
    """The tensor in another shape: a view where strides allow one, else of a copy."""
    return view_op(input if view_strides(input.layout, shape) is not None else copy_op(input), shape=shape)


class Place(Op):
    """Zeros (or `value`) of a shape, with the input where slice_op would look at."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """ints: the offset and the strides, in elements, of the input's place in the output. floats: value."""
        at = {name: spec.attrs[name] for name in ("start", "step", "axis")}
        _, strides, offset = _slice(spec.layout, shape=spec.inputs[0].shape, **at)
        return [spec.layout, *spec.inputs], [offset, *strides], [spec.attrs["value"]]


def _place(out: Array, input: Array, *, start: Ints, step: Ints, axis: Ints, shape: Ints, value: float) -> None:
    out.fill(value)
    if input.size:
        corner: tuple[Any, ...] = (*[slice(n, None) for n in start], ...)  # ... makes it a view even in 0 dimensions
        strides = [0] * input.ndim
        for s, by, j in zip(out.strides, step, axis, strict=True):
            if j >= 0:
                strides[j] += by * s
        np.lib.stride_tricks.as_strided(out[corner], input.shape, strides)[...] = input


place_op = Place(_place, lambda input, *, shape, **_: shape, name="place")

view_op.vjps(input=lambda g, input_shape: reshape_op(g, input_shape))
permute_op.vjps(input=lambda g, dims: permute_op(g, dims=tuple(sorted(range(len(dims)), key=dims.__getitem__))))
expand_op.vjps(input=lambda g: g)  # summed over the repeats as every broadcast input is
slice_op.vjps(
    input=lambda g, input_shape, start, step, axis: place_op(
        g, start=start, step=step, axis=axis, shape=input_shape, value=0.0
    )
)
place_op.vjps(
    input=lambda g, input_shape, start, step, axis: slice_op(g, start=start, step=step, axis=axis, shape=input_shape)
)


# Copies


def _copy(out: Array, input: Array) -> None:
    out[...] = input


def _cast(out: Array, input: Array, *, dtype: dtype) -> None:
    np.copyto(out, input, casting="unsafe")


class Cast(Op):
    """cast: to another dtype."""

    def __call__(self, input: Tensor, dtype: dtype) -> Tensor:  # type: ignore[override]
        spec = self.specs.get((input.layout, dtype))
        if spec is None:
            spec = remember(self, (input,), (input.layout, dtype), dtype=dtype)
        return self.run(spec, (input,))


def check_distinct(target: Layout) -> None:
    """Raise RuntimeError for what was expanded: it can't be written to, as its elements share their memory."""
    if any(stride == 0 and n > 1 for n, stride in zip(target.shape, target.strides, strict=True)):
        raise RuntimeError(
            f"in-place change of an expanded tensor of shape {target.shape}: several of its elements are one in "
            "memory; clone() it first"
        )


def _copied_shape(target: Layout, source: Layout) -> Ints:
    check_distinct(target)
    if broadcast_shapes("copy_", target.shape, source.shape) != target.shape:
        raise RuntimeError(f"copy_: a source of shape {source.shape} does not broadcast to the target's {target.shape}")
    return target.shape


def copy_(target: Array, source: Array) -> None:
    """target[...] = source, of any dtype."""
    np.copyto(target, source, casting="unsafe")


copy_update = UpdateOp(copy_, _copied_shape)
copy_op = Op(_copy, same_shape, name="copy")
cast_op = Cast(_cast, same_shape, lambda *_, dtype: dtype, "cast")

copy_op.vjps(input=lambda g: g)
cast_op.vjps(input=lambda g, input_dtype: cast_op(g, dtype=input_dtype))


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A contiguous copy; gradients flow through it."""
    spec = copy_op.specs.get((layout_in("copy", input),))
    return copy_op(input) if spec is None else copy_op.run(spec, (input,))


def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself where its elements lie one after the other, else a copy in which they do."""
    return input if input.layout.contiguous else copy_op(input)


def write(target: Tensor, source: Tensor) -> Tensor:
    """Write source, broadcast and converted, into target's memory: what in-place operations end in.

    Raises RuntimeError for a target that was expanded."""
    if source.storage is target.storage:
        source = copy_op(source)  # the two may overlap
    spec = copy_update.specs.get((target.layout, source.layout))
    return copy_update(target, source) if spec is None else copy_update.run(spec, (target, source))
