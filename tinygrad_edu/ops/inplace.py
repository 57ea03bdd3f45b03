"""In-place forms: add_, relu_, copy_ and the like, all made of their out-of-place ops by one function, `change`.

Where no gradient is recorded, the kernel writes into the tensor itself if it can. Where one is, the tensor becomes the
op's result: it takes over the result's place in the graph and its values; whoever needed the old values notices by the
storage's version. Left out: in-place changes of views while a gradient is recorded, which raise.
Read next: methods.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..dtypes import float32, held
from ..modes import modes, watching
from ..storage import layout_of
from ..tensor import Tensor
from . import move
from .common import Binary, Unary, as_tensor, constant
from .compare import flat_in
from .elementwise import Power


def inplace(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that replaces a tensor's values by function(tensor, ...)."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return change(self, function, *args, **kwargs)

    name = getattr(function, "name", None) or function.__name__
    method.__name__ = method.__qualname__ = f"{name.lstrip('_')}_"
    method.__doc__ = f"{name} in place; returns the tensor. Raises RuntimeError where the result does not fit into it."
    return method


def forms(*functions: Callable[..., Tensor]) -> list[Callable[..., Tensor]]:
    """The methods of several functions."""
    return [inplace(function) for function in functions]


def operator(op: Binary) -> Callable[[Any, Any], Any]:
    """The method behind an operator such as +=."""
    return lambda self, other: change(self, op, other)


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
    if modes.grad and (x.needs_grad or any(isinstance(a, Tensor) and a.needs_grad for a in (*args, *kwargs.values()))):
        return _change_recorded(x, function, args, kwargs)
    if not (kwargs or watching) and _ran_into(x, function, args):
        return x
    value = function(x, *args, **kwargs)
    _check(x, value, function)
    return move.write(x, value)


def _ran_into(x: Tensor, function: Any, args: tuple[Any, ...]) -> bool:
    """Let the kernel of an elementwise op write into x, if its signature is known, fits, and nothing overlaps."""
    if isinstance(function, Binary) and len(args) == 1:
        other = args[0]
        if type(other) is float and x.layout.dtype.is_floating_point and not isinstance(function, Power):
            other = constant(other, x.layout.dtype)
        if not isinstance(other, Tensor):
            return False
        if other.storage is x.storage and not (other.address == x.address and other.layout is x.layout):
            return False
        inputs: tuple[Tensor, ...] = (x, other)
        spec = function.specs.get((x.layout, other.layout))
    elif isinstance(function, Unary) and not args:
        inputs, spec = (x,), function.specs.get((x.layout,))
    else:
        return False
    if spec is None or spec.layout is not x.layout:
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
        return change(self, _copy, src)
    return move.write(self, src)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to a number, or the value of a 0-d tensor; returns the tensor."""
    d = self.layout.dtype
    value = constant(held(value, d, "fill_"), d) if isinstance(value, (bool, int, float)) else as_tensor(value, "fill_")
    if value.layout.ndim:
        raise RuntimeError(f"fill_: expected a number or 0-d tensor, got shape {value.layout.shape}")
    return copy_(self, value)


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    return copy_(self, constant(0, self.layout.dtype))
