"""The layer of attention with several heads. Left out: transformers' layers, which it, Linear and LayerNorm make.

Read next: attention_functions.py, what it computes.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as DType
from ..ops.create import empty
from ..ops.views import transpose
from ..tensor import Tensor
from . import init
from .attention_functions import multi_head_attention_forward
from .linear import Linear
from .module import Module
from .parameter import Parameter


class MultiheadAttention(Module):
    """Attention of num_heads heads of embed_dim / num_heads each, with projections before and after (Vaswani et al.,
    arXiv:1706.03762). Inputs (L, N, E), with batch_first (N, L, E), or (L, E).

    dropout: of the weights. add_bias_kv, add_zero_attn: one more position, learnt or of zeros. kdim, vdim: the sizes of
    key and value, embed_dim unless given. Raises ValueError for sizes that are not positive or do not divide.
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None
    out_proj: Linear

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim {embed_dim} must be a positive multiple of num_heads {num_heads}"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        e, place = embed_dim, {"device": device, "dtype": dtype}
        together = self.kdim == e and self.vdim == e
        shapes = {
            "q_proj_weight": None if together else (e, e),
            "k_proj_weight": None if together else (e, self.kdim),
            "v_proj_weight": None if together else (e, self.vdim),
            "in_proj_weight": (3 * e, e) if together else None,
            "in_proj_bias": (3 * e,) if bias else None,
            "bias_k": (1, 1, e) if add_bias_kv else None,
            "bias_v": (1, 1, e) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(name, None if shape is None else Parameter(empty(shape, **place)))
        self.out_proj = Linear(e, e, bias, **place)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for learnt in (self.bias_k, self.bias_v):
            if learnt is not None:
                init.xavier_normal_(learnt)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights): output as query, weights (N, L, S), or (N, heads, L, S) not averaged, or None where not
        needed.

        key_padding_mask (N, S) and attn_mask (L, S) or (N * heads, L, S): of bools, True shuts; floats are added.
        is_causal: a hint that attn_mask is causal. Raises RuntimeError for what does not fit."""
        turned = self.batch_first and query.ndim == 3
        if turned:
            query, key, value = [transpose(x, 0, 1) if x.ndim == 3 else x for x in (query, key, value)]
        y, weights = multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            self.in_proj_weight is None,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return transpose(y, 0, 1) if turned else y, weights
