"""Elementwise ops: the NumPy line that each equals, and the derivative of each, in the same ops.

A rule's parameters say what it needs: g the incoming gradient, y the output, the inputs by name. The C kernels are one
line each in csrc/elementwise.def. Read next: reduce.py.
"""

from __future__ import annotations

import math

import numpy as np

from ..dtypes import bool_
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import Number, as_tensor, binary, broadcasting, floating, promoted, unary

SQRT_HALF = math.sqrt(0.5)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


# Arithmetic


@binary()
def add(out, input, other):
    np.add(input, other, out=out)


add.vjps(input=lambda g: g, other=lambda g: g)


@binary()
def sub(out, input, other):
    np.subtract(input, other, out=out)


sub.vjps(input=lambda g: g, other=lambda g: -g)


@binary()
def mul(out, input, other):
    np.multiply(input, other, out=out)


mul.vjps(input=lambda g, other: g * other, other=lambda g, input: g * input)


@binary()
def div(out, input, other):
    np.divide(input, other, out=out)


div.vjps(input=lambda g, other: g / other, other=lambda g, other, y: -g * (y / other))


@unary(floats=False)
def neg(out, input):
    np.negative(input, out=out)


neg.vjps(input=lambda g: -g)
