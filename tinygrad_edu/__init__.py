"""tinygrad_edu: reverse-mode automatic differentiation to be read in an evening, with PyTorch's names.

`import tinygrad_edu as tg`; then tg.tensor, tg.nn, tg.optim and so on mean what they do in PyTorch, and tg.replay runs
a whole training step in C. Ops and engine are imported here, everything above them when it is asked for.
Read next: tensor.py, op.py, autograd.py: the engine.
"""

from __future__ import annotations

import builtins
import importlib
from typing import Any

# Packed: a name a line would fill ten pages.
# fmt: off
# isort: off
from . import autograd, backends, config
from . import derivatives  # noqa: F401  (autograd.functional)
from .config import get_num_threads, get_winograd, set_num_threads, set_winograd, show_config
from .dtypes import (
    bool_, dtype, float32, float64, get_default_dtype, int32, int64, promote_types, result_type,
    set_default_dtype, uint8,
)
from .interop import Size, device
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .ops import methods  # noqa: F401  (gives Tensor its methods)
from .ops import on_demand
from .ops.activation import relu, sigmoid, tanh
from .ops.compare import (
    allclose, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, clamp, clamp_max, clamp_min, eq, equal, ge, gt,
    isclose, isfinite, isinf, isnan, le, logical_and, logical_not, logical_or, logical_xor, lt, maximum,
    minimum, ne, where,
)
from .ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .ops.create import (
    arange, as_tensor, empty, empty_like, eye, from_numpy, full, full_like, linspace, ones, ones_like, tensor,
    zeros, zeros_like,
)
from .ops.einsum import einsum
from .ops.elementwise import (
    abs, add, ceil, cos, div, erf, exp, expm1, floor, floor_divide, log, log1p, mul,
    neg, pow, reciprocal, remainder, round, rsqrt, sign, sin, sqrt, square, sub, tan, trunc,
)
from .ops.extremum import amax, amin, argmax, argmin, max, min
from .ops.gather import (
    gather, index_add, index_copy, index_select, scatter, scatter_add, take, take_along_dim,
)
from .ops.assign import index_put
from .ops.masks import argwhere, index_fill, masked_fill, masked_select, nonzero
from .ops.interpolate import pixel_shuffle, pixel_unshuffle
from .ops.join import (
    broadcast_tensors, cat, chunk, concat, concatenate, hstack, meshgrid, split, split_with_sizes, stack, unbind,
    vstack,
)
from .ops.rearrange import flip, repeat_interleave, roll, tile, tril, triu
from .ops.matmul import addmm, baddbmm, bmm, dot, matmul, mm, mv, outer
from .ops.move import clone
from .ops.moments import std, std_mean, var, var_mean
from .ops.norm import layer_norm, log_softmax, softmax
from .ops.order import argsort, kthvalue, msort, sort, topk
from .ops.pooling import adaptive_avg_pool1d, avg_pool1d, max_pool1d, max_pool2d
from .ops.random import (
    Generator, bernoulli, get_rng_state, initial_seed, manual_seed, normal, rand, rand_like, randint,
    randint_like, randn, randn_like, randperm, seed, set_rng_state,
)
from .ops.reduce import all, any, count_nonzero, cumsum, logsumexp, mean, prod, sum
from .ops.vector_norm import norm
from .ops.ternary import addcdiv, addcmul, lerp
from .ops.views import (
    broadcast_to, diagonal, flatten, moveaxis, movedim, narrow, permute, ravel, reshape, select, squeeze,
    swapaxes, swapdims, t, transpose, unflatten, unsqueeze,
)
from .replay import replay
from .tensor import Tensor
# isort: on
# fmt: on

__version__ = "0.1.0"

float, double, int, long, bool = float32, float64, int32, int64, bool_
subtract, multiply, divide, true_divide, negative, absolute, clip = sub, mul, div, div, neg, abs, clamp
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne

ABOVE = (
    "datasets",
    "linalg",
    "nn",
    "optim",
    "reports",
    "special",
    "train",
    "transforms",
    "utils",
)  # subpackages imported when used

