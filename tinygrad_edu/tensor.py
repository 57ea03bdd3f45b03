"""The Tensor: memory, a layout, and its place in the graph.

Here stands what every tensor has, whatever ops exist; the ops themselves become its methods in ops/methods.py. A leaf
has no node; what an op computed has the node that made it. Read next: op.py, how an op makes a tensor and its node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import storage as memory
from .dtypes import get_default_dtype
from .hooks import Hook, Hooked
from .interop import Interop, Size
from .modes import modes
from .storage import Layout, Storage, pools

if TYPE_CHECKING:
    from .op import Node
    from .ops.methods import TensorMethods
else:
    TensorMethods = object


class Tensor(Interop, Hooked, TensorMethods):
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
        nbytes = layout.nbytes
        pool = pools.get(nbytes)  # allocate() looks there too; not to call it saves a twentieth of an eager op
        self.storage = storage = Storage(pool.pop(), nbytes, None) if pool else memory.allocate(nbytes)
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

    # Its place in the graph

    @property
    def requires_grad(self) -> bool:
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"requires_grad must be a bool, got {type(value).__name__}")
        if self.node is not None and not value:
            raise RuntimeError("requires_grad can only be switched off for leaves; use detach()")
        if value and not self.layout.dtype.is_floating_point:
            raise RuntimeError(f"only floating-point tensors can require gradients, this one is {self.layout.dtype}")
        self.needs_grad = value

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
            if value is self:
                raise RuntimeError("a tensor can't be its own grad")
        for watcher in modes.watchers:
            watcher.writes_grad(self)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

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
        """Become a leaf that requires no gradient. Raises RuntimeError for a view: its base would not notice."""
        if self.node is not None and self.node.spec.op.is_view:
            raise RuntimeError("detach_: a view can't be detached in place; use detach()")
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

    __hash__ = object.__hash__


_new = Tensor.__new__
