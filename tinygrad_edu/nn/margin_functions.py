"""Losses on margins, pairs, triplets and distributions with a variance, as functions; functional.py exports them.

Compositions of ops, as in loss_functions.py. Left out on purpose: losses on sequences (CTC).
Read next: loss_functions.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..dtypes import int64
from ..modes import modes
from ..ops.activation import relu
from ..ops.compare import clamp_min, eq, minimum, where
from ..ops.create import zeros
from ..ops.elementwise import exp, log, sqrt, square
from ..ops.gather import gather
from ..ops.loss import log_sigmoid
from ..ops.reduce import cumsum
from ..tensor import Tensor
from .loss_functions import Legacy, check_reduction, check_weight, chosen, floating, reduced


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension; the two broadcast. Raises RuntimeError for integers."""
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1, for rows (N, D) and targets (N), or (D) and ().

    Raises RuntimeError for other shapes."""
    name = "cosine_embedding_loss"
    dims = target.layout.ndim
    if dims > 1 or input1.layout.ndim != dims + 1 or input2.layout.ndim != dims + 1:
        raise RuntimeError(
            f"{name}: expected inputs (N, D) and targets (N), or (D) and (), got {input1.layout.shape}, "
            f"{input2.layout.shape} and {target.layout.shape}"
        )
    tiny = 1e-12
    sizes = ((input1 * input1).sum(dims) + tiny) * ((input2 * input2).sum(dims) + tiny)
    cos = (input1 * input2).sum(dims) / sqrt(sizes)
    apart = where(eq(target, -1), clamp_min(cos - margin, 0), 0.0)
    return reduced(where(eq(target, 1), 1.0 - cos, 0.0) + apart, chosen(size_average, reduce, reduction), name)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """x where target is 1, max(0, margin - x) where it is -1; the sum of both for other targets, as in PyTorch."""
    far = where(target != 1, clamp_min(margin - input, 0), 0.0)
    loss = far + where(target != -1, input, 0.0)
    return reduced(loss, chosen(size_average, reduce, reduction), "hinge_embedding_loss")


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target (x1 - x2)): target 1 wants x1 larger, -1 smaller. Raises RuntimeError where the three
    differ in their number of dimensions."""
    name = "margin_ranking_loss"
    shapes = [x.layout.shape for x in (input1, input2, target)]
    if len({len(shape) for shape in shapes}) > 1:
        raise RuntimeError(f"{name}: all must have one number of dimensions, got shapes {shapes}")
    loss = clamp_min(-target * (input1 - input2) + float(margin), 0)
    return reduced(loss, chosen(size_average, reduce, reduction), name)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Legacy = None, reduce: Legacy = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target x)) for targets of 1 and -1; without overflow, unlike PyTorch's."""
    return reduced(-log_sigmoid(target * input), chosen(size_average, reduce, reduction), "soft_margin_loss")


