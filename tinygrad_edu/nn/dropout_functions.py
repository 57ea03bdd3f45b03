"""Dropout as functions, by PyTorch's names and arguments; functional.py exports them.

dropout zeroes elements, dropout1d to 3d whole channels; the alpha forms put the value there that selu tends to, and
keep mean and variance. Read next: ../ops/philox.py, where the random bits come from.
"""

from __future__ import annotations

import math
import warnings

from ..ops.common import float_only
from ..ops.create import ones
from ..ops.philox import dropout_op
from ..ops.random import default_generator
from ..tensor import Tensor
from .activation_functions import SELU_ALPHA, SELU_SCALE, put

LOWEST = -SELU_ALPHA * SELU_SCALE  # selu's limit at -Inf


def _check(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: the probability has to be between 0 and 1, got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p (to 1e-5) and divide the others by 1 - p, while training; else the input.

    The random bits are the default generator's, so tg.manual_seed repeats them. Source: Srivastava et al., Dropout,
    JMLR 15 (2014). Raises ValueError unless 0 <= p <= 1, RuntimeError for integers."""
    _check("dropout", p)
    if not training or p == 0:
        return input
    float_only("dropout", input)
    key = default_generator.take_key()
    return put(input, lambda x: dropout_op.apply(x.contiguous(), key, p=float(p)), inplace)


def _channels(input: Tensor, kept: int) -> Tensor:
    """Ones, of a shape that broadcasts to the input's: one for all that the first `kept` dimensions tell apart."""
    shape = input.layout.shape
    if len(shape) < kept:
        raise RuntimeError(f"dropout of channels: expected {kept} or more dimensions, got an input of shape {shape}")
    return ones(shape[:kept] + (1,) * (len(shape) - kept), dtype=input.layout.dtype)


def _drop_channels(name: str, input: Tensor, p: float, training: bool, inplace: bool, kept: int) -> Tensor:
    _check(name, p)
    channels = _channels(input, kept)
    factors = dropout(channels, p, training)
    return input if factors is channels else put(input, lambda x: x * factors, inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """dropout of whole channels: rows of (N, C, L) or (C, L). Raises RuntimeError for other numbers of dimensions."""
    if input.layout.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected 2 or 3 dimensions, got an input of shape {input.layout.shape}")
    return _drop_channels("dropout1d", input, p, training, inplace, input.layout.ndim - 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """dropout of whole channels: planes of (N, C, H, W).

    As in PyTorch, an input of 3 dimensions counts as (N, C, L), and one of any other number only gets a warning.
    Source: Tompson et al., arXiv:1411.4280. Raises as dropout does."""
    if input.layout.ndim not in (3, 4):
        warnings.warn(f"dropout2d: expected 4 dimensions, got an input of shape {input.layout.shape}", stacklevel=2)
    return _drop_channels("dropout2d", input, p, training, inplace, 2)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """dropout of whole channels: volumes of (N, C, D, H, W) or (C, D, H, W). Another number of dimensions gets a
    warning. Raises as dropout does."""
    if input.layout.ndim not in (4, 5):
        warnings.warn(f"dropout3d: expected 5 dimensions, got an input of shape {input.layout.shape}", stacklevel=2)
    return _drop_channels("dropout3d", input, p, training, inplace, 1 if input.layout.ndim == 4 else 2)


def _alpha(name: str, input: Tensor, kept: int, p: float, training: bool, inplace: bool) -> Tensor:
    """a (x or LOWEST) + b, a and b such that mean 0 and variance 1 stay; one draw for all that the first `kept`
    dimensions tell apart. Source: arXiv:1706.02515, section 3."""
    _check(name, p)
    if not training or p == 0:
        return input
    float_only(name, input)
    if p == 1:
        return put(input, lambda x: x * 0.0, inplace)
    stays = dropout(_channels(input, kept), p).ne(0).to(input.dtype)
    a = 1 / math.sqrt((1 - p) * (1 + p * LOWEST**2))
    shift = (stays - 1.0) * (-LOWEST * a) - a * p * LOWEST
    return put(input, lambda x: x * (stays * a) + shift, inplace)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for selu: elements become -1.758 with probability p; then a linear map that keeps mean and variance.

    Raises as dropout does."""
    return _alpha("alpha_dropout", input, input.layout.ndim, p, training, inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """alpha_dropout of whole channels of (N, C, ...). Raises as dropout does, and RuntimeError below 2 dimensions."""
    return _alpha("feature_alpha_dropout", input, 2, p, training, inplace)
