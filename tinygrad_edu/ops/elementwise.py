"""Elementwise ops: the NumPy line that each equals, and the derivative of each, in the same ops.

A rule's parameters say what it needs: g the incoming gradient, y the output, the inputs by name. The C kernels are one
line each in csrc/elementwise.def. Where a derivative does not exist it is PyTorch's choice: 0 for abs and sign at 0.
Read next: ternary.py, compare.py, activation.py, then reduce.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import bool_, held, int64
from ..op import Op
from ..tensor import Tensor
from .common import (
    Binary,
    Known,
    Unary,
    as_number,
    binary,
    broadcasting,
    is_number,
    promoted,
    remember,
    unary,
    zeros_as,
)
from .compare import where

TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


# Arithmetic


class Scaled(Binary):
    """add and sub: input + sign * alpha * other."""

    def __init__(self, reference: Callable[..., None], sign: int = 1, bools: bool = True) -> None:
        super().__init__(reference, bools=bools)
        self.sign = sign

    def __call__(self, input: Any, other: Any, *, alpha: Any = 1) -> Tensor:  # type: ignore[override]
        if alpha == 1 and alpha is not True:
            return super().__call__(input, other)
        known = self.known(input, other, alpha)
        if known is not None:
            return add_scaled.run(*known)
        a, b = promoted(self.name, input, other)
        d, alpha = a.layout.dtype, as_number(alpha)
        if not is_number(alpha):
            raise TypeError(f"{self.name}: alpha must be a number, got {type(alpha).__name__}")
        if (isinstance(alpha, float) and not d.is_floating_point) or (isinstance(alpha, bool) and d is not bool_):
            raise RuntimeError(f"{self.name}: alpha={alpha} does not go with tensors of {d}")
        if not d.is_floating_point:  # exact for large integers, as an attribute would not be
            return super().__call__(a, mul(b, bool(alpha) if d is bool_ else alpha))
        scale = float(held(self.sign * alpha, d, self.name))
        spec = remember(add_scaled, (a, b), (a.layout, b.layout, scale), alpha=scale)
        return add_scaled.run(spec, (a, b))

    def known(self, input: Any, other: Any, alpha: Any = 1) -> Known | None:
        """What is run for two tensors and an alpha met before."""
        if alpha.__class__ is bool:
            return None
        try:
            spec = add_scaled.specs.get((input.layout, other.layout, self.sign * alpha))
        except (AttributeError, TypeError):
            return None
        return None if spec is None else (spec, (input, other))


@Scaled
def add(out, input, other):
    """input + alpha * other."""
    np.add(input, other, out=out)


add.vjps(input=lambda g: g, other=lambda g: g)


@partial(Scaled, sign=-1, bools=False)
def sub(out, input, other):
    """input - alpha * other. Raises RuntimeError for bools."""
    np.subtract(input, other, out=out)


sub.vjps(input=lambda g: g, other=lambda g: -g)


@partial(Op, shape=broadcasting("add"))
def add_scaled(out, input, other, *, alpha):
    """input + alpha * other, of floats."""
    np.add(input, other * alpha, out=out)


add_scaled.vjps(input=lambda g: g, other=lambda g, alpha: g * alpha)


@binary()
def mul(out, input, other):
    """input * other."""
    np.multiply(input, other, out=out)


mul.vjps(input=lambda g, other: g * other, other=lambda g, input: g * input)


class Quotient(Binary):
    """div, with PyTorch's rounding_mode."""

    def __call__(self, input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:  # type: ignore[override]
        if rounding_mode is None:
            return super().__call__(input, other)
        if rounding_mode == "floor":
            return floor_divide(input, other)
        if rounding_mode == "trunc":
            return truncated_quotient(input, other)
        raise ValueError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")


@partial(Quotient, floats=True)
def div(out, input, other):
    """input / other; integers give floats. rounding_mode "trunc" rounds towards 0, "floor" down."""
    np.divide(input, other, out=out)


div.vjps(input=lambda g, other: g / other, other=lambda g, other, y: -g * (y / other))


@binary(bools=None)
def floor_divide(out, input, other):
    """The quotient rounded down, for floats and integers. An integer divided by 0 gives 0: values are never checked."""
    np.floor_divide(input, other, out=out)
    if out.dtype.kind == "f":  # NumPy gives NaN for x // 0, PyTorch what x / 0 gives
        np.divide(input, other, out=out, where=np.equal(other, 0))


floor_divide.vjps(input=lambda g: zeros_as(g), other=lambda g: zeros_as(g))


@binary(bools=None)
def truncated_quotient(out, input, other):
    """The quotient rounded towards 0, flat as all rounding."""
    if out.dtype.kind == "f":
        np.trunc(np.divide(input, other), out=out)
    else:
        np.floor_divide(input, other, out=out)
        np.add(out, (out < 0) & (out * other != input), out=out)


truncated_quotient.vjps(input=lambda g: zeros_as(g), other=lambda g: zeros_as(g))


@binary(bools=None, numbers="one")
def remainder(out, input, other):
    """input - other * floor(input / other): it has the divisor's sign, as Python's % has."""
    np.remainder(input, other, out=out)


remainder.vjps(input=lambda g: g, other=lambda g, input, other: -g * floor_divide(input, other))


@unary(floats=False, bools=False)
def neg(out, input):
    """-input. Raises RuntimeError for bools."""
    np.negative(input, out=out)


neg.vjps(input=lambda g: -g)


@unary(floats=False, bools=False)
def abs(out, input):
    """The distance from 0; its gradient at 0 is 0."""
    np.absolute(input, out=out)


abs.vjps(input=lambda g, input: g * input.sign())


@unary(floats=False)
def sign(out, input):
    """-1, 0 or 1; 0 for NaN, and with gradient 0."""
    np.subtract(input > 0, input < 0, out=out, dtype=np.int8, casting="unsafe")  # 0 for NaN, as in PyTorch


sign.vjps(input=lambda g: zeros_as(g))


# Powers


class Power(Binary):
    """pow: common exponents have kernels of their own."""

    def __call__(self, input: Any, exponent: Any) -> Tensor:  # type: ignore[override]
        exponent = as_number(exponent)
        if is_number(exponent) and isinstance(input, Tensor):
            if input.layout.dtype.is_floating_point:
                if exponent in COMMON_POWERS:
                    return COMMON_POWERS[exponent](input)
            elif isinstance(exponent, int):
                if exponent == 2:
                    return square(input)
                if exponent < 0:
                    raise RuntimeError(
                        f"pow: integers can't be raised to the negative power {exponent}; convert to float first"
                    )
        return super().__call__(input, exponent)


@partial(Power, bools=None, numbers="one")
def pow(out, input, exponent):
    """input to the power of exponent, whose gradient at base 0 is 0. RuntimeError for an int to a negative int."""
    if out.dtype.kind == "f":
        np.power(input, exponent, out=out)
    else:  # NumPy refuses negative exponents, whose powers round to 0 but for the bases 1 and -1
        inverse = np.where(np.abs(input) == 1, np.where(np.remainder(exponent, 2) == 0, np.abs(input), input), 0)
        power = np.power(input, np.maximum(exponent, 0))  # apart: out may be an operand's memory
        np.copyto(out, np.where(exponent < 0, inverse, power), casting="unsafe")


pow.vjps(
    input=lambda g, input, exponent: where(exponent == 0, 0.0, g * exponent * pow(input, exponent - 1)),
    exponent=lambda g, input, exponent, y: where((input == 0) & (exponent >= 0), 0.0, g * y * input.log()),
)


class Square(Unary):
    """square: of bools in int64, as PyTorch's x ** 2."""

    def converted(self, input: Any) -> Tensor:
        x = super().converted(input)
        return x.to(int64) if x.layout.dtype is bool_ else x


@partial(Square, floats=False)
def square(out, input):
    """input * input."""
    np.square(input, out=out)


square.vjps(input=lambda g, input: g * input * 2.0)


@unary(floats=False)
def cube(out, input):
    """input * input * input."""
    np.multiply(np.square(input), input, out=out)


cube.vjps(input=lambda g, input: g * square(input) * 3.0)


@unary()
def sqrt(out, input):
    """The square root; NaN below 0."""
    np.sqrt(input, out=out)


sqrt.vjps(input=lambda g, y: g / (y * 2.0))


@unary()
def rsqrt(out, input):
    """1 / sqrt(input)."""
    np.divide(1, np.sqrt(input), out=out)


rsqrt.vjps(input=lambda g, y: g * (square(y) * y) * -0.5)


@unary()
def reciprocal(out, input):
    """1 / input."""
    np.divide(1, input, out=out)


reciprocal.vjps(input=lambda g, y: -g * square(y))

COMMON_POWERS = {2: square, 3: cube, 0.5: sqrt, -1: reciprocal}


# Exponentials and trigonometry


@unary()
def exp(out, input):
    """e to the power of input."""
    np.exp(input, out=out)


exp.vjps(input=lambda g, y: g * y)


@unary()
def expm1(out, input):
    """exp(input) - 1, exact near 0."""
    np.expm1(input, out=out)


expm1.vjps(input=lambda g, y: g * (y + 1.0))


@unary()
def log(out, input):
    """The natural logarithm; -inf of 0, NaN below."""
    np.log(input, out=out)


log.vjps(input=lambda g, input: g / input)


@unary()
def log1p(out, input):
    """log(1 + input), exact near 0."""
    np.log1p(input, out=out)


log1p.vjps(input=lambda g, input: g / (input + 1.0))


@unary()
def sin(out, input):
    """The sine of radians."""
    np.sin(input, out=out)


sin.vjps(input=lambda g, input: g * input.cos())


@unary()
def cos(out, input):
    """The cosine of radians."""
    np.cos(input, out=out)


cos.vjps(input=lambda g, input: -g * sin(input))


@unary()
def tan(out, input):
    """The tangent of radians."""
    np.tan(input, out=out)


tan.vjps(input=lambda g, y: g * add(square(y), 1.0))

_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none


@unary()
def erf(out, input):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    out[...] = _erf(input)


erf.vjps(input=lambda g, input: g * exp(neg(square(input))) * TWO_OVER_SQRT_PI)


# Rounding; integers are whole already


@unary(floats=False)
def floor(out, input):
    """The largest whole number not above; gradient 0, as for all rounding."""
    np.floor(input, out=out, casting="unsafe")


@unary(floats=False)
def ceil(out, input):
    """The smallest whole number not below."""
    np.ceil(input, out=out, casting="unsafe")


@unary(floats=False)
def trunc(out, input):
    """Without the fraction."""
    np.trunc(input, out=out, casting="unsafe")


class Rounding(Unary):
    """round: halves go to the even neighbour; with decimals, after so many digits."""

    def __call__(self, input: Any, *, decimals: int = 0) -> Tensor:  # type: ignore[override]
        call = super().__call__
        return call(input) if decimals == 0 else call(input * 10.0**decimals) / 10.0**decimals


@partial(Rounding, floats=False)
def round(out, input):
    """The nearest whole number, halves to the even one; with decimals, after so many digits."""
    np.rint(input, out=out, casting="unsafe")


for flat in (floor, ceil, trunc, round):
    flat.vjps(input=lambda g: zeros_as(g))
