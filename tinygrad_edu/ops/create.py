"""New tensors, and conversions between dtypes.

Constant ones are a copy of one number seen in the wanted shape, so a step recorded by tg.replay makes them anew each
time. Every function takes dtype=, requires_grad= and device= ("cpu" is the only one). Left out: layout=, pin_memory=,
out=. Read next: inplace.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends
from .. import storage as memory
from ..dtypes import BY_NAME, dtype_of_number, get_default_dtype, held, int64
from ..dtypes import dtype as Dtype  # parameters are named dtype and device
from ..interop import device as Device
from ..modes import watching
from ..op import Spec
from ..storage import layout_of
from ..tensor import Tensor
from .common import Number, as_number, constant, shape_args
from .move import cast_op, copy_op


def _finished(x: Tensor, requires_grad: bool, place: Any) -> Tensor:
    if place is not None:
        Device(place)  # raises for any other
    if requires_grad:
        x.requires_grad_()
    return x


def _from_array(data: Any, d: Dtype | None) -> Tensor:
    x = Tensor.over(*memory.from_python(data, d))
    if d is not None and d.category == 1 and x.layout.numel and not isinstance(data, (np.ndarray, np.generic)):
        numbers = np.asarray(data)
        for extreme in (numbers.min(), numbers.max()):
            held(extreme.item(), d, "tensor")
    return copy_op(x) if watching else x  # a recorded step may change it, and shall find it unchanged next time


def _plain(data: Any) -> Any:
    """Tensors inside nested lists as numbers and lists."""
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data]
    return data.tolist() if isinstance(data, Tensor) else data


# From data


def tensor(data: Any, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf with a copy of data: numbers, nested lists, an array or a tensor. Without dtype Python's floats become the
    default float, its ints int64, its bools bool; arrays keep theirs. Raises TypeError, ValueError for no such data."""
    if isinstance(data, Tensor):
        x = copy_op(data.detach())
        x = x if dtype is None else to(x, dtype)
    else:
        x = _from_array(_plain(data), dtype)
    return _finished(x, requires_grad, device)


def as_tensor(data: Any, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """data as a tensor, without a copy where that can be: a tensor as it is, an array's own memory."""
    if isinstance(data, np.ndarray) and data.dtype.name in BY_NAME and all(s >= 0 for s in data.strides):
        data = from_numpy(data)
    if isinstance(data, Tensor):
        return _finished(data if dtype is None else to(data, dtype), False, device)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor on an array's own memory; changes through either are seen by both, and noticed by backward.

    Raises TypeError for what is no array or has another dtype, ValueError for negative strides or a read-only array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(ndarray).__name__}")
    if not ndarray.flags.writeable:
        raise ValueError("from_numpy: the array is read-only, but a tensor is not; pass a copy")
    storage = memory.adopt(ndarray)
    storage.expose()
    return Tensor.over(storage, memory.layout_of_array(ndarray))


# Of one value


_fills: dict[tuple[Any, ...], tuple[Spec, tuple[Tensor]]] = {}
backends.on_change.append(_fills.clear)


def _filled(name: str, size: Any, value: Number, d: Dtype) -> Tensor:
    """A new tensor of one value: a copy of the number, seen in that shape."""
    key = (size, value or str(value), d)  # 0.0 equals -0.0, their texts do not
    try:
        known = _fills.get(key)
    except TypeError:  # sizes in a list
        return _filled(name, _shape((size,), name), value, d)
    if known is None:
        if len(_fills) > 4096:
            _fills.clear()
        seen = constant(value, d).expand(_shape((size,), name))
        known = _fills[key] = copy_op.spec((seen,), {}), (seen,)
    return copy_op.run(*known)


