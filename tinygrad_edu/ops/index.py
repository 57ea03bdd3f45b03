"""x[...] and x[...] = value, as in PyTorch.

Integers, slices, None and ... make one view (slice_op). Integer tensors, lists and arrays, and masks, which become the
positions of their true elements, then pick from it: the indexed dimensions are seen as one, their positions combined
into one number, and index_select does the rest; index_copy and index_add write. Left out: negative steps, and uint8
masks, which PyTorch gives up. Read next: order.py.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, int64, uint8
from ..modes import modes, no_grad
from ..tensor import Tensor
from .common import broadcast_shapes, constant
from .compare import where
from .elementwise import add, mul, remainder
from .gather import (
    check_positions,
    converted,
    index_add_,
    index_add_zeros,
    index_copy_,
    index_copy_op,
    index_select_op,
    nonzero,
    positions,
)
from .inplace import change
from .move import Ints, permute_op, place_op, slice_op, write
from .views import expand, reshape

PLAIN = (int, type(None))


def getitem(input: Tensor, index: Any) -> Tensor:
    """x[index]. A view, unless an index is a tensor, list, array or mask.

    Raises IndexError for what is out of range, too many, or of the wrong type; ValueError for a negative step."""
    key = index if type(index) is int else _key(index)
    spec = None if key is None else slice_op.specs.get((input.layout, key))
    if spec is not None:
        return slice_op.run(spec, (input,))
    if type(index) is Tensor and index.layout.ndim == 1 and index.layout.dtype is int64 and input.layout.ndim:
        n = input.layout.shape[0]  # rows by number, the most frequent by far: the same as below, but quick
        check_positions(index, n, 0, "x[...]", -n)
        return index_select_op(input, index, dim=0)
    part = _parse(input, index)
    if not part.advanced:
        spec = slice_op.spec((input,), part.slice)
        if key is not None:
            slice_op.specs[input.layout, key] = spec
        return slice_op.run(spec, (input,))
    picked = _pick(_base(input, part), part.advanced)
    rows = index_select_op(picked.flat, picked.linear, dim=picked.dim)
    return rows if rows.layout.shape == picked.result_shape else reshape(rows, picked.result_shape)


def _key(index: Any) -> tuple[Any, ...] | None:
    """An index of plain numbers, slices, None and ... as something hashable; None for any other."""
    key: list[Any] = []
    for item in index if type(index) is tuple else (index,):
        kind = type(item)
        if kind is int:
            key.append(item)
        elif kind is slice:
            a, b, c = item.start, item.stop, item.step
            if type(a) not in PLAIN or type(b) not in PLAIN or type(c) not in PLAIN:
                return None
            key.append((a, b, c))
        elif item is None or item is Ellipsis:
            key.append(item)
        else:
            return None
    return tuple(key)


# What an index means


class Part(NamedTuple):
    """A slice of a tensor, as slice_op's attributes, and positions in dimensions of that slice."""

    slice: dict[str, Ints]
    advanced: list[tuple[int, Tensor]]


def _base(x: Tensor, part: Part) -> Tensor:
    a, n = part.slice, x.layout.ndim
    whole = a["shape"] == x.layout.shape and a["step"] == (1,) * n and a["axis"] == tuple(range(n))
    return x if whole else slice_op(x, **a)


def _items(index: Any, ndim: int) -> list[Any]:
    """The index as a list of int, slice, None and tensors that accounts for every dimension."""
    items = [_item(item) for item in (index if isinstance(index, tuple) else (index,))]
    used = sum(0 if item is None or item is Ellipsis else item.layout.ndim if _is_mask(item) else 1 for item in items)
    if used > ndim:
        raise IndexError(f"x[...]: {used} indices for a tensor of {ndim} dimensions")
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("x[...]: an index can only have a single ellipsis (...)")
    at = dots[0] if dots else len(items)
    return [*items[:at], *[slice(None)] * (ndim - used), *items[at + 1 :]]


def _item(item: Any) -> Any:
    """An int, slice, None, Ellipsis, or a tensor of int64 or bool."""
    if item is None or item is Ellipsis or type(item) in (int, slice):
        return item
    if isinstance(item, (bool, np.bool_)):
        return constant(bool(item), bool_)
    if isinstance(item, (list, tuple, range, np.ndarray)):
        try:
            array = np.asarray(item)
            item = Tensor.over(*memory.from_python(array.astype(np.int64) if array.size == 0 else array, None))
        except (TypeError, ValueError) as error:
            raise IndexError(f"x[...]: a list as an index must hold integers or bools ({error})") from None
    if isinstance(item, Tensor):
        d = item.layout.dtype
        if d is uint8:
            raise IndexError("x[...]: a uint8 index could mean a mask or positions; convert it with .bool() or .long()")
        if d.is_floating_point:
            raise IndexError(f"x[...]: tensors used as indices must hold integers or bools, got {d}")
        return item if d is bool_ else positions(item, "x[...]")
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            "x[...]: an index is made of integers, slices, None, ..., and tensors or arrays of integers or bools, "
            f"not of {type(item).__name__}"
        ) from None


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item.layout.dtype is bool_


