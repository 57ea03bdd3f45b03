"""x[...] and x[...] = value, as in PyTorch.

Integers, slices, None and ... make one view (slice_op). Integer tensors, lists and arrays, and masks, which become the
positions of their true elements, then pick from it: the indexed dimensions are seen as one, their positions combined
into one number (a lone mask gives such at once), and index_select does the rest; index_copy and index_add write.
What an index does depends on layouts alone, so it is worked out once (a Plan). Left out: negative steps, and uint8
masks, which PyTorch gives up. Read next: order.py.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from .. import storage as memory
from ..dtypes import bool_, int64, uint8
from ..modes import modes, no_grad, watching
from ..op import Spec
from ..storage import Layout
from ..tensor import Tensor
from .common import broadcast_shapes, constant
from .compare import where
from .gather import converted, nonzero
from .inplace import change
from .move import Ints, copy_op, permute_op, place_op, slice_op, write
from .rows import (
    add_rows,
    check_positions,
    flat_index,
    index_add_,
    index_copy_,
    index_copy_op,
    index_select_op,
    joined,
    positions,
    true_positions,
)
from .views import expand, reshape

PLAIN = (int, type(None))


def getitem(input: Tensor, index: Any) -> Tensor:
    """x[index]. A view, unless an index is a tensor, list, array or mask.

    Raises IndexError for what is out of range, too many, or of the wrong type; ValueError for a negative step."""
    plan, given = _resolve(input, index)
    if plan.slice is not None:
        input = slice_op.run(plan.slice, (input,))
    if plan.select is None:
        return input
    if plan.order is not None:
        input = permute_op(input, dims=plan.order)
    if plan.copies:
        input = copy_op(input)
    linear = given[0] if plan.flat is None else flat_index.run(plan.flat, given)
    return index_select_op.run(plan.select, (input, linear))


# What an index means


class _New(NamedTuple):
    """Positions in a new dimension: what a mask of no dimensions amounts to."""

    positions: Any  # a tensor; in a key its layout


class _Masked(NamedTuple):
    """In a key, a mask that is the only index tensor: the dimensions it covers count as one."""

    mask: Layout
    positions: Layout


class Plan(NamedTuple):
    """What an index does to a tensor of some layout, whatever the values of its index tensors."""

    slice: Spec | None  # the view that comes first; None: the tensor as it is
    places: Ints  # of each index tensor to be checked, the dimension of x that it looks into (-1: a new one)
    sizes: Ints  # of the indexed dimensions
    order: Ints | None  # the permutation of the view that makes the indexed dimensions neighbours
    first: int  # the first of them then
    flat: Spec | None  # of flat_index, unless the index tensor is one of positions in a line
    copies: bool  # no strides see the indexed dimensions as one
    select: Spec | None  # of index_select, if there is an index tensor


_plans: dict[tuple[Layout, Any], Plan] = {}
backends.on_change.append(_plans.clear)


def _resolve(x: Tensor, index: Any) -> tuple[Plan, tuple[Tensor, ...]]:
    """The plan, and the index tensors, whose positions are in range."""
    given: tuple[Tensor, ...] = ()
    if type(index) is int:
        key = index
    else:
        key, given = _key(index if type(index) is tuple else (index,))
        if key is None:
            key, given = _key(tuple(_plain(x, index)))
    plan = _plans.get((x.layout, key))
    if plan is None:
        if len(_plans) > 4096:
            _plans.clear()
        plan = _plans[x.layout, key] = _plan(x.layout, key if isinstance(key, tuple) else (key,))
    for tensor, d, n in zip(given, plan.places, plan.sizes):  # noqa: B905 (strict costs a tenth of it all)
        check_positions(tensor, n, d, "x[...]", -n)
    return plan, given


def _key(items: tuple[Any, ...]) -> tuple[Any, tuple[Tensor, ...]]:
    """Numbers, slices, None, ..., and either int64 tensors or one mask as something hashable, layouts for tensors;
    None for any other."""
    key: list[Any] = []
    given: list[Tensor] = []
    masked = False
    for item in items:
        kind = type(item)
        if kind is list or kind is np.ndarray:
            item = _item(item)
        if kind is int or item is None or item is Ellipsis:
            key.append(item)
        elif kind is slice:
            a, b, c = item.start, item.stop, item.step
            if type(a) not in PLAIN or type(b) not in PLAIN or type(c) not in PLAIN:
                return None, ()
            key.append((a, b, c))
        elif isinstance(item, Tensor) and not masked and (item.layout.ndim or (watching and modes.recording)):
            d = item.layout.dtype
            masked = d is bool_ and not given and item.layout.ndim > 0
            if masked:
                found = true_positions(item)
                key.append(_Masked(item.layout, found.layout))
                given.append(found)
            elif d is int64:
                key.append(item.layout)
                given.append(item)
            else:
                return None, ()
        elif kind is _New:
            key.append(_New(item.positions.layout))
            given.append(item.positions)
        else:
            return None, ()
    return tuple(key), tuple(given)


def _plain(x: Tensor, index: Any) -> Iterator[Any]:
    """The items of any index as those that _key takes: masks as positions, the values of 0-d tensors as numbers."""
    items = [_item(item) for item in (index if isinstance(index, tuple) else (index,))]
    used = sum(item.layout.ndim if _is_mask(item) else item is not None and item is not Ellipsis for item in items)
    d = 0  # the dimension of x that comes next
    for item in items:
        if item is Ellipsis:
            d += x.layout.ndim - used
        elif _is_mask(item):
            n = item.layout.ndim
            found = _true_positions(item, x.layout.shape[d : d + n], d)
            yield from found if n else map(_New, found)
            d += n
            continue
        elif item is not None:
            d += 1
        if isinstance(item, Tensor) and not item.layout.ndim and not modes.recording:
            item = operator.index(item)
        elif isinstance(item, slice):
            item = slice(*[None if i is None else operator.index(i) for i in (item.start, item.stop, item.step)])
        yield item


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


def _true_positions(mask: Tensor, shape: Ints, dim: int) -> tuple[Tensor, ...]:
    """A tensor of positions for each dimension of the mask; of a 0-d one, the position 0 or none in a new dimension."""
    _check_mask(mask.layout, shape, dim)
    return nonzero(mask, as_tuple=True)  # type: ignore[no-any-return]


def _check_mask(mask: Layout, shape: Ints, dim: int) -> None:
    if mask.shape != shape:
        raise IndexError(
            f"x[...]: a mask of shape {mask.shape} does not fit the sizes {shape} of dimension {dim} and on"
        )


def _plan(x: Layout, key: tuple[Any, ...]) -> Plan:
    start: list[int] = []
    step: list[int] = []
    axis: list[int] = []
    shape: list[int] = []
    advanced: list[tuple[int, int, int]] = []  # dimension of the view, of x, its size
    given: list[Layout] = []  # positions in these

    def keep(first: int, by: int, n: int) -> None:
        start.append(first)
        step.append(by)
        axis.append(len(shape))
        shape.append(n)

    for item in _whole(key, x.ndim):
        d = len(start)  # the dimension of x that comes next
        if item is None:
            shape.append(1)
        elif type(item) is _New:
            advanced.append((len(shape), -1, 1))
            given.append(item.positions)
            shape.append(1)
        elif type(item) is _Masked:
            sizes, n = x.shape[d : d + item.mask.ndim], item.mask.ndim
            _check_mask(item.mask, sizes, d)
            given.append(item.positions)
            for k in range(n):
                advanced.append((len(shape), d + k, sizes[k]))
                keep(0, 1, sizes[k])
        elif isinstance(item, Layout):
            n = x.shape[d]
            if item.numel and not n:
                raise IndexError(f"x[...]: an index into dimension {d}, which has size 0")
            advanced.append((len(shape), d, n))
            given.append(item)
            keep(0, 1, n)
        elif isinstance(item, tuple):
            keep(*_slice_numbers(slice(*item), x.shape[d]))
        else:
            i, n = item, x.shape[d]
            if not -n <= i < n:
                raise IndexError(f"x[...]: index {i} is out of range for dimension {d} of size {n}")
            start.append(i % n)
            step.append(1)
            axis.append(-1)
    numbers = {"start": start, "step": step, "axis": axis, "shape": shape}
    view = slice_op.specialise((x,), {name: tuple(values) for name, values in numbers.items()})
    if not advanced:
        return Plan(view, (), (), None, 0, None, False, None)
    dims = [d for d, *_ in advanced]
    try:
        broadcast_shapes("x[...]", *[i.shape for i in given])
    except RuntimeError:
        shapes = ", ".join(str(i.shape) for i in given)
        raise IndexError(f"x[...]: index tensors of shapes {shapes} do not broadcast") from None
    order, first = None, dims[0]
    if dims != list(range(first, first + len(dims))):  # what they pick comes first, as in NumPy
        if any(i.ndim == 0 for i in given):
            modes.leaves_tape("x[...] with a 0-d tensor apart from another index tensor")
        order, first = (*dims, *[d for d in range(len(shape)) if d not in dims]), 0
    masked = any(type(item) is _Masked for item in key)  # whose positions are in range by themselves
    places, sizes = () if masked else tuple([d for _, d, _ in advanced]), tuple([n for *_, n in advanced])
    base, index = view.layout, given[0]
    if order is not None:
        base = permute_op.specialise((base,), {"dims": order}).layout
    flat = None
    if len(given) > 1 or not (index.contiguous or index.ndim == 1):
        flat = flat_index.specialise(tuple(given), {"sizes": sizes})
        index = flat.layout
    copies = joined(base, first, len(dims)) is None
    if copies:
        base = copy_op.specialise((base,), {}).layout
    select = index_select_op.specialise((base, index), {"dim": first, "dims": len(dims)})
    return Plan(None if view.layout is x else view, places, sizes, order, first, flat, copies, select)


def _whole(key: tuple[Any, ...], ndim: int) -> list[Any]:
    """The items with slices for what ..., or the end, stands for. Raises IndexError for too many."""
    used = sum(_covered(item) for item in key)
    if used > ndim:
        raise IndexError(f"x[...]: {used} indices for a tensor of {ndim} dimensions")
    dots = [k for k, item in enumerate(key) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("x[...]: an index can only have a single ellipsis (...)")
    at = dots[0] if dots else len(key)
    return [*key[:at], *[(None, None, None)] * (ndim - used), *key[at + 1 :]]


def _covered(item: Any) -> int:
    """How many dimensions of x an item of a key speaks of."""
    if type(item) is _Masked:
        return item.mask.ndim
    return int(item is not None and item is not Ellipsis and type(item) is not _New)


def _slice_numbers(item: slice, n: int) -> tuple[int, int, int]:
    """(start, step, length)"""
    if item.step is not None and item.step <= 0:
        raise ValueError(f"x[...]: the step of a slice must be greater than zero, got {item.step}; see flip()")
    start, stop, step = item.indices(n)
    return start, step, len(range(start, stop, step))


# Writing to what an index picks


class Picked(NamedTuple):
    """A tensor whose indexed dimensions are one, `dim`, and the positions in it."""

    flat: Tensor
    linear: Tensor  # (k,)
    dim: int
    order: Ints  # how the dimensions were permuted to be neighbours
    permuted_shape: Ints
    result_shape: Ints  # with the shape of the positions in place of dim


def _pick(base: Tensor, plan: Plan, given: tuple[Tensor, ...]) -> Picked:
    order = tuple(range(base.layout.ndim)) if plan.order is None else plan.order
    if plan.order is not None:
        base = permute_op(base, dims=order)
    linear = given[0] if plan.flat is None else flat_index.run(plan.flat, given)
    shape, first, last = base.layout.shape, plan.first, plan.first + len(plan.sizes)
    flat = base if len(plan.sizes) == 1 else reshape(base, (*shape[:first], math.prod(plan.sizes), *shape[last:]))
    result_shape = (*shape[:first], *linear.layout.shape, *shape[last:])
    return Picked(flat, reshape(linear, linear.layout.numel), first, order, shape, result_shape)


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
    plan, given = _resolve(x, index)
    base = x if plan.slice is None else slice_op.run(plan.slice, (x,))
    if not given:
        value = _fitting(value, base.layout.shape)
        write(base, base + value if accumulate else value)
        return
    picked = _pick(base, plan, given)
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
    plan, given = _resolve(x, index)
    base = x if plan.slice is None else slice_op.run(plan.slice, (x,))
    if given:
        picked = _pick(base, plan, given)
        changed = _put_rows(picked, _rows(value, picked), accumulate)
    else:
        value = _fitting(value, base.layout.shape)
        changed = base + value if accumulate else value
    if plan.slice is None:
        return changed
    place: dict[str, Any] = {**plan.slice.attrs, "shape": x.layout.shape, "value": 0.0}
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
        flat = flat + add_rows(rows, linear, d, (flat.layout.shape[d],))
    else:
        flat = index_copy_op(flat, linear, rows, dim=d)
    back = tuple(sorted(range(len(picked.order)), key=picked.order.__getitem__))
    return permute_op(reshape(flat, picked.permuted_shape), dims=back)
