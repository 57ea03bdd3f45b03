"""The Tensor: memory, a layout, and its place in the graph.

Here stands what every tensor has, whatever ops exist; the ops themselves become its methods in ops/methods.py. A leaf
has no node; what an op computed has the node that made it. Read next: op.py, how an op makes a tensor and its node.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import storage as memory
from .dtypes import get_default_dtype
from .interop import Interop, Size
from .modes import modes
from .storage import Layout, Storage

if TYPE_CHECKING:
    from .op import Node
    from .ops.methods import TensorMethods
else:
    TensorMethods = object

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


def _ends_in_keeper(hooks: list[Hook]) -> bool:
    return bool(hooks) and isinstance(hooks[-1], _Keeper)


class Tensor(Interop, TensorMethods):
    """An array of one dtype that remembers how it was computed.

    `tg.tensor(data)` makes one; `Tensor(data)` is the legacy form, always of the default float dtype.
    """

    __slots__ = ("__weakref__", "_grad", "address", "hooks", "layout", "needs_grad", "node", "offset", "storage")

    layout: Layout  # shape, strides, dtype
    storage: Storage  # the memory, maybe shared with views
    offset: int  # of the first element in the storage, in elements
    address: int  # of the first element in memory
    node: Node | None  # the call that computed it; None: a leaf
    needs_grad: bool  # requires_grad, without the property's cost
    hooks: list[Hook] | None  # of a leaf; elsewhere the node keeps them
    _grad: Tensor | None

    def __init__(self, data: Any = ()) -> None:
        storage, layout = memory.from_python(data, get_default_dtype())
        self._set(storage, layout, 0)

    def _set(self, storage: Storage, layout: Layout, offset: int) -> None:
        self.storage, self.layout, self.offset = storage, layout, offset
        self.address = storage.address + offset * layout.dtype.itemsize
        self.node = self._grad = self.hooks = None
        self.needs_grad = False

    @staticmethod
    def over(storage: Storage, layout: Layout, offset: int = 0) -> Tensor:
        """A tensor on existing memory, outside any graph."""
        self = _new(Tensor)
        self.storage, self.layout, self.offset = storage, layout, offset
        self.address = storage.address + offset * layout.dtype.itemsize
        self.node = self._grad = self.hooks = None
        self.needs_grad = False
        return self

    @staticmethod
    def empty(layout: Layout) -> Tensor:
        """A tensor on new memory, not cleared, outside any graph."""
        self = _new(Tensor)
        self.storage = storage = memory.allocate(layout.nbytes)
        self.layout, self.address, self.offset = layout, storage.address, 0
        self.node = self._grad = self.hooks = None
        self.needs_grad = False
        return self

    # What it is

    @property
    def shape(self) -> Size:
        return Size(self.layout.shape)

    dtype = property(lambda self: self.layout.dtype)
    ndim = property(lambda self: self.layout.ndim)

    _version = property(lambda self: self.storage.version)

    def check_dim(self, dim: int, name: str) -> int:
        """dim as a number from 0 on. Raises IndexError, naming the op, when out of range (a 0-d tensor has 0, -1)."""
        n = max(self.layout.ndim, 1)
        if not -n <= dim < n:
            raise IndexError(
                f"{name}: dimension {dim} is out of range for shape {self.layout.shape}; expected {-n} to {n - 1}"
            )
        return dim % n

    # Its place in the graph

    @property
    def requires_grad(self) -> bool:
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.node is not None and not value:
            raise RuntimeError("requires_grad can only be switched off for leaves; use detach()")
        if value and not self.layout.dtype.is_floating_point:
            raise RuntimeError(f"only floating-point tensors can require gradients, this one is {self.layout.dtype}")
        self.needs_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        self.requires_grad = requires_grad
        return self

    is_leaf = property(lambda self: self.node is None)
    grad_fn = property(lambda self: self.node)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() added up, or None. Kept for leaves, and where retain_grad() was called."""
        for watcher in modes.watchers:
            watcher.reads_grad(self)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
            if value.layout.shape != self.layout.shape or value.layout.dtype is not self.layout.dtype:
                raise RuntimeError(
                    f"grad of shape {value.layout.shape} and {value.layout.dtype} does not fit a tensor of shape "
                    f"{self.layout.shape} and {self.layout.dtype}"
                )
        for watcher in modes.watchers:
            watcher.writes_grad(self)
        self._grad = value

    @property
    def data(self) -> Tensor:
        """The same memory outside the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if self.needs_grad and not value.layout.dtype.is_floating_point:
            raise RuntimeError(f"data of {value.layout.dtype} does not fit a tensor that requires grad")
        self.storage, self.layout, self.offset, self.address = value.storage, value.layout, value.offset, value.address
        modes.structure_changed()

    def detach(self) -> Tensor:
        """The same memory as a leaf that requires no gradient."""
        return Tensor.over(self.storage, self.layout, self.offset)

    def detach_(self) -> Tensor:
        self.node, self.needs_grad = None, False
        return self

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        """Add d<self, gradient>/dleaf to the .grad of every leaf; see autograd.backward."""
        from .autograd import backward

        backward(self, None if gradient is None else [gradient], retain_graph, create_graph, inputs)

    def register_hook(self, hook: Hook) -> RemovableHandle:
        """Call hook(gradient) when the gradient of this tensor is known; what it returns replaces the gradient."""
        if not self.needs_grad:
            raise RuntimeError("register_hook: this tensor does not require grad, so it will get no gradient")
        hooks = self._hooks()
        hooks.insert(len(hooks) - _ends_in_keeper(hooks), hook)
        return RemovableHandle(hooks, hook)

    def retain_grad(self) -> None:
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

    __hash__ = object.__hash__


_new = Tensor.__new__
