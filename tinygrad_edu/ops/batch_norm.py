"""Normalisation by statistics of a batch: batch, instance and group normalisation.

Ops see (N, C, *spatial) and compute for each channel c over all other dimensions. moments (2, C) are mean and biased
variance; sums (2, C) are sum(g) and sum(g xhat), with xhat = (x - mean) / sqrt(var + eps). With `training` the moments
are those of the input, and every rule for the input is the whole derivative, through the moments too: that is why
no rule passes anything on to moments or sums. The family is closed, so second order costs no kernel. Left out: cuDNN's
layouts, SyncBatchNorm. Source: Ioffe, Szegedy: Batch normalization, arXiv:1502.03167. Read next: csrc/batch_norm.c.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ..op import Op, Spec, op
from ..op_kinds import UpdateOp, update
from ..storage import Layout
from ..tensor import Tensor
from .activation import relu_grad
from .common import constant, float_only, same_shape
from .elementwise import rsqrt
from .join import stack
from .norm import standardize
from .philox import dropout_op, scale, threshold


def _others(ndim: int) -> tuple[int, ...]:
    """All dimensions but the channels'."""
    return (0, *range(2, ndim))


def _wide(x: Any, ndim: int) -> Any:
    """A vector (C) where it broadcasts along the channels."""
    return x.reshape((1, -1) + (1,) * (ndim - 2))


def _count(shape: tuple[int, ...]) -> int:
    """Elements of a channel."""
    return shape[0] * math.prod(shape[2:])


def _pairs(input: Layout, *_: Layout, **__: Any) -> tuple[int, ...]:
    return 2, input.shape[1]


def _scale(moments: Any, weight: Any, eps: float) -> Any:
    """weight / sqrt(var + eps), computed in double and rounded once."""
    return (weight / np.sqrt(moments[1].astype(np.float64) + eps)).astype(moments.dtype)


@op(_pairs)
def batch_moments(out, input):
    """Mean and biased variance of each channel."""
    dims = _others(input.ndim)
    mean = input.mean(dims, dtype=np.float64, keepdims=True)
    out[0], out[1] = mean.reshape(-1), np.square(input - mean).mean(dims)


def _moments_rule(g: Tensor, y: Tensor, input: Tensor) -> Tensor:
    """d mean = 1 / n, d var = 2 (x - mean) / n."""
    ndim, n = input.layout.ndim, _count(input.layout.shape)
    centred = input - _wide(y.select(0, 0), ndim)
    dx: Tensor = centred * _wide(g.select(0, 1) * (2.0 / n), ndim) + _wide(g.select(0, 0) * (1.0 / n), ndim)
    return dx


batch_moments.vjps(input=_moments_rule)


@partial(Op, shape=same_shape, name="batch_norm")
def batch_norm_op(out, input, moments, weight, bias, *, eps, training):
    """(x - mean) * (weight / sqrt(var + eps)) + bias."""
    np.subtract(input, _wide(moments[0], input.ndim), out=out)
    out *= _wide(_scale(moments, weight, eps), input.ndim)
    out += _wide(bias, input.ndim)


@op(_pairs)
def batch_norm_grad_sums(out, grad, input, moments, *, eps, training):
    """sum(grad) and sum(grad * xhat): the gradients of bias and weight."""
    dims = _others(input.ndim)
    out[0] = grad.sum(dims, dtype=np.float64)
    products = (grad * (input - _wide(moments[0], input.ndim))).sum(dims, dtype=np.float64)
    out[1] = products / np.sqrt(moments[1].astype(np.float64) + eps)


@op(same_shape)
def batch_norm_grad_input(out, grad, input, moments, sums, weight, *, eps):
    """weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat)), the means from `sums`."""
    n, ndim = max(_count(input.shape), 1), input.ndim
    mean = sums[0].astype(np.float64) / n
    slope = sums[1].astype(np.float64) / (n * np.sqrt(moments[1].astype(np.float64) + eps))
    np.subtract(grad, _wide(mean.astype(out.dtype), ndim), out=out)
    out -= (input - _wide(moments[0], ndim)) * _wide(slope.astype(out.dtype), ndim)
    out *= _wide(_scale(moments, weight, eps), ndim)


