"""The layer of bags of embeddings. Left out: sparse gradients. Read next: bag_functions.py, what it computes."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as DType
from ..tensor import Tensor
from .bag_functions import embedding_bag
from .embedding import Table


class EmbeddingBag(Table):
    """The mean (or mode "sum", "max") of the rows that each bag names; see F.embedding_bag. weight
    (num_embeddings, embedding_dim), normal; row padding_idx starts at zero and takes no part.

    Raises ValueError for a padding_idx out of range, NotImplementedError for sparse gradients."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        lookup = max_norm, norm_type, scale_grad_by_freq
        super().__init__(num_embeddings, embedding_dim, padding_idx, lookup, sparse, _weight, device, dtype)
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}"
