"""Special functions: erfc, erfinv and the gamma function's kin, as NumPy computes them: they have no kernels in C.

Left out: what else torch.special has. Read next: statistics.py.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ..op import Op
from ..tensor import Tensor
from .common import broadcasting, floating, unary
from .elementwise import TWO_OVER_SQRT_PI, exp, square
from .move import Array

_erfc = np.frompyfunc(math.erfc, 1, 1)
_erf = np.frompyfunc(math.erf, 1, 1)


@unary()
def erfc(out, input):
    """1 - erf(input), exact where erf is nearly 1."""
    out[...] = _erfc(input)


erfc.vjps(input=lambda g, input: g * exp(-square(input)) * -TWO_OVER_SQRT_PI)


@unary()
def erfinv(out, input):
    """The inverse of erf; infinite at -1 and 1, NaN beyond."""
    out[...] = _inverse_erf(np.asarray(input, np.float64))


def _inverse_erf(x: Array) -> Array:
    """A formula by Winitzki (A handy approximation for the error function and its inverse, 2008), within 0.002, then
    three steps of Halley's method. Near 1 they solve erfc(y) = 1 - |x|, of which more digits are left than of erf."""
    a = np.abs(x)
    inside = np.where(a < 1, a, 0.0)
    half = np.log1p(-inside * inside) / 2
    k = 2 / (math.pi * 0.147) + half
    y = np.sqrt(np.sqrt(k * k - 2 * half / 0.147) - k)
    for _ in range(3):
        missed = np.where(inside < 0.5, _erf(y) - inside, 1 - inside - _erfc(y)).astype(np.float64)
        step = missed / (TWO_OVER_SQRT_PI * np.exp(-y * y))
        y = y - step / (1 + y * step)
    return np.copysign(np.where(a < 1, y, np.where(a == 1, math.inf, math.nan)), x)


erfinv.vjps(input=lambda g, y: g * exp(square(y)) * (1 / TWO_OVER_SQRT_PI))


def _log_gamma(x: float) -> float:
    if x == -math.inf or (x <= 0 and x == math.floor(x)):  # a pole
        return math.inf
    return math.lgamma(x)


_lgamma = np.frompyfunc(_log_gamma, 1, 1)


@unary()
def lgamma(out, input):
    """The logarithm of |gamma(input)|; infinite at 0, -1, -2, ..."""
    out[...] = _lgamma(input)


@unary()
def digamma(out, input):
    """The derivative of lgamma; NaN at -1, -2, ..., infinite at 0."""
    x = np.asarray(input, np.float64)
    below = (x < 0.5) & (x > -math.inf)
    value = _psi(np.where(below, 1 - x, x))
    cot = np.where(below, x - np.rint(x), 0.25) * math.pi  # the period of the cotangent taken out
    out[...] = np.where(below, value - math.pi / np.tan(cot), value)
    out[np.asarray(x == 0)] = np.copysign(math.inf, -x[np.asarray(x == 0)])
    out[np.asarray((x < 0) & (x == np.floor(x)))] = math.nan


# Bernoulli numbers B2, B4, ...: DLMF 24.2, https://dlmf.nist.gov/24.2
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
LOW = -1e4
FAR = 12.0  # from here on, the asymptotic series is exact to double's last digits


def _psi(x: Array) -> Array:
    """digamma of what is at least 0.5: moved up by its recurrence, then DLMF 5.11.2."""
    total = np.zeros_like(x)
    for _ in range(int(FAR)):
        low = x < FAR
        total = total - np.where(low, 1 / x, 0)
        x = np.where(low, x + 1, x)
    series = np.log(x) - 1 / (2 * x)
    for k, b in enumerate(BERNOULLI, 1):
        series = series - b / (2 * k * x ** (2 * k))
    return total + series


@partial(Op, shape=broadcasting("polygamma"), name="polygamma")
def polygamma_op(out, input, *, n):
    out[...] = -((-1.0) ** n) * math.factorial(n) * _zeta(n + 1, np.asarray(input, np.float64))


def _zeta(s: int, x: Array) -> Array:
    """Hurwitz' zeta function, the sum of (x + k)^-s over k = 0, 1, ...: its head, then Euler's and Maclaurin's formula
    (DLMF 25.11.5). Below 0 the head reaches up to FAR, so what is below LOW would take for ever: it is NaN."""
    total = np.zeros_like(x)
    within = (x > LOW) & (x < math.inf)
    finite = np.where(within, x, FAR)
    for _ in range(int(FAR - min(0.0, float(finite.min(initial=0.0)))) + 1):
        low = finite < FAR
        total = total + np.where(low, finite ** -float(s), 0)
        finite = np.where(low, finite + 1, finite)
    tail = finite ** (1.0 - s) / (s - 1) + finite ** -float(s) / 2
    rising, power = float(s), finite ** (-1.0 - s)
    for k, b in enumerate(BERNOULLI, 1):
        tail = tail + b / math.factorial(2 * k) * rising * power
        rising, power = rising * (s + 2 * k - 1) * (s + 2 * k), power / finite**2
    return np.where(within, total + tail, np.where(x > 0, 0.0, math.nan))


def polygamma(n: int, input: Any) -> Tensor:
    """The n-th derivative of digamma, n from 0 on; NaN below -10^4. Raises RuntimeError for a negative n."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"polygamma: n must be an int, got {type(n).__name__}")
    if n < 0:
        raise RuntimeError(f"polygamma: n must not be negative, got {n}")
    return digamma(input) if n == 0 else polygamma_op(floating(input, "polygamma"), n=n)


def polygamma_method(self: Tensor, n: int) -> Tensor:
    """polygamma(n, self)"""
    return polygamma(n, self)


lgamma.vjps(input=lambda g, input: g * digamma(input))
digamma.vjps(input=lambda g, input: g * polygamma(1, input))
polygamma_op.vjps(input=lambda g, input, n: g * polygamma(n + 1, input))
