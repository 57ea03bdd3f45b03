"""Parameter and Buffer: tensors that a Module takes note of when they become its attributes.

Left out on purpose: uninitialised (lazy) parameters. Read next: module.py.
"""

from __future__ import annotations

from typing import Any

from .. import storage as memory
from ..tensor import Tensor


def _share(self: Tensor, data: Any, kind: str) -> None:
    """Make `self` a leaf on the memory of `data`."""
    if data is None:
        self._set(*memory.from_python([], None), 0)
    elif isinstance(data, Tensor):
        self._set(data.storage, data.layout, data.offset)
    else:
        raise TypeError(f"{kind}: data must be a Tensor, got {type(data).__name__}; tg.tensor(data) makes one")


class Parameter(Tensor):
    """A tensor to be trained: assigned to a Module's attribute it appears in parameters() and state_dict().

    It shares the memory of `data`. Raises TypeError for what is no tensor, RuntimeError where integers require grad.
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        _share(self, data, "Parameter")
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a Module saves but does not train: assigned to an attribute it is what register_buffer makes."""

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        _share(self, data, "Buffer")
        self.persistent = persistent
