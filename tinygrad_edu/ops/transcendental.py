"""Elementwise functions beyond elementwise.py's: other logarithms, hyperbolic and inverse trigonometric functions.

The pattern is elementwise.py's: a NumPy line, a rule, a line in csrc/elementwise.def. Where a derivative does not exist
it is PyTorch's choice. Left out: complex numbers. Read next: special.py; on_demand.py, which imports this when used.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ..op import Op
from ..tensor import Tensor
from .common import binary, broadcasting, floating, unary
from .compare import where
from .elementwise import cos, exp, log, mul, rsqrt, sin, square

LN2, LN10 = math.log(2), math.log(10)


# Logarithms and powers of other bases


@unary()
def log2(out, input):
    """The logarithm to the base 2."""
    np.log2(input, out=out)


@unary()
def log10(out, input):
    """The logarithm to the base 10."""
    np.log10(input, out=out)


@unary()
def exp2(out, input):
    """2 to the power of input."""
    np.exp2(input, out=out)


log2.vjps(input=lambda g, input: g / (input * LN2))
log10.vjps(input=lambda g, input: g / (input * LN10))
exp2.vjps(input=lambda g, y: g * y * LN2)


@binary()
def logaddexp(out, input, other):
    """log(exp(input) + exp(other)), without overflow."""
    np.logaddexp(input, other, out=out)


@binary()
def logaddexp2(out, input, other):
    """log2(2^input + 2^other), without overflow."""
    np.logaddexp2(input, other, out=out)


logaddexp.vjps(
    input=lambda g, input, other: g / (exp(other - input) + 1.0),
    other=lambda g, input, other: g / (exp(input - other) + 1.0),
)
logaddexp2.vjps(
    input=lambda g, input, other: g / (exp2(other - input) + 1.0),
    other=lambda g, input, other: g / (exp2(input - other) + 1.0),
)


@binary(floats=True, numbers="one")
def xlogy(out, input, other):
    """input * log(other), 0 where input is 0 unless other is NaN."""
    np.copyto(out, np.where((input == 0) & (other == other), 0, input * np.log(other)))


xlogy.vjps(
    input=lambda g, input, other: where((input == 0.0) & (other <= 0.0), 0.0, g * log(other)),
    other=lambda g, input, other: g * input / other,
)


@partial(Op, shape=broadcasting("logit"), name="logit")
def logit_op(out, input, *, eps):
    """A negative eps: none."""
    inside = np.clip(input, eps, 1 - eps) if eps >= 0 else input
    np.log(inside / (1 - inside), out=out)


def _logit_rule(g: Tensor, input: Tensor, eps: float) -> Tensor:
    low, high, outside = (eps, 1 - eps, 0.0) if eps >= 0 else (0.0, 1.0, math.nan)
    return where((input < low) | (input > high), outside, g / (input * (1.0 - input)))


logit_op.vjps(input=_logit_rule)


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), sigmoid's inverse: NaN outside 0 to 1, or with eps of input between eps and 1 - eps."""
    return logit_op(floating(input, "logit"), eps=-1.0 if eps is None else float(eps))


# Hyperbolic functions and their inverses


@unary()
def sinh(out, input):
    """The hyperbolic sine."""
    np.sinh(input, out=out)


@unary()
def cosh(out, input):
    """The hyperbolic cosine."""
    np.cosh(input, out=out)


@unary()
def asinh(out, input):
    """The inverse of sinh."""
    np.arcsinh(input, out=out)


@unary()
def acosh(out, input):
    """The inverse of cosh; NaN below 1."""
    np.arccosh(input, out=out)


@unary()
def atanh(out, input):
    """The inverse of tanh; NaN outside -1 to 1."""
    np.arctanh(input, out=out)


sinh.vjps(input=lambda g, input: g * cosh(input))
cosh.vjps(input=lambda g, input: g * sinh(input))
asinh.vjps(input=lambda g, input: g * rsqrt(square(input) + 1.0))
acosh.vjps(input=lambda g, input: g * rsqrt(square(input) - 1.0))
atanh.vjps(input=lambda g, input: g / (1.0 - square(input)))


# Angles, in radians


@unary()
def asin(out, input):
    """The inverse of the sine, from -pi/2 to pi/2; NaN outside -1 to 1."""
    np.arcsin(input, out=out)


@unary()
def acos(out, input):
    """The inverse of the cosine, from 0 to pi; NaN outside -1 to 1."""
    np.arccos(input, out=out)


@unary()
def atan(out, input):
    """The inverse of the tangent, from -pi/2 to pi/2."""
    np.arctan(input, out=out)


@binary(floats=True, numbers="none")
def atan2(out, input, other):
    """The angle from -pi to pi of the point with x = other, y = input."""
    np.arctan2(input, other, out=out)


@binary()
def hypot(out, input, other):
    """sqrt(input^2 + other^2), without overflow."""
    np.hypot(input, other, out=out)


asin.vjps(input=lambda g, input: g * rsqrt(1.0 - square(input)))
acos.vjps(input=lambda g, input: -g * rsqrt(1.0 - square(input)))
atan.vjps(input=lambda g, input: g / (square(input) + 1.0))


def distance(input: Tensor, other: Tensor) -> Tensor:
    """hypot, but 1 at the origin: so atan2 is flat there, as in PyTorch, and small numbers' squares don't vanish."""
    far = hypot(input, other)
    return where(far == 0.0, 1.0, far)


atan2.shares(far=distance)
atan2.vjps(
    input=lambda g, other, far: g * (other / far / far),
    other=lambda g, input, far: -g * (input / far / far),
)
hypot.vjps(
    input=lambda g, input, y: g * (input / y),
    other=lambda g, other, y: g * (other / y),
)


@unary()
def sinc(out, input):
    """sin(pi input) / (pi input), 1 at 0."""
    out[...] = np.sinc(input)


def _sinc_rule(g: Tensor, input: Tensor) -> Tensor:
    turn, none = input * math.pi, square(input) == 0.0
    slope = (turn * cos(turn) - sin(turn)) / where(none, 1.0, square(input) * math.pi)
    return where(none, 0.0, g * slope)


sinc.vjps(input=_sinc_rule)


def deg2rad(input: Any) -> Tensor:
    """Degrees as radians."""
    return mul(floating(input, "deg2rad"), math.pi / 180)


def rad2deg(input: Any) -> Tensor:
    """Radians as degrees."""
    return mul(floating(input, "rad2deg"), 180 / math.pi)


arccos, arcsin, arctan, arctan2, arccosh, arcsinh, arctanh = acos, asin, atan, atan2, acosh, asinh, atanh
