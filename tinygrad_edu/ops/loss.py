"""The losses that are ops of their own: for speed, or because a composition would lose accuracy at the ends.

Those of classes come with their reduction, so that logits are read once forward and once backward. A target that is no
class gives NaN: nobody checks targets while a step is replayed. Other losses and arguments are compositions, in
nn/loss_functions.py. Left out: targets as one-hot rows, which a composition serves. Read next: csrc/loss.c.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..dtypes import int64
from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .activation import Activation, sigmoid
from .common import binary, given, zeros_as
from .compare import ne, where
from .elementwise import log, log1p
from .norm import softmax_grad, softmax_op

NONE, MEAN, SUM = 0, 1, 2  # as in csrc/loss.c
REDUCTIONS = {"none": NONE, "mean": MEAN, "sum": SUM}


def class_dim(input: Layout) -> int:
    """The dimension of the classes, of (c) or (n, c, ...)."""
    return 0 if input.ndim == 1 else 1


def _loss_shape(input: Layout, target: Layout, weight: Layout | None = None, *, reduction: int, **_: Any) -> Any:
    d = class_dim(input)
    if target.dtype is not int64 or target.shape != input.shape[:d] + input.shape[d + 1 :]:
        raise RuntimeError(
            f"a loss of classes: expected an input (n, c, ...) and an int64 target (n, ...), "
            f"got {input.shape} and {target.dtype} {target.shape}"
        )
    if weight is not None and (weight.shape != (input.shape[d],) or weight.dtype is not input.dtype):
        raise RuntimeError(
            f"a loss of classes: expected a weight of {input.dtype} for each of {input.shape[d]} classes, "
            f"got {weight.dtype} {weight.shape}"
        )
    return target.shape if reduction == NONE else ()


def _grad_shape(grad: Layout, input: Layout, *_: Layout, **__: Any) -> tuple[int, ...]:
    return input.shape


def _classes_last(x: Any) -> Any:
    return np.moveaxis(x, 0 if x.ndim == 1 else 1, -1)


def _counts(input: Any, target: Any, weight: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """Of each target a class to read; whether it counts: 1, 0 where it is ignored, NaN where it is none; its weight."""
    known = (target >= 0) & (target < input.shape[-1]) & (target != ignore_index)
    at = np.where(known, target, 0)
    counts = np.where(known, 1, np.where(target == ignore_index, 0, np.nan)).astype(input.dtype)
    return at, counts, counts if weight is None or not weight.size else counts * weight[at]


def _picked(input: Any, at: Any, counts: Any) -> Any:
    """Of each row the element of its class; 0 of a row that is ignored."""
    return np.where(counts == 0, 0, np.take_along_axis(input, at[..., None], -1)[..., 0]) if input.size else counts


def _reduced(losses: Any, weights: Any, reduction: int) -> Any:
    return losses if reduction == NONE else losses.sum() / (weights.sum() if reduction == MEAN else 1)


def _shares(grad: Any, weights: Any, reduction: int) -> Any:
    """What of `grad` reaches each row's loss."""
    return np.broadcast_to(grad / weights.sum() if reduction == MEAN else grad, weights.shape)


def _log_softmax(x: Any) -> Any:
    if not x.size:
        return x
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@partial(Op, shape=_loss_shape, name="cross_entropy")
def cross_entropy_op(out, input, target, weight=None, *, reduction, ignore_index, smoothing):
    """-weight[target] log_softmax(input)[target] of each row: 0 where target is ignore_index, NaN where it is no class.

    smoothing: the share of a target that is spread over all classes. The mean is over what the targets weigh."""
    log_p = _log_softmax(_classes_last(input))
    at, counts, weights = _counts(log_p, target, weight, ignore_index)
    losses = -weights * _picked(log_p, at, counts)
    if smoothing:
        spread = (log_p if weight is None else log_p * weight).sum(-1) * -(smoothing / max(log_p.shape[-1], 1))
        losses = (1 - smoothing) * losses + np.where(counts == 0, 0, counts * spread)
    out[...] = _reduced(losses, weights, reduction)


@partial(Op, shape=_grad_shape)
def cross_entropy_grad(out, grad, input, target, weight=None, *, reduction, ignore_index, smoothing):
    """A row's loss is -sum(a log_softmax(x)), so its gradient is sum(a) softmax(x) - a."""
    log_p, a = _log_softmax(_classes_last(input)), _classes_last(out)
    if not out.size:
        return
    at, counts, weights = _counts(log_p, target, weight, ignore_index)
    a[...] = smoothing / log_p.shape[-1] * counts[..., None] * (1 if weight is None else weight)
    own = np.take_along_axis(a, at[..., None], -1) + (1 - smoothing) * weights[..., None]
    np.put_along_axis(a, at[..., None], own, -1)
    np.multiply(np.exp(log_p) * a.sum(-1, keepdims=True) - a, _shares(grad, weights, reduction)[..., None], out=a)
    a[counts == 0] = 0