def _parse(x: Tensor, index: Any) -> Part:
    start: list[int] = []
    step: list[int] = []
    axis: list[int] = []
    shape: list[int] = []
    advanced: list[tuple[int, Tensor]] = []

    def keep(first: int, by: int, n: int) -> None:
        start.append(first)
        step.append(by)
        axis.append(len(shape))
        shape.append(n)

    for item in _items(index, x.layout.ndim):
        d = len(start)  # the dimension of x that comes next
        if item is None:
            shape.append(1)
        elif isinstance(item, slice):
            keep(*_slice_numbers(item, x.layout.shape[d]))
        elif _is_mask(item):
            found = _true_positions(item, x.layout.shape[d : d + item.layout.ndim], d)
            for k, at in enumerate(found):
                advanced.append((len(shape), at))
                if item.layout.ndim:
                    keep(0, 1, x.layout.shape[d + k])
                else:
                    shape.append(1)
        elif isinstance(item, Tensor) and (item.layout.ndim or modes.recording):
            n = x.layout.shape[d]
            if item.layout.numel and not n:
                raise IndexError(f"x[...]: an index into dimension {d}, which has size 0")
            check_positions(item, n, d, "x[...]", -n)
            advanced.append((len(shape), item))
            keep(0, 1, n)
        else:  # a 0-d tensor, too, whose value makes a view
            i, n = operator.index(item), x.layout.shape[d]
            if not -n <= i < n:
                raise IndexError(f"x[...]: index {i} is out of range for dimension {d} of size {n}")
            start.append(i % n)
            step.append(1)
            axis.append(-1)
    dims = [d for d, _ in advanced]
    if not _neighbours(dims) and any(i.layout.ndim == 0 for _, i in advanced):
        modes.leaves_tape("x[...] with a 0-d tensor apart from another index tensor")
    numbers = {"start": start, "step": step, "axis": axis, "shape": shape}
    return Part({name: tuple(values) for name, values in numbers.items()}, advanced)


def _neighbours(dims: list[int]) -> bool:
    return dims == list(range(dims[0], dims[0] + len(dims))) if dims else True


def _slice_numbers(item: slice, n: int) -> tuple[int, int, int]:
    """(start, step, length)"""
    if item.step is not None and operator.index(item.step) <= 0:
        raise ValueError(f"x[...]: the step of a slice must be greater than zero, got {item.step}; see flip()")
    start, stop, step = item.indices(n)
    return start, step, len(range(start, stop, step))


def _true_positions(mask: Tensor, shape: Ints, dim: int) -> tuple[Tensor, ...]:
    """A tensor of positions for each dimension of the mask; of a 0-d one, the position 0 or none in a new dimension."""
    if mask.layout.shape != shape:
        raise IndexError(
            f"x[...]: a mask of shape {mask.layout.shape} does not fit the sizes {shape} of dimension {dim} and on"
        )
    return nonzero(mask, as_tuple=True)  # type: ignore[no-any-return]


# Positions in several dimensions as positions in one


class Picked(NamedTuple):
    """A tensor whose indexed dimensions are one, `dim`, and the positions in it."""

    flat: Tensor
    linear: Tensor  # (k,)
    dim: int
    order: Ints  # how the dimensions were permuted to be neighbours
    permuted_shape: Ints
    result_shape: Ints  # with the shape of the positions in place of dim


def _pick(base: Tensor, advanced: list[tuple[int, Tensor]]) -> Picked:
    dims = [d for d, _ in advanced]
    given = [i.layout.shape for _, i in advanced]
    try:
        block = broadcast_shapes("x[...]", *given)
    except RuntimeError:
        raise IndexError(f"x[...]: index tensors of shapes {', '.join(map(str, given))} do not broadcast") from None
    n, first = base.layout.ndim, dims[0]
    order = tuple(range(n))
    if not _neighbours(dims):  # what they pick comes first, as in NumPy
        order, first = (*dims, *[d for d in range(n) if d not in dims]), 0
        base = permute_op(base, dims=order)
    shape, last = base.layout.shape, first + len(dims)
    sizes = shape[first:last]
    linear = advanced[0][1]
    if len(dims) > 1:
        linear = _wrapped(linear, sizes[0])
        for (_, i), size in zip(advanced[1:], sizes[1:], strict=True):
            linear = add.apply(mul.apply(linear, constant(size, int64)), _wrapped(i, size))
    if linear.layout.shape != block:
        linear = expand(linear, block)
    if len(block) != 1:
        linear = reshape(linear, math.prod(block))
    flat = base if len(dims) == 1 else reshape(base, (*shape[:first], math.prod(sizes), *shape[last:]))
    return Picked(flat, linear, first, order, shape, (*shape[:first], *block, *shape[last:]))


