"""Ops as methods of Tensor, with the operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tensor import Tensor
from . import elementwise as e

class TensorMethods:
    def __add__(self, other): return e.add(self, other)
    def __mul__(self, other): return e.mul(self, other)

for name, method in list(vars(TensorMethods).items()):
    if name not in ("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__"):
        setattr(Tensor, name, method)
