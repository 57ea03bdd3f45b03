"""Memory: a Layout says how elements lie in it, a Storage owns it and counts its changes.

Tensors that are views of each other share a Storage. Its version is what lets backward notice that data it
needs has been changed in between. Memory comes from the C core's allocator, or from NumPy where there is no core.
Read next: tensor.py.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .dtypes import BY_NAME, DTYPES, dtype, get_default_dtype, uint8

try:
    from ._core import ffi, lib
except ImportError:  # backends/c.py keeps the reason and reports it
    ffi = lib = None

C_NAMES = {"float32": "float", "float64": "double", "bool": "uint8_t"}
NUMPY_DTYPES = {d: np.dtype(d.name) for d in DTYPES}
C_POINTERS = {} if lib is None else {d: ffi.typeof(C_NAMES.get(d.name, f"{d.name}_t") + " *") for d in DTYPES}
OF_NUMPY = {array: d for d, array in NUMPY_DTYPES.items()}  # native ones; quicker than by name


class Layout:
    """Shape, strides (in elements) and dtype: everything about a tensor but its memory. Interned: see layout_of."""

    __slots__ = ("contiguous", "dtype", "nbytes", "ndim", "numel", "shape", "strides")

    def __init__(self, shape: tuple[int, ...], strides: tuple[int, ...], d: dtype) -> None:
        self.shape, self.strides, self.dtype = shape, strides, d
        self.ndim = len(shape)
        self.numel = math.prod(shape)
        self.nbytes = self.numel * d.itemsize
        if math.prod(max(n, 1) for n in shape) * d.itemsize >= 2**63:  # what the kernels count with ends there
            raise MemoryError(f"a tensor of shape {shape} and {d} takes {self.nbytes} bytes, more than can be counted")
        self.contiguous = self.numel == 0 or all(
            n == 1 or s == c for n, s, c in zip(shape, strides, contiguous_strides(shape), strict=True)
        )

    def span(self) -> int:
        """How many elements lie between the first and one past the last, gaps included."""
        if self.numel == 0:
            return 0
        return 1 + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))


_layouts: dict[tuple[tuple[int, ...], tuple[int, ...] | None, dtype], Layout] = {}


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of rows behind each other without gaps."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def layout_of(shape: tuple[int, ...], d: dtype, strides: tuple[int, ...] | None = None) -> Layout:
    """The one Layout object of this shape, dtype and strides (default: contiguous), so that ops can key on identity."""
    key = (shape, strides, d)
    layout = _layouts.get(key)
    if layout is None:
        if len(_layouts) > 20_000:  # only speed depends on identity, so forgetting is safe
            _layouts.clear()
        real = contiguous_strides(shape) if strides is None else strides
        layout = _layouts.setdefault((shape, real, d), Layout(shape, real, d))
        _layouts[key] = layout
    return layout


# Small blocks are handed out again without asking the core: the two calls cost a tenth of an eager op.
POOLED, POOLED_BYTES = 64, 4096
pools: dict[int, list[int]] = {}


class Storage:
    """A run of bytes. `version` counts the changes made to it through this package."""

    __slots__ = ("__weakref__", "address", "checksum", "nbytes", "owner", "version", "viewed")

    def __init__(self, address: int, nbytes: int, owner: Any) -> None:
        self.address, self.nbytes = address, nbytes
        self.owner = owner  # what keeps the memory alive; None: this object itself, which frees it
        self.version = 0
        self.viewed = False  # a view of it exists or existed

    if lib is not None:
        # Defaults, as a module's names are gone before the last tensors are when Python ends.
        def __del__(self, pools: dict[int, list[int]] = pools, most: int = POOLED, free: Any = lib.tg_free) -> None:
            if self.owner is None:
                pool = pools.get(self.nbytes)
                if pool is None or len(pool) >= most:
                    free(self.address, self.nbytes)
                else:
                    pool.append(self.address)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"version": 3, "shape": (self.nbytes,), "typestr": "|u1", "data": (self.address, False)}

    def array(self, layout: Layout, offset: int = 0) -> np.ndarray[Any, Any]:
        """The elements of `layout` from element `offset` on, as a NumPy array that shares and keeps this memory."""
        d = NUMPY_DTYPES[layout.dtype]
        if layout.numel == 0:
            return np.empty(layout.shape, d)
        strides = tuple([s * d.itemsize for s in layout.strides])
        return np.ndarray(layout.shape, d, np.asarray(self), offset * d.itemsize, strides)

    def lent(self, layout: Layout, offset: int = 0) -> np.ndarray[Any, Any]:
        """As array(), at a third of the cost, but this memory is not kept: only for as long as the Storage lives."""
        if lib is None or layout.numel == 0:
            return self.array(layout, offset)
        d = NUMPY_DTYPES[layout.dtype]
        strides = None if layout.contiguous else tuple([s * d.itemsize for s in layout.strides])
        memory = ffi.buffer(ffi.cast("char *", self.address), self.nbytes)
        return np.ndarray(layout.shape, d, memory, offset * d.itemsize, strides)

    def expose(self) -> None:
        """Note that others can write to this memory too, so that from now on `version` looks at the bytes."""
        if type(self) is Storage:
            self.checksum = checksum(self)
            self.__class__ = Exposed


_version = Storage.__dict__["version"]


class Exposed(Storage):
    """A Storage that others can write to, after .numpy() or from_numpy(): changed bytes count as a new version."""

    __slots__ = ()

    @property
    def version(self) -> int:
        now = checksum(self)
        if now != self.checksum:
            self.checksum = now
            _version.__set__(self, _version.__get__(self) + 1)
        return int(_version.__get__(self))

    @version.setter
    def version(self, value: int) -> None:
        _version.__set__(self, value)


# in_range(address, n, low, high) -> whether n int64 are known to be all from low to high; without the core none is.
in_range: Callable[[int, int, int, int], int] = (lambda *_: 0) if lib is None else lib.tg_in_range


# probabilities(address, n, dtype's index) -> whether n floats are known to be all from 0 to 1.
probabilities: Callable[[int, int, int], int] = (lambda *_: 0) if lib is None else lib.tg_probabilities


def from_numbers(numbers: list[Any], d: dtype) -> Storage:
    """New memory that holds Python numbers. Raises OverflowError for an int that the dtype can't hold, TypeError for a
    float that an integer dtype shall hold."""
    if lib is None:
        with np.errstate(over="ignore"):
            return adopt(np.array(numbers, NUMPY_DTYPES[d]))
    storage = allocate(len(numbers) * d.itemsize)
    ffi.cast(C_POINTERS[d], storage.address)[0 : len(numbers)] = numbers
    return storage


_sizes: dict[tuple[int, ...], Any] = {}  # shapes as C reads them


def true_places(address: int, n: int, shape: tuple[int, ...]) -> tuple[Storage, int] | None:
    """For each of those of n bytes that are not 0 its position in each dimension of an array of that shape, as int64;
    and how many there are. None without the core."""
    if lib is None:
        return None
    sizes = _sizes.get(shape)
    if sizes is None:
        if len(_sizes) > 4096:
            _sizes.clear()
        sizes = _sizes[shape] = ffi.new("int64_t[]", shape)
    count = int(lib.tg_true_places(address, n, len(shape), sizes, 0))
    storage = allocate(8 * count * len(shape))
    lib.tg_true_places(address, n, len(shape), sizes, storage.address)
    return storage, count


def checksum(storage: Storage) -> int:
    """A number that differs when the bytes do, but for bad luck."""
    if lib is not None:
        return int(lib.tg_checksum(storage.address, storage.nbytes))
    return zlib.crc32(np.asarray(storage).data)


def allocate(nbytes: int) -> Storage:
    """New memory, not cleared. Raises MemoryError."""
    pool = pools.get(nbytes)
    if pool:
        return Storage(pool.pop(), nbytes, None)
    nbytes = nbytes or 1
    if lib is None:
        return adopt(np.empty(nbytes, np.uint8))
    if nbytes <= POOLED_BYTES:
        pools.setdefault(nbytes, [])
    address = lib.tg_alloc(nbytes)
    if not address:
        raise MemoryError(f"cannot allocate {nbytes} bytes for a tensor")
    return Storage(address, nbytes, None)


def duplicate(storage: Storage) -> Storage:
    """New memory with the same bytes."""
    new, all_bytes = allocate(storage.nbytes), layout_of((storage.nbytes,), uint8)
    new.array(all_bytes)[:] = storage.array(all_bytes)
    new.viewed = storage.viewed
    return new


def trim() -> None:
    """Give memory that is kept to be handed out again back to the system."""
    if lib is not None:
        lib.tg_memory_trim()


def adopt(array: np.ndarray[Any, Any]) -> Storage:
    """A Storage over a NumPy array's own memory, kept alive by it."""
    layout = layout_of_array(array)
    return Storage(array.__array_interface__["data"][0], max(layout.span() * array.itemsize, 1), array)


