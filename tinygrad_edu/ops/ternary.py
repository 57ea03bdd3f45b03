"""Elementwise ops of three operands that broadcast and promote: addcmul, addcdiv, lerp.

What was run for a signature is found again by `known`, which the in-place forms ask, too. Left out: integers in
addcdiv and lerp, as in PyTorch. Read next: compare.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..dtypes import held
from ..op import Op
from ..tensor import Tensor
from .common import (
    Known,
    Number,
    as_number,
    as_tensor,
    broadcasting,
    is_number,
    promoted,
    refuse_bools,
    remember,
    stored,
)
from .elementwise import add, mul, square


class OfThree(Op):
    """An elementwise op of three operands that broadcast and promote, and the number `value`."""

    def __call__(self, input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:  # type: ignore[override]
        known = self.known(input, tensor1, tensor2, value=value)
        if known is not None:
            return self.run(*known)
        tensors = tuple(promoted(self.name, input, tensor1, tensor2))
        d, value = tensors[0].layout.dtype, as_number(value)
        if not is_number(value):
            raise TypeError(f"{self.name}: value must be a number, got {type(value).__name__}")
        if not d.is_floating_point:
            return self.of_integers(tensors, value)
        held(value, d, self.name)
        spec = remember(self, tensors, (*[x.layout for x in tensors], value), value=float(value))
        return self.run(spec, tensors)

    def known(self, input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Known | None:
        """What is run for three tensors and a number met before."""
        try:
            spec = self.specs.get((input.layout, tensor1.layout, tensor2.layout, value))
        except (AttributeError, TypeError):
            return None
        return None if spec is None else (spec, (input, tensor1, tensor2))

    def of_integers(self, tensors: tuple[Tensor, ...], value: Number) -> Tensor:
        raise RuntimeError(f"{self.name}: expected floats, got {tensors[0].layout.dtype}; convert with .float()")


class Product(OfThree):
    """addcmul: integers, too."""

    def of_integers(self, tensors: tuple[Tensor, ...], value: Number) -> Tensor:
        refuse_bools(self.name, tensors[0])
        return add(tensors[0], mul(tensors[1], tensors[2]), alpha=value)


@partial(Product, shape=broadcasting("addcmul"))
def addcmul(out, input, tensor1, tensor2, *, value):
    """input + value * tensor1 * tensor2."""
    np.add(input, tensor1 * value * tensor2, out=out)


addcmul.vjps(
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * tensor2 * value,
    tensor2=lambda g, tensor1, value: g * tensor1 * value,
)


@partial(OfThree, shape=broadcasting("addcdiv"))
def addcdiv(out, input, tensor1, tensor2, *, value):
    """input + value * tensor1 / tensor2, of floats."""
    np.add(input, tensor1 * value / tensor2, out=out)


addcdiv.vjps(
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g / tensor2 * value,
    tensor2=lambda g, tensor1, tensor2, value: g * tensor1 / square(tensor2) * -value,
)


class Interpolation(Op):
    """lerp: the weight is a number or a tensor that broadcasts."""

    def __call__(self, input: Tensor, end: Any, weight: Any) -> Tensor:  # type: ignore[override]
        known = self.known(input, end, weight)
        if known is not None:
            return self.run(*known)
        a, b = promoted("lerp", input, end)
        d = a.layout.dtype
        if not d.is_floating_point:
            raise RuntimeError(f"lerp: expected floats, got {d}; convert with .float()")
        weight = as_number(weight)
        w = stored(weight, d, "lerp") if is_number(weight) else as_tensor(weight, "lerp").to(d)
        return self.apply(a, b, w)

    def known(self, input: Any, end: Any, weight: Any) -> Known | None:
        """What is run for tensors met before, and any weight."""
        try:
            w = stored(weight, input.layout.dtype, "lerp") if weight.__class__ is float else weight
            spec = self.specs.get((input.layout, end.layout, w.layout))
        except AttributeError:
            return None
        return None if spec is None else (spec, (input, end, w))


@partial(Interpolation, shape=broadcasting("lerp"))
def lerp(out, input, end, weight):
    """input + weight * (end - input), of floats; exact at weights of 0 and 1."""
    np.copyto(out, np.where(np.abs(weight) < 0.5, input + weight * (end - input), end - (end - input) * (1 - weight)))


lerp.vjps(
    input=lambda g, weight: g * (1.0 - weight),
    end=lambda g, weight: g * weight,
    weight=lambda g, input, end: g * (end - input),
)