# fmt: off
FUNCTIONAL = (  # of nn.functional, which PyTorch has here as well
    "alpha_dropout", "bilinear", "celu", "celu_", "channel_shuffle", "cosine_similarity", "feature_alpha_dropout",
    "hardshrink", "max_pool1d_with_indices", "pairwise_distance", "prelu", "relu_", "rms_norm", "rrelu", "rrelu_",
    "selu", "selu_", "threshold", "threshold_",
)
NATIVE = ("adaptive_max_pool1d", "batch_norm", "dropout", "embedding", "group_norm", "instance_norm")

__all__ = [
    "Generator", "Size", "Tensor", "abs", "absolute", "adaptive_avg_pool1d", "add", "addcdiv", "addcmul",
    "addmm", "all", "allclose", "amax", "amin", "any", "arange", "argmax", "argmin", "argsort", "argwhere",
    "as_tensor", "autograd", "avg_pool1d", "backends", "baddbmm", "bernoulli", "bitwise_and", "bitwise_not",
    "bitwise_or", "bitwise_xor", "bmm", "bool", "bool_", "broadcast_tensors", "broadcast_to", "cat", "ceil",
    "chunk", "clamp", "clamp_max", "clamp_min", "clip", "clone", "concat", "concatenate", "config", "conv1d",
    "conv2d", "conv_transpose1d", "conv_transpose2d", "cos", "count_nonzero", "cumsum", "device", "diagonal",
    "div", "divide", "dot", "double", "dtype", "einsum", "empty", "empty_like", "enable_grad", "eq", "equal",
    "erf", "exp", "expm1", "eye", "flatten", "flip", "float", "float32", "float64", "floor", "floor_divide",
    "from_numpy", "full", "full_like", "gather", "ge", "get_default_dtype", "get_num_threads", "get_rng_state",
    "get_winograd", "greater", "greater_equal", "gt", "hstack", "index_add", "index_copy", "index_fill",
    "index_put", "index_select", "inference_mode", "initial_seed", "int", "int32", "int64", "is_floating_point",
    "is_grad_enabled", "is_tensor", "isclose", "isfinite", "isinf", "isnan", "kthvalue", "layer_norm", "le",
    "lerp", "less", "less_equal", "linspace", "log", "log1p", "log_softmax", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logsumexp", "long", "lt", "manual_seed", "masked_fill", "masked_select",
    "matmul", "max", "max_pool1d", "max_pool2d", "maximum", "mean", "meshgrid", "min", "minimum", "mm",
    "moveaxis", "movedim", "msort", "mul", "multiply", "mv", "narrow", "ne", "neg", "negative", "no_grad",
    "nonzero", "norm", "normal", "not_equal", "numel", "ones", "ones_like", "outer", "permute", "pixel_shuffle",
    "pixel_unshuffle", "pow", "prod", "promote_types", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "randperm", "ravel", "reciprocal", "relu", "remainder", "repeat_interleave", "replay",
    "reshape", "result_type", "roll", "round", "rsqrt", "scatter", "scatter_add", "seed", "select",
    "set_default_dtype", "set_grad_enabled", "set_num_threads", "set_rng_state", "set_winograd", "show_config",
    "sigmoid", "sign", "sin", "softmax", "sort", "split", "split_with_sizes", "sqrt", "square", "squeeze", "stack",
    "std", "std_mean", "sub", "subtract", "sum", "swapaxes", "swapdims", "t", "take", "take_along_dim", "tan", "tanh",
    "tensor", "tile", "topk", "transpose", "tril", "triu", "true_divide", "trunc", "uint8", "unbind",
    "unflatten", "unsqueeze", "var", "var_mean", "vstack", "where", "zeros", "zeros_like",
]
__all__ += on_demand.FUNCTIONS
# fmt: on


def __getattr__(name: str) -> Any:
    if name in ABOVE:
        return importlib.import_module(f".{name}", __name__)
    if name in FUNCTIONAL or name in NATIVE:
        return getattr(importlib.import_module(f".nn.{'native' if name in NATIVE else 'functional'}", __name__), name)
    if name in on_demand.FUNCTIONS:
        globals()[name] = found = on_demand.find(name)
        return found
    if name in ("is_anomaly_check_nan_enabled", "is_anomaly_enabled"):
        return getattr(autograd, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_tensor(obj: Any) -> builtins.bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> builtins.bool:
    """Whether the tensor's dtype is float32 or float64."""
    return input.is_floating_point()


def numel(input: Tensor) -> builtins.int:
    """The number of elements."""
    return input.numel()


config.start()
