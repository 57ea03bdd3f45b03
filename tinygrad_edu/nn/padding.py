"""Padding layers: one class; mode and number of dimensions stand in the subclasses.

They pad the last dimensions, in front of which are channels and maybe a batch. Read next: ops/pad.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Pad(Module):
    """padding: a number for all ends, or (before, after) for the last dimension, then for the one before it."""

    mode: ClassVar[str]
    dims: ClassVar[int]

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self.dims:
            raise ValueError(f"{type(self).__name__}: expected an int or {2 * self.dims} of them, got {padding!r}")

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_Pad):
    """value at both ends of the last dimension."""

    mode, dims = "constant", 1

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """value around the last 2 dimensions."""

    dims = 2


class ConstantPad3d(ConstantPad1d):
    """value around the last 3 dimensions."""

    dims = 3


class ZeroPad1d(_Pad):
    """Zeros at both ends of the last dimension."""

    mode, dims = "constant", 1


class ZeroPad2d(_Pad):
    """Zeros around the last 2 dimensions."""

    mode, dims = "constant", 2


class ZeroPad3d(_Pad):
    """Zeros around the last 3 dimensions."""

    mode, dims = "constant", 3


class ReflectionPad1d(_Pad):
    """The last dimension mirrored at both ends, which are not repeated."""

    mode, dims = "reflect", 1


class ReflectionPad2d(_Pad):
    """The last 2 dimensions mirrored at their ends, which are not repeated."""

    mode, dims = "reflect", 2


class ReflectionPad3d(_Pad):
    """The last 3 dimensions mirrored at their ends, which are not repeated."""

    mode, dims = "reflect", 3


class ReplicationPad1d(_Pad):
    """The ends of the last dimension repeated."""

    mode, dims = "replicate", 1


class ReplicationPad2d(_Pad):
    """The ends of the last 2 dimensions repeated."""

    mode, dims = "replicate", 2


class ReplicationPad3d(_Pad):
    """The ends of the last 3 dimensions repeated."""

    mode, dims = "replicate", 3


class CircularPad1d(_Pad):
    """The last dimension continued at each end from the other one."""

    mode, dims = "circular", 1

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self.dims + 1, self.dims + 2):
            raise ValueError(f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.dim()}D input)")
        return super().forward(input)


class CircularPad2d(CircularPad1d):
    """The last 2 dimensions continued at each end from the other one."""

    dims = 2


class CircularPad3d(CircularPad1d):
    """The last 3 dimensions continued at each end from the other one."""

    dims = 3
