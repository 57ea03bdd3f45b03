"""In-place forms: add_, relu_, copy_ and the like, all made of their out-of-place ops by one function, `change`.

Where no gradient is recorded, the kernel writes into the tensor itself if it can. Where one is, the tensor becomes the
op's result: it takes over the result's place in the graph and its values; whoever needed the old values notices by the
storage's version. Left out: in-place changes of views while a gradient is recorded, which raise.
Read next: methods.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from ..dtypes import float32
from ..modes import modes, watching
from ..op import Spec
from ..storage import layout_of
from ..tensor import Tensor
from . import move
from .common import Binary, Unary, as_tensor, constant, stored
from .compare import flat_in
from .elementwise import Power


def inplace(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that replaces a tensor's values by function(tensor, ...)."""
    if isinstance(function, Unary):
        method = _unary(function)
    elif isinstance(function, Binary):
        method = operator(function)
    else:

        def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return _change(self, function, args, kwargs)

    name = getattr(function, "name", None) or function.__name__
    method.__name__ = method.__qualname__ = f"{name.lstrip('_')}_"
    method.__doc__ = f"{name} in place; returns the tensor. Raises RuntimeError where the result does not fit into it."
    return method


def forms(*functions: Callable[..., Tensor]) -> list[Callable[..., Tensor]]:
    """The methods of several functions."""
    return [inplace(function) for function in functions]


# The most used forms look up themselves what to run, for their cost is mostly Python's.


def _unary(op: Unary) -> Callable[..., Tensor]:
    def method(self: Tensor) -> Tensor:
        if not (watching or (modes.grad and self.needs_grad)):
            spec = op.specs.get((self.layout,))
            if spec is not None and spec.layout is self.layout:
                spec.launch(self, self)
                self.storage.version += 1
                return self
        return _change(self, op, (), {})

    return method


def operator(op: Binary) -> Callable[..., Tensor]:
    """The in-place form of an op of two operands, and the method behind an operator such as +=."""
    plain = not isinstance(op, Power)  # whose numbers choose between kernels

    def method(self: Tensor, other: Any, **kwargs: Any) -> Tensor:
        if kwargs or watching:
            return _change(self, op, (other,), kwargs)
        if plain and other.__class__ is float and self.layout.dtype.is_floating_point:
            other = constant(other, self.layout.dtype)
        try:
            spec = op.specs.get((self.layout, other.layout))
        except AttributeError:
            spec = None
        if spec is None or (modes.grad and (self.needs_grad or other.needs_grad)):
            return _change(self, op, (other,), kwargs)
        return self if _ran_into(self, spec, (self, other)) else _change(self, op, (other,), kwargs)

    return method


def reshaping(view: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method after which the tensor itself is what view(tensor, ...) would be: unsqueeze_ and the like."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if modes.grad and self.needs_grad and self.node is None:
            raise RuntimeError(f"{view.__name__}_: a leaf that requires grad can't change its shape; use no_grad()")
        seen = view(self, *args, **kwargs)
        self.layout, self.offset, self.address = seen.layout, seen.offset, seen.address
        if self.node is not None:
            self.node, self.needs_grad = seen.node, seen.needs_grad
        modes.structure_changed()
        return self

    method.__name__ = method.__qualname__ = f"{view.__name__}_"
    method.__doc__ = f"Become what {view.__name__} of the tensor is; returns the tensor."
    return method


def change(x: Tensor, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Replace the values of x by function(x, *args, **kwargs), and return x.

    Raises RuntimeError where the result has another shape or a dtype of a higher category; while a gradient is
    recorded, also for a leaf that requires one and for memory that views share."""
    return _change(x, function, args, kwargs)


def _change(x: Tensor, function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    if modes.grad and (x.needs_grad or _any_wanted(args) or _any_wanted(kwargs.values())):
        return _change_recorded(x, function, args, kwargs)
    if not watching:
        found = getattr(function, "known", None)
        known = None if found is None else found(x, *args, **kwargs)
        if known is not None and _ran_into(x, *known):
            return x
    value = function(x, *args, **kwargs)
    _check(x, value, function)
    return move.write(x, value)


def _any_wanted(values: Iterable[Any]) -> bool:
    for value in values:  # noqa: SIM110  (a third of what any() of a generator costs)
        if isinstance(value, Tensor) and value.needs_grad:
            return True
    return False


def _ran_into(x: Tensor, spec: Spec, inputs: tuple[Tensor, ...]) -> bool:
    """Let the kernel of an elementwise op write into x, if its result fits and nothing overlaps."""
    if spec.layout is not x.layout:
        return False
    for y in inputs:
        if y.storage is x.storage and not (y.address == x.address and y.layout is x.layout):
            return False
    spec.launch(x, *inputs)
    x.storage.version += 1
    return True


def _change_recorded(x: Tensor, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    if x.node is None and x.needs_grad:
        raise RuntimeError(
            "a leaf tensor that requires grad is being changed in place; do it under no_grad(), or out of place"
        )
    if x.storage.viewed and _references(x) > _ALONE:
        raise RuntimeError(
            "a tensor that shares its memory with views is being changed in place while a gradient is recorded; "
            "change a clone() of it, or use an out-of-place form"
        )
    retained = x.retains_grad
    if retained:  # PyTorch keeps the gradient of what the tensor is last
        x._hooks().pop()
    before = move.copy_op(x.detach())  # stands where x stood in the graph; rules may need the old values
    before.node, before.needs_grad = x.node, x.needs_grad
    args = tuple([before if a is x else a for a in args])
    value = function(before, *args, **{k: before if a is x else a for k, a in kwargs.items()})
    _check(x, value, function)
    value = value.to(x.layout.dtype)
    x.node, x.needs_grad = None, False
    modes.grad = False
    try:
        move.write(x, value)
    finally:
        modes.grad = True
    x.node, x.needs_grad = value.node, value.needs_grad
    if retained:
        x.retain_grad()
    return x


def _references(x: Tensor) -> int:
    return sys.getrefcount(x.storage)


_ALONE = _references(Tensor.empty(layout_of((), float32)))  # the count where no view lives, on this Python


def _check(x: Tensor, value: Tensor, function: Any) -> None:
    old, new = x.layout, value.layout
    name = getattr(function, "name", None) or function.__name__
    if new.shape != old.shape:
        raise RuntimeError(f"{name}_: a result of shape {new.shape} does not fit into a tensor of shape {old.shape}")
    if new.dtype.category > old.dtype.category:
        raise RuntimeError(f"{name}_: a result of {new.dtype} can't be cast to the tensor's {old.dtype}")


# The values of something else


def _copy(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    return flat_in(input, as_tensor(src, "copy_").to(input.layout.dtype).expand(input.layout.shape))


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Take over the values of src, broadcast and converted; returns the tensor."""
    if not isinstance(src, Tensor) or (modes.grad and (self.needs_grad or src.needs_grad)):
        return _change(self, _copy, (src,), {})
    return move.write(self, src)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to a number, or the value of a 0-d tensor; returns the tensor.

    Raises RuntimeError for a number that the dtype can't hold."""
    if isinstance(value, (bool, int, float)):
        value = stored(value, self.layout.dtype, "fill_")
    else:
        value = as_tensor(value, "fill_")
        if value.layout.ndim:
            raise RuntimeError(f"fill_: expected a number or 0-d tensor, got shape {value.layout.shape}")
    return copy_(self, value)


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    return copy_(self, constant(0, self.layout.dtype))