def _rows(name: str, input: Tensor, target: Tensor, per_class: bool) -> tuple[Tensor, Tensor]:
    """Input and targets with a batch. Raises RuntimeError for shapes and dtypes that do not fit."""
    floating(name, input)
    shape = input.layout.shape
    expected = shape if per_class else shape[:-1]
    given = target.layout.shape
    if len(shape) > 2 or 0 in shape[-1:] or (given != expected and (expected or given != (1,))):
        raise RuntimeError(
            f"{name}: expected an input (N, C) or (C) and targets {'like it' if per_class else '(N) or ()'}, "
            f"got {shape} and {given}"
        )
    if target.layout.dtype is not int64:
        raise RuntimeError(f"{name}: class numbers must be int64, got {target.dtype}")
    wide = input.reshape(-1, shape[-1] if shape else 1)
    return wide, target.reshape(wide.layout.shape if per_class else (-1,))


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes i of max(0, margin - x[target] + x[i])^p, i = target left out, for (N, C) or (C).

    weight (C) counts targets differently. Raises ValueError for p other than 1 and 2, RuntimeError for shapes."""
    name = "multi_margin_loss"
    if p not in (1, 2):
        raise ValueError(f"{name}: only p = 1 and p = 2 are supported, got {p}")
    reduction = chosen(size_average, reduce, reduction)
    if weight is not None and weight.layout.ndim != 1:
        raise ValueError(f"{name}: weight must have 1 dimension, got shape {weight.layout.shape}")
    check_reduction(name, reduction)
    x, classes = _rows(name, input, target, per_class=False)
    check_weight(name, weight, x.layout.shape[1])
    classes = classes.unsqueeze(1)
    short = relu(margin - gather(x, 1, classes) + x).scatter(1, classes, 0.0)
    short = short if p == 1 else square(short)
    if weight is not None:
        short = short * weight.index_select(0, classes.reshape(-1)).unsqueeze(1)
    loss = short.sum(1) / x.layout.shape[1]
    loss = loss if input.layout.ndim == 2 else loss.reshape(target.layout.shape)
    return reduced(loss, reduction, name)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Legacy = None, reduce: Legacy = None, reduction: str = "mean"
) -> Tensor:
    """The sum over target classes j and other classes i of max(0, 1 - (x[j] - x[i])) / C, for (N, C) or (C).

    A row of target lists its classes and ends at the first -1. Raises RuntimeError for shapes and dtypes."""
    name = "multilabel_margin_loss"
    reduction = chosen(size_average, reduce, reduction)
    check_reduction(name, reduction)
    x, listed = _rows(name, input, target, per_class=True)
    counts = eq(cumsum((listed < 0).to(int64), 1), 0)
    classes = where(counts, listed, 0)
    wanted = zeros(*x.layout.shape, dtype=x.dtype).scatter_add(1, classes, counts.to(x.dtype))
    short = relu(1.0 - (gather(x, 1, classes).unsqueeze(2) - x.unsqueeze(1)))
    short = where(counts.unsqueeze(2) & eq(wanted, 0).unsqueeze(1), short, 0.0)
    loss = short.sum((1, 2)) / x.layout.shape[1]
    return reduced(loss.reshape(input.layout.shape[:-1]), reduction, name)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes, the last dimension, of -(t log sigmoid(x) + (1 - t) log sigmoid(-x)), times weight (C)."""
    name = "multilabel_soft_margin_loss"
    floating(name, input)
    loss = -(target * log_sigmoid(input) + (1 - target) * log_sigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduced(loss.sum(-1) / input.layout.shape[-1], chosen(size_average, reduce, reduction), name)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being pairwise_distance with p and eps.

    swap: the negative's distance from the positive counts where it is smaller. Raises ValueError for margin <= 0,
    RuntimeError where the three differ in their number of dimensions."""
    name = "triplet_margin_loss"
    shapes = [x.layout.shape for x in (anchor, positive, negative)]
    if len({len(shape) for shape in shapes}) > 1:
        raise RuntimeError(f"{name}: all must have one number of dimensions, got shapes {shapes}")

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplet(name, anchor, positive, negative, distance, margin, swap, chosen(size_average, reduce, reduction))


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """triplet_margin_loss with any distance; by default pairwise_distance."""
    name, distance = "triplet_margin_with_distance_loss", distance_function or pairwise_distance
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    name: str,
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if margin <= 0:
        raise ValueError(f"{name}: margin must be greater than 0, got {margin}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(near - far + margin, 0), reduction, name)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log var + (input - target)^2 / var) / 2, var at least eps; full: plus log(2 pi) / 2. var has the input's shape,
    or one of its sizes is 1, or the last one is left out, or it is a number.

    The gradient of var is that of var without the bound, as in PyTorch. Raises ValueError for other shapes or a
    negative var (not while tg.replay records)."""
    name = "gaussian_nll_loss"
    shape = input.layout.shape
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError(f"{name}: var must not be negative, got {var}")
        var = input.detach() * 0.0 + var
    elif var.layout.shape != shape:
        given = var.layout.shape
        if shape[:-1] == given:
            var = var.unsqueeze(-1)
        elif len(given) != len(shape) or [b for a, b in zip(shape, given, strict=True) if a != b] != [1]:
            raise ValueError(f"{name}: var has shape {given}, which does not fit an input of shape {shape}")
    check_reduction(name, reduction)
    if not modes.recording and (var.array() < 0).any():
        raise ValueError(f"{name}: var has negative elements")
    bounded = var + (clamp_min(var.detach(), eps) - var.detach())
    loss = (log(bounded) + square(input - target) / bounded) * 0.5
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction, name)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Legacy = None,
    eps: float = 1e-8,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - t x where x is the logarithm of the expected count, else x - t log(x + eps); full: plus Stirling's
    approximation of log(t!) where t > 1."""
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = where(target > 1, target, 1.0)
        stirling = safe * log(safe) - safe + 0.5 * log(safe * (2 * math.pi))
        loss = loss + where(target > 1, stirling, 0.0)
    return reduced(loss, chosen(size_average, reduce, reduction), "poisson_nll_loss")
