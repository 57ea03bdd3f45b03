"""x[...] = value, as in PyTorch, index_put and masked_fill_.

Without a gradient to be recorded the value goes straight into x's memory, by one kernel that writes to what the index
means (index.py): a view of x, or positions in it. With one, x becomes the result of an op that puts the value into a
copy. A mask with one value needs no positions: it is where(). Read next: order.py.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import bool_
from ..modes import modes, watching
from ..tensor import Tensor
from .common import broadcast_shapes, constant
from .compare import where
from .gather import converted
from .index import Plan, resolve
from .inplace import change
from .masks import masked_fill
from .move import Ints, check_distinct, copy_update, place_op, slice_op, write
from .rows import fitting, index_add_op, index_add_update, index_put_op, index_put_update, picked_shape, wide
from .views import expand, reshape


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, broadcast, in place; where a gradient is recorded x becomes the result of an op.

    Raises as x[index] and other in-place operations do, and RuntimeError for a value of another shape."""
    _put(input, index, converted(value, input, "x[...] = value"), False)


def index_put_(input: Tensor, indices: tuple[Tensor, ...], values: Tensor, accumulate: bool = False) -> Tensor:
    """x[indices] = values in place, or with accumulate x[indices] += values, where repeats add up."""
    return _put(input, tuple(indices), converted(values, input, "index_put_"), accumulate)


def index_put(input: Tensor, indices: tuple[Tensor, ...], values: Tensor, accumulate: bool = False) -> Tensor:
    """index_put_ of a copy."""
    return _replaced(input, tuple(indices), converted(values, input, "index_put"), accumulate)


def _put(x: Tensor, index: Any, value: Tensor, accumulate: bool) -> Tensor:
    if modes.grad and (x.needs_grad or value.needs_grad):
        return change(x, _replaced, index, value, accumulate)
    if isinstance(index, Tensor) and not accumulate and _fill(x, index, value):
        return x
    plan, given = resolve(x, index)
    if plan.slice is None or plan.slice.layout is x.layout:
        _write(x, plan, given, value, accumulate)
        return x
    viewed = x.storage.viewed
    _write(slice_op.run(plan.slice, (x,)), plan, given, value, accumulate)
    x.storage.viewed = viewed  # by others; the view made here is gone
    return x


def _write(base: Tensor, plan: Plan, given: tuple[Tensor, ...], value: Tensor, accumulate: bool) -> None:
    """Write the value over the view that the plan makes, or at positions in it."""
    storage = base.storage
    shared = value.storage is storage or (given and storage in [i.storage for i in given])
    if shared or (accumulate and not given):
        write(base, _changed(base, plan, given, value, accumulate))
        return
    spec = None if accumulate else plan.puts.get(value.layout)
    if spec is None:
        check_distinct(base.layout)
        value = _fitted(value, base, given, plan.dims)
        op = copy_update if not given else index_add_update if accumulate else index_put_update
        spec = op.spec((base, value, *given), {"dims": plan.dims} if given else {})
        if not accumulate:
            plan.puts[value.layout] = spec
    spec.op.run(spec, (base, value, *given))


def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """masked_fill in place; returns the tensor. Raises RuntimeError where the mask does not broadcast to it."""
    filler = converted(value, self, "masked_fill_")
    recorded = modes.grad and (self.needs_grad or filler.needs_grad)
    if not recorded and isinstance(mask, Tensor) and not filler.layout.ndim and _where_known(self, mask, filler):
        return self
    return change(self, masked_fill, mask, filler)


def _fill(x: Tensor, mask: Tensor, value: Tensor) -> bool:
    """x[mask] = a single value, in place; whether it is that."""
    whole = mask.layout.shape == x.layout.shape and value.layout.numel == 1  # else where() may broadcast another way
    if whole and _where_known(x, mask, value):
        return True
    filled = _filled(x, mask, value)
    if filled is not None:
        write(x, filled)
    return filled is not None


def _where_known(x: Tensor, mask: Tensor, value: Tensor) -> bool:
    """Let the kernel of where(mask, value, x) write into x, if its signature is known and nothing overlaps."""
    spec = where.specs.get((mask.layout, value.layout, x.layout))
    if spec is None or spec.layout is not x.layout or watching or x.storage in (mask.storage, value.storage):
        return False
    spec.launch(x, mask, value, x)
    x.storage.version += 1
    return True


def _replaced(x: Tensor, index: Any, value: Tensor, accumulate: bool) -> Tensor:
    """x with the value at index, in ops that have gradients."""
    filled = _filled(x, index, value) if isinstance(index, Tensor) and not accumulate else None
    if filled is not None:
        return filled
    plan, given = resolve(x, index)
    base = x if plan.slice is None else slice_op.run(plan.slice, (x,))
    changed = _changed(base, plan, given, value, accumulate)
    if plan.slice is None:
        return changed
    place: dict[str, Any] = {**plan.slice.attrs, "shape": x.layout.shape, "value": 0.0}
    inside = place_op(expand(constant(True, bool_), base.layout.shape), **place)
    return where(inside, place_op(changed, **place), x)


def _changed(base: Tensor, plan: Plan, given: tuple[Tensor, ...], value: Tensor, accumulate: bool) -> Tensor:
    """What the view becomes, in ops that have gradients."""
    value = _fitted(value, base, given, plan.dims)
    if given:
        return (index_add_op if accumulate else index_put_op)(base, value, *given, dims=plan.dims)
    return base + value if accumulate else expand(value, base.layout.shape)


def _filled(x: Tensor, mask: Tensor, value: Tensor) -> Tensor | None:
    """x[mask] = a single value, as where(mask, value, x), which needs no positions and so can be recorded."""
    shape, covered = x.layout.shape, mask.layout.shape
    if mask.layout.dtype is not bool_ or value.layout.numel != 1 or not covered or covered != shape[: len(covered)]:
        return None
    return where(reshape(mask, covered + (1,) * (len(shape) - len(covered))), reshape(value, ()), x)


def _fitted(value: Tensor, base: Tensor, given: tuple[Tensor, ...], dims: Ints) -> Tensor:
    """The value as ops take it: sizes of 1 in front don't count. Raises RuntimeError where it does not broadcast."""
    shape = base.layout.shape
    if given:
        shape = picked_shape(shape, dims, broadcast_shapes("x[...]", *[i.layout.shape for i in given]))
    extra = value.layout.ndim - len(shape)
    if extra > 0 and value.layout.shape[:extra] == (1,) * extra:
        value = reshape(value, value.layout.shape[extra:])
    fitting(value.layout, shape)
    return wide(value, base.layout, given, dims) if given else value