@partial(Op, shape=_loss_shape, name="nll_loss")
def nll_loss_op(out, input, target, weight=None, *, reduction, ignore_index):
    """-weight[target] input[target] of each row; else as cross_entropy."""
    x = _classes_last(input)
    at, counts, weights = _counts(x, target, weight, ignore_index)
    out[...] = _reduced(-weights * _picked(x, at, counts), weights, reduction)


@partial(Op, shape=_grad_shape)
def nll_loss_grad(out, grad, input, target, weight=None, *, reduction, ignore_index):
    """-weight at each row's class; of the input only the shape is read."""
    if not out.size:
        return
    x = _classes_last(out)
    at, counts, weights = _counts(x, target, weight, ignore_index)
    x[...] = np.where(np.isnan(counts), counts, 0)[..., None]
    np.put_along_axis(x, at[..., None], -(weights * _shares(grad, weights, reduction))[..., None], -1)


# Their rules


def _ones(like: Tensor) -> Tensor:
    return like.new_ones(()).expand(like.layout.shape)


def _slope(g: Tensor, grad: Tensor, of_ones: Tensor) -> Tensor:
    """What a gradient op multiplies `grad` by, against g: a number for each row, or for all where they share one."""
    return (g * of_ones).sum(class_dim(g.layout)) if grad.layout.shape else (g * of_ones).sum()


def _entropy_slope(
    g: Tensor, grad: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int,
    smoothing: float,
) -> Tensor:  # fmt: skip
    attrs = {"reduction": reduction, "ignore_index": ignore_index, "smoothing": smoothing}
    return _slope(g, grad, cross_entropy_grad.apply(*given(_ones(grad), input, target, weight), **attrs))


def _entropy_bend(
    g: Tensor, grad: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int,
    smoothing: float,
) -> Tensor:  # fmt: skip
    """Of share * (sum(a) softmax(x) - a) only the softmax depends on x."""
    dim, counted = class_dim(input.layout), ne(target, ignore_index)
    counts = counted.to(input.layout.dtype)
    weights: Any = counts
    mean: Any = 1.0
    if weight is not None:
        at = where(counted, target, 0).reshape(-1)
        weights, mean = weight.index_select(0, at).reshape(target.layout.shape) * counts, weight.mean()
    share = grad / weights.sum() if reduction == MEAN else grad
    scale = share * (weights * (1.0 - smoothing) + counts * mean * smoothing)
    return softmax_grad.apply(g * scale.unsqueeze(dim), softmax_op.apply(input, dim=dim), dim=dim)


cross_entropy_op.vjps(
    input=lambda g, input, target, weight, reduction, ignore_index, smoothing: cross_entropy_grad.apply(
        *given(g, input, target, weight), reduction=reduction, ignore_index=ignore_index, smoothing=smoothing
    ),
    target=None,
)
cross_entropy_grad.vjps(grad=_entropy_slope, input=_entropy_bend, target=None)
cross_entropy_grad.working_input = 1


def _nll_slope(
    g: Tensor, grad: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> Tensor:
    attrs = {"reduction": reduction, "ignore_index": ignore_index}
    return _slope(g, grad, nll_loss_grad.apply(*given(_ones(grad), input, target, weight), **attrs))


nll_loss_op.vjps(
    input=lambda g, input, target, weight, reduction, ignore_index: nll_loss_grad.apply(
        *given(g, input, target, weight), reduction=reduction, ignore_index=ignore_index
    ),
    target=None,
)
nll_loss_grad.vjps(grad=_nll_slope, input=lambda g: zeros_as(g), target=None)
nll_loss_grad.working_input = 1


# Yes or no


@Activation
def log_sigmoid(out, input):
    """log(1 / (1 + exp(-x))) = min(x, 0) - log(1 + exp(-|x|))."""
    np.subtract(np.minimum(input, 0), np.log1p(np.exp(-np.abs(input))), out=out)


log_sigmoid.vjps(input=lambda g, input: g * sigmoid(-input))


@binary(floats=True)
def binary_cross_entropy(out, input, target):
    """-(t log p + (1 - t) log(1 - p)), each logarithm at least -100 so that no loss is infinite (as in PyTorch)."""
    yes, no = np.maximum(np.log(input), -100), np.maximum(np.log1p(-input), -100)
    np.negative(target * yes + (1 - target) * no, out=out)


binary_cross_entropy.vjps(
    input=lambda g, input, target: g * (input - target) / (input * (1.0 - input)).clamp(min=1e-12),
    target=lambda g, input: g * (log1p(-input).clamp(min=-100.0) - log(input).clamp(min=-100.0)),
)


@binary(floats=True)
def binary_cross_entropy_with_logits(out, input, target):
    """binary_cross_entropy(sigmoid(x), t) without overflow: (1 - t) x - log_sigmoid(x)."""
    log_sigmoid.reference(out, input)
    np.subtract((1 - target) * input, out, out=out)


binary_cross_entropy_with_logits.vjps(
    input=lambda g, input, target: g * (sigmoid(input) - target), target=lambda g, input: g * -input
)
