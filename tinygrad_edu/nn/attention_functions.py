"""Attention, of Vaswani et al., Attention is all you need, arXiv:1706.03762: products, a softmax, products.

Rows of a mask that let nothing through give zeros, as in PyTorch. Left out: kernels that never hold the whole matrix of
weights (FlashAttention). Read next: attention.py, the layer.
"""

from __future__ import annotations

import math

from ..dtypes import bool_
from ..ops.compare import where
from ..ops.create import ones, zeros
from ..ops.elementwise import mul
from ..ops.join import cat
from ..ops.masks import masked_fill
from ..ops.matmul import linear, matmul
from ..ops.norm import softmax
from ..ops.pad import pad
from ..ops.rearrange import repeat_interleave, tril
from ..ops.reduce import all as all_of
from ..ops.reduce import mean
from ..ops.views import reshape, transpose, unsqueeze
from ..tensor import Tensor
from .dropout_functions import dropout


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key^T * scale + mask) value: (.., L, E), (.., S, E), (.., S, Ev) give (.., L, Ev).

    attn_mask, which broadcasts to (.., L, S): True takes part, or floats that are added; is_causal: position i sees 0
    to i. scale: 1 / sqrt(E) unless given. dropout_p: of the weights, always. enable_gqa: dimension -3 of key and value
    may divide that of query. Raises RuntimeError for shapes that don't fit, both masks, or a mask of integers."""
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.layout.ndim < 2:
            raise RuntimeError(f"scaled_dot_product_attention: {name} needs 2 dimensions or more, got {x.layout.shape}")
        if x.layout.dtype is not query.layout.dtype:
            raise RuntimeError(
                f"scaled_dot_product_attention: query and {name} must have one dtype, got {query.layout.dtype} and "
                f"{x.layout.dtype}"
            )
    if enable_gqa:
        heads = query.layout.shape[-3]
        if heads % key.layout.shape[-3] or heads % value.layout.shape[-3]:
            raise RuntimeError(
                f"scaled_dot_product_attention: {heads} heads of query are no multiple of those of key, "
                f"{key.layout.shape}, and value, {value.layout.shape}"
            )
        key = repeat_interleave(key, heads // key.layout.shape[-3], -3)
        value = repeat_interleave(value, heads // value.layout.shape[-3], -3)
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError("scaled_dot_product_attention: attn_mask and is_causal exclude each other")
        attn_mask = tril(ones(query.layout.shape[-2], key.layout.shape[-2], dtype=bool_))
    factor = 1 / math.sqrt(query.layout.shape[-1] or 1) if scale is None else scale
    weights = _weights(matmul(mul(query, factor), transpose(key, -2, -1)), attn_mask)
    return matmul(dropout(weights, dropout_p), value)


def _weights(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax of scores under a mask; zeros where the mask lets nothing through."""
    if mask is None:
        return softmax(scores, -1)
    scores = scores + _added("scaled_dot_product_attention", mask, scores)
    nothing = all_of(scores.detach() == -math.inf, -1, keepdim=True)
    return where(nothing, 0.0, softmax(where(nothing, 0.0, scores), -1))


def _added(name: str, mask: Tensor, like: Tensor, shut: bool = False) -> Tensor:
    """A mask as the numbers that are added to scores: bools as 0 and, where they are `shut`, -inf."""
    d = mask.layout.dtype
    if d is bool_:
        return masked_fill(zeros(mask.layout.shape, dtype=like.layout.dtype), mask if shut else ~mask, -math.inf)
    if not d.is_floating_point:
        raise RuntimeError(f"{name}: a mask must be of bools or floats, got {d}")
    return mask.to(like.layout.dtype)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What nn.MultiheadAttention computes, whose arguments these are; query (L, N, E), key and value (S, N, ..), or
    without N. Raises RuntimeError for what does not fit."""
    batched = query.layout.ndim == 3
    if query.layout.ndim not in (2, 3) or {key.layout.ndim, value.layout.ndim} != {query.layout.ndim}:
        given = ", ".join(str(x.layout.shape) for x in (query, key, value))
        raise RuntimeError(f"MultiheadAttention: expected three tensors of 2 or of 3 dimensions, got shapes {given}")
    if not batched:
        query, key, value = [unsqueeze(x, 1) for x in (query, key, value)]
        key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
    if is_causal and attn_mask is None:
        raise RuntimeError("MultiheadAttention: is_causal says what attn_mask is: it must be given, too")
    length, n, e = query.layout.shape
    if e != embed_dim_to_check or e % num_heads:
        raise RuntimeError(
            f"MultiheadAttention: expected embeddings of {embed_dim_to_check}, a multiple of {num_heads} heads; got {e}"
        )
    if key.layout.shape[:2] != value.layout.shape[:2] or key.layout.shape[1] != n:
        raise RuntimeError(
            f"MultiheadAttention: the shapes of query {query.layout.shape}, key {key.layout.shape} and value "
            f"{value.layout.shape} don't fit"
        )
    if use_separate_proj_weight:
        weights = [q_proj_weight, k_proj_weight, v_proj_weight]
    else:
        assert in_proj_weight is not None
        weights = list(in_proj_weight.chunk(3))
    biases = [None] * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    projected = []
    for x, weight, bias in zip((query, key, value), weights, biases, strict=True):
        assert weight is not None
        projected.append(linear(x, weight, bias))
    q, k, v = projected
    mask = _merged(attn_mask, key_padding_mask, q, num_heads, (length, key.layout.shape[0]))
    if bias_k is not None and bias_v is not None:  # one more position, learnt
        k, v = cat([k, bias_k.expand(1, n, e)]), cat([v, bias_v.expand(1, n, e)])
        mask = None if mask is None else pad(mask, (0, 1))
    q, k, v = [_heads(x, num_heads) for x in (q, k, v)]
    k, v = (k if static_k is None else _static(static_k, n)), (v if static_v is None else _static(static_v, n))
    if add_zero_attn:  # one more position, of zeros
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
        mask = None if mask is None else pad(mask, (0, 1))
    p = dropout_p if training else 0.0
    shares: Tensor | None = None
    if need_weights:
        scores = matmul(mul(q, 1 / math.sqrt(e // num_heads)), transpose(k, -2, -1))
        shares = dropout(softmax(scores if mask is None else scores + mask, -1), p)
        out = matmul(shares, v)
        shares = mean(shares, 1) if average_attn_weights else shares
    else:
        out = scaled_dot_product_attention(q, k, v, mask, p)
    joined = reshape(out.permute(2, 0, 1, 3), length, n, e)
    y = linear(joined, out_proj_weight, out_proj_bias)
    if batched:
        return y, shares
    return y.squeeze(1), None if shares is None else shares.squeeze(0)


def _heads(x: Tensor, heads: int) -> Tensor:
    """(L, N, E) as (N, heads, L, E / heads)."""
    length, n, e = x.layout.shape
    return reshape(x, length, n, heads, e // heads).permute(1, 2, 0, 3)


def _static(x: Tensor, n: int) -> Tensor:
    """Given keys or values, (N * heads, S, E / heads), as (N, heads, S, E / heads)."""
    return reshape(x, n, -1, *x.layout.shape[1:])


def _merged(
    attn_mask: Tensor | None, padding: Tensor | None, like: Tensor, heads: int, sizes: tuple[int, int]
) -> Tensor | None:
    """Both masks as one that is added to (N, heads, L, S): attn_mask (L, S) or (N * heads, L, S), padding (N, S); of
    bools, True shuts."""
    n = like.layout.shape[1]
    mask = None
    if attn_mask is not None:
        allowed = (sizes, (n * heads, *sizes))
        if attn_mask.layout.shape not in allowed:
            raise RuntimeError(
                f"MultiheadAttention: attn_mask must have shape {allowed[0]} or {allowed[1]}, got "
                f"{attn_mask.layout.shape}"
            )
        mask = _added("MultiheadAttention", attn_mask, like, shut=True)
        mask = reshape(mask, (1, 1, *sizes) if attn_mask.layout.ndim == 2 else (n, heads, *sizes))
    if padding is not None:
        if padding.layout.shape != (n, sizes[1]):
            raise RuntimeError(
                f"MultiheadAttention: key_padding_mask must have shape {(n, sizes[1])}, got {padding.layout.shape}"
            )
        shut = reshape(_added("MultiheadAttention", padding, like, shut=True), (n, 1, 1, sizes[1]))
        mask = shut if mask is None else mask + shut
    return mask
