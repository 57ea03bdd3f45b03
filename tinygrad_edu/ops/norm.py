"""Softmax and its logarithm along a dimension, and normalisation of the trailing dimensions.

Each of the three has a gradient op. Those are linear in the incoming gradient, by a symmetric matrix for softmax and
layer_norm, so a gradient op's rule for it is (nearly) the op itself. Left out: batch, group and instance
normalisation, which come with convolutions. Read next: loss.py; csrc/norm.c has the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import dtype as Dtype
from ..op import Op, Spec, op
from ..storage import layout_of
from ..tensor import Tensor
from .common import as_tensor, float_only, given, layouts_of, normal_dim, remember, same_shape
from .elementwise import exp, rsqrt, square


@partial(Op, shape=same_shape, name="softmax")
def softmax_op(out, input, *, dim):
    """exp(x) / sum(exp(x)), of x less its maximum so that nothing overflows."""
    if out.size:
        np.exp(input - input.max(dim, keepdims=True), out=out)
        out /= out.sum(dim, keepdims=True)


@op(same_shape)
def softmax_grad(out, grad, result, *, dim):
    """result * (grad - sum(grad * result)) inverts result = softmax(input)."""
    np.multiply(result, grad - (grad * result).sum(dim, keepdims=True), out=out)


softmax_op.vjps(input=lambda g, y, dim: softmax_grad.apply(g, y, dim=dim))
softmax_grad.vjps(
    grad=lambda g, result, dim: softmax_grad.apply(g, result, dim=dim),
    result=lambda g, grad, result, dim: (
        g * (grad - (grad * result).sum(dim, keepdim=True)) - grad * (g * result).sum(dim, keepdim=True)
    ),
)


@partial(Op, shape=same_shape, name="log_softmax")
def log_softmax_op(out, input, *, dim):
    """x - max(x) - log(sum(exp(x - max(x)))): exact where one entry stands far above the rest."""
    if out.size:
        np.subtract(input, input.max(dim, keepdims=True), out=out)
        out -= np.log(np.exp(out).sum(dim, keepdims=True))


@op(same_shape)
def log_softmax_grad(out, grad, result, *, dim):
    """grad - exp(result) * sum(grad) inverts result = log_softmax(input)."""
    np.subtract(grad, np.exp(result) * grad.sum(dim, keepdims=True), out=out)


log_softmax_op.vjps(input=lambda g, y, dim: log_softmax_grad.apply(g, y, dim=dim))
log_softmax_grad.vjps(
    grad=lambda g, result, dim: g - (g * exp(result)).sum(dim, keepdim=True),
    result=lambda g, grad, result, dim: -(g * exp(result)) * grad.sum(dim, keepdim=True),
)


def _along(primitive: Op, name: str, input: Tensor, dim: int, dtype: Dtype | None) -> Tensor:
    if dtype is None:  # a signature met before is found without checks
        spec = primitive.specs.get((getattr(input, "layout", None), dim))
        if spec is not None:
            return primitive.run(spec, (input,))
    x = as_tensor(input, name)
    if dtype is not None:
        x = x.to(dtype)
    if not x.layout.dtype.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point input, got {x.dtype}; pass dtype=")
    d = normal_dim(dim, x.layout.ndim, name)
    if x.layout.ndim == 0:
        return primitive.apply(x.reshape(1), dim=0).reshape(())
    spec = primitive.specs[x.layout, dim] = primitive.spec((x,), {"dim": d})
    return primitive.run(spec, (x,))


def softmax(input: Tensor, dim: int, dtype: Dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim, after a conversion to dtype if one is given.

    Raises RuntimeError for integers, IndexError for a dimension that is not there."""
    return _along(softmax_op, "softmax", input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: Dtype | None = None) -> Tensor:
    """log(softmax(x)) along dim, without the overflow. Raises as softmax does."""
    return _along(log_softmax_op, "log_softmax", input, dim, dtype)


def _trailing(ndim: int, n: int) -> tuple[int, ...]:
    return tuple(range(ndim - n, ndim))


def _standardized(x: Any, moments: Any, n: int) -> Any:
    """(x - mean) * scale of rows whose moments are known."""
    mean, scale = (m.reshape(*x.shape[: x.ndim - n], *[1] * n) for m in moments)
    return (x - mean) * scale


class LayerNorm(Op):
    """layer_norm. What it finds out about the rows goes into its second input, for the gradient to read."""

    def writes(self, spec: Spec) -> tuple[int, ...]:
        return (0, 2)


@partial(LayerNorm, shape=same_shape, name="layer_norm")
def layer_norm_op(out, input, moments, weight=None, bias=None, *, n, eps):
    """(x - mean) / sqrt(var + eps) over the last n dimensions, times weight plus bias, both or none; var is the mean
    squared deviation. moments: room for two numbers a row, its mean and its scale, 1 / sqrt(var + eps)."""
    if out.size:
        dims = _trailing(input.ndim, n)
        mean = input.mean(dims, keepdims=True)
        centred = input - mean
        var = (centred * centred).mean(dims, keepdims=True)
        moments[0], moments[1] = mean.ravel(), (1 / np.sqrt(var + input.dtype.type(eps))).ravel()
        out[...] = _standardized(input, moments, n)
        if weight is not None:
            np.add(out * weight, bias, out=out)


