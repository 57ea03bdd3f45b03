"""Embedding: a table of vectors, looked up by integer index.

Left out on purpose: max_norm, scale_grad_by_freq and sparse gradients, which change what a lookup means.
Read next: functional.py.
"""

from __future__ import annotations

from typing import Any, Self

from ..dtypes import dtype as DType
from ..modes import no_grad
from ..ops.create import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Embedding(Module):
    """Indices of any shape (...) -> (..., embedding_dim). weight (num_embeddings, embedding_dim), normal.

    padding_idx: the row that starts at zero and gets no gradient. Raises ValueError where it is out of range.
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} must be within num_embeddings {num_embeddings}")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].zero_()

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Self:
        """A layer on a given table (num_embeddings, embedding_dim). Raises ValueError unless that has 2 dimensions."""
        if embeddings.dim() != 2:
            raise ValueError(f"from_pretrained: embeddings must have 2 dimensions, got shape {embeddings.shape}")
        rows, dim = embeddings.shape
        layer = cls(rows, dim, padding_idx)
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
