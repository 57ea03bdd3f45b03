"""New tensors, and conversions between dtypes.

Constant ones are a copy of one number seen in the wanted shape, sequences are ops without an input: a step recorded by
tg.replay makes them anew each time. Every function takes dtype=, requires_grad= and device= ("cpu" is the only one).
Left out: layout=, pin_memory=, out=. Read next: inplace.py.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .. import backends
from .. import storage as memory
from ..dtypes import BY_NAME, bool_, dtype_of_number, get_default_dtype, held, int64
from ..dtypes import dtype as Dtype  # parameters are named dtype and device
from ..interop import device as Device
from ..modes import watching
from ..op import Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import Maker, Number, ints, is_number, remember, shape_args, stored
from .move import cast_op, copy_op


def finished(x: Tensor, requires_grad: bool, place: Any) -> Tensor:
    if place is not None:
        Device(place)  # raises for any other
    if requires_grad:
        x.requires_grad_()
    return x


# From data

PLAIN, NESTED = frozenset((float, int, bool)), frozenset((list, tuple))


def _gathered(data: Any, numbers: list[Any], kinds: set[Any]) -> tuple[int, ...] | None:
    """Add the numbers of nested lists to `numbers` and their classes to `kinds`; give the lists' shape, or None where
    it is no regular one of Python numbers alone."""
    if data.__class__ not in NESTED:
        numbers.append(data)
        kinds.add(data.__class__)
        return () if data.__class__ in PLAIN else None
    inside = {*map(type, data)}
    if inside <= PLAIN:
        numbers.extend(data)
        kinds |= inside
        return (len(data),)
    shapes = {_gathered(x, numbers, kinds) for x in data}
    shape = shapes.pop()
    return None if shapes or shape is None else (len(data), *shape)


def _of_numbers(data: Any, d: Dtype | None) -> Tensor | None:
    """A tensor of Python numbers in nested lists; None for other data, which NumPy knows better."""
    numbers: list[Any] = []
    kinds: set[Any] = set()
    shape = _gathered(data, numbers, kinds)
    if shape is None:
        return None
    if d is None:
        d = get_default_dtype() if float in kinds or not kinds else int64 if int in kinds else bool_
    try:
        if d is bool_:
            numbers = [bool(x) for x in numbers]
        elif d.category == 1 and (d is not int64 or float in kinds):
            numbers = [held(x, d, "tensor") for x in numbers]
        return Tensor.over(memory.from_numbers(numbers, d), layout_of(shape, d))
    except OverflowError:
        raise RuntimeError(f"tensor: one of the ints does not fit into {d}") from None


def _plain(data: Any) -> Any:
    """Tensors inside nested lists as numbers and lists."""
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data]
    return data.tolist() if isinstance(data, Tensor) else data


def tensor(data: Any, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf with a copy of data: numbers, nested lists, an array or a tensor. Without dtype Python's floats become the
    default float, its ints int64, its bools bool; arrays keep theirs. Raises TypeError, ValueError for no such data,
    RuntimeError for numbers that an integer dtype can't hold."""
    if isinstance(data, Tensor):
        x = copy_op(data.detach())
        return finished(x if dtype is None else to(x, dtype), requires_grad, device)
    made = _of_numbers(data, dtype)
    if made is None:
        plain = _plain(data)
        made = None if plain is data else _of_numbers(plain, dtype)
        if made is None:
            made = Tensor.over(*memory.from_python(plain, dtype))
    # A recorded step may change what it made of data, and shall find it unchanged next time.
    return finished(copy_op(made) if watching else made, requires_grad, device)


