"""Variances and standard deviations, alone and beside the mean.

Both are kernels of their own, in two passes; a standard deviation of 0 has gradient 0, as in PyTorch.
Read next: vector_norm.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Tensor
from .common import as_tensor, float_only
from .compare import where
from .reduce import Dims, Reduction, count, mean_op, spread


@Reduction
def var_op(out, input, *, dim, keepdim, correction):
    """sum((x - mean(x))^2) / (n - correction)"""
    np.var(input, axis=dim, keepdims=keepdim, ddof=correction, out=out)


@Reduction
def std_op(out, input, *, dim, keepdim, correction):
    """The square root of var."""
    np.std(input, axis=dim, keepdims=keepdim, ddof=correction, out=out)


def _var_rule(g: Tensor, input: Tensor, dim: tuple[int, ...], keepdim: bool, correction: float) -> Tensor:
    shape = input.layout.shape
    n = count(shape, dim) - correction
    apart = input - mean_op(input, dim=dim, keepdim=True)
    return spread(g * (2 / n if n > 0 else math.inf), shape, dim, keepdim) * apart


def _std_rule(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool, correction: float) -> Tensor:
    none = y == 0.0
    return _var_rule(where(none, 0.0, g / where(none, 1.0, y * 2.0)), input, dim, keepdim, correction)


var_op.vjps(input=_var_rule)
std_op.vjps(input=_std_rule)


# What users call. unbiased=False is correction=0, True is correction=1; it may also stand in dim's place, as in PyTorch


def _moment(
    op: Reduction, input: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> tuple[Tensor, Dims]:
    """What op gives, and the dimensions. Raises RuntimeError for integers."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{op.name}: pass either unbiased or correction, not both")
    less = correction if correction is not None else 0 if unbiased is False else 1
    input = as_tensor(input, op.name)
    float_only(op.name, input)
    return op.over(input, dim, keepdim, float(less)), dim


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over dim (default all). The squared distances are divided by n - correction (default 1); NaN where
    that is 0 and there is but one element. Raises RuntimeError for integers."""
    return _moment(var_op, input, dim, unbiased, keepdim, correction)[0]


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Variance and mean over dim; see var."""
    variance, dims = _moment(var_op, input, dim, unbiased, keepdim, correction)
    return variance, mean_op.over(input, dims, keepdim)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over dim, with gradient 0 where it is 0; see var."""
    return _moment(std_op, input, dim, unbiased, keepdim, correction)[0]


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean over dim; see std."""
    deviation, dims = _moment(std_op, input, dim, unbiased, keepdim, correction)
    return deviation, mean_op.over(input, dims, keepdim)