def _wrapped(index: Tensor, n: int) -> Tensor:
    """Negative positions counted from the end."""
    return remainder.apply(index, constant(max(n, 1), int64))


# x[...] = value


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, broadcast, in place; where a gradient is recorded x becomes the result of an op.

    Raises as x[index] and other in-place operations do, and RuntimeError for a value of another shape."""
    _put(input, index, value, False, "x[...] = value")


def index_put_(input: Tensor, indices: tuple[Tensor, ...], values: Tensor, accumulate: bool = False) -> Tensor:
    """x[indices] = values in place, or with accumulate x[indices] += values, where repeats add up."""
    return _put(input, tuple(indices), values, accumulate, "index_put_")


def index_put(input: Tensor, indices: tuple[Tensor, ...], values: Tensor, accumulate: bool = False) -> Tensor:
    """index_put_ of a copy."""
    return _replaced(input, tuple(indices), converted(values, input, "index_put"), accumulate)


def _put(x: Tensor, index: Any, value: Any, accumulate: bool, name: str) -> Tensor:
    value = converted(value, x, name)
    if modes.grad and (x.needs_grad or value.needs_grad):
        return change(x, _replaced, index, value, accumulate)
    viewed = x.storage.viewed
    with no_grad():
        _write_at(x, index, value, accumulate)
    x.storage.viewed = viewed  # by others; the views made here are gone
    return x


def _write_at(x: Tensor, index: Any, value: Tensor, accumulate: bool) -> None:
    filled = _filled(x, index, value, accumulate)
    if filled is not None:
        write(x, filled)
        return
    part = _parse(x, index)
    base = _base(x, part)
    if not part.advanced:
        value = _fitting(value, base.layout.shape)
        write(base, base + value if accumulate else value)
        return
    picked = _pick(base, part.advanced)
    rows = _rows(value, picked)
    if picked.flat.storage is x.storage:
        rows = rows.clone() if rows.storage is x.storage else rows
        (index_add_ if accumulate else index_copy_)(picked.flat, picked.linear, rows, dim=picked.dim)
    else:  # strides don't allow to see the indexed dimensions as one, so this is a copy
        write(base, _put_rows(picked, rows, accumulate))


def _replaced(x: Tensor, index: Any, value: Tensor, accumulate: bool) -> Tensor:
    """x with the value at index, in ops that have gradients."""
    filled = _filled(x, index, value, accumulate)
    if filled is not None:
        return filled
    part = _parse(x, index)
    base = _base(x, part)
    if part.advanced:
        picked = _pick(base, part.advanced)
        changed = _put_rows(picked, _rows(value, picked), accumulate)
    else:
        value = _fitting(value, base.layout.shape)
        changed = base + value if accumulate else value
    place: dict[str, Any] = {**part.slice, "shape": x.layout.shape, "value": 0.0}
    inside = place_op(expand(constant(True, bool_), base.layout.shape), **place)
    return where(inside, place_op(changed, **place), x)


def _filled(x: Tensor, index: Any, value: Tensor, accumulate: bool) -> Tensor | None:
    """x[mask] = number as where(mask, number, x), which needs no positions and so can be recorded."""
    if accumulate or not _is_mask(index) or value.layout.numel != 1:
        return None
    shape, mask = x.layout.shape, index.layout.shape
    if not mask or mask != shape[: len(mask)]:
        return None
    return where(reshape(index, mask + (1,) * (len(shape) - len(mask))), reshape(value, ()), x)


def _fitting(value: Tensor, shape: Ints) -> Tensor:
    """The value in the shape of what it is to replace; sizes of 1 in front of it don't count."""
    given = value.layout.shape
    extra = len(given) - len(shape)
    if extra > 0 and given[:extra] == (1,) * extra:
        value = reshape(value, given[extra:])
    try:
        return expand(value, shape)
    except RuntimeError:
        raise RuntimeError(f"x[...] = value: a value of shape {given} does not broadcast to shape {shape}") from None


def _rows(value: Tensor, picked: Picked) -> Tensor:
    """The value as index_copy wants it: the positions' own dimensions as one."""
    shape = picked.flat.layout.shape
    whole = _fitting(value, picked.result_shape)
    return reshape(whole, (*shape[: picked.dim], picked.linear.layout.numel, *shape[picked.dim + 1 :]))


def _put_rows(picked: Picked, rows: Tensor, accumulate: bool) -> Tensor:
    """The tensor that was picked from, in its own shape, with its rows replaced or added to."""
    flat, linear, d = picked.flat, picked.linear, picked.dim
    if accumulate:
        flat = flat + index_add_zeros(rows, linear, dim=d, size=flat.layout.shape[d])
    else:
        flat = index_copy_op(flat, linear, rows, dim=d)
    back = tuple(sorted(range(len(picked.order)), key=picked.order.__getitem__))
    return permute_op(reshape(flat, picked.permuted_shape), dims=back)
