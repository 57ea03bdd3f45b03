"""Fills tensors with initial values, in place, by PyTorch's names and distributions.

The numbers come from the package's seeded generator (tg.manual_seed) or from `generator`.
Read next: linear.py, which shows how a layer uses these.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..modes import no_grad
from ..ops.create import eye, from_numpy
from ..ops.random import Generator, rand, randn
from ..tensor import Tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the deviation of activations through a nonlinearity; param is the slope of leaky_relu.

    Raises ValueError for an unknown nonlinearity or a slope that is no number."""
    known = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity.removeprefix("conv_transpose") in ("1d", "2d", "3d") or nonlinearity in (
        "conv1d",
        "conv2d",
        "conv3d",
    ):
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in known:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return known[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(mean, std^2)."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


@no_grad
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """N(mean, std^2) restricted to [a, b], by drawing anew what falls outside. (a and b are values, not deviations.)

    Where most normal draws would fall outside, uniform draws are accepted with the density's probability instead."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    inside = (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2
    peak = max(a, min(mean, b))
    candidates, log_density = tensor.detach().clone(), ((peak - mean) / std) ** 2 / 2

    def draw() -> Tensor:
        """New candidates; returns which are to be drawn again."""
        if inside > 0.3:
            normal_(candidates, mean, std, generator)
            outside: Tensor = (candidates < a) | (candidates > b)
            return outside
        uniform_(candidates, a, b, generator)
        chance = rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        return chance.log() > log_density - ((candidates - mean) / std).square() / 2

    pending = draw()
    result = candidates.clone()
    while pending.any():
        again = draw()
        result = candidates.where(pending, result)
        pending = pending & again
    return tensor.copy_(result)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same value everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


@no_grad
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix. Raises ValueError unless tensor has 2 dimensions."""
    if tensor.dim() != 2:
        raise ValueError(f"eye_: only tensors with 2 dimensions are supported, got shape {tensor.shape}")
    return tensor.copy_(eye(*tensor.shape, dtype=tensor.dtype))


@no_grad
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Convolution weights (out, in / groups, *kernel), 1 to 3 spatial dimensions, that pass channel i of each group on
    as it is. Raises ValueError for other shapes and for groups that don't divide the first dimension."""
    shape = tensor.shape
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_: only tensors with 3, 4, or 5 dimensions are supported, got shape {shape}")
    if shape[0] % groups:
        raise ValueError(f"dirac_: dimension 0 of shape {shape} must be divisible by groups={groups}")
    each, middle = shape[0] // groups, [n // 2 for n in shape[2:]]
    values = np.zeros(shape, tensor.dtype.name)
    for i in range(min(each, shape[1])):
        at: tuple[Any, ...] = (slice(i, None, each), i, *middle)
        values[at] = 1
    return tensor.copy_(from_numpy(values))


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs feed an output, and how many outputs an input feeds, for weights (out, in, *kernel).

    Raises ValueError for fewer than 2 dimensions."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    n_out, n_in, *kernel = tensor.shape
    return n_in * math.prod(kernel), n_out * math.prod(kernel)


def _fan(tensor: Tensor, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(-a, a), a = gain * sqrt(6 / (fan_in + fan_out)). Source: Glorot, Bengio 2010."""
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, s^2), s = gain * sqrt(2 / (fan_in + fan_out)). Source: Glorot, Bengio 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str, fill: Callable[[float], Tensor]) -> Tensor:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return tensor
    return fill(calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-b, b), b = gain * sqrt(3 / fan); a is the slope of leaky_relu. Source: He et al. 2015, arXiv 1502.01852."""

    def fill(std: float) -> Tensor:
        bound = math.sqrt(3.0) * std
        return uniform_(tensor, -bound, bound, generator)

    return _kaiming(tensor, a, mode, nonlinearity, fill)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, s^2), s = gain / sqrt(fan); a is the slope of leaky_relu. Source: He et al. 2015, arXiv 1502.01852."""
    return _kaiming(tensor, a, mode, nonlinearity, lambda std: normal_(tensor, 0.0, std, generator))


@no_grad
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Random orthonormal rows or columns, whichever are fewer, times gain; trailing dimensions are joined.

    Raises ValueError for fewer than 2 dimensions. Source: Saxe et al. 2013, arXiv 1312.6120."""
    if tensor.dim() < 2:
        raise ValueError(f"orthogonal_: only tensors with 2 or more dimensions are supported, got shape {tensor.shape}")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    cols = tensor.numel() // rows
    drawn: Any = randn(max(rows, cols), min(rows, cols), generator=generator, dtype=tensor.dtype).numpy()
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diag(r))  # makes q uniform among all such matrices: Mezzadri 2006, arXiv math-ph/0609050
    q = np.ascontiguousarray(q.T if rows < cols else q)
    return tensor.copy_(from_numpy(q).reshape(tensor.shape) * gain)


@no_grad
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """N(0, std^2), with a share `sparsity` (rounded up) of every column set to zero. Raises ValueError unless 2-d."""
    if tensor.dim() != 2:
        raise ValueError(f"sparse_: only tensors with 2 dimensions are supported, got shape {tensor.shape}")
    zeros = math.ceil(sparsity * tensor.shape[0])
    order = rand(tensor.shape, generator=generator).argsort(dim=0)  # each column a random permutation
    normal_(tensor, 0.0, std, generator)
    return tensor.copy_(tensor.masked_fill(order < zeros, 0.0))
