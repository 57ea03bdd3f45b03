"""Hooks: functions of a user that see a gradient on its way, and may replace it; and retain_grad, which is one.

They live at the node that made a tensor, or at the tensor where that is a leaf; those that run after a leaf's .grad was
added to stand in the same list. Read next: tensor.py; autograd.py, which calls them; nn/hooks.py for those of modules.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .op import Node
    from .tensor import Tensor

Hook = Callable[["Tensor"], "Tensor | None"]


class RemovableHandle:
    """What registering a hook returns: remove() takes the hook off again; as a context manager, at the end."""

    def __init__(self, hooks: list[Any] | dict[Any, Any], hook: Any) -> None:
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        if self.hook in self.hooks:
            if isinstance(self.hooks, dict):
                del self.hooks[self.hook]
            else:
                self.hooks.remove(self.hook)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class _Keeper:
    """The hook behind retain_grad: always the last, so that it keeps what the others made of the gradient."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = weakref.ref(tensor)

    def __call__(self, g: Tensor) -> None:
        tensor = self.tensor()
        if tensor is not None:
            tensor._grad = g.clone() if tensor._grad is None else tensor._grad + g


class After:
    """A hook that runs when a leaf's .grad has been added to, and lets the gradient pass on its way there."""

    def __init__(self, hook: Callable[[Tensor], None]) -> None:
        self.hook = hook

    def __call__(self, g: Tensor) -> None: ...


def _ends_in_keeper(hooks: list[Hook]) -> bool:
    return bool(hooks) and isinstance(hooks[-1], _Keeper)


class Hooked:
    """The part of Tensor that has to do with hooks."""

    __slots__ = ()

    if TYPE_CHECKING:
        needs_grad: bool
        node: Node | None
        hooks: list[Hook] | None

    def register_hook(self, hook: Hook) -> RemovableHandle:
        """Call hook(gradient) when the gradient of this tensor is known; what it returns replaces the gradient."""
        if not self.needs_grad:
            raise RuntimeError("register_hook: this tensor does not require grad, so it will get no gradient")
        hooks = self._hooks()
        hooks.insert(len(hooks) - _ends_in_keeper(hooks), hook)
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call hook(tensor) whenever backward() has added to the .grad of this leaf; not from autograd.grad()."""
        if not self.needs_grad:
            raise RuntimeError("register_post_accumulate_grad_hook: this tensor does not require grad")
        if self.node is not None:
            raise RuntimeError("register_post_accumulate_grad_hook: only for leaves; this tensor was computed")
        after = After(hook)
        self._hooks().append(after)
        return RemovableHandle(self._hooks(), after)

    @property
    def retains_grad(self) -> bool:
        """Whether retain_grad() was called, and this is no leaf."""
        return self.node is not None and _ends_in_keeper(self._hooks())

    def retain_grad(self: Tensor) -> None:  # type: ignore[misc]
        """Keep .grad though this is no leaf."""
        if not self.needs_grad:
            raise RuntimeError("retain_grad: this tensor does not require grad")
        if self.node is not None and not _ends_in_keeper(self._hooks()):
            self._hooks().append(_Keeper(self))

    def _hooks(self) -> list[Hook]:
        owner = self.node or self
        if owner.hooks is None:
            owner.hooks = []
        return owner.hooks
