"""Losses as functions, by PyTorch's names and arguments; functional.py exports them.

Compositions of ops, so every argument keeps gradients of any order. size_average and reduce are PyTorch's old names
for a reduction, which many scripts still use. Left out: losses on pairs and margins: margin_functions.py.
Read next: ../ops/loss.py.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..dtypes import int64
from ..modes import modes
from ..op import Op, Spec
from ..ops import loss as losses
from ..ops.common import broadcast_shapes, exactly, integer, layouts_of, no_tensor, remember
from ..ops.compare import gt, lt, where
from ..ops.elementwise import abs, exp, log, square
from ..ops.loss import REDUCTIONS, class_dim, cross_entropy_op, log_sigmoid, nll_loss_op
from ..ops.norm import log_softmax
from ..ops.rows import all_in_range
from ..tensor import Tensor

Legacy = bool | None


def chosen(size_average: Legacy, reduce: Legacy, reduction: str) -> str:
    """The reduction, unless one of the two old arguments is given: with a warning these say it."""
    if size_average is None and reduce is None:
        return reduction
    each = reduce is not None and not reduce
    old = "none" if each else "mean" if size_average is None or size_average else "sum"
    warnings.warn(f"size_average and reduce are deprecated, please use reduction='{old}' instead.", stacklevel=3)
    return old


def reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    """The mean or sum of a loss, or all of it. Raises ValueError for another reduction."""
    if reduction == "mean":
        return loss.mean()
    check_reduction(name, reduction)
    return loss.sum() if reduction == "sum" else loss


def check_reduction(name: str, reduction: str) -> None:
    """Raise ValueError, naming the loss, for a reduction that does not exist."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: {reduction!r} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")


def floating(name: str, *tensors: Tensor, weight: Tensor | None = None) -> None:
    """Raise RuntimeError, naming the loss, for integers, TypeError for what is no tensor."""
    for x in tensors if weight is None else (*tensors, weight):
        if not isinstance(x, Tensor):
            raise no_tensor(name, x)
        if not x.layout.dtype.is_floating_point:
            raise RuntimeError(f"{name}: expected floating-point tensors, got {x.dtype} of shape {x.layout.shape}")


def _pair(name: str, input: Tensor, target: Tensor) -> None:
    """Warn where a target of another shape broadcasts: more often a mistake than not. Raises where it does not."""
    floating(name, input, target)
    if input.layout.shape != target.layout.shape:
        broadcast_shapes(name, input.layout.shape, target.layout.shape)
        warnings.warn(
            f"{name}: target of shape {target.layout.shape} is not of the input's shape {input.layout.shape}; "
            "the result comes from broadcasting, which is likely not what was meant",
            UserWarning,
            stacklevel=3,
        )


# Classes


def _check_classes(name: str, target: Tensor, classes: int, ignore_index: int) -> None:
    """Raise IndexError for a target that is no class and not ignored; while a step is recorded nothing is known."""
    if all_in_range(target, 0, classes - 1) or modes.recording:
        return
    values = target.array()
    wrong = values.view(np.uint64) >= classes  # a negative number is a huge one
    if wrong.any() and (wrong := wrong & (values != ignore_index)).any():
        raise IndexError(
            f"{name}: target {values[wrong].flat[0]} is out of bounds for {classes} classes; expected 0 to "
            f"{classes - 1}, or ignore_index={ignore_index}"
        )


