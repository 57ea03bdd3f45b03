"""Comparisons, logic, and the ops that choose between values: where, maximum, minimum, clamp.

Comparisons and logic give bool and carry no gradient; choices send it to what was chosen, half to each side of a tie in
maximum and minimum. Read next: elementwise.py.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import bool_, held, result_type, uint8
from ..modes import modes
from ..op import Op, Spec
from ..storage import Layout
from ..tensor import Tensor
from .common import (
    Binary,
    Known,
    Unary,
    as_tensor,
    beside,
    binary,
    broadcasting,
    constant,
    is_number,
    no_tensor,
    refuse_bools,
    stored,
    unary,
)

# Comparisons; NaN equals nothing, not even itself


@binary(out_dtype=bool_, numbers="right")
def eq(out, input, other):
    """input == other."""
    np.equal(input, other, out=out)


@binary(out_dtype=bool_, numbers="right")
def ne(out, input, other):
    """input != other."""
    np.not_equal(input, other, out=out)


@binary(out_dtype=bool_, numbers="right")
def lt(out, input, other):
    """input < other."""
    np.less(input, other, out=out)


@binary(out_dtype=bool_, numbers="right")
def le(out, input, other):
    """input <= other."""
    np.less_equal(input, other, out=out)


@binary(out_dtype=bool_, numbers="right")
def gt(out, input, other):
    """input > other."""
    np.greater(input, other, out=out)


@binary(out_dtype=bool_, numbers="right")
def ge(out, input, other):
    """input >= other."""
    np.greater_equal(input, other, out=out)


@unary(floats=False, out_dtype=bool_)
def isnan(out, input):
    """Where input is NaN."""
    np.isnan(input, out=out)


@unary(floats=False, out_dtype=bool_)
def isinf(out, input):
    """Where input is infinite."""
    np.isinf(input, out=out)


@unary(floats=False, out_dtype=bool_)
def isfinite(out, input):
    """Where input is neither infinite nor NaN."""
    np.isfinite(input, out=out)


# Logic: anything but 0 is true


@unary(floats=False, out_dtype=bool_)
def logical_not(out, input):
    """Where input is 0."""
    np.logical_not(input, out=out)


@binary(out_dtype=bool_, numbers="none")
def logical_and(out, input, other):
    """Where both are not 0."""
    np.logical_and(input, other, out=out)


@binary(out_dtype=bool_, numbers="none")
def logical_or(out, input, other):
    """Where any is not 0."""
    np.logical_or(input, other, out=out)


@binary(out_dtype=bool_, numbers="none")
def logical_xor(out, input, other):
    """Where exactly one is not 0."""
    np.logical_xor(input, other, out=out)


# Bits of integers; of bools, logic


def _refuse_floats(name: str, x: Tensor) -> None:
    if x.layout.dtype.is_floating_point:
        raise RuntimeError(f"{name} works on bools and integers, not on {x.layout.dtype}")


class Inversion(Unary):
    """bitwise_not, which of bools is logical_not: all bits of a byte that is 1 are not those of one that is 0."""

    def converted(self, input: Any) -> Tensor:
        if is_number(input):
            raise no_tensor(self.name, input)
        x = as_tensor(input, self.name)
        _refuse_floats(self.name, x)
        return x

    def specialise(self, layouts: tuple[Layout, ...], attrs: dict[str, Any]) -> Spec:
        return (
            logical_not.specialise(layouts, attrs) if layouts[0].dtype is bool_ else super().specialise(layouts, attrs)
        )


@partial(Inversion, floats=False)
def bitwise_not(out, input):
    """~input: logical not of bools, every bit of integers. Raises RuntimeError for floats, as all bitwise ops do."""
    np.invert(input, out=out)


class Bitwise(Binary):
    """An op on the bits of integers, beside which numbers may stand; floats are refused."""

    def converted(self, input: Any, other: Any) -> list[Tensor]:
        a, b = super().converted(input, other)
        _refuse_floats(self.name, a)
        return [a, b]


@partial(Bitwise, numbers="one")
def bitwise_and(out, input, other):
    """input & other."""
    np.bitwise_and(input, other, out=out)


@partial(Bitwise, numbers="one")
def bitwise_or(out, input, other):
    """input | other."""
    np.bitwise_or(input, other, out=out)


@partial(Bitwise, numbers="one")
def bitwise_xor(out, input, other):
    """input ^ other."""
    np.bitwise_xor(input, other, out=out)


# Choices


class Where(Op):
    """where: elements of input where condition holds, of other elsewhere."""

    working_input = 1

    def __call__(self, condition: Any, input: Any = None, other: Any = None) -> Tensor:  # type: ignore[override]
        """With the condition alone: nonzero(condition, as_tuple=True)."""
        if isinstance(input, Tensor):
            other = beside(input, other, "where")
        elif isinstance(other, Tensor):
            input = beside(other, input, "where")
        try:  # three tensors of a signature met before: only a bool and two equal dtypes ever get one
            spec = self.specs.get((condition.layout, input.layout, other.layout))
        except AttributeError:
            spec = None
        if spec is not None:
            return self.run(spec, (condition, input, other))
        condition = as_tensor(condition, "where")
        if input is None and other is None:
            from .masks import nonzero  # which needs where

            return nonzero(condition, as_tuple=True)  # type: ignore[no-any-return]
        if condition.layout.dtype is uint8:  # the masks of old scripts
            condition = condition.to(bool_)
        if condition.layout.dtype is not bool_:
            raise RuntimeError(f"where: the condition must be a bool tensor, got {condition.layout.dtype}")
        d = result_type(*[x if is_number(x) else as_tensor(x, "where") for x in (input, other)])
        input, other = (stored(x, d, "where") if is_number(x) else as_tensor(x, "where").to(d) for x in (input, other))
        return self.apply(condition, input, other)


@partial(Where, shape=broadcasting("where"), out_dtype=lambda condition, input, other: input.dtype)
def where(out, condition, input, other):
    """Elements of input where the condition (bool) holds, of other elsewhere; all broadcast."""
    np.copyto(out, other)
    np.copyto(out, input, where=condition)


def flat_in(input: Tensor, value: Tensor) -> Tensor:
    """value as a function of input that is flat: zeros go back to it, where value alone would send nothing."""
    return where(constant(True, bool_), value, input) if modes.grad and input.needs_grad else value


where.vjps(
    condition=None,
    input=lambda g, condition: where(condition, g, 0.0),
    other=lambda g, condition: where(condition, 0.0, g),
)


@binary(numbers="none")
def maximum(out, input, other):
    """The larger element of two; NaN where any is. Ties share the gradient."""
    np.maximum(input, other, out=out)


maximum.vjps(
    input=lambda g, input, other: where(input == other, g * 0.5, where(input < other, 0.0, g)),
    other=lambda g, input, other: where(input == other, g * 0.5, where(other < input, 0.0, g)),
)


@binary(numbers="none")
def minimum(out, input, other):
    """The smaller element of two; NaN where any is. Ties share the gradient."""
    np.minimum(input, other, out=out)


minimum.vjps(
    input=lambda g, input, other: where(input == other, g * 0.5, where(input > other, 0.0, g)),
    other=lambda g, input, other: where(input == other, g * 0.5, where(other > input, 0.0, g)),
)


class Clamp(Op):
    """clamp: bounds are numbers (attributes of the kernel), tensors that broadcast, or None."""

    def __call__(self, input: Any, min: Any = None, max: Any = None) -> Tensor:  # type: ignore[override]
        """Elements below min become min, then those above max become max. NaN stays.

        Raises RuntimeError without any bound."""
        known = self.known(input, min, max)
        if known is not None:
            return self.run(*known)
        bounds = [bound for bound in (min, max) if bound is not None]
        if not bounds:
            raise RuntimeError("clamp: at least one of min and max must not be None")
        x = as_tensor(input, "clamp")
        d = result_type(x, *[b if isinstance(b, (bool, int, float)) else as_tensor(b, "clamp") for b in bounds])
        refuse_bools("clamp", d)
        x = x if x.layout.dtype is d else x.to(d)
        if all(isinstance(bound, (bool, int, float)) and bound == bound for bound in bounds):
            lowest, highest = -math.inf if min is None else float(min), math.inf if max is None else float(max)
            if d.is_floating_point:
                held(lowest, d, "clamp"), held(highest, d, "clamp")
            spec = self.spec((x,), {"min": lowest, "max": highest})
            if x is input:
                self.specs[x.layout, min, max] = spec
            return self.run(spec, (x,))
        for bound, beyond in (min, lt), (max, gt):
            if bound is not None:
                strange = isnan(x) | isnan(as_tensor(bound, "clamp"))
                x = where(beyond(x, bound), bound, x)
                x = where(strange, math.nan, x) if d.is_floating_point else x  # no gradient to either
        return x

    def known(self, input: Any, min: Any = None, max: Any = None) -> Known | None:
        """What is run for a tensor and bounds met before."""
        try:
            return self.specs[input.layout, min, max], (input,)
        except (KeyError, TypeError, AttributeError):
            return None


@partial(Clamp, shape=broadcasting("clamp"))
def clamp(out, input, *, min, max):
    """input between min and max: numbers, tensors that broadcast, or None for no bound."""
    if out.dtype.kind == "f":
        np.clip(input, min, max, out=out)
    else:  # a bound beyond the dtype's range is none
        range = np.iinfo(out.dtype)
        np.clip(input, range.min if min < range.min else int(min), range.max if max > range.max else int(max), out=out)


clamp.vjps(input=lambda g, input, y: where(y == input, g, 0.0))


def is_bool(input: Any, name: str) -> bool:
    """Whether it is a tensor of bools. Raises TypeError for what is no tensor."""
    if is_number(input):
        raise no_tensor(name, input)
    return as_tensor(input, name).layout.dtype is bool_


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """clamp with a lower bound only; of bools, unlike clamp, too."""
    return maximum(input, as_tensor(min, "clamp_min")) if is_bool(input, "clamp_min") else clamp(input, min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """clamp with an upper bound only; of bools, unlike clamp, too."""
    return minimum(input, as_tensor(max, "clamp_max")) if is_bool(input, "clamp_max") else clamp(input, max=max)


# Whole tensors


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all values are equal. Raises RuntimeError for different dtypes."""
    if input.layout.dtype is not other.layout.dtype:
        raise RuntimeError(f"equal: expected one dtype, got {input.layout.dtype} and {other.layout.dtype}")
    return input.layout.shape == other.layout.shape and bool(eq(input, other).all())


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol * |other|; infinities of one sign are close, NaN only if asked for."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        raise TypeError(f"isclose: expected two Tensors, got {type(input).__name__} and {type(other).__name__}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must not be negative, got {rtol} and {atol}")
    if input.layout.dtype is not other.layout.dtype:
        raise RuntimeError(f"isclose: expected one dtype, got {input.layout.dtype} and {other.layout.dtype}")
    input, other = input.detach(), other.detach()
    close = eq(input, other)
    if equal_nan:
        close = close | (isnan(input) & isnan(other))
    if not input.layout.dtype.is_floating_point:
        input, other = input.double(), other.double()
    return close | (isfinite(other) & le((input - other).abs(), other.abs() * rtol + atol))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close; see isclose."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())
