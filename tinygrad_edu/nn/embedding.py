"""Embedding: a table of vectors, looked up by integer index.

Left out on purpose: sparse gradients. Read next: layer_functions.py; bags.py.
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


class Table(Module):
    """What Embedding and EmbeddingBag share: weight (num_embeddings, embedding_dim), normal or given, whose row
    padding_idx starts at zero, and how its rows are looked up."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        lookup: tuple[float | None, float, bool],
        sparse: bool,
        weight: Tensor | None,
        device: Any,
        dtype: DType | None,
    ) -> None:
        """lookup: max_norm, norm_type and scale_grad_by_freq."""
        super().__init__()
        name = type(self).__name__
        if sparse:
            raise NotImplementedError(f"{name}: sparse gradients are left out; use sparse=False")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} must be within num_embeddings {num_embeddings}")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.max_norm, self.norm_type, self.scale_grad_by_freq = lookup
        expected = num_embeddings, embedding_dim
        if weight is None:
            self.weight = Parameter(empty(expected, dtype=dtype, device=device))
            self.reset_parameters()
        elif weight.shape != expected:
            raise ValueError(f"{name}: _weight must have shape {expected}, got {weight.shape}")
        else:
            self.weight = Parameter(weight)

    def reset_parameters(self) -> None:
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].zero_()


class Embedding(Table):
    """Indices of any shape (...) -> (..., embedding_dim). weight (num_embeddings, embedding_dim), normal.

    padding_idx: the row that starts at zero and gets no gradient. max_norm, norm_type, scale_grad_by_freq: as in
    F.embedding. _weight: the table to begin with, _freeze: not to be trained. Raises ValueError for a padding_idx out
    of range or a _weight of another shape, NotImplementedError for sparse gradients.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        lookup = max_norm, norm_type, scale_grad_by_freq
        super().__init__(num_embeddings, embedding_dim, padding_idx, lookup, sparse, _weight, device, dtype)
        self.weight.requires_grad_(not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer on a given table (num_embeddings, embedding_dim). Raises ValueError unless that has 2 dimensions."""
        if embeddings.dim() != 2:
            raise ValueError(f"from_pretrained: embeddings must have 2 dimensions, got shape {embeddings.shape}")
        rows, dim = embeddings.shape
        return cls(
            rows,
            dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, input: Tensor) -> Tensor:
        settings = self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq
        return F.embedding(input, self.weight, *settings)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text