def _check_target(name: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> None:
    """Raise where shapes or dtypes do not fit (see the callers)."""
    floating(name, input, weight=weight)
    shape = input.layout.shape
    if not shape:
        raise ValueError(f"{name}: expected an input (C) or (N, C, ...), got a 0-d tensor")
    dim = class_dim(input.layout)
    expected = shape[:dim] + shape[dim + 1 :]
    if target.layout.shape != expected:
        error = ValueError if dim and target.layout.shape[:1] != shape[:1] else RuntimeError
        raise error(f"{name}: an input of shape {shape} takes targets of shape {expected}, got {target.layout.shape}")
    if target.layout.dtype is not int64:
        raise RuntimeError(f"{name}: class numbers must be int64, got {target.dtype}")
    integer(ignore_index, f"{name}: ignore_index")
    check_weight(name, weight, shape[dim])
    if weight is not None and weight.layout.dtype is not input.layout.dtype:
        raise RuntimeError(f"{name}: expected one dtype, got an input of {input.dtype} and a weight of {weight.dtype}")


def check_weight(name: str, weight: Tensor | None, classes: int) -> None:
    """Raise RuntimeError, naming the loss, for a weight of another shape than (classes,)."""
    if weight is not None and weight.layout.shape != (classes,):
        raise RuntimeError(
            f"{name}: weight must have one element for each of {classes} classes, got shape {weight.layout.shape}"
        )


def _spec_of_classes(
    op: Op, inputs: tuple[Tensor, ...], key: tuple[Any, ...], ignore_index: int, reduction: str, **attrs: float
) -> Spec:
    """The op at this signature, its arguments checked."""
    name = op.name
    _check_target(name, inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None, ignore_index)
    check_reduction(name, reduction)
    return remember(op, inputs, key, reduction=REDUCTIONS[reduction], ignore_index=ignore_index, **attrs)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    ignore_index: int = -100,
    reduce: Legacy = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target], for logits (C) or (N, C, ...) and targets () or (N, ...) of class numbers, int64, or
    targets of input's shape with a probability for every class.

    weight (C) counts classes differently, and the mean is over the weights; targets of ignore_index count nothing;
    label_smoothing is the share of each target that is spread evenly over all classes (Szegedy et al., Rethinking the
    Inception architecture, arXiv:1512.00567). No gradient goes to the weight. Raises ValueError, RuntimeError for
    shapes and dtypes that do not fit, IndexError for a class that does not exist (not while tg.replay records: a
    replayed step gives NaN there).
    """
    name, op = "cross_entropy", cross_entropy_op
    if size_average is not None or reduce is not None:
        reduction = chosen(size_average, reduce, reduction)
    inputs = (input, target) if weight is None else (input, target, weight)
    key = (*layouts_of(name, inputs), exactly(ignore_index), reduction, label_smoothing)
    spec = op.specs.get(key)  # a signature met before is found without checks
    if spec is None:
        if not 0.0 <= label_smoothing <= 1.0:
            raise RuntimeError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")
        if target.layout.shape == input.layout.shape:
            if not target.layout.dtype.is_floating_point:
                raise RuntimeError(f"{name}: class probabilities must be floating-point numbers, got {target.dtype}")
            if ignore_index >= 0:
                raise RuntimeError(f"{name}: ignore_index is for class numbers, not for probabilities")
            return _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)
        smoothing = float(label_smoothing)
        spec = _spec_of_classes(op, inputs, key, ignore_index, reduction, smoothing=smoothing)
    _check_classes(name, target, input.layout.shape[class_dim(input.layout)], ignore_index)
    return op.run(spec, inputs)


def _cross_entropy_of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    name = "cross_entropy"
    floating(name, input, weight=weight)
    dim = class_dim(input.layout)
    classes = input.layout.shape[dim]
    check_weight(name, weight, classes)
    if label_smoothing > 0:
        target = target * (1.0 - label_smoothing) + label_smoothing / classes
    products = log_softmax(input, dim) * target
    if weight is not None:
        products = products * weight.reshape(-1, *[1] * (input.layout.ndim - dim - 1))
    if reduction == "mean":
        return products.sum() / -(products.layout.numel / classes)
    return reduced(-products.sum(dim), reduction, name)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    ignore_index: int = -100,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[target] for log-probabilities (C) or (N, C, ...); arguments and errors are cross_entropy's."""
    name, op = "nll_loss", nll_loss_op
    if size_average is not None or reduce is not None:
        reduction = chosen(size_average, reduce, reduction)
    inputs = (input, target) if weight is None else (input, target, weight)
    key = (*layouts_of(name, inputs), exactly(ignore_index), reduction)
    spec = op.specs.get(key)
    if spec is None:
        spec = _spec_of_classes(op, inputs, key, ignore_index, reduction)
    _check_classes(name, target, input.layout.shape[class_dim(input.layout)], ignore_index)
    return op.run(spec, inputs)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log target - input) for log-probabilities input (0 where target is 0); with log_target the target is a
    logarithm too. reduction "mean" is over all elements; "batchmean", the mathematical one, divides the sum by the
    first dimension. Raises ValueError for another reduction."""
    name = "kl_div"
    reduction = chosen(size_average, reduce, reduction)
    floating(name, input, target)
    if log_target:
        loss = exp(target) * (target - input)
    else:
        none = target == 0
        loss = where(none, 0.0, target * log(where(none, 1.0, target))) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.layout.shape[0] if input.layout.ndim else loss
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction='mean' divides by the number of elements; 'batchmean' gives the divergence",
            UserWarning,
            stacklevel=2,
        )
    return reduced(loss, reduction, name)


# Yes or no


def _same_sizes(name: str, input: Tensor, target: Tensor) -> None:
    a, b = layouts_of(name, (input, target))
    if a is b and a.dtype.is_floating_point:
        return
    floating(name, input, target)
    if input.layout.shape != target.layout.shape:
        raise ValueError(
            f"{name}: target has shape {target.layout.shape}, the input {input.layout.shape}; they must be the same"
        )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)) for probabilities p; the logarithms are at least -100. weight broadcasts.

    Raises ValueError for shapes that differ, RuntimeError for what is no probability (unless a step is recorded)."""
    name = "binary_cross_entropy"
    if size_average is not None or reduce is not None:
        reduction = chosen(size_average, reduce, reduction)
    _same_sizes(name, input, target)
    loss = losses.binary_cross_entropy(input, target)
    result = reduced(loss if weight is None else loss * weight, reduction, name)
    if modes.recording:
        return result
    suspicious = reduction == "none" or math.isnan(result.item())  # else because of a target or weight
    if suspicious and not ((input.array() >= 0) & (input.array() <= 1)).all():
        raise RuntimeError(f"{name}: all elements of input should be between 0 and 1")
    return result


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), computed without overflow: (1 - t) x - (1 + (w - 1) t) log sigmoid(x).

    weight multiplies the loss, pos_weight w the term of t; both broadcast. Raises ValueError for shapes that differ."""
    name = "binary_cross_entropy_with_logits"
    if size_average is not None or reduce is not None:
        reduction = chosen(size_average, reduce, reduction)
    _same_sizes(name, input, target)
    if pos_weight is None:
        loss = losses.binary_cross_entropy_with_logits(input, target)
    else:
        loss = (1.0 - target) * input - log_sigmoid(input) * ((pos_weight - 1.0) * target + 1.0)
    return reduced(loss if weight is None else loss * weight, reduction, name)


# Numbers


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2; with weight, the mean is over the weights. Warns where the shapes differ but broadcast."""
    reduction = chosen(size_average, reduce, reduction)
    _pair("mse_loss", input, target)
    return _weighted(square(input - target), weight, reduction, "mse_loss")


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|; with weight, the mean is over the weights. Warns where the shapes differ but broadcast."""
    reduction = chosen(size_average, reduce, reduction)
    _pair("l1_loss", input, target)
    return _weighted(abs(input - target), weight, reduction, "l1_loss")


def _weighted(loss: Tensor, weight: Tensor | None, reduction: str, name: str) -> Tensor:
    if weight is None:
        return reduced(loss, reduction, name)
    if weight.layout.shape != loss.layout.shape:
        raise ValueError(f"{name}: weight has shape {weight.layout.shape}, the loss {loss.layout.shape}")
    if reduction == "mean":
        return (loss * weight).sum() / weight.sum()
    return reduced(loss * weight, reduction, name)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2. Raises RuntimeError for beta < 0."""
    name = "smooth_l1_loss"
    reduction = chosen(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"{name}: beta must not be negative, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _pair(name, input, target)
    d = abs(input - target)
    return reduced(where(lt(d, beta), square(d) * (0.5 / beta), d - 0.5 * beta), reduction, name)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where d = |input - target| <= delta, else delta * (d - delta / 2), times weight. Raises RuntimeError for
    delta <= 0."""
    name = "huber_loss"
    if delta <= 0:
        raise RuntimeError(f"{name}: delta must be greater than 0, got {delta}")
    _pair(name, input, target)
    d = abs(input - target)
    loss = where(gt(d, delta), (d - 0.5 * delta) * delta, square(d) * 0.5)
    return reduced(loss if weight is None else loss * weight, reduction, name)
