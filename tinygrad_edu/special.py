"""torch.special's functions, most of which tg has under the same or another name.

Left out: Bessel functions, orthogonal polynomials and zeta. Read next: ops/special.py.
"""

from __future__ import annotations

import math

from .ops.activation import sigmoid
from .ops.compare import where
from .ops.elementwise import erf, expm1, log, log1p, mul, round
from .ops.norm import log_softmax, softmax
from .ops.reduce import logsumexp
from .ops.special import digamma, erfc, erfinv, lgamma, polygamma
from .ops.transcendental import exp2, logit, sinc, xlogy
from .tensor import Tensor

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammaln",
    "log1p",
    "log_softmax",
    "logit",
    "logsumexp",
    "ndtr",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlogy",
]

expit, gammaln, psi = sigmoid, lgamma, digamma


def ndtr(input: Tensor) -> Tensor:
    """The standard normal distribution's function: the probability of a number below input."""
    return mul(erfc(mul(input, -math.sqrt(0.5))), 0.5)


def entr(input: Tensor) -> Tensor:
    """-input * log(input): 0 at 0, -inf below."""
    inside = input > 0
    return where(inside, -input * log(where(inside, input, 1.0)), where(input < 0, -math.inf, input))
