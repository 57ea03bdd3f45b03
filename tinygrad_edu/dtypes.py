"""The six dtypes and the promotion rules between them.

PyTorch's rules: bool < integer < floating point are the categories; a Python number or a 0-d tensor changes the
result only when its category is higher. Left out on purpose: half precision and complex numbers.
Read next: storage.py, where an element finds its place in memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tensor import Tensor


class dtype:
    """The type of a tensor's elements, e.g. `tg.float32`. Compared by identity."""

    __slots__ = ("category", "index", "is_floating_point", "is_signed", "itemsize", "name", "rank")

    def __init__(self, name: str, itemsize: int, category: int, index: int) -> None:
        self.name = name
        self.itemsize = itemsize
        self.category = category  # 0 bool, 1 integer, 2 floating point
        self.index = index  # the number that csrc/tg.h gives it
        self.rank = (category, itemsize)
        self.is_floating_point = category == 2
        self.is_signed = category == 2 or (category == 1 and name != "uint8")

    def __repr__(self) -> str:
        return f"tinygrad_edu.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name


float32 = dtype("float32", 4, 2, 0)
float64 = dtype("float64", 8, 2, 1)
int32 = dtype("int32", 4, 1, 2)
int64 = dtype("int64", 8, 1, 3)
uint8 = dtype("uint8", 1, 1, 4)
bool_ = dtype("bool", 1, 0, 5)

DTYPES = (float32, float64, int32, int64, uint8, bool_)
BY_NAME = {d.name: d for d in DTYPES}
_default = float32


def get_default_dtype() -> dtype:
    """The dtype of new floating-point tensors: float32 unless changed."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype of new floating-point tensors. Raises TypeError unless `d` is float32 or float64."""
    global _default
    if not (isinstance(d, dtype) and d.is_floating_point):
        raise TypeError(f"set_default_dtype: expected float32 or float64, got {d!r}")
    _default = d


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that holds both: the higher category, and within one the larger size."""
    return type1 if type1.rank >= type2.rank else type2


def dtype_of_number(value: bool | int | float) -> dtype:
    """The dtype that a Python number gets when it stands alone: bool, int64 or the default float."""
    if isinstance(value, bool):
        return bool_
    return int64 if isinstance(value, int) else _default


def refuse_huge(value: bool | int | float, name: str) -> None:
    """Raise OverflowError, naming the op, for an int that no dtype holds."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise OverflowError(f"{name}: the int {value} is too large for a tensor")


LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127


def held(value: bool | int | float, d: dtype, name: str) -> bool | int | float:
    """A number as a dtype holds it: for integers truncated, -1 in uint8 being 255, as in PyTorch; for others as it is.

    Raises RuntimeError, naming the op, for a number that is too large for the dtype (infinities are floats like any
    other), OverflowError for an int that is too large for any."""
    refuse_huge(value, name)
    if d.category != 1:
        if d is float32 and LARGEST_FLOAT32 < abs(value) < math.inf:
            raise RuntimeError(f"{name}: the value {value} does not fit into {d}")
        return value
    highest = 255 if d is uint8 else 2 ** (8 * d.itemsize - 1) - 1
    if not (-highest - 2 < value < highest + 1):  # false of NaN
        raise RuntimeError(f"{name}: the value {value} does not fit into {d}")
    return int(value) & 255 if d is uint8 else int(value)


def result_type(*operands: Tensor | bool | int | float) -> dtype:
    """The dtype of an arithmetic result: tensors with dimensions decide, then 0-d tensors, then Python numbers."""
    best: list[dtype | None] = [None, None, None]  # tensors with dimensions, 0-d tensors, numbers
    for x in operands:
        if isinstance(x, (bool, int, float)):
            group, d = 2, dtype_of_number(x)
        else:
            group, d = (0 if x.layout.ndim else 1), x.layout.dtype
        known = best[group]
        best[group] = d if known is None else promote_types(known, d)
    result: dtype | None = None
    for found in best:
        if found is not None and (result is None or found.category > result.category):
            result = found
    if result is None:
        raise TypeError("result_type: expected at least one tensor or number")
    return result
