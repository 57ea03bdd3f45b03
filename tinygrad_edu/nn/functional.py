"""torch.nn.functional's functions: what layers compute, without their parameters. Imported as F.

Most are ops under PyTorch's arguments; losses stand in loss_functions.py. With inplace=True the input itself takes the
result. Left out: 3 dimensions, attention, arguments for sparse gradients. Read next: loss_functions.py.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..dtypes import dtype as Dtype
from ..ops import activation, norm
from ..ops import gather as _gather
from ..ops.activation import sigmoid, tanh
from ..ops.batch_norm import batch_norm, group_norm, instance_norm
from ..ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from ..ops.create import ones
from ..ops.fold import fold, unfold
from ..ops.gather import one_hot
from ..ops.inplace import change
from ..ops.interpolate import interpolate, pixel_shuffle, pixel_unshuffle
from ..ops.join import broadcast_tensors, pad
from ..ops.loss import log_sigmoid
from ..ops.matmul import linear
from ..ops.norm import layer_norm, normalize
from ..ops.philox import dropout_op
from ..ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
)
from ..ops.random import default_generator
from ..tensor import Tensor
from .loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elu",
    "embedding",
    "fold",
    "gelu",
    "group_norm",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
    "unfold",
]


def _float_only(name: str, input: Tensor) -> None:
    if not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point input, got {input.dtype} of shape {input.layout.shape}")


def _put(input: Tensor, function: Any, inplace: bool) -> Tensor:
    """function(input), or the input changed to that; its gradient may need the old values, so it gets a copy."""
    if not inplace:
        return function(input)  # type: ignore[no-any-return]
    return change(input, lambda x: function(x.clone() if x.needs_grad else x))


# Activations


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return change(input, activation.relu) if inplace else activation.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x. Raises RuntimeError for integers."""
    _float_only("leaky_relu", input)
    return _put(input, lambda x: activation.leaky_relu(x, negative_slope=float(negative_slope)), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1). Raises RuntimeError for integers."""
    _float_only("elu", input)
    return _put(input, lambda x: activation.elu(x, alpha=float(alpha)), inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x; approximate="tanh" takes the formula of arXiv:1606.08415.

    Raises RuntimeError for integers and for another approximation."""
    _float_only("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return activation.gelu(input, tanh=approximate == "tanh")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x). Raises RuntimeError for integers."""
    _float_only("silu", input)
    return _put(input, activation.silu, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold. Raises RuntimeError for integers."""
    _float_only("softplus", input)
    return activation.softplus(input, beta=float(beta), threshold=float(threshold))


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow. Raises RuntimeError for integers."""
    _float_only("logsigmoid", input)
    return log_sigmoid.apply(input)


def _chosen_dim(name: str, input: Tensor, dim: int | None) -> int:
    """PyTorch's choice where none is given: a deprecated one, so it warns."""
    if dim is not None:
        return dim
    warnings.warn(f"{name}: the implicit choice of a dimension is deprecated; pass dim=", UserWarning, stacklevel=3)
    return 0 if input.layout.ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, dtype: Dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim, after a conversion to dtype if one is given.

    Raises RuntimeError for integers, IndexError for a dimension that is not there."""
    return norm.softmax(input, _chosen_dim("softmax", input, dim), dtype)


def log_softmax(input: Tensor, dim: int | None = None, dtype: Dtype | None = None) -> Tensor:
    """log(softmax(x)) along dim, without overflow. Raises as softmax does."""
    return norm.log_softmax(input, _chosen_dim("log_softmax", input, dim), dtype)


# Layers


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p (to 1e-5) and divide the others by 1 - p, while training; else the input.

    The random bits are the default generator's, so tg.manual_seed repeats them. Source: Srivastava et al., Dropout,
    JMLR 15 (2014). Raises ValueError unless 0 <= p <= 1, RuntimeError for integers."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: the probability has to be between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    _float_only("dropout", input)
    key = default_generator.take_key()
    return _put(input, lambda x: dropout_op.apply(x.contiguous(), key, p=float(p)), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """dropout of whole channels: rows of (N, C, L) or (C, L). Raises RuntimeError for other numbers of dimensions."""
    if input.layout.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected 2 or 3 dimensions, got an input of shape {input.layout.shape}")
    return _drop_channels(input, p, training, inplace, 1 if input.layout.ndim == 2 else 2)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """dropout of whole channels: planes of (N, C, H, W).

    As in PyTorch, an input of 3 dimensions counts as (N, C, L), and one of any other number only gets a warning.
    Source: Tompson et al., arXiv:1411.4280. Raises as dropout does."""
    if input.layout.ndim not in (3, 4):
        warnings.warn(f"dropout2d: expected 4 dimensions, got an input of shape {input.layout.shape}", stacklevel=2)
    return _drop_channels(input, p, training, inplace, 2)


def _drop_channels(input: Tensor, p: float, training: bool, inplace: bool, kept: int) -> Tensor:
    """dropout with one draw for all elements that the first `kept` dimensions tell apart."""
    shape = input.layout.shape
    if len(shape) < kept:
        raise RuntimeError(f"dropout of channels: expected {kept} or more dimensions, got an input of shape {shape}")
    channels = ones(shape[:kept] + (1,) * (len(shape) - kept), dtype=input.layout.dtype)
    factors = dropout(channels, p, training)
    if factors is channels:
        return input
    return _put(input, lambda x: x * factors, inplace)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Row input[i...] of weight, (n, d), for each i: shape (*input.shape, d). Row padding_idx gets no gradient.

    Raises IndexError for an index outside 0 to n - 1, ValueError for a padding_idx that is no row."""
    if padding_idx is None:
        return _gather.embedding(weight, input)
    rows = weight.layout.shape[0]
    if not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx {padding_idx} is not one of the {rows} rows of weight")
    return _gather.embedding(weight, input, padding_idx % rows)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along dim; the two broadcast. Raises RuntimeError for integers."""
    _float_only("cosine_similarity", x1)
    _float_only("cosine_similarity", x2)
    x1, x2 = broadcast_tensors(x1, x2)  # dim counts in their common shape

    def unit(x: Tensor) -> Tensor:
        return x / x.norm(2, dim, keepdim=True).clamp(min=eps)

    return (unit(x1) * unit(x2)).sum(dim)