def as_tensor(data: Any, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """data as a tensor, without a copy where that can be: a tensor as it is, an array's own memory."""
    if isinstance(data, np.ndarray) and data.dtype.name in BY_NAME and all(s >= 0 for s in data.strides):
        data = from_numpy(data)
    if isinstance(data, Tensor):
        return finished(data if dtype is None else to(data, dtype), False, device)
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


def _filled(name: str, size: tuple[Any, ...], value: Number, d: Dtype, requires_grad: bool, place: Any) -> Tensor:
    """A new tensor of one value: a copy of the number, seen in that shape. size is what ints() or a layout gives."""
    known = _fills.get((size, value or str(value), d))  # 0.0 equals -0.0, their texts do not
    if known is None:
        if len(_fills) > 4096:
            _fills.clear()
        shape = shape_args(size, name)
        seen = stored(value, d, name).expand(shape)
        known = _fills[shape, value or str(value), d] = copy_op.spec((seen,), {}), (seen,)
    return finished(copy_op.run(*known), requires_grad, place)


def _number(x: Any, name: str) -> Number:
    """A number, also a NumPy scalar or a tensor of one element. Raises TypeError for what is none."""
    number = x.item() if isinstance(x, (Tensor, np.generic)) else x
    if not is_number(number):
        raise TypeError(f"{name}: expected a number, got {type(x).__name__}")
    return number  # type: ignore[no-any-return]


def full(
    size: Any, fill_value: Number, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """fill_value everywhere; without dtype the number's own: bool, int64 or the default float.

    Raises RuntimeError for a number that the dtype can't hold."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full: size must be a tuple of ints, got {type(size).__name__}")
    value = fill_value if fill_value.__class__ is float else _number(fill_value, "full")
    return _filled("full", ints((size,), "full"), value, dtype or dtype_of_number(value), requires_grad, device)


def zeros(
    *sizes: Any, size: Any = None, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """0 everywhere, in the default float dtype."""
    return _filled("zeros", ints(sizes, "zeros", size), 0, dtype or get_default_dtype(), requires_grad, device)


def ones(
    *sizes: Any, size: Any = None, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """1 everywhere, in the default float dtype."""
    return _filled("ones", ints(sizes, "ones", size), 1, dtype or get_default_dtype(), requires_grad, device)


_layouts: dict[tuple[tuple[Any, ...], Dtype], Layout] = {}


def empty(
    *sizes: Any, size: Any = None, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Memory as it comes: write before you read."""
    given, d = ints(sizes, "empty", size), dtype or get_default_dtype()
    layout = _layouts.get((given, d))
    if layout is None:
        if len(_layouts) > 4096:
            _layouts.clear()
        shape = shape_args(given, "empty")
        layout = _layouts[shape, d] = layout_of(shape, d)
    return finished(Tensor.empty(layout), requires_grad, device)


def zeros_like(input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """0 everywhere, in input's shape and, without dtype, its dtype."""
    layout = input.layout
    return _filled("zeros_like", layout.shape, 0, dtype or layout.dtype, requires_grad, device)


def ones_like(input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """1 everywhere, in input's shape and, without dtype, its dtype."""
    layout = input.layout
    return _filled("ones_like", layout.shape, 1, dtype or layout.dtype, requires_grad, device)


def full_like(
    input: Tensor, fill_value: Number, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """fill_value everywhere, in input's shape and, without dtype, its dtype."""
    layout = input.layout
    value = fill_value if fill_value.__class__ is float else _number(fill_value, "full_like")
    return _filled("full_like", layout.shape, value, dtype or layout.dtype, requires_grad, device)


def empty_like(input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory as it comes, in input's shape and, without dtype, its dtype."""
    layout = input.layout
    return finished(Tensor.empty(layout_of(layout.shape, dtype or layout.dtype)), requires_grad, device)


# Sequences: ops without an input. Their specs are found by what the user passed: classes tell 2 from 2.0 and True.


@partial(Maker, name="arange")
def arange_op(out, *, shape, first, step, dtype):
    """first + i step, in int64 or float64."""
    out[...] = (first + np.arange(out.size) * step).astype(out.dtype)


@partial(Maker, name="linspace")
def linspace_op(out, *, shape, first, last, step, dtype):
    """first + i step in the first half, last - (n - 1 - i) step in the second: both ends are exact."""
    i, n = np.arange(out.size), out.size
    out[...] = np.where(i < max(n // 2, 1), first + step * i, last - step * (n - 1 - i)).astype(out.dtype)


@partial(Maker, name="eye")
def eye_op(out, *, shape, dtype):
    """1 where row and column are equal, else 0."""
    out[...] = np.eye(*shape)


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
    key = start, end, step, start.__class__, end.__class__, step.__class__, dtype, get_default_dtype()
    spec = arange_op.specs.get(key)
    if spec is None:
        given = (0, start, step) if end is None else (start, end, step)
        attrs = _arange([_number(x, "arange") for x in given], dtype)
        lasting = PLAIN.issuperset(map(type, given))  # a tensor may hold another number next time
        spec = remember(arange_op, (), key, **attrs) if lasting else arange_op.spec((), attrs)
    return finished(arange_op.run(spec, ()), requires_grad, device)


def _arange(numbers: list[Any], dtype: Dtype | None) -> dict[str, Any]:
    """What arange_op needs to know."""
    first, last, by = numbers
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
    number = float if d.is_floating_point else int
    return {"shape": (n,), "first": number(first), "step": number(by), "dtype": d}


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
    d = dtype or get_default_dtype()
    key = start, end, steps, start.__class__, end.__class__, steps.__class__, d
    spec = linspace_op.specs.get(key)
    if spec is None:
        shape = shape_args((steps,), "linspace")
        first, last = (float(held(_number(x, "linspace"), d, "linspace")) for x in (start, end))
        step = (last - first) / max(steps - 1, 1)
        attrs = {"shape": shape, "first": first, "last": last, "step": step, "dtype": d}
        lasting = PLAIN.issuperset(map(type, (start, end, steps)))
        spec = remember(linspace_op, (), key, **attrs) if lasting else linspace_op.spec((), attrs)
    return finished(linspace_op.run(spec, ()), requires_grad, device)


def eye(
    n: int, m: int | None = None, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The matrix (n, m), default (n, n), with 1 on the diagonal and 0 elsewhere."""
    size, d = ints((n, n if m is None else m), "eye"), dtype or get_default_dtype()
    spec = eye_op.specs.get((size, d))
    if spec is None:
        shape = shape_args(size, "eye")
        spec = remember(eye_op, (), (shape, d), shape=shape, dtype=d)
    return finished(eye_op.run(spec, ()), requires_grad, device)


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
    self: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    return zeros(*sizes, size=size, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


def new_ones(
    self: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    return ones(*sizes, size=size, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


def new_empty(
    self: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    return empty(*sizes, size=size, dtype=dtype or self.layout.dtype, device=device, requires_grad=requires_grad)


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
