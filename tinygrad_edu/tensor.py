"""The Tensor: memory, a layout, and its place in the graph.

Here stands what every tensor has, whatever ops exist; the ops themselves become its methods in ops/methods.py. A leaf
has no node; what an op computed has the node that made it. Read next: op.py, how an op makes a tensor and its node.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import storage as memory
from .dtypes import bool_, int64
from .modes import modes
from .storage import Layout, Storage

if TYPE_CHECKING:
    from .op import Node
    from .ops.methods import TensorMethods
else:
    TensorMethods = object

Hook = Callable[["Tensor"], "Tensor | None"]


class Size(tuple[int, ...]):
    """A shape: a tuple with numel(), as torch.Size."""

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)

    def __repr__(self) -> str:
        return f"tinygrad_edu.Size({list(self)})"


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


class Tensor(TensorMethods):
    """An array of one dtype that remembers how it was computed.

    `tg.tensor(data)` makes one; `Tensor(data)` is the legacy form, always of the default float dtype.
    """

    __slots__ = ("__weakref__", "_grad", "address", "hooks", "layout", "needs_grad", "node", "offset", "storage")
    __array_ufunc__ = None  # so that ndarray * tensor asks Tensor.__rmul__

    layout: Layout  # shape, strides, dtype
    storage: Storage  # the memory, maybe shared with views
    offset: int  # of the first element in the storage, in elements
    address: int  # of the first element in memory
    node: Node | None  # the call that computed it; None: a leaf
    needs_grad: bool  # requires_grad, without the property's cost
    hooks: list[Hook] | None  # of a leaf; elsewhere the node keeps them

    def __init__(self, data: Any = ()) -> None:
        storage, layout = memory.from_python(data, memory.get_default_dtype())
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

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension. Raises IndexError for a dimension that is not there."""
        return self.shape if dim is None else self.layout.shape[self.check_dim(dim, "size")]

    def stride(self, dim: int | None = None) -> Any:
        """The strides in elements, or one of them."""
        return self.layout.strides if dim is None else self.layout.strides[self.check_dim(dim, "stride")]

    def check_dim(self, dim: int, name: str) -> int:
        """dim as a number from 0 on. Raises IndexError, naming the op, when it is out of range (a 0-d tensor has 0, -1)."""
        n = max(self.layout.ndim, 1)
        if not -n <= dim < n:
            raise IndexError(
                f"{name}: dimension {dim} is out of range for shape {self.layout.shape}; expected {-n} to {n - 1}"
            )
        return dim % n

    dtype = property(lambda self: self.layout.dtype)
    ndim = property(lambda self: self.layout.ndim)
    device = property(lambda self: device("cpu"))
    is_cuda = property(lambda self: False)
    itemsize = property(lambda self: self.layout.dtype.itemsize)
    nbytes = property(lambda self: self.layout.nbytes)
    _version = property(lambda self: self.storage.version)

    def dim(self) -> int:
        return self.layout.ndim

    def numel(self) -> int:
        return self.layout.numel

    nelement = numel

    def element_size(self) -> int:
        return self.layout.dtype.itemsize

    def is_floating_point(self) -> bool:
        return self.layout.dtype.is_floating_point

    def is_contiguous(self) -> bool:
        return self.layout.contiguous

    def storage_offset(self) -> int:
        return self.offset

    def data_ptr(self) -> int:
        """The address of the first element. What is written there by others goes unnoticed; use numpy() for that."""
        return self.address

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
        return self._grad  # type: ignore[has-type,no-any-return]

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
        if value.layout.dtype is not self.layout.dtype:
            raise RuntimeError(f"data of {value.layout.dtype} does not fit a tensor of {self.layout.dtype}")
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
        owner = self.node or self
        if owner.hooks is None:
            owner.hooks = []
        owner.hooks.append(hook)
        return RemovableHandle(owner.hooks, hook)

    def retain_grad(self) -> None:
        """Keep .grad though this is no leaf."""
        if not self.needs_grad:
            raise RuntimeError("retain_grad: this tensor does not require grad")
        if self.node is not None:
            me = weakref.ref(self)

            def keep(g: Tensor) -> None:
                tensor = me()
                if tensor is not None:
                    tensor._grad = g.clone() if tensor._grad is None else tensor._grad + g

            self.register_hook(keep)

    # To and from Python and NumPy

    def numpy(self) -> Any:
        """A NumPy array that shares this memory; changes made through it are noticed by backward.

        Raises RuntimeError for a tensor that requires grad (detach() it first) and while a step is being recorded.
        """
        if self.needs_grad:
            raise RuntimeError("numpy() of a tensor that requires grad would leave the graph; use .detach().numpy()")
        modes.leaves_tape("numpy()")
        self.storage.expose()
        return self.array()

    def array(self) -> Any:
        """The memory as a NumPy array, for kernels: nothing is checked or noted."""
        return self.storage.array(self.layout, self.offset)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        shared = self.numpy()
        array = shared if dtype is None else shared.astype(dtype, copy=False)
        return array.copy() if copy and array is shared else array

    def item(self) -> Any:
        """The only element as a Python number. Raises RuntimeError for any other number of elements."""
        if self.layout.numel != 1:
            raise RuntimeError(f"a tensor of shape {self.layout.shape} has {self.layout.numel} elements, not one")
        modes.leaves_tape("item()")
        return self.array().item()

    def tolist(self) -> Any:
        modes.leaves_tape("tolist()")
        return self.array().tolist()

    def __bool__(self) -> bool:
        if self.layout.numel != 1:
            raise RuntimeError(
                f"the truth of a tensor of shape {self.layout.shape} is ambiguous; use .any(), .all() or .item()"
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.layout.dtype.is_floating_point:
            raise TypeError(f"only an integer tensor of one element can be an index, this one is {self.layout.dtype}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.layout.ndim == 0 and spec else format(repr(self), spec)

    def __len__(self) -> int:
        if self.layout.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.layout.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.layout.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.layout.shape[0]))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        text = memory.as_text(self.array(), prefix="tensor(")
        if self.layout.dtype not in (memory.get_default_dtype(), int64, bool_):
            text += f", dtype={self.layout.dtype!r}"
        if self.layout.numel == 0 and self.layout.shape != (0,):
            text += f", size={self.layout.shape}"
        if self.node is not None:
            text += f", grad_fn={self.node!r}"
        elif self.needs_grad:
            text += ", requires_grad=True"
        return f"tensor({text})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise RuntimeError("only leaves can be deep-copied; detach() the tensor first")
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        fresh = self.detach().clone()
        copied._set(fresh.storage, fresh.layout, fresh.offset)
        copied.needs_grad = self.needs_grad
        if self._grad is not None:
            copied._grad = self._grad.detach().clone()
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.node is not None:
            raise RuntimeError("only leaves can be pickled; detach() the tensor first")
        return rebuild, (type(self), self.array().copy(), self.needs_grad)


def rebuild(cls: type[Tensor], array: Any, requires_grad: bool) -> Tensor:
    """Make a pickled tensor again."""
    self = cls.__new__(cls)
    self._set(memory.adopt(array), memory.layout_of_array(array), 0)
    self.needs_grad = requires_grad
    return self


class device:
    """A place where tensors live. There is one, "cpu"; the class is here so that PyTorch's scripts read the same."""

    def __init__(self, name: Any = "cpu") -> None:
        kind = name.type if isinstance(name, device) else str(name).partition(":")[0]
        if kind != "cpu":
            raise RuntimeError(f"device {name!r} does not exist here; the only one is 'cpu'")
        self.type, self.index = "cpu", None

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash(self.type)


_new = Tensor.__new__
