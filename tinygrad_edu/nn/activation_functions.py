"""Activations as functions, by PyTorch's names and arguments; functional.py exports them.

The common ones are ops of their own (ops/activation.py), the others a line or two of ops, derivatives of any order
included. With inplace=True the input itself takes the result, as in relu_ and the like.
Read next: ../ops/activation.py, the formulas with their derivatives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..dtypes import bool_
from ..dtypes import dtype as Dtype
from ..ops import activation, norm
from ..ops.activation import sigmoid, tanh
from ..ops.common import float_only
from ..ops.compare import clamp, where
from ..ops.elementwise import abs, log
from ..ops.inplace import change
from ..ops.join import chunk
from ..ops.loss import log_sigmoid
from ..ops.random import rand_like
from ..tensor import Tensor

# Klambauer et al., Self-normalizing neural networks, arXiv:1706.02515: what keeps mean 0 and variance 1
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def put(input: Tensor, function: Callable[[Tensor], Tensor], inplace: bool) -> Tensor:
    """function(input), or the input changed to that; its gradient may need the old values, so it gets a copy."""
    if not inplace:
        return function(input)
    return change(input, lambda x: function(x.clone() if x.needs_grad else x))


# Bent at 0


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return change(input, activation.relu) if inplace else activation.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x. Raises RuntimeError for integers."""
    if inplace:
        return put(input, lambda x: activation.leaky_relu(x, negative_slope), True)
    return activation.leaky_relu(input, negative_slope)


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """leaky_relu with a slope drawn between lower and upper for each element while training; else with their mean.

    Source: Xu et al., arXiv:1505.00853. Raises RuntimeError for integers and for lower > upper."""
    float_only("rrelu", input)
    if lower > upper:
        raise RuntimeError(f"rrelu: lower must not be greater than upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = rand_like(input) * (upper - lower) + lower
    return put(input, lambda x: where(x > 0, x, x * slopes), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x; weight: one number, or one for each channel (dimension 1).

    Source: He et al., arXiv:1502.01852. Raises RuntimeError for a weight of another size or dtype."""
    shape, size = input.layout.shape, weight.layout.numel
    channels = shape[1] if len(shape) > 1 else 1
    if weight.layout.ndim > 1 or size not in (1, channels) or not size:
        raise RuntimeError(
            f"prelu: weight must have 1 element or one for each of {channels} channels of an input of shape {shape}, "
            f"got shape {weight.layout.shape}"
        )
    if input.layout.dtype is not weight.layout.dtype:
        raise RuntimeError(f"prelu: expected one dtype, got an input of {input.dtype} and a weight of {weight.dtype}")
    wide = weight.reshape(()) if size == 1 else weight.reshape(-1, *[1] * (len(shape) - 2))
    return where(input > 0, input, wide * input)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1). Raises RuntimeError for integers."""
    return put(input, lambda x: activation.elu(x, alpha), True) if inplace else activation.elu(input, alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x / alpha) - 1). Raises RuntimeError for integers and for alpha = 0."""
    float_only("celu", input)
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return put(input, lambda x: where(x > 0, x, activation.elu(x / alpha, 1.0) * alpha), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 * elu(x, 1.6733), the numbers that keep mean 0 and variance 1 (arXiv:1706.02515)."""
    float_only("selu", input)
    return put(input, lambda x: activation.elu(x, SELU_ALPHA) * SELU_SCALE, inplace)


# Smooth


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x; approximate="tanh" takes the formula of arXiv:1606.08415.

    Raises RuntimeError for integers and for another approximation."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return activation.gelu(input, approximate == "tanh")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x). Raises RuntimeError for integers."""
    return put(input, activation.silu, True) if inplace else activation.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)). Source: Misra, arXiv:1908.08681. Raises RuntimeError for integers."""
    float_only("mish", input)
    return put(input, lambda x: x * tanh(softplus(x)), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold. Raises RuntimeError for integers."""
    return activation.softplus(input, beta, threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow. Raises RuntimeError for integers."""
    return log_sigmoid(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (abs(input) + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - tanh(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the halves of the input along dim. Source: Dauphin et al., arXiv:1612.08083.

    Raises RuntimeError for a 0-d input, an odd size and integers."""
    float_only("glu", input)
    if not input.layout.ndim or input.layout.shape[input.check_dim(dim, "glu")] % 2:
        raise RuntimeError(f"glu: expected an even size at dimension {dim}, got an input of shape {input.layout.shape}")
    a, b = chunk(input, 2, dim)
    return a * sigmoid(b)


# Of straight pieces


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x between min_val and max_val, else the nearer of them. Raises ValueError where they are the wrong way round,
    RuntimeError for bools."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be greater than max_val, got {min_val} and {max_val}")
    return _clipped("hardtanh", input, min_val, max_val, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)"""
    return _clipped("relu6", input, 0, 6, inplace)


def _clipped(name: str, input: Tensor, low: float, high: float, inplace: bool) -> Tensor:
    """activation.hardtanh; of integers, clamp."""
    if input.layout.dtype is bool_ or (low < 0 and not input.layout.dtype.is_signed):
        raise RuntimeError(f"{name}: expected numbers that can be {low}, got {input.dtype}")
    if not input.layout.dtype.is_floating_point:
        return put(input, lambda x: clamp(x, int(low), int(high)), inplace)
    return put(input, lambda x: activation.hardtanh(x, low, high), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6. Raises RuntimeError for integers."""
    return put(input, activation.hardsigmoid, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x). Source: Howard et al., arXiv:1905.02244. Raises RuntimeError for integers."""
    return put(input, activation.hardswish, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value"""
    number = float(value) if input.layout.dtype.is_floating_point else int(value)
    return put(input, lambda x: where(x <= threshold, number, x), inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0. Raises RuntimeError for integers."""
    float_only("hardshrink", input)
    return where((input >= -lambd) & (input <= lambd), 0.0, input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and 0 where |x| <= lambd. Raises RuntimeError for lambd < 0 and for integers."""
    float_only("softshrink", input)
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must not be negative, got {lambd}")
    return input - clamp(input, -lambd, lambd)


# Over a dimension


def _chosen_dim(name: str, input: Tensor, dim: int | None) -> int:
    """PyTorch's choice where none is given: a deprecated one, so it warns."""
    if dim is not None:
        return dim
    warnings.warn(f"{name}: the implicit choice of a dimension is deprecated; pass dim=", UserWarning, stacklevel=3)
    return 0 if input.layout.ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim, after a conversion to dtype if one is given. _stacklevel says nothing here.

    Raises RuntimeError for integers, IndexError for a dimension that is not there."""
    return norm.softmax(input, _chosen_dim("softmax", input, dim), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """softmax(-x)"""
    return norm.softmax(-input, _chosen_dim("softmin", input, dim), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None) -> Tensor:
    """log(softmax(x)) along dim, without overflow. Raises as softmax does."""
    return norm.log_softmax(input, _chosen_dim("log_softmax", input, dim), dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample from softmax(logits) made soft: softmax((logits + Gumbel noise) / tau). hard: one-hot, with the soft
    one's gradient. eps says nothing. Source: Jang et al., arXiv:1611.01144. Raises RuntimeError for integers."""
    float_only("gumbel_softmax", logits)
    noise = -log(-log(clamp(rand_like(logits), min=1e-30)))  # a draw may be 0, never 1
    soft = norm.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    best = soft.argmax(dim, keepdim=True)
    return soft.detach().mul(0.0).scatter(dim, best, 1.0) + (soft - soft.detach())


# The forms that change their input


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def changing(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, **kwargs, inplace=True)

    changing.__name__ = changing.__qualname__ = f"{function.__name__}_"
    changing.__doc__ = f"{function.__name__}(..., inplace=True)"
    return changing


relu_, leaky_relu_, rrelu_ = _in_place(relu), _in_place(leaky_relu), _in_place(rrelu)
elu_, celu_, selu_ = _in_place(elu), _in_place(celu), _in_place(selu)
hardtanh_, threshold_ = _in_place(hardtanh), _in_place(threshold)