def full(
    size: Any, fill_value: Number, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """fill_value everywhere; without dtype the number's own: bool, int64 or the default float."""
    value = as_number(fill_value)
    d = dtype or dtype_of_number(value)
    return _finished(_filled("full", size, held(value, d, "full"), d), requires_grad, device)


def _sizes(args: tuple[Any, ...]) -> Any:
    """f(2, 3) and f((2, 3)) as (2, 3)."""
    return args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


def _shape(size: tuple[Any, ...], name: str) -> tuple[int, ...]:
    shape = shape_args(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"{name}: sizes must not be negative, got {shape}")
    return shape


def zeros(*size: Any, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """0 everywhere, in the default float dtype."""
    return _finished(_filled("zeros", _sizes(size), 0, dtype or get_default_dtype()), requires_grad, device)


def ones(*size: Any, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """1 everywhere, in the default float dtype."""
    return _finished(_filled("ones", _sizes(size), 1, dtype or get_default_dtype()), requires_grad, device)


def empty(*size: Any, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory as it comes: write before you read."""
    x = Tensor.empty(layout_of(_shape(size, "empty"), dtype or get_default_dtype()))
    return _finished(x, requires_grad, device)


def zeros_like(input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """0 everywhere, in input's shape and, without dtype, its dtype."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """1 everywhere, in input's shape and, without dtype, its dtype."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Number, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """fill_value everywhere, in input's shape and, without dtype, its dtype."""
    d = dtype or input.layout.dtype
    return full(input.layout.shape, fill_value, dtype=d, device=device, requires_grad=requires_grad)


def empty_like(input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory as it comes, in input's shape and, without dtype, its dtype."""
    d = dtype or input.layout.dtype
    return empty(input.layout.shape, dtype=d, device=device, requires_grad=requires_grad)


# Sequences


def arange(
    start: Number,
    end: Number | None = None,
    step: Number = 1,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end (arange(n): 0 to n - 1); int64 of ints, else the default float.

    Raises RuntimeError for a step of 0 or one that leads away from end."""
    first, last, by = (as_number(x) for x in ((0, start, step) if end is None else (start, end, step)))
    if not all(math.isfinite(x) for x in (first, last, by)):
        raise RuntimeError(f"arange: start, end and step must be finite, got {first}, {last}, {by}")
    whole = all(isinstance(x, int) for x in (first, last, by))
    d = dtype or dtype_of_number(0 if whole else 0.0)
    if d is int64:  # PyTorch's order of things: int64 truncates before it counts, other integers after
        first, last, by = int(first), int(last), int(by)
    if by == 0:
        raise RuntimeError("arange: step must not be 0")
    if (last - first) * by < 0:
        raise RuntimeError(f"arange: from {first} no steps of {by} lead to {last}")
    n = max(0, -((first - last) // by)) if whole or d is int64 else math.ceil((last - first) / by)
    if not d.is_floating_point:
        first, by = int(first), int(by)
    values = first + np.arange(n, dtype=np.float64 if d.is_floating_point else np.int64) * by
    return _finished(_from_array(values, d), requires_grad, device)


def linspace(
    start: Number | Tensor,
    end: Number | Tensor,
    steps: int,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers in even distances from start to end (numbers or 0-d tensors), both included.

    Integers are what floats give, truncated. Raises RuntimeError for steps < 0."""
    if isinstance(steps, float):
        raise TypeError(f"linspace: steps must be an int, got {steps}")
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must not be negative, got {steps}")
    d = dtype or get_default_dtype()
    first, last = (x.item() if isinstance(x, Tensor) else as_number(x) for x in (start, end))
    if not d.is_floating_point:
        first, last = int(first), int(last)
    step, i = (last - first) / max(steps - 1, 1), np.arange(steps)
    values = np.where(i < max(steps // 2, 1), first + step * i, last - step * (steps - 1 - i))  # both ends are exact
    return _finished(_from_array(values, d), requires_grad, device)


def eye(
    n: int, m: int | None = None, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The matrix (n, m), default (n, n), with 1 on the diagonal and 0 elsewhere."""
    _shape((n, n if m is None else m), "eye")
    return _finished(_from_array(np.eye(n, m), dtype or get_default_dtype()), requires_grad, device)


# As methods: with the tensor's dtype


def new_tensor(
    self: Tensor, data: Any, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return tensor(data, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


def new_full(
    self: Tensor,
    size: Any,
    fill_value: Number,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    return full(size, fill_value, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


def new_zeros(
    self: Tensor, *size: Any, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return zeros(*size, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


def new_ones(
    self: Tensor, *size: Any, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return ones(*size, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


def new_empty(
    self: Tensor, *size: Any, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return empty(*size, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


# Conversions


def to(input: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **_: Any) -> Tensor:
    """input with another dtype: to(dtype), to(device), to(device, dtype), to(other), which takes other's dtype.

    The tensor itself where nothing changes, unless copy. Differentiable; float to int truncates, all but 0 is True."""
    for x in args:
        if isinstance(x, Tensor):
            dtype = x.layout.dtype
        elif isinstance(x, Dtype):
            dtype = x
        elif not (x is None or isinstance(x, bool)):  # a bool: non_blocking, which means nothing here
            device = x
    if device is not None:
        Device(device)
    if dtype is None or dtype is input.layout.dtype:
        return copy_op(input) if copy else input
    if not isinstance(dtype, Dtype):
        raise TypeError(f"to: expected a dtype, device or tensor, got {dtype!r}")
    return cast_op(input, dtype=dtype)
