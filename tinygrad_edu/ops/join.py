"""Tensors put together, taken apart, repeated and rearranged: cat, split, repeat, flip, roll, pad, tril.

Each moves elements and computes nothing, so each is linear and its gradient is another of them. Read next: gather.py.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .. import backends
from .. import storage as memory
from ..dtypes import int64, promote_types
from ..modes import modes
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import broadcast_shapes, exactly, integer, layouts_of, normal_dim, normal_dims, remember, same_shape
from .gather import converted
from .move import Array, Ints, cast_op, contiguous, copy_op, place_op, slice_op
from .rows import index_op, positions
from .views import expand, narrow, reshape, select, shape_of, unsqueeze, whole

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


cat_op = Op(_cat, _cat_shape, name="cat")
stack_op = Stack(_stack, _stack_shape, name="stack")
repeat_op = Repeat(_repeat, _repeat_shape, name="repeat")
flip_op = Op(_flip, same_shape, name="flip")
roll_op = Roll(_roll, same_shape, name="roll")
tril_op = Op(_tril, _matrices("tril"), name="tril")
triu_op = Op(_triu, _matrices("triu"), name="triu")

cat_op.vjps(inputs=lambda g, i, shapes, dim: narrow(g, dim, sum(s[dim] for s in shapes[:i]), shapes[i][dim]))
stack_op.vjps(inputs=lambda g, i, dim: select(g, dim, i))
repeat_op.vjps(input=_repeat_rule)
flip_op.vjps(input=lambda g, dims: flip_op(g, dims=dims))
roll_op.vjps(input=_roll_rule)
tril_op.vjps(input=lambda g, diagonal: tril_op(g, diagonal=diagonal))
triu_op.vjps(input=lambda g, diagonal: triu_op(g, diagonal=diagonal))


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
    key = tensor.layout, "split", exactly(split_size_or_sections), exactly(dim)
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
    key = input.layout, "chunk", exactly(chunks), exactly(dim)
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


# Repeated


def repeat(input: Tensor, *args: Any, repeats: Any = None) -> Tensor:
    """The whole tensor repeats[d] times along each dimension d, more of them than it has: new ones come in front."""
    times = shape_of(args if repeats is None else (repeats,), "repeat")
    key = input.layout, times
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
    return index_op(input, _constant_index(np.repeat(np.arange(shape[d]), times)), dims=(d,))


def _constant_index(index: Array) -> Tensor:
    return Tensor.over(*memory.from_python(index, int64))


# Rearranged


def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The order of elements reversed along the dimensions named, flip(x, 0, 1) or flip(x, dims=(0, 1)); a copy."""
    named = shape_of(args if dims is None else (dims,), "flip")
    key = input.layout, named
    spec = flip_op.specs.get(key)
    if spec is None:
        reversed_dims = normal_dims(named, input.layout.ndim, "flip") if named else ()
        spec = remember(flip_op, (input,), key, dims=reversed_dims)
    return flip_op.run(spec, (input,))


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Elements moved by shifts[k] along dims[k], round the end to the beginning; without dims, in the tensor seen as
    one dimension."""
    by, along = shape_of((shifts,), "roll"), () if dims is None else shape_of((dims,), "roll")
    if not along:
        input = contiguous(input)
    key = input.layout, by, along
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
    key = input.layout, exactly(diagonal)
    spec = op.specs.get(key)
    if spec is None:
        spec = remember(op, (input,), key, diagonal=integer(diagonal, f"{op.name}: diagonal"))
    return op.run(spec, (input,))


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Elements added at both ends, (before, after) for the last dimension, then for the one before it, and so on.

    mode: constant (`value`, default 0; negative counts cut off), reflect (mirrored, the end not repeated), replicate
    (the end repeated), circular (from the other end). Raises RuntimeError for what does not fit, NotImplementedError
    for another mode."""
    key = (*layouts_of("pad", (input,)), exactly(tuple(pad) if isinstance(pad, list) else pad), mode, exactly(value))
    try:
        spec = place_op.specs.get(key)  # a signature met before is found without checks
    except TypeError:  # a list among the counts, which will be told
        spec = None
    if spec is not None:
        return place_op.run(spec, (input,))
    counts = shape_of((pad,), "pad")
    shape = input.layout.shape
    if len(counts) % 2 or len(counts) > 2 * len(shape):
        raise RuntimeError(f"pad: {counts} must be pairs, at most one for each dimension of shape {shape}")
    pairs = [(len(shape) - 1 - k, counts[2 * k], counts[2 * k + 1]) for k in range(len(counts) // 2)]
    if mode == "constant":
        filler = 0.0 if value is None else float(converted(value, input, "pad").array())
        return _pad_constant(input, pairs, filler, None if isinstance(value, Tensor) else key)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: mode {mode!r} is none of constant, reflect, replicate, circular")
    if value is not None and value != 0:
        raise ValueError(f"pad: mode {mode!r} takes no value")
    if len(pairs) > 3 or len(shape) - len(pairs) not in (1, 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 dimensions, all but the channels and maybe the batch in front "
            f"of them; got {counts} for shape {shape}"
        )
    if mode != "circular" and 0 in shape[-len(pairs) - 1 :]:
        raise RuntimeError(f"pad: mode {mode!r} takes nothing empty but the batch, got shape {shape}")
    for d, before, after in pairs:
        if before or after:
            source = _source_positions(mode, shape[d], before, after, d)
            input = index_op(input, _constant_index(source), dims=(d,))
    return input


def _pad_constant(input: Tensor, pairs: list[tuple[int, int, int]], value: float, key: Any) -> Tensor:
    """key: what place_op's part in it is remembered by, where that is all of it."""
    whole = input
    shape, start = list(input.layout.shape), [0] * input.layout.ndim
    for d, before, after in pairs:
        n = shape[d]
        if n + min(before, 0) + min(after, 0) < 0 or n + before + after < 0:
            raise RuntimeError(f"pad: ({before}, {after}) would leave less than nothing of dimension {d} of size {n}")
        if before < 0 or after < 0:
            input = narrow(input, d, max(-before, 0), n + min(before, 0) + min(after, 0))
        shape[d], start[d] = n + before + after, max(before, 0)
    if tuple(shape) == input.layout.shape:
        return copy_op(input)
    n = len(shape)
    attrs = {"start": tuple(start), "step": (1,) * n, "axis": tuple(range(n)), "shape": tuple(shape), "value": value}
    if key is None or input is not whole:
        return place_op(input, **attrs)
    return place_op.run(remember(place_op, (input,), key, **attrs), (input,))


def _source_positions(mode: str, n: int, before: int, after: int, dim: int) -> Array:
    """For each element of the padded dimension, where it comes from."""
    at = np.arange(-before, n + after)
    most = {"reflect": n - 1, "replicate": math.inf if n else 0, "circular": n}[mode]
    if max(before, after) > most or (len(at) == 0 and mode != "circular"):
        raise RuntimeError(f"pad: mode {mode!r} can't pad dimension {dim} of size {n} by ({before}, {after})")
    if mode == "replicate":
        return at.clip(0, n - 1)
    if mode == "circular":  # round what negative counts leave
        kept = np.arange(max(-before, 0), n + min(after, 0))
        return kept[np.arange(-max(before, 0), len(kept) + max(after, 0)) % max(len(kept), 1)]
    return (n - 1) - abs((n - 1) - abs(at))
