"""Activations: elementwise ops with a gradient op of their own, which saves a pass over memory or two.

A gradient op computes the first derivative from the incoming gradient `grad` and the output `result` or the input,
whichever is cheaper; its own rules give the second derivative and, being ops, all others. What torch.nn.functional
adds to them (arguments, checks) stands in nn/functional.py. Read next: reduce.py.
"""

from __future__ import annotations

import math

import numpy as np

from ..op import op
from ..tensor import Tensor
from .common import broadcasting, unary, zeros_as
from .compare import where
from .elementwise import _erf, exp, square

SQRT_HALF = math.sqrt(0.5)
DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)  # of the standard normal distribution
# tanh's approximation of GELU: Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, section 2
TANH_SCALE, TANH_CUBE = math.sqrt(2 / math.pi), 0.044715


@unary(floats=False, bools=False)
def relu(out, input):
    """max(input, 0), with gradient 0 at 0."""
    np.maximum(input, 0, out=out)


@op(broadcasting("relu_grad"))
def relu_grad(out, grad, result):
    np.copyto(out, np.where(result <= 0, 0, grad))  # a NaN lets grad through, as in PyTorch


@op(broadcasting("relu_dropout_grad"))
def relu_dropout_grad(out, grad, result, *, scale):
    """The gradient of dropout(relu(x)), of which `result` is the value and `scale` the factor; made by fuse.py."""
    np.copyto(out, np.where(result <= 0, 0, grad * out.dtype.type(scale)))


relu.vjps(input=lambda g, y: relu_grad(g, y))
relu_grad.vjps(grad=lambda g, result: relu_grad(g, result), result=lambda g: zeros_as(g))


@unary()
def tanh(out, input):
    """The hyperbolic tangent."""
    np.tanh(input, out=out)


@op(broadcasting("tanh_grad"))
def tanh_grad(out, grad, result):
    np.multiply(grad, 1 - result * result, out=out)


tanh.vjps(input=lambda g, y: tanh_grad(g, y))
tanh_grad.vjps(
    grad=lambda g, result: tanh_grad(g, result),
    result=lambda g, grad, result: g * grad * result * -2.0,
)


@unary()
def sigmoid(out, input):
    """1 / (1 + exp(-x)), by the exponential that does not overflow."""
    e = np.exp(-np.abs(input))
    np.divide(np.where(input < 0, e, 1), 1 + e, out=out)


@op(broadcasting("sigmoid_grad"))
def sigmoid_grad(out, grad, result):
    np.multiply(grad, result * (1 - result), out=out)


sigmoid.vjps(input=lambda g, y: sigmoid_grad(g, y))
sigmoid_grad.vjps(
    grad=lambda g, result: sigmoid_grad(g, result),
    result=lambda g, grad, result: g * grad * (1.0 - result * 2.0),
)


@op(broadcasting("leaky_relu"))
def leaky_relu(out, input, *, negative_slope):
    """input where it is positive, negative_slope * input elsewhere."""
    np.multiply(input, np.where(input > 0, 1, negative_slope).astype(out.dtype), out=out)


@op(broadcasting("leaky_relu_grad"))
def leaky_relu_grad(out, grad, input, *, negative_slope):
    np.multiply(grad, np.where(input > 0, 1, negative_slope).astype(out.dtype), out=out)


leaky_relu.vjps(input=lambda g, input, negative_slope: leaky_relu_grad(g, input, negative_slope=negative_slope))
leaky_relu_grad.vjps(
    grad=lambda g, input, negative_slope: leaky_relu_grad(g, input, negative_slope=negative_slope),
    input=lambda g: zeros_as(g),
)


@op(broadcasting("elu"))
def elu(out, input, *, alpha):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    np.copyto(out, np.where(input > 0, input, np.expm1(np.minimum(input, 0)) * alpha))