@partial(Op, shape=same_shape)
def layer_norm_grad(out, grad, input, moments, weight=None, *, n, eps):
    """scale * (g - mean(g) - y * mean(g * y)), the gradient of y = layer_norm(input) without a weight, of which g is
    grad; with one it is grad * weight."""
    if out.size:
        dims = _trailing(input.ndim, n)
        y, g = _standardized(input, moments, n), grad if weight is None else grad * weight
        inner = g - g.mean(dims, keepdims=True) - y * (g * y).mean(dims, keepdims=True)
        np.multiply(inner, moments[1].reshape(*input.shape[: input.ndim - n], *[1] * n), out=out)


@op(lambda grad, input, moments, *, n, eps: (2, *input.shape[input.ndim - n :]))
def layer_norm_sums(out, grad, input, moments, *, n, eps):
    """The gradients of weight and bias: the sums over all rows of grad * layer_norm(input), and of grad."""
    others = tuple(range(input.ndim - n))
    out[0] = (grad * _standardized(input, moments, n)).sum(others)
    out[1] = grad.sum(others)


def _moments(input: Tensor, n: int) -> Tensor:
    """Room for layer_norm's moments."""
    shape = input.layout.shape
    return Tensor.empty(layout_of((2, math.prod(shape[: len(shape) - n])), input.layout.dtype))


def standardize(input: Tensor, n: int, eps: float, *affine: Tensor) -> Tensor:
    """layer_norm over the last n dimensions, of arguments that fit."""
    return layer_norm_op.apply(input, _moments(input, n), *affine, n=n, eps=eps)


def _times(x: Tensor, weight: Any) -> Tensor:
    return x if weight is None else x * weight


def _second(
    g: Tensor, grad: Tensor, input: Tensor, moments: Tensor, weight: Tensor | None, n: int, eps: float
) -> Tensor:
    """With J the symmetric matrix of layer_norm_grad and y = layer_norm(x): the derivative of <g, J grad> in x is
    -scale * (y * mean(g * J grad) + J g * mean(grad * y) + J grad * mean(g * y))."""
    dims = _trailing(input.layout.ndim, n)

    def mean(x: Tensor) -> Tensor:
        return x.mean(dims, keepdim=True)

    grad = _times(grad, weight)
    y = standardize(input, n, eps)
    scale = rsqrt(mean(square(input - mean(input))) + eps)  # not the moments': it depends on the input, too
    through_g = layer_norm_grad.apply(g, input, moments, n=n, eps=eps)
    through_grad = layer_norm_grad.apply(grad, input, moments, n=n, eps=eps)
    return -scale * (y * mean(g * through_grad) + through_g * mean(grad * y) + through_grad * mean(g * y))


layer_norm_op.shares(
    sums=lambda g, input, moments, n, eps: layer_norm_sums.apply(g, input, moments, n=n, eps=eps),
)
layer_norm_op.vjps(
    input=lambda g, input, moments, weight, n, eps: layer_norm_grad.apply(
        *given(g, input, moments, weight), n=n, eps=eps
    ),
    moments=None,
    weight=lambda sums: sums.select(0, 0),
    bias=lambda sums: sums.select(0, 1),
)
layer_norm_grad.vjps(
    grad=lambda g, input, moments, weight, n, eps: _times(
        layer_norm_grad.apply(g, input, moments, n=n, eps=eps), weight
    ),
    input=_second,
    moments=None,
    weight=lambda g, grad, input, moments, n, eps: grad * layer_norm_grad.apply(g, input, moments, n=n, eps=eps),
)
layer_norm_sums.vjps(  # of its two outputs' gradients the first stands where a weight does, the second like a bias
    grad=lambda g, input, n, eps: standardize(input, n, eps, g.select(0, 0), g.select(0, 1)),
    input=lambda g, grad, input, moments, n, eps: layer_norm_grad.apply(
        grad, input, moments, g.select(0, 0), n=n, eps=eps
    ),
    moments=None,
)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) over the trailing dimensions normalized_shape, then times weight plus bias, of that
    shape both.

    Source: Ba, Kiros, Hinton: Layer normalization, arXiv:1607.06450. Raises RuntimeError for shapes that do not fit."""
    shape = tuple(normalized_shape)
    affine = () if weight is None or bias is None else (weight, bias)
    key = (*layouts_of("layer_norm", tuple(given(input, weight, bias))), weight is None, shape, eps)
    spec = layer_norm_op.specs.get(key)  # a signature met before is found without checks
    if spec is None:
        _check_layer_norm(input, shape, weight, bias)
        inputs = (input, _moments(input, len(shape)), *affine)
        spec = remember(layer_norm_op, inputs, key, n=len(shape), eps=float(eps))
    y = layer_norm_op.run(spec, (input, Tensor.empty(spec.inputs[1]), *affine))
    if not affine and (weight is not None or bias is not None):
        return y * weight if bias is None else y + bias
    return y


def _check_layer_norm(input: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None) -> None:
    n = len(shape)
    if n == 0 or input.layout.shape[-n:] != shape:
        raise RuntimeError(f"layer_norm: input of shape {input.layout.shape} does not end in normalized_shape {shape}")
    float_only("layer_norm", input)
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.layout.shape != shape:
            raise RuntimeError(f"layer_norm: {name} has shape {x.layout.shape}, expected normalized_shape {shape}")
        if x is not None and x.layout.dtype is not input.layout.dtype:
            raise RuntimeError(
                f"layer_norm: expected one dtype, got an input of {input.dtype} and a {name} of {x.dtype}"
            )


def normalize(input: Tensor, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12) -> Tensor:
    """input / max(norm of order p along dim, eps)."""
    dims = dim if isinstance(dim, int) else tuple(dim)
    return input / input.norm(p, dims, keepdim=True).clamp(min=eps)
