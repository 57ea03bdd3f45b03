"""Ops as methods of Tensor, with the operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tensor import Tensor
from . import elementwise as e
from . import move, views

class TensorMethods:
    # Views and copies
    view, view_as, reshape, reshape_as = views.view, views.view_as, views.reshape, views.reshape_as
    flatten, unflatten, ravel, squeeze, unsqueeze = (
        views.flatten, views.unflatten, views.ravel, views.squeeze, views.unsqueeze)
    permute, transpose, swapaxes, swapdims, t = views.permute, views.transpose, views.swapaxes, views.swapdims, views.t
    movedim, moveaxis, T, mT = views.movedim, views.moveaxis, property(views.T), property(views.mT)
    expand, expand_as, broadcast_to = views.expand, views.expand_as, views.broadcast_to
    narrow, select, diagonal = views.narrow, views.select, views.diagonal
    clone, contiguous = move.clone, move.contiguous

    def __add__(self, other): return e.add(self, other)
    def __mul__(self, other): return e.mul(self, other)

for name, method in list(vars(TensorMethods).items()):
    if name not in ("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__"):
        setattr(Tensor, name, method)