@op(broadcasting("elu_grad"))
def elu_grad(out, grad, input, *, alpha):
    np.multiply(grad, np.where(input > 0, 1, np.exp(np.minimum(input, 0)) * alpha).astype(out.dtype), out=out)


elu.vjps(input=lambda g, input, alpha: elu_grad(g, input, alpha=alpha))
elu_grad.vjps(
    grad=lambda g, input, alpha: elu_grad(g, input, alpha=alpha),
    input=lambda g, grad, input, alpha: where(input >= 0, 0.0, g * grad * exp(input.clamp(max=0.0)) * alpha),
)


@unary()
def silu(out, input):
    """x * sigmoid(x)."""
    e = np.exp(-np.abs(input))
    np.multiply(input, np.where(input < 0, e, 1) / (1 + e), out=out)


@op(broadcasting("silu_grad"))
def silu_grad(out, grad, input):
    e = np.exp(-np.abs(input))
    s = np.where(input < 0, e, 1) / (1 + e)
    np.multiply(grad, s * (1 + input * (1 - s)), out=out)


def _silu_second(g: Tensor, grad: Tensor, input: Tensor) -> Tensor:
    s = sigmoid(input)
    return g * grad * sigmoid_grad(input * (1.0 - s * 2.0) + 2.0, s)


silu.vjps(input=lambda g, input: silu_grad(g, input))
silu_grad.vjps(grad=lambda g, input: silu_grad(g, input), input=_silu_second)


@op(broadcasting("softplus"))
def softplus(out, input, *, beta, threshold):
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold."""
    z = input * out.dtype.type(beta)
    np.copyto(out, np.where(z > threshold, input, np.logaddexp(z, 0) / out.dtype.type(beta)))


def _softplus_rule(g: Tensor, input: Tensor, beta: float, threshold: float) -> Tensor:
    z = input * beta
    return where(z > threshold, g, g * sigmoid(z))


softplus.vjps(input=_softplus_rule)


@op(broadcasting("gelu"))
def gelu(out, input, *, tanh):
    """x times the normal distribution function at x; with tanh, by the approximation of arXiv:1606.08415."""
    if tanh:
        np.multiply(input * 0.5, 1 + np.tanh(TANH_SCALE * (input + TANH_CUBE * input**3)), out=out)
    else:
        np.multiply(input * 0.5, 1 + np.asarray(_erf(input * SQRT_HALF), out.dtype), out=out)


@op(broadcasting("gelu_grad"))
def gelu_grad(out, grad, input, *, tanh):
    if tanh:
        t = np.tanh(TANH_SCALE * (input + TANH_CUBE * input**3))
        slope = TANH_SCALE * (1 + 3 * TANH_CUBE * input**2)  # of tanh's argument
        np.multiply(grad, 0.5 * (1 + t) + 0.5 * input * (1 - t * t) * slope, out=out)
    else:
        below = 0.5 * (1 + np.asarray(_erf(input * SQRT_HALF), out.dtype))
        np.multiply(grad, below + input * (DENSITY_AT_0 * np.exp(-0.5 * input**2)), out=out)


def _gelu_second(g: Tensor, grad: Tensor, input: Tensor, tanh: bool) -> Tensor:
    squared = square(input)
    if not tanh:
        return g * grad * exp(squared * -0.5) * (2.0 - squared) * DENSITY_AT_0
    t = _tanh(TANH_SCALE * (input + TANH_CUBE * squared * input))
    slope = TANH_SCALE * (1.0 + 3 * TANH_CUBE * squared)
    bend = 6 * TANH_SCALE * TANH_CUBE * input  # slope's derivative
    return g * grad * (1.0 - square(t)) * (slope + 0.5 * input * (bend - 2.0 * t * square(slope)))


_tanh = tanh
gelu.vjps(input=lambda g, input, tanh: gelu_grad(g, input, tanh=tanh))
gelu_grad.vjps(grad=lambda g, input, tanh: gelu_grad(g, input, tanh=tanh), input=_gelu_second)
