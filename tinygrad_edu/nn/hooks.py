"""Hooks of modules: functions that run before and after forward(), and when gradients pass a module's borders.

A mix-in of Module. Left out on purpose: hooks of all modules at once, always_call, and PyTorch's old
register_backward_hook, which saw wrong gradients. Read next: module.py.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..hooks import RemovableHandle
from ..modes import modes
from ..ops.join import cat
from ..tensor import Tensor

if TYPE_CHECKING:
    from .module import Module

Gradients = tuple[Tensor | None, ...]

_numbers = itertools.count()  # a key for every hook, by which its handle finds it


def register(hooks: dict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Add a hook to a table of hooks; the handle's remove() takes it off."""
    key, others = next(_numbers), dict(hooks)
    hooks.clear()
    hooks.update({key: hook, **others} if prepend else {**others, key: hook})
    return RemovableHandle(hooks, key)


class HookMixin:
    """The methods of Module that register hooks, and the call that runs them."""

    HOOK_TABLES = (
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
    )
    _forward_hooks: dict[int, tuple[Callable[..., Any], bool]]
    _forward_pre_hooks: dict[int, tuple[Callable[..., Any], bool]]
    _backward_hooks: dict[int, Callable[..., Any]]
    _backward_pre_hooks: dict[int, Callable[..., Any]]
    forward: Callable[..., Any]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """hook(module, args) runs before forward() and may return other arguments; with_kwargs: hook(module, args,
        kwargs) may return (args, kwargs)."""
        modes.structure_changed()
        return register(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """hook(module, args, output) runs after forward() and may return another output; with_kwargs: hook(module,
        args, kwargs, output)."""
        modes.structure_changed()
        return register(self._forward_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """hook(module, grad_input, grad_output) runs when the gradients of the inputs are known; it may return others.

        Both are tuples, with None where a value is no tensor or needs no gradient. Keyword arguments are not seen.
        """
        return register(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """hook(module, grad_output) runs when the gradients of the outputs are known; it may return others."""
        return register(self._backward_pre_hooks, hook, prepend)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook, with_kwargs in list(self._forward_pre_hooks.values()):
            changed = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if changed is None:
                continue
            if not with_kwargs:
                args = changed if isinstance(changed, tuple) else (changed,)
            elif isinstance(changed, tuple) and len(changed) == 2:
                args, kwargs = changed
            else:
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
        gates = _Gates(self) if self._backward_hooks or self._backward_pre_hooks else None  # type: ignore[arg-type]
        if gates is not None:
            args = gates.enter(args)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(self._forward_hooks.values()):
            changed = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            if changed is not None:
                output = changed
        return output if gates is None else gates.leave(output)


class _Gates:
    """The two borders of one call of a module that the backward pass crosses: first the outputs', then the inputs'."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.hooks = list(module._backward_hooks.values())
        self.pre_hooks = list(module._backward_pre_hooks.values())
        self.n_inputs, self.watches_inputs = 0, False
        self.grad_output: Gradients | None = None

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        gated = _gate(args, self._leaves_inputs)
        self.watches_inputs = gated is not args
        return gated

    def leave(self, output: Any) -> Any:
        if isinstance(output, tuple):
            gated = _gate(output, self._enters_outputs)
            return type(output)(*gated) if hasattr(output, "_fields") else gated
        return _gate((output,), self._enters_outputs)[0]

    def _enters_outputs(self, gradients: Gradients) -> Gradients:
        for hook in self.pre_hooks:
            changed = hook(self.module, gradients)
            if changed is not None:
                gradients = _checked("Backward pre hook", "grad_output", changed, gradients)
        self.grad_output = gradients
        if self.hooks and not self.watches_inputs:
            warnings.warn(
                "a full backward hook runs with the gradients of the module's outputs only, "
                "since none of its inputs requires a gradient",
                stacklevel=2,
            )
            self._leaves_inputs((None,) * self.n_inputs)
        return gradients

    def _leaves_inputs(self, gradients: Gradients) -> Gradients:
        if self.grad_output is None:  # the gradient did not come through the outputs (in a second backward)
            return gradients
        for hook in self.hooks:
            changed = hook(self.module, gradients, self.grad_output)
            if changed is not None:
                gradients = _checked("Backward hook", "grad_input", changed, gradients)
        self.grad_output = None
        return gradients


def _checked(who: str, what: str, changed: Any, gradients: Gradients) -> Gradients:
    result: Gradients = changed if isinstance(changed, tuple) else (changed,)
    if len(result) != len(gradients):
        raise RuntimeError(
            f"{who} returned an invalid number of {what}, got {len(result)}, but expected {len(gradients)}"
        )
    for g in result:
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"{who} must return gradients for {what}, or None, got {type(g).__name__}")
    return result


def _gate(values: tuple[Any, ...], hook: Callable[[Gradients], Gradients]) -> tuple[Any, ...]:
    """The values, with the tensors among them that require grad passed through one node.

    hook gets their gradients all at once, a tuple as long as values, and returns those to go on with. A node has one
    output, so several tensors are joined to one and split again.
    """
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not places or not modes.grad:
        return values
    tensors: list[Tensor] = [values[i] for i in places]
    single = len(tensors) == 1

    def join(parts: Sequence[Tensor]) -> Tensor:
        return parts[0].view(parts[0].shape) if single else cat([part.reshape(-1) for part in parts])

    def split(whole: Tensor) -> list[Tensor]:
        if single:
            return [whole]
        parts = whole.split([t.numel() for t in tensors])
        return [part.view(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]

    def through(g: Tensor) -> Tensor:
        gradients: list[Tensor | None] = [None] * len(values)
        for i, part in zip(places, split(g), strict=True):
            gradients[i] = part
        after = hook(tuple(gradients))
        kept = [
            after[i] if after[i] is not None else g.new_zeros(t.shape) for i, t in zip(places, tensors, strict=True)
        ]
        return join(kept)  # type: ignore[arg-type]

    joined = join(tensors)
    joined.register_hook(through)
    result = list(values)
    for i, part in zip(places, split(joined), strict=True):
        result[i] = part
    return tuple(result)