def _rstd(moments: Tensor, eps: float) -> Tensor:
    return rsqrt(moments.select(0, 1) + eps)


def _rstd_of(input: Tensor, eps: float) -> Tensor:
    """1 / sqrt(var + eps) as a function of the input, for derivatives beyond the second."""
    return _rstd(batch_moments.apply(input), eps)


def _fixed(g: Tensor, moments: Tensor, weight: Tensor, eps: float) -> Tensor:
    """The gradient where the moments do not depend on the input."""
    dx: Tensor = g * _wide(weight * _rstd(moments, eps), g.layout.ndim)
    return dx


def _input_rule(
    dense: Tensor, input: Tensor, moments: Tensor, weight: Tensor, sums: Tensor, eps: float, training: bool
) -> Tensor:
    if not training:
        return _fixed(dense, moments, weight, eps)
    return batch_norm_grad_input.apply(dense, input, moments, sums, weight, eps=eps)


batch_norm_op.shares(
    dense=lambda g: g.contiguous(),
    sums=lambda dense, input, moments, eps, training: batch_norm_grad_sums.apply(
        dense, input, moments, eps=eps, training=training
    ),
)
batch_norm_op.vjps(
    input=_input_rule,
    moments=None,
    weight=lambda sums: sums.select(0, 1),
    bias=lambda sums: sums.select(0, 0),
)


def _sums_input_rule(
    g: Tensor, y: Tensor, grad: Tensor, input: Tensor, moments: Tensor, eps: float, training: bool
) -> Tensor:
    weight = g.select(0, 1)
    if not training:
        return _fixed(grad, moments, weight, eps)
    return batch_norm_grad_input.apply(grad, input, moments, y, weight, eps=eps)


batch_norm_grad_sums.vjps(
    grad=lambda g, input, moments, eps, training: batch_norm_op.apply(
        input, moments, g.select(0, 1), g.select(0, 0), eps=eps, training=training
    ),
    input=_sums_input_rule,
    moments=None,
)


def _grad_second(
    dense: Tensor, twice: Tensor, grad: Tensor, input: Tensor, moments: Tensor, sums: Tensor, weight: Tensor, eps: float
) -> Tensor:
    """With r = 1 / sqrt(var + eps), P(v) = v - mean(v) - xhat mean(v xhat), G = r P(grad) and U = r P(g): the
    derivative of <g, weight r P(grad)> in x is -weight r (xhat mean(g G) + U mean(grad xhat) + G mean(g xhat))."""
    ndim, n = grad.layout.ndim, _count(grad.layout.shape)
    one, zero = _affine(input, None, None)
    rstd = _rstd_of(input, eps)
    xhat = batch_norm_op.apply(input, moments, one, zero, eps=eps, training=True)
    through_grad = batch_norm_grad_input.apply(grad, input, moments, sums, one, eps=eps)
    through_g = batch_norm_grad_input.apply(dense, input, moments, twice, one, eps=eps)
    inner = (dense * through_grad).sum(_others(ndim))
    terms = xhat * _wide(inner, ndim) + through_g * _wide(sums.select(0, 1), ndim)
    terms = terms + through_grad * _wide(twice.select(0, 1), ndim)
    dx: Tensor = terms * _wide(weight * rstd * (-1.0 / max(n, 1)), ndim)
    return dx


def _grad_weight(dense: Tensor, twice: Tensor, grad: Tensor, input: Tensor, sums: Tensor, eps: float) -> Tensor:
    """sum(g r P(grad)) = r (sum(g grad) - (sum(g) sum(grad) + sum(g xhat) sum(grad xhat)) / n)."""
    n = _count(grad.layout.shape)
    return _rstd_of(input, eps) * (
        (dense * grad).sum(_others(grad.layout.ndim)) - (twice * sums).sum(0) * (1.0 / max(n, 1))
    )


