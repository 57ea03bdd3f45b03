"""The losses that are ops of their own: for speed, or because a composition would lose accuracy at the ends.

Cross-entropy reads its logits once forward and once backward. All other losses, and all arguments of these (weights,
reductions, smoothing), are compositions in nn/loss_functions.py. Left out: targets as one-hot rows, which a composition
serves. Read next: csrc/loss.c, ../nn/loss_functions.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..dtypes import int64
from ..op import Op, op
from ..storage import Layout
from ..tensor import Tensor
from .activation import sigmoid
from .common import broadcasting, same_shape
from .compare import ne, where
from .elementwise import log, log1p
from .norm import softmax_grad, softmax_op


def _rows(logits: Layout, target: Layout) -> None:
    if logits.ndim != 2 or target.shape != logits.shape[:1] or target.dtype is not int64:
        raise RuntimeError(
            f"cross_entropy_rows: expected logits (n, c) and int64 targets (n,), "
            f"got {logits.shape} and {target.dtype} {target.shape}"
        )


def _rows_shape(logits: Layout, target: Layout, **_: Any) -> tuple[int, ...]:
    _rows(logits, target)
    return target.shape


def _rows_grad_shape(grad: Layout, logits: Layout, target: Layout, **_: Any) -> tuple[int, ...]:
    _rows(logits, target)
    return logits.shape


def _sorted_out(logits: Any, target: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """Which rows count, which of them have a class that exists, and a class to read for every row."""
    counts = target != ignore_index
    known = counts & (target >= 0) & (target < logits.shape[1])
    return counts, known, np.where(known, target, 0)


@op(_rows_shape)
def cross_entropy_rows(out, logits, target, *, ignore_index):
    """-log_softmax(logits)[target] of each row; 0 where target is ignore_index, NaN where it is no class."""
    if logits.size == 0:
        out[...] = np.where(target == ignore_index, 0, np.nan)
        return
    counts, known, at = _sorted_out(logits, target, ignore_index)
    shifted = logits - logits.max(1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(at)), at]
    out[...] = np.where(known, loss, np.where(counts, np.nan, 0))


@op(_rows_grad_shape)
def cross_entropy_rows_grad(out, grad, logits, target, *, ignore_index):
    """(softmax(logits) - onehot(target)) * grad of each row; 0 where it is ignored, NaN where target is no class."""
    if logits.size == 0:
        return
    counts, known, at = _sorted_out(logits, target, ignore_index)
    np.exp(logits - logits.max(1, keepdims=True), out=out)
    out /= out.sum(1, keepdims=True)
    out[np.arange(len(at)), at] -= 1
    out *= grad[:, None]
    out[~known] = 0
    out[counts & ~known] = np.nan


def _counted(g: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """A number for each row as a column, 0 where the row is ignored."""
    return where(ne(target, ignore_index), g, 0.0).unsqueeze(1)


def _slope(g: Tensor, logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """<g, softmax - onehot> of each row: what the gradient op multiplies its `grad` by, against g."""
    ones = g.new_ones(()).expand(target.shape)
    return (g * cross_entropy_rows_grad.apply(ones, logits, target, ignore_index=ignore_index)).sum(1)


cross_entropy_rows.vjps(
    logits=lambda g, logits, target, ignore_index: cross_entropy_rows_grad.apply(
        g, logits, target, ignore_index=ignore_index
    ),
    target=None,
)
cross_entropy_rows_grad.working_input = 1
cross_entropy_rows_grad.vjps(
    grad=_slope,
    logits=lambda g, grad, logits, target, ignore_index: softmax_grad.apply(
        g * _counted(grad, target, ignore_index), softmax_op.apply(logits, dim=1), dim=1
    ),
    target=None,
)


@op(same_shape)
def log_sigmoid(out, input):
    """log(1 / (1 + exp(-x))) = min(x, 0) - log(1 + exp(-|x|))."""
    np.subtract(np.minimum(input, 0), np.log1p(np.exp(-np.abs(input))), out=out)


log_sigmoid.vjps(input=lambda g, input: g * sigmoid(-input))


@partial(Op, shape=broadcasting("binary_cross_entropy"), name="binary_cross_entropy")
def binary_cross_entropy_op(out, input, target):
    """-(t log p + (1 - t) log(1 - p)), each logarithm at least -100 so that no loss is infinite (as in PyTorch)."""
    yes, no = np.maximum(np.log(input), -100), np.maximum(np.log1p(-input), -100)
    np.negative(target * yes + (1 - target) * no, out=out)


binary_cross_entropy_op.vjps(
    input=lambda g, input, target: g * (input - target) / (input * (1.0 - input)).clamp(min=1e-12),
    target=lambda g, input: g * (log1p(-input).clamp(min=-100.0) - log(input).clamp(min=-100.0)),
)
