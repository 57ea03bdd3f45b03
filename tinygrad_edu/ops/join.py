"""Tensors put together and taken apart: cat, stack, split, chunk, and what is made of them.

Joining copies, its gradient is views; taking apart is views, found by what was asked for. Read next: rearrange.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .. import backends
from ..dtypes import promote_types
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import broadcast_shapes, exactly, integer, layout_in, normal_dim, remember
from .move import Array, Ints, cast_op, slice_op
from .views import expand, narrow, reshape, select, unsqueeze, whole

# The ops


def _cat_shape(*inputs: Layout, dim: int) -> Ints:
    first = inputs[0].shape
    for k, x in enumerate(inputs):
        if x.ndim != len(first) or any(n != m for d, (n, m) in enumerate(zip(x.shape, first, strict=True)) if d != dim):
            raise RuntimeError(
                f"cat: sizes may differ in dimension {dim} only, but input 0 has shape {first} and input {k} {x.shape}"
            )
    return (*first[:dim], sum(x.shape[dim] for x in inputs), *first[dim + 1 :])


def _cat(out: Array, *inputs: Array, dim: int) -> None:
    np.concatenate(inputs, dim, out=out)


class Stack(Op):
    """stack, whose kernel is cat's, seeing inputs that have the new dimension."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        d = spec.attrs["dim"]
        seen = [
            layout_of((*x.shape[:d], 1, *x.shape[d:]), x.dtype, (*x.strides[:d], 1, *x.strides[d:]))
            for x in spec.inputs
        ]
        return [spec.layout, *seen], [d], []


def _stack_shape(*inputs: Layout, dim: int) -> Ints:
    first = inputs[0].shape
    for k, x in enumerate(inputs):
        if x.shape != first:
            raise RuntimeError(f"stack: tensors must have one shape, but input 0 has {first} and input {k} {x.shape}")
    return (*first[:dim], len(inputs), *first[dim:])


def _stack(out: Array, *inputs: Array, dim: int) -> None:
    np.stack(inputs, dim, out=out)


cat_op = Op(_cat, _cat_shape, name="cat")
stack_op = Stack(_stack, _stack_shape, name="stack")

cat_op.vjps(inputs=lambda g, i, shapes, dim: narrow(g, dim, sum(s[dim] for s in shapes[:i]), shapes[i][dim]))
stack_op.vjps(inputs=lambda g, i, dim: select(g, dim, i))


# Together


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other in dimension dim; dtypes are promoted. Empty tensors of shape (0,) fit anywhere.

    Raises RuntimeError where another size differs."""
    spec = _known(cat_op, tensors, dim)
    if spec is not None:
        return cat_op.run(spec, tuple(tensors))
    given = _tensors("cat", tensors)
    if any(x.layout.ndim == 0 for x in given):
        raise RuntimeError("cat: a 0-d tensor can't be concatenated; use stack()")
    kept = [x for x in given if x.layout.shape != (0,)] or given[:1]
    operands = tuple(_one_dtype(given, kept))
    return cat_op.run(_remembered(cat_op, given, operands, dim, kept[0].layout.ndim), operands)


def _known(op: Op, tensors: Sequence[Tensor], dim: int) -> Spec | None:
    """The op at a signature met before."""
    try:
        return op.specs.get((exactly(dim), *[x.layout for x in tensors]))
    except (TypeError, AttributeError):
        return None


def _remembered(op: Op, given: Sequence[Tensor], operands: tuple[Tensor, ...], dim: int, ndim: int) -> Spec:
    """The op at this signature, from now on known if its operands are what was given."""
    d = normal_dim(dim, ndim, op.name)
    if len(operands) != len(given) or any(a is not b for a, b in zip(operands, given, strict=True)):
        return op.spec(operands, {"dim": d})
    return remember(op, operands, (exactly(dim), *[x.layout for x in given]), dim=d)


concat = concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side in a new dimension dim. Raises RuntimeError where shapes differ."""
    spec = _known(stack_op, tensors, dim)
    if spec is not None:
        return stack_op.run(spec, tuple(tensors))
    given = _tensors("stack", tensors)
    operands = tuple(_one_dtype(given, given))
    return stack_op.run(_remembered(stack_op, given, operands, dim, given[0].layout.ndim + 1), operands)