batch_norm_grad_input.shares(
    dense=lambda g: g.contiguous(),
    twice=lambda dense, input, moments, eps: batch_norm_grad_sums.apply(dense, input, moments, eps=eps, training=True),
)
batch_norm_grad_input.vjps(
    grad=lambda dense, input, moments, twice, weight, eps: batch_norm_grad_input.apply(
        dense, input, moments, twice, weight, eps=eps
    ),
    input=_grad_second,
    moments=None,
    sums=None,  # what flows through them is in the rules for grad and input
    weight=_grad_weight,
)


@update(writes=lambda spec: (0, 1))
def running_update_(running_mean, running_var, moments, batches=None, *, count, momentum):
    """running = (1 - momentum) * running + momentum * moment, the variance made unbiased by count / (count - 1).

    batches: int64 0-d, how many batches there have been with this one: momentum is then 1 / batches, the average of
    all. It is data, so a replayed step sees it grow."""
    factor = momentum if batches is None else 1 / float(batches)
    unbiased = count / max(count - 1, 1)
    for running, moment in ((running_mean, moments[0]), (running_var, moments[1].astype(np.float64) * unbiased)):
        running[...] = (1 - factor) * running.astype(np.float64) + factor * moment.astype(np.float64)


# Fused, for replay only: made by fuse.py, never differentiated


class Fused(UpdateOp):
    """Several steps of batch norm in one kernel, to the bit; the first two inputs are what it makes."""

    def __init__(self, reference: Any) -> None:
        super().__init__(reference, lambda target, *_, **__: target.shape, lambda spec: (0, 1))

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        p = spec.attrs["p"]
        return list(spec.inputs), [threshold(p), int(spec.attrs.get("relu", 0))], [spec.attrs["eps"], scale(p)]


@Fused
def batch_norm_fused_(out, moments, input, weight, bias, key=None, *, eps, p):
    """moments = batch_moments(input), out = batch_norm(input, ...), and, with a key, dropout of that."""
    batch_moments.reference(moments, input)
    batch_norm_op.reference(out, input, moments, weight, bias, eps=eps, training=True)
    if key is not None:
        dropout_op.reference(out, out, key, p=p)


@Fused
def batch_norm_grad_fused_(out, sums, grad, input, moments, weight, key=None, *, eps, p, relu):
    """sums = batch_norm_grad_sums(g, ...), out = batch_norm_grad_input(g, ...), of g = dropout(grad) with a key, else
    grad; then, if relu, relu_grad(out, input): batch norm's input was a relu's output."""
    g = grad
    if key is not None:
        g = np.empty_like(grad)
        dropout_op.reference(g, grad, key, p=p)
    batch_norm_grad_sums.reference(sums, g, input, moments, eps=eps, training=True)
    batch_norm_grad_input.reference(out, g, input, moments, sums, weight, eps=eps)
    if relu:
        relu_grad.reference(out, out, input)


# What users call