def layout_of_array(array: np.ndarray[Any, Any]) -> Layout:
    """Raises TypeError for a dtype that no tensor has, ValueError for strides that no tensor has."""
    d = OF_NUMPY.get(array.dtype)
    if d is None:
        known = ", ".join(BY_NAME)
        raise TypeError(f"can't convert a NumPy array of dtype {array.dtype} to a tensor; the dtypes are {known}")
    if array.flags.c_contiguous:
        return layout_of(array.shape, d)
    if any(s < 0 or s % array.itemsize for s in array.strides):
        raise ValueError(f"a tensor can't share an array with strides {array.strides}; make a copy with array.copy()")
    return layout_of(array.shape, d, tuple([s // array.itemsize for s in array.strides]))


def from_python(data: Any, d: dtype | None) -> tuple[Storage, Layout]:
    """Copy nested lists, numbers or an array into new memory. dtype None: the array's own, for Python numbers bool,
    int64 or the default float. Raises TypeError or ValueError for what is no regular array of numbers."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"can't make a tensor of nested sequences of differing lengths ({error})") from None
    own = OF_NUMPY.get(array.dtype) or BY_NAME.get(array.dtype.name)  # the name serves foreign byte orders
    if d is None:
        d = own
        if not isinstance(data, (np.ndarray, np.generic)) and (array.dtype.kind == "f" or array.size == 0):
            d = get_default_dtype()
    if array.dtype.kind not in "fiub":
        raise TypeError(f"can't make a tensor of {type(data).__name__}: expected numbers, got {array.dtype}")
    if d is None:
        raise TypeError(f"can't convert {array.dtype} to a tensor; the dtypes are {', '.join(BY_NAME)}")
    layout = layout_of(array.shape, d)
    storage = allocate(layout.nbytes)  # a copy always: the caller's memory stays the caller's
    if lib is None or array.dtype != NUMPY_DTYPES[d] or not array.flags.c_contiguous:
        with np.errstate(invalid="ignore"):  # of a NaN as an integer, which NumPy would warn of
            np.copyto(storage.array(layout), array, casting="unsafe")
    else:  # a third of the cost
        ffi.memmove(ffi.cast("char *", storage.address), array, layout.nbytes)
    return storage, layout


def as_text(array: np.ndarray[Any, Any], prefix: str) -> str:
    """An array as PyTorch prints one: four digits, but none if all numbers are whole; 1000 elements in full."""
    finite = array[np.isfinite(array)]
    whole = bool(np.all(finite == np.trunc(finite))) and (not finite.size or np.abs(finite).max() < 1e8)
    mode: Literal["maxprec", "fixed"] = "maxprec" if whole else "fixed"
    width = 79 + array.ndim  # where PyTorch ends a line
    return np.array2string(array, width, 4, separator=", ", threshold=1000, edgeitems=3, prefix=prefix, floatmode=mode)
