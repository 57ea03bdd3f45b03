"""Activations: elementwise ops with a gradient op of their own, which saves a pass over memory or two.

A gradient op computes the first derivative from the incoming gradient `grad` and the output `result` or the input,
whichever is cheaper; its own rules give the second derivative and, being ops, all others. What torch.nn.functional
adds to them (arguments, checks) stands in nn/functional.py. Read next: reduce.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..op import Op, op
from ..tensor import Tensor
from .common import broadcasting, float_only, remember, unary, zeros_as
from .compare import where
from .elementwise import _erf, exp, square

SQRT_HALF = math.sqrt(0.5)
DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)  # of the standard normal distribution
# tanh's approximation of GELU: Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, section 2
TANH_SCALE, TANH_CUBE = math.sqrt(2 / math.pi), 0.044715


class Activation(Op):
    """An elementwise op of one floating-point input and of numbers of one kind, its attributes in their order."""

    def __init__(self, reference: Callable[..., None], kind: type = float) -> None:
        super().__init__(reference, broadcasting(reference.__name__))
        code = reference.__code__
        self.names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        self.kind = kind

    def __call__(self, input: Any, *numbers: Any) -> Tensor:  # type: ignore[override]
        """Raises RuntimeError for integers, TypeError for what is no tensor or no number."""
        try:
            spec = self.specs.get((input.layout, *numbers) if numbers else (input.layout,))
        except (AttributeError, TypeError):
            spec = None
        if spec is not None:
            return self.run(spec, (input,))
        float_only(self.name, input)
        for name, number in zip(self.names, numbers, strict=True):
            if not isinstance(number, (bool, int, float, np.generic, Tensor)):
                raise TypeError(f"{self.name}: {name} must be a number, got {type(number).__name__}")
        attrs = dict(zip(self.names, [self.kind(number) for number in numbers], strict=True))
        if any(isinstance(number, Tensor) for number in numbers):  # which may change
            return self.apply(input, **attrs)
        return self.run(remember(self, (input,), (input.layout, *numbers), **attrs), (input,))


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


@Activation
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


@Activation
def elu(out, input, *, alpha):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    np.copyto(out, np.where(input > 0, input, np.expm1(np.minimum(input, 0)) * alpha))


@op(broadcasting("elu_grad"))
def elu_grad(out, grad, input, *, alpha):
    slope = np.where(input <= 0, np.exp(np.minimum(input, 0)) * alpha, 1)  # a NaN lets grad through, as in PyTorch
    np.multiply(grad, slope.astype(out.dtype), out=out)


elu.vjps(input=lambda g, input, alpha: elu_grad(g, input, alpha=alpha))
elu_grad.vjps(
    grad=lambda g, input, alpha: elu_grad(g, input, alpha=alpha),
    input=lambda g, grad, input, alpha: where(input < 0, g * grad * exp(input.clamp(max=0.0)) * alpha, 0.0),
)


# Of straight pieces: the gradient at a corner and of a NaN is PyTorch's


@Activation
def hardtanh(out, input, *, min, max):
    """input between min and max; as clamp, but that nothing flows through where it is at an end, or NaN."""
    np.clip(input, min, max, out=out)


@op(broadcasting("hardtanh_grad"))
def hardtanh_grad(out, grad, input, *, min, max):
    np.copyto(out, np.where((input > min) & (input < max), grad, 0))


hardtanh.vjps(input=lambda g, input, min, max: hardtanh_grad(g, input, min=min, max=max))
hardtanh_grad.vjps(
    grad=lambda g, input, min, max: hardtanh_grad(g, input, min=min, max=max), input=lambda g: zeros_as(g)
)


@Activation
def hardsigmoid(out, input):
    """(x + 3) / 6 between 0 and 1."""
    np.divide(np.clip(input + 3, 0, 6), 6, out=out)


@op(broadcasting("hardsigmoid_grad"))
def hardsigmoid_grad(out, grad, input):
    np.copyto(out, np.where((input > -3) & (input < 3), grad / 6, 0))


hardsigmoid.vjps(input=lambda g, input: hardsigmoid_grad(g, input))
hardsigmoid_grad.vjps(grad=lambda g, input: hardsigmoid_grad(g, input), input=lambda g: zeros_as(g))


@Activation
def hardswish(out, input):
    """x * hardsigmoid(x)."""
    np.divide(input * np.clip(input + 3, 0, 6), 6, out=out)


@op(broadcasting("hardswish_grad"))
def hardswish_grad(out, grad, input):
    np.copyto(out, np.where(input <= -3, 0, np.where(input < 3, grad * (input / 3 + 0.5), grad)))


hardswish.vjps(input=lambda g, input: hardswish_grad(g, input))
hardswish_grad.vjps(
    grad=lambda g, input: hardswish_grad(g, input),
    input=lambda g, grad, input: hardsigmoid_grad(g * grad * 2.0, input),
)


@Activation
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


@Activation
def softplus(out, input, *, beta, threshold):
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold."""
    z = input * out.dtype.type(beta)
    np.copyto(out, np.where(z > threshold, input, np.logaddexp(z, 0) / out.dtype.type(beta)))


@op(broadcasting("softplus_grad"))
def softplus_grad(out, grad, input, *, beta, threshold):
    z = input * out.dtype.type(beta)
    e = np.exp(-np.abs(z))
    np.multiply(grad, np.where(z > threshold, 1, np.where(z < 0, e, 1) / (1 + e)), out=out)


def _softplus_second(g: Tensor, grad: Tensor, input: Tensor, beta: float, threshold: float) -> Tensor:
    z = input * beta
    return where(z > threshold, 0.0, sigmoid_grad(g * grad * beta, sigmoid(z)))


softplus.vjps(input=lambda g, input, beta, threshold: softplus_grad(g, input, beta=beta, threshold=threshold))
softplus_grad.vjps(
    grad=lambda g, input, beta, threshold: softplus_grad(g, input, beta=beta, threshold=threshold),
    input=_softplus_second,
)


@partial(Activation, kind=bool)
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