def _affine(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight and bias, 1 and 0 where there are none."""
    c, d = input.layout.shape[1], input.layout.dtype
    return (
        constant(1, d).expand(c) if weight is None else weight,
        constant(0, d).expand(c) if bias is None else bias,
    )


def _check(name: str, input: Tensor, **vectors: Tensor | None) -> None:
    """Raise RuntimeError for a vector that is not (C) of the input's dtype."""
    if input.layout.ndim < 2:
        raise RuntimeError(f"{name}: expected an input (N, C, ...), got shape {input.layout.shape}")
    float_only(name, input)
    c = input.layout.shape[1]
    for role, x in vectors.items():
        if x is None:
            continue
        if x.layout.numel != c or x.layout.ndim != 1:
            raise RuntimeError(f"{name}: {role} should contain {c} elements, one a channel, not {x.layout.shape}")
        if x.layout.dtype is not input.layout.dtype:
            raise RuntimeError(f"{name}: {role} is {x.dtype}, the input {input.dtype}; they must have one dtype")
        if role.startswith("running") and x.requires_grad:
            raise RuntimeError(f"{name}: {role} cannot require grad: it is changed, not differentiated")


def _check_pair(running_mean: Tensor | None, running_var: Tensor | None) -> None:
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")


def _more_than_one(size: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise ValueError where statistics would be those of single elements. size: the batch and the places."""
    if math.prod(size) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    batches: Tensor | None = None,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, ...); the vectors are (C).

    mean and variance are the batch's while training, and the running ones, if given, take up `momentum` of them (the
    variance unbiased); else the running ones. batches: see running_update_; PyTorch keeps that in the module.
    Raises ValueError for a single value a channel while training, for eps <= 0 then, for one running tensor without
    the other; RuntimeError for vectors that do not fit and for missing running tensors otherwise."""
    if training:
        _more_than_one((input.layout.shape[0], *input.layout.shape[2:]), input.layout.shape)
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm eps must be {'positive during training' if training else '>= 0'}, but got {eps}")
    _check("batch_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if training:
        _check_pair(running_mean, running_var)
        x = input.contiguous()
        moments = batch_moments.apply(x.detach())
    else:
        if running_mean is None or running_var is None:
            missing = "running_mean" if running_mean is None else "running_var"
            raise RuntimeError(f"batch_norm: {missing} must be defined in evaluation mode")
        x, moments = input.contiguous(), stack([running_mean, running_var])
    y = batch_norm_op.apply(x, moments, *_affine(x, weight, bias), eps=float(eps), training=bool(training))
    count = _count(x.layout.shape)
    if training and running_mean is not None and running_var is not None and count:
        state = (
            (running_mean, running_var, moments) if batches is None else (running_mean, running_var, moments, batches)
        )
        running_update_.apply(*state, count=count, momentum=float(momentum))
    return y


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """batch_norm of every example by itself; running statistics take up the mean over the batch of theirs.

    Raises ValueError for a single place a channel, RuntimeError as batch_norm does. Source: Ulyanov et al.,
    arXiv:1607.08022."""
    shape = input.layout.shape
    if use_input_stats and math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {shape}")
    _check("instance_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_pair(running_mean, running_var)
    if not use_input_stats:
        if running_mean is None:
            raise RuntimeError("instance_norm: expected running_mean and running_var where use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    n, c = shape[:2]
    x = input.reshape(1, n * c, *shape[2:]).contiguous()
    moments = batch_moments.apply(x.detach())
    each = [v.repeat(n) for v in _affine(input, weight, bias)]
    y = batch_norm_op.apply(x, moments, *each, eps=float(eps), training=True)
    if running_mean is not None and running_var is not None and input.layout.numel:
        average = moments.reshape(2, n, c).mean(1)
        running_update_.apply(running_mean, running_var, average, count=math.prod(shape[2:]), momentum=float(momentum))
    return y.reshape(shape)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """standardize over groups of C / num_groups neighbouring channels of each example, times weight plus bias, (C).

    Raises RuntimeError for channels that do not divide and vectors that do not fit, ValueError for a single value a
    group. Source: Wu, He: Group normalization, arXiv:1803.08494."""
    shape = input.layout.shape
    _check("group_norm", input, weight=weight, bias=bias)
    if num_groups <= 0 or shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{shape} and num_groups={num_groups}"
        )
    _more_than_one((shape[0] * shape[1] // num_groups, *shape[2:]), shape)
    y = input.reshape(shape[0], num_groups, math.prod(shape[1:]) // num_groups)
    y = standardize(y, 1, float(eps)).reshape(shape)
    if weight is not None:
        y = y * _wide(weight, len(shape))
    return y if bias is None else y + _wide(bias, len(shape))