def _tensors(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    given = list(tensors)
    if not given:
        raise (ValueError if name == "cat" else RuntimeError)(f"{name}: expected at least one tensor")
    for k, x in enumerate(given):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected tensors, but element {k} is {type(x).__name__}")
    return given


def _one_dtype(given: list[Tensor], kept: list[Tensor]) -> list[Tensor]:
    d = given[0].layout.dtype
    for x in given:
        d = promote_types(d, x.layout.dtype)
    return [x if x.layout.dtype is d else cast_op(x, dtype=d) for x in kept]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: in dimension 1, or in dimension 0 for 1-d tensors."""
    rows = [x if x.layout.ndim else unsqueeze(x, 0) for x in _tensors("hstack", tensors)]
    return cat(rows, 0 if rows[0].layout.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: in dimension 0, 1-d tensors as rows."""
    return cat([reshape(x, 1, -1) if x.layout.ndim < 2 else x for x in _tensors("vstack", tensors)], 0)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as views of their common shape."""
    shape = broadcast_shapes("broadcast_tensors", *[x.layout.shape for x in tensors])
    return tuple([expand(x, shape) for x in tensors])


def meshgrid(*tensors: Any, indexing: Literal["ij", "xy"] = "ij") -> tuple[Tensor, ...]:
    """Grids of coordinates from 1-d tensors: grid k has the values of tensor k along dimension k; with "xy" the first
    two dimensions are exchanged."""
    axes = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else list(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    if any(x.layout.ndim > 1 for x in axes):
        raise RuntimeError(f"meshgrid: expected tensors of 0 or 1 dimensions, got {[x.layout.shape for x in axes]}")
    swapped = indexing == "xy" and len(axes) > 1
    if swapped:
        axes[:2] = axes[1::-1]
    shape = tuple([x.layout.numel for x in axes])
    grids = [expand(reshape(x, *[-1 if j == k else 1 for j in range(len(axes))]), shape) for k, x in enumerate(axes)]
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


# Apart: views


_cuts: dict[tuple[Any, ...], list[Spec]] = {}
backends.on_change.append(_cuts.clear)


def _cut(input: Tensor, sections: Sequence[int], d: int, key: tuple[Any, ...]) -> list[Spec]:
    """The views that pieces of these sizes along dimension d are, from now on found by `key`."""
    specs, first = [], 0
    for size in sections:
        start, step, axis, shape = whole(input.layout.shape)
        start[d], shape[d] = first, size
        attrs = {"start": tuple(start), "step": tuple(step), "axis": tuple(axis), "shape": tuple(shape)}
        specs.append(slice_op.spec((input,), attrs))
        first += size
    if len(_cuts) > 4096:
        _cuts.clear()
    with contextlib.suppress(TypeError):  # sections in a list
        _cuts[key] = specs
    return specs


def _pieces(input: Tensor, specs: list[Spec]) -> tuple[Tensor, ...]:
    return tuple([slice_op.run(spec, (input,)) for spec in specs])


def _known_cut(key: tuple[Any, ...]) -> list[Spec] | None:
    try:
        return _cuts.get(key)
    except TypeError:
        return None


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size (the last may be smaller), or of the sizes listed, along dimension dim: views."""
    key = layout_in("split", tensor), "split", exactly(split_size_or_sections), exactly(dim)
    specs = _known_cut(key)
    if specs is None:
        if tensor.layout.ndim == 0:
            raise RuntimeError("split: a 0-d tensor can't be split")
        d = normal_dim(dim, tensor.layout.ndim, "split")
        n = tensor.layout.shape[d]
        if isinstance(split_size_or_sections, int):
            size = integer(split_size_or_sections, "split: the size of a piece")
            if size < 0 or (size == 0 and n):
                raise RuntimeError(
                    f"split: the size of a piece must be positive, got {size} for dimension {d} of size {n}"
                )
            sections = [min(size, n - at) for at in range(0, n, size)] if n else [0]
        else:
            sections = [integer(s, "split: a section") for s in split_size_or_sections]
            if sum(sections) != n or any(s < 0 for s in sections):
                raise RuntimeError(f"split: the sections {sections} must add up to the size {n} of dimension {d}")
        specs = _cut(tensor, sections, d, key)
    return _pieces(tensor, specs)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """split by a list of sizes."""
    return split(input, list(split_sizes), dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most that many pieces of one size (the last may be smaller) along dimension dim: views."""
    key = layout_in("chunk", input), "chunk", exactly(chunks), exactly(dim)
    specs = _known_cut(key)
    if specs is None:
        if integer(chunks, "chunk: the number of chunks") < 1:
            raise RuntimeError(f"chunk: the number of chunks must be positive, got {chunks}")
        if input.layout.ndim == 0:
            raise RuntimeError("chunk: a 0-d tensor can't be divided")
        d = normal_dim(dim, input.layout.ndim, "chunk")
        n = input.layout.shape[d]
        size = -(-n // chunks)
        specs = _cut(input, [min(size, n - at) for at in range(0, n, size)] if n else [0] * chunks, d, key)
    return _pieces(input, specs)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along dimension dim, which they lack: views."""
    if input.layout.ndim == 0:
        raise IndexError("unbind: a 0-d tensor has no dimension to take apart")
    d = normal_dim(dim, input.layout.ndim, "unbind")
    return tuple([select(input, d, i) for i in range(input.layout.shape[d])])
