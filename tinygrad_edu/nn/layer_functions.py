"""What layers compute, where it is more than an op: embedding, bilinear, similarity, normalisations; functional.py
exports them.

Left out on purpose: sparse gradients. Read next: functional.py, the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dtypes import float32, float64
from ..modes import no_grad
from ..ops import gather
from ..ops.common import float_only
from ..ops.compare import where
from ..ops.create import ones, zeros
from ..ops.elementwise import pow, rsqrt
from ..ops.join import broadcast_tensors
from ..ops.matmul import linear
from ..ops.pad import pad
from ..ops.pooling import avg_pool2d
from ..tensor import Tensor

EPSILON = {float32: 2.0**-23, float64: 2.0**-52}  # the gap above 1


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Row input[i...] of weight, (n, d), for each i: shape (*input.shape, d). Row padding_idx gets no gradient.

    max_norm: rows looked up whose norm of norm_type is larger are first scaled down to it, in weight itself.
    scale_grad_by_freq: a row's gradient is divided by how often the row is looked up. Raises IndexError for an index
    outside 0 to n - 1, ValueError for a padding_idx that is no row, NotImplementedError for sparse gradients."""
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are left out; use sparse=False")
    if weight.layout.ndim != 2:
        raise RuntimeError(f"embedding: the weight must have 2 dimensions, got shape {weight.layout.shape}")
    rows = weight.layout.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx {padding_idx} is not one of the {rows} rows of weight")
    if max_norm is not None:
        with no_grad():
            norms = weight.norm(norm_type, 1, keepdim=True)
            used = zeros(rows, 1).index_fill(0, input.reshape(-1), 1.0)
            weight.mul_(where((used > 0) & (norms > max_norm), max_norm / (norms + 1e-7), 1.0))
    padding = -1 if padding_idx is None else padding_idx % rows
    y = gather.embedding(weight, input, padding)
    if not scale_grad_by_freq:
        return y
    once = ones(input.layout.numel, dtype=weight.dtype)
    counts = zeros(rows, dtype=weight.dtype).index_add(0, input.reshape(-1), once)
    share = 1.0 / counts.index_select(0, input.reshape(-1)).reshape(*input.layout.shape, 1)
    return y.detach() + (y - y.detach()) * share


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along dim; the two broadcast. Raises RuntimeError for integers."""
    float_only("cosine_similarity", x1)
    float_only("cosine_similarity", x2)
    x1, x2 = broadcast_tensors(x1, x2)  # dim counts in their common shape

    def unit(x: Tensor) -> Tensor:
        return x / x.norm(2, dim, keepdim=True).clamp(min=eps)

    return (unit(x1) * unit(x2)).sum(dim)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x1^T W_k x2 + b_k: (..., n1), (..., n2), weight (K, n1, n2), bias (K) -> (..., K).

    Raises RuntimeError for shapes that do not fit."""
    lead, sizes = input1.layout.shape[:-1], (input1.layout.shape[-1:], input2.layout.shape[-1:])
    if weight.layout.ndim != 3 or sizes != (weight.layout.shape[1:2], weight.layout.shape[2:]):
        raise RuntimeError(
            f"bilinear: inputs {input1.layout.shape} and {input2.layout.shape} do not fit weight {weight.layout.shape}"
        )
    if input2.layout.shape[:-1] != lead or (bias is not None and bias.layout.shape != weight.layout.shape[:1]):
        raise RuntimeError(
            f"bilinear: expected inputs that differ in their last sizes only and one bias for each of "
            f"{weight.layout.shape[0]} outputs; got {input1.layout.shape}, {input2.layout.shape} and "
            f"{None if bias is None else bias.layout.shape}"
        )
    k, n1, n2 = weight.layout.shape
    left = linear(input1, weight.permute(0, 2, 1).reshape(k * n2, n1)).reshape(*lead, k, n2)
    y = (left * input2.unsqueeze(-2)).sum(-1, dtype=input1.dtype)
    return y if bias is None else y + bias


# Normalisation


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the trailing dimensions normalized_shape, times weight; eps: that of the dtype.

    Source: Zhang, Sennrich, arXiv:1910.07467. Raises RuntimeError for shapes that do not fit and for integers."""
    float_only("rms_norm", input)
    shape = tuple(normalized_shape)
    if not shape or input.layout.shape[-len(shape) :] != shape:
        raise RuntimeError(f"rms_norm: input of shape {input.layout.shape} does not end in normalized_shape {shape}")
    if weight is not None and weight.layout.shape != shape:
        raise RuntimeError(f"rms_norm: weight has shape {weight.layout.shape}, expected normalized_shape {shape}")
    dims = tuple(range(-len(shape), 0))
    least = EPSILON[input.layout.dtype] if eps is None else eps
    y = input * rsqrt((input * input).mean(dims, keepdim=True) + least)
    return y if weight is None else y * weight


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha mean)^beta, the mean of the squares of `size` neighbouring channels, beyond the last ones zeros.

    For (N, C, ...). Source: Krizhevsky et al., ImageNet classification, 2012. Raises ValueError below 3 dimensions."""
    shape = input.layout.shape
    if len(shape) < 3:
        raise ValueError(f"local_response_norm: expected 3 or more dimensions, got an input of shape {shape}")
    if not input.layout.numel:
        return input
    squares = pad((input * input).reshape(shape[0], 1, shape[1], -1), (0, 0, size // 2, (size - 1) // 2))
    means = avg_pool2d(squares, (size, 1), stride=1).reshape(shape)
    return input / pow(means * alpha + k, beta)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, ...) with the channels, seen as groups x C / groups, transposed. Source: ShuffleNet, arXiv:1707.01083.

    Raises RuntimeError below 3 dimensions and where groups does not divide C."""
    shape = input.layout.shape
    if len(shape) < 3 or groups < 1 or shape[1] % groups:
        raise RuntimeError(f"channel_shuffle: {groups} groups do not divide the channels of an input of shape {shape}")
    apart = input.reshape(shape[0], groups, shape[1] // groups, *shape[2:])
    return apart.transpose(1, 2).reshape(shape)
