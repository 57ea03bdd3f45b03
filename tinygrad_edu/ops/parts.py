"""Elementwise ops on signs, fractions, special values and whole numbers: fmod, copysign, nan_to_num, gcd and the like.

The pattern is elementwise.py's; whole numbers have no kernels in C, only the NumPy line. Read next: on_demand.py.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import bool_, float64
from ..op import Op
from ..tensor import Tensor
from .common import (
    Number,
    Unary,
    as_tensor,
    binary,
    broadcasting,
    constant,
    float_only,
    is_number,
    no_tensor,
    unary,
    zeros_as,
)
from .compare import Bitwise, isfinite, isnan, where
from .elementwise import mul, pow, sign, sub, truncated_quotient
from .move import Array, copy_op

sgn = sign  # they differ for complex numbers only


# Fractions and signs


@binary(bools=None, numbers="right")
def fmod(out, input, other):
    """input - other * trunc(input / other): the remainder with the sign of input."""
    if out.dtype.kind == "f":
        np.fmod(input, other, out=out)
    else:  # Numba's fmod of integers is another
        np.multiply(np.sign(input), np.remainder(np.abs(input), np.abs(other)), out=out)


fmod.vjps(input=lambda g: g, other=lambda g, input, other: -g * truncated_quotient(input, other))


class OfFloats(Unary):
    """An elementwise op that integers are refused by."""

    def converted(self, input: Any) -> Tensor:
        x = as_tensor(input, self.name)
        float_only(self.name, x)
        return x


@OfFloats
def frac(out, input):
    """What trunc takes away: input - trunc(input)."""
    np.subtract(input, np.trunc(input), out=out)


frac.vjps(input=lambda g: g)


@binary(floats=True, numbers="right")
def copysign(out, input, other):
    """|input| with the sign of other, that of -0.0 included."""
    np.copysign(input, other, out=out)


copysign.vjps(
    input=lambda g, input, y: where(input == 0.0, 0.0, g * (y / input)),
    other=lambda g: zeros_as(g),
)


@unary(floats=False, out_dtype=bool_)
def signbit(out, input):
    """Where input is negative, -0.0 included."""
    if input.dtype.kind == "f":
        np.signbit(input, out=out)
    else:
        np.less(input, 0, out=out)


@unary(floats=False, out_dtype=bool_)
def isposinf(out, input):
    """Where input is inf."""
    np.equal(input, math.inf, out=out)


@unary(floats=False, out_dtype=bool_)
def isneginf(out, input):
    """Where input is -inf."""
    np.equal(input, -math.inf, out=out)


@binary(numbers="none")
def heaviside(out, input, values):
    """0 below 0 (and of NaN), 1 above, and values at 0. It has no gradient, as in PyTorch."""
    np.copyto(out, np.where(input == 0, values, input > 0))


@binary(numbers="none")
def fmin(out, input, other):
    """The smaller element of two; a number rather than NaN. input gets a tie's gradient."""
    np.fmin(input, other, out=out)


@binary(numbers="none")
def fmax(out, input, other):
    """The larger element of two; a number rather than NaN. input gets a tie's gradient."""
    np.fmax(input, other, out=out)


fmin.vjps(
    input=lambda g, input, other: where((input <= other) | isnan(other), g, 0.0),
    other=lambda g, input, other: where((input <= other) | isnan(other), 0.0, g),
)
fmax.vjps(
    input=lambda g, input, other: where((input >= other) | isnan(other), g, 0.0),
    other=lambda g, input, other: where((input >= other) | isnan(other), 0.0, g),
)


@partial(Op, shape=broadcasting("nan_to_num"), name="nan_to_num")
def nan_to_num_op(out, input, *, nan, posinf, neginf):
    np.copyto(out, input)
    np.copyto(out, nan, where=input != input, casting="unsafe")
    np.copyto(out, posinf, where=input == math.inf, casting="unsafe")
    np.copyto(out, neginf, where=input == -math.inf, casting="unsafe")


nan_to_num_op.vjps(input=lambda g, input: where(isfinite(input), g, 0.0))


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN replaced by nan (default 0), inf and -inf by posinf and neginf (default: the largest and lowest number)."""
    d = input.layout.dtype
    if not d.is_floating_point:
        return copy_op(input)
    largest = float(np.finfo(d.name).max)
    return nan_to_num_op(
        input,
        nan=0.0 if nan is None else float(nan),
        posinf=largest if posinf is None else float(posinf),
        neginf=-largest if neginf is None else float(neginf),
    )


# Compositions


def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power of exponent, both as float64."""
    if is_number(input) and is_number(exponent):
        raise TypeError("float_power: expected a Tensor on one side at least")
    base = constant(input, float64) if is_number(input) else as_tensor(input, "float_power").to(float64)
    power = float(exponent) if is_number(exponent) else as_tensor(exponent, "float_power").to(float64)
    return pow(base, power)


def rsub(input: Tensor, other: Any, *, alpha: Number = 1) -> Tensor:
    """other - alpha * input."""
    if not isinstance(input, Tensor):
        raise no_tensor("rsub", input)
    return sub(other, input, alpha=alpha)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other, in floats."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        raise TypeError(f"ldexp: expected two Tensors, got {type(input).__name__} and {type(other).__name__}")
    return mul(input, pow(2.0, other))


# Whole numbers


def _shift(out: Array, shifted: Array, other: Array, beyond: Any) -> None:
    inside = (other >= 0) & (other < 8 * out.itemsize)
    np.copyto(out, np.where(inside, shifted, beyond), casting="unsafe")


@partial(Bitwise, bools=None, numbers="one")
def bitwise_left_shift(out, input, other):
    """input * 2^other; 0 for a shift by less than 0 or by all bits."""
    _shift(out, np.left_shift(input, other), other, 0)


@partial(Bitwise, bools=None, numbers="one")
def bitwise_right_shift(out, input, other):
    """input / 2^other rounded down; 0 or -1 for a shift by less than 0 or by all bits."""
    _shift(out, np.right_shift(input, other), other, np.where(input < 0, -1, 0))


@partial(Bitwise, bools=None, numbers="none")
def gcd(out, input, other):
    """The greatest common divisor, not negative."""
    np.gcd(input, other, out=out)


@partial(Bitwise, bools=None, numbers="none")
def lcm(out, input, other):
    """The least common multiple, not negative."""
    np.lcm(input, other, out=out)
