"""What a tensor tells of itself, and its way to and from Python, NumPy, text and files: no graph here.

The base class of Tensor, apart so that tensor.py shows the idea only. Read next: tensor.py.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import storage as memory
from .dtypes import bool_, get_default_dtype, int64
from .modes import modes

if TYPE_CHECKING:
    from .op import Node
    from .storage import Layout, Storage
    from .tensor import Tensor


class Size(tuple[int, ...]):
    """A shape: a tuple with numel(), as torch.Size."""

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)

    def __repr__(self) -> str:
        return f"tinygrad_edu.Size({list(self)})"


class device:
    """A place where tensors live. There is one, "cpu"; the class is here so that PyTorch's scripts read the same."""

    def __init__(self, name: Any = "cpu") -> None:
        kind = name.type if isinstance(name, device) else str(name).partition(":")[0]
        if kind != "cpu":
            raise RuntimeError(f"device {name!r} does not exist here; the only one is 'cpu'")
        self.type: str = "cpu"
        self.index: int | None = None

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash(self.type)


class Interop:
    """Shape and memory facts, conversions, printing, copying and pickling of a Tensor."""

    __slots__ = ()
    if TYPE_CHECKING:  # Tensor's own
        layout: Layout
        storage: Storage
        offset: int
        address: int
        node: Node | None
        needs_grad: bool
        _grad: Tensor | None
        detach: Callable[[], Tensor]
        _set: Callable[[Storage, Layout, int], None]

    __array_ufunc__ = None  # so that ndarray * tensor asks Tensor.__rmul__

    device = property(lambda self: device("cpu"))
    is_cuda = property(lambda self: False)
    itemsize = property(lambda self: self.layout.dtype.itemsize)
    nbytes = property(lambda self: self.layout.nbytes)

    def check_dim(self, dim: int, name: str) -> int:
        """dim as a number from 0 on. Raises IndexError, naming the op, when out of range (a 0-d tensor has 0, -1)."""
        n = max(self.layout.ndim, 1)
        if not -n <= dim < n:
            raise IndexError(
                f"{name}: dimension {dim} is out of range for shape {self.layout.shape}; expected {-n} to {n - 1}"
            )
        return dim % n

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension. Raises IndexError for a dimension that is not there."""
        return Size(self.layout.shape) if dim is None else self.layout.shape[self.check_dim(dim, "size")]

    def stride(self, dim: int | None = None) -> Any:
        """The strides in elements, or one of them."""
        return self.layout.strides if dim is None else self.layout.strides[self.check_dim(dim, "stride")]

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

    def numpy(self, *, force: bool = False) -> Any:
        """A NumPy array that shares this memory; changes made through it are noticed by backward. force: detach first.

        Raises RuntimeError for a tensor that requires grad (detach() it first) and while a step is being recorded.
        """
        if self.needs_grad and not force:
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
        return format(self.item(), spec) if self.layout.ndim == 0 else format(repr(self), spec)

    def __len__(self) -> int:
        if self.layout.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.layout.shape[0]

    def __contains__(self, element: object) -> bool:
        """Whether some element equals a number, or one of a tensor that broadcasts. Raises RuntimeError for others."""
        if not isinstance(element, (Interop, int, float)):
            raise RuntimeError(f"a tensor contains numbers; it can't be searched for a {type(element).__name__}")
        equal: Any = self == element
        return bool(equal.any())

    def __iter__(self) -> Iterator[Tensor]:
        if self.layout.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        rows: Any = self
        return (rows[i] for i in range(self.layout.shape[0]))

    def __repr__(self) -> str:
        text = memory.as_text(self.array(), prefix="tensor(")
        if self.layout.dtype not in (get_default_dtype(), int64, bool_):
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
        copied: Any = type(self).__new__(type(self))
        memo[id(self)] = copied
        if id(self.storage) not in memo:  # once: what shares memory goes on sharing it
            memo[id(self.storage)] = memory.duplicate(self.storage)
        copied._set(memo[id(self.storage)], self.layout, self.offset)
        if hasattr(self, "__dict__"):  # of a subclass
            vars(copied).update(copy.deepcopy(vars(self), memo))
        copied.needs_grad = self.needs_grad
        if self._grad is not None:
            copied._grad = self._grad.detach().clone()
        return copied  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.node is not None:
            raise RuntimeError("only leaves can be pickled; detach() the tensor first")
        return rebuild, (type(self), self.array().copy(), self.needs_grad), getattr(self, "__dict__", None) or None


def rebuild(cls: type[Tensor], array: Any, requires_grad: bool) -> Tensor:
    """Make a pickled tensor again."""
    self = cls.__new__(cls)
    self._set(memory.adopt(array), memory.layout_of_array(array), 0)
    self.needs_grad = requires_grad
    return self
