"""x[...], as in PyTorch.

Integers, slices, None and ... make one view (slice_op). Integer tensors, lists and arrays, and masks, which become the
positions of their true elements, then pick from it (index_op). What an index does depends on layouts alone, so it is
worked out once (a Plan). Left out: negative steps, and uint8 masks, which PyTorch gives up. Read next: assign.py,
x[...] = value.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from .. import storage as memory
from ..dtypes import bool_, int64, uint8
from ..modes import modes
from ..op import Spec
from ..storage import Layout
from ..tensor import Tensor
from .common import broadcast_shapes, constant
from .masks import nonzero
from .move import Ints, slice_op
from .rows import check_positions, index_op, positions, true_positions

PLAIN = (int, type(None))


def getitem(input: Tensor, index: Any) -> Tensor:
    """x[index]. A view, unless an index is a tensor, list, array or mask.

    Raises IndexError for what is out of range, too many, or of the wrong type; ValueError for a negative step."""
    plan, given = resolve(input, index)
    if plan.slice is not None:
        input = slice_op.run(plan.slice, (input,))
    return input if plan.picks is None else index_op.run(plan.picks, (input, *given))


# What an index means


class Plan:
    """What an index does to a tensor of some layout, whatever the values of its index tensors."""

    __slots__ = ("checks", "dims", "picks", "puts", "slice")

    def __init__(self, view: Spec | None, dims: Ints, picks: Spec | None, checks: tuple[tuple[int, int], ...]) -> None:
        self.slice = view  # the view that comes first; None: the tensor as it is
        self.dims = dims  # of the view, that index tensors look into
        self.picks = picks  # of index_op, if there is an index tensor
        self.checks = checks  # of each index tensor: a dimension of the tensor, and its size
        self.puts: dict[Layout, Spec] = {}  # what writes a value of some layout there: see assign.py


class _New(NamedTuple):
    """Positions in a new dimension: what a mask of no dimensions amounts to."""

    positions: Any  # a tensor; in a key its layout


_plans: dict[tuple[Layout, Any], Plan] = {}
backends.on_change.append(_plans.clear)


def resolve(x: Tensor, index: Any) -> tuple[Plan, tuple[Tensor, ...]]:
    """The plan, and the index tensors, whose positions are in range."""
    given: tuple[Tensor, ...] = ()
    key: Any = index
    if type(index) is Tensor and index.layout.dtype is int64 and index.layout.ndim:  # what _key would say of it
        key, given = (index.layout,), (index,)
    elif not (type(index) is int or index is Ellipsis):
        key, given = _key(index if type(index) is tuple else (index,))
        if key is None:
            key, given = _key(tuple(_plain(x, index)))
    plan = _plans.get((x.layout, key))
    if plan is None:
        if len(_plans) > 4096:
            _plans.clear()
        plan = _plans[x.layout, key] = _plan(x.layout, key if isinstance(key, tuple) else (key,))
    if given:
        for tensor, (d, n) in zip(given, plan.checks):  # noqa: B905 (strict costs a tenth of it all)
            check_positions(tensor, n, d, "x[...]", -n)
    return plan, given


def _key(items: tuple[Any, ...]) -> tuple[Any, tuple[Tensor, ...]]:
    """Numbers, slices, None, ..., and either int64 tensors or one mask as something hashable: layouts for tensors, for
    a mask its own and that of its positions; None for any other."""
    key: list[Any] = []
    given: list[Tensor] = []
    masked = False
    for item in items:
        kind = type(item)
        if kind is list or kind is np.ndarray:
            item = _item(item)
            kind = type(item)
        if kind is Tensor:
            layout = item.layout
            if masked or not (layout.ndim or modes.recording):
                return None, ()
            if layout.dtype is int64:
                key.append(layout)
                given.append(item)
            elif layout.dtype is bool_ and not given and layout.ndim:
                masked = True
                given.append(true_positions(item))
                key.append((layout, given[0].layout))
            else:
                return None, ()
        elif kind is int or item is None or item is Ellipsis:
            key.append(item)
        elif kind is slice:
            a, b, c = item.start, item.stop, item.step
            if type(a) not in PLAIN or type(b) not in PLAIN or type(c) not in PLAIN:
                return None, ()
            key.append((a, b, c))
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
        if type(item) is not Tensor:
            item = item.detach()  # a plain one
        return item if d is bool_ or d is int64 else positions(item, "x[...]")
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
    dims: list[int] = []  # of the view, that index tensors look into
    given: list[Layout] = []  # positions in these
    checks: list[tuple[int, int]] = []

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
            dims.append(len(shape))
            given.append(item.positions)
            checks.append((-1, 1))
            shape.append(1)
        elif isinstance(item, Layout):
            n = x.shape[d]
            if item.numel and not n:
                raise IndexError(f"x[...]: an index into dimension {d}, which has size 0")
            dims.append(len(shape))
            given.append(item)
            checks.append((d, n))
            keep(0, 1, n)
        elif isinstance(item, tuple) and len(item) == 2:  # a mask, whose positions are in range by themselves
            mask, found = item
            sizes = x.shape[d : d + mask.ndim]
            _check_mask(mask, sizes, d)
            given.append(found)
            for n in sizes:
                dims.append(len(shape))
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
    if not dims:
        return Plan(view, (), None, ())
    try:
        broadcast_shapes("x[...]", *[i.shape for i in given])
    except RuntimeError:
        shapes = ", ".join(str(i.shape) for i in given)
        raise IndexError(f"x[...]: index tensors of shapes {shapes} do not broadcast") from None
    if dims[-1] - dims[0] >= len(dims) and any(i.ndim == 0 for i in given):  # to PyTorch it is a number
        modes.leaves_tape("x[...] with a 0-d tensor apart from another index tensor")
    picks = index_op.specialise((view.layout, *given), {"dims": tuple(dims)})
    return Plan(None if view.layout is x else view, tuple(dims), picks, tuple(checks))


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
    if type(item) is tuple and len(item) == 2:
        return int(item[0].ndim)
    return int(item is not None and item is not Ellipsis and type(item) is not _New)


def _slice_numbers(item: slice, n: int) -> tuple[int, int, int]:
    """(start, step, length)"""
    if item.step is not None and item.step <= 0:
        raise ValueError(f"x[...]: the step of a slice must be greater than zero, got {item.step}; see flip()")
    start, stop, step = item.indices(n)
    return start, step, len(range(start, stop, step))
