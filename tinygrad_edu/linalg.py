"""torch.linalg's functions: norms, products, inverses and what else LAPACK does for square matrices.

Left out: QR, SVD and eigenvalues, and with them the norms 2, -2 and "nuc" of matrices. Read next: ops/inverse.py,
ops/products.py.
"""

from __future__ import annotations

import math
from typing import Any

from .dtypes import dtype as Dtype
from .ops.common import float_only, normal_dim
from .ops.elementwise import abs, mul
from .ops.extremum import amax, amin
from .ops.inverse import LinAlgError, cholesky, det, inv, slogdet, solve
from .ops.join import broadcast_tensors
from .ops.products import cross as any_cross
from .ops.products import matrix_power, multi_dot
from .ops.reduce import sum
from .ops.vector_norm import norm as p_norm
from .ops.views import diagonal as any_diagonal
from .ops.views import squeeze
from .tensor import Tensor

__all__ = [
    "LinAlgError",
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "slogdet",
    "solve",
    "vecdot",
    "vector_norm",
]


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Dtype | None = None
) -> Tensor:
    """sum(|x|^ord)^(1/ord) over dim (default all), seen as one vector; see tg.norm."""
    return p_norm(x, ord, dim, keepdim, dtype)


def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
) -> Tensor:
    """Of matrices in two dimensions: "fro" the root of the squares' sum, 1 and -1 the largest and smallest sum of a
    column's sizes, inf and -inf of a row's. Raises NotImplementedError for 2, -2 and "nuc", which need an SVD."""
    n = A.layout.ndim
    if n < 2:
        raise RuntimeError(f"matrix_norm: expected 2 or more dimensions, got shape {A.layout.shape}")
    float_only("matrix_norm", A)
    if len(dim) != 2:
        raise RuntimeError(f"matrix_norm: dim must name 2 dimensions, got {dim}")
    row, column = normal_dim(dim[0], n, "matrix_norm"), normal_dim(dim[1], n, "matrix_norm")
    if row == column:
        raise RuntimeError(f"matrix_norm: the dimensions {dim} are one")
    x = A if dtype is None else A.to(dtype)
    if ord == "fro":
        return p_norm(x, 2, (row, column), keepdim)
    if ord in (2, -2, "nuc"):
        raise NotImplementedError(f"matrix_norm: ord={ord!r} needs a singular value decomposition, which is left out")
    if ord not in (1, -1, math.inf, -math.inf):
        raise (ValueError if isinstance(ord, str) else RuntimeError)(
            f"matrix_norm: ord must be 'fro', 1, -1, inf or -inf, got {ord!r}"
        )
    assert not isinstance(ord, str)
    first, then = (row, column) if ord in (1, -1) else (column, row)
    sums = sum(abs(x), first, keepdim=True)
    found = (amax if ord > 0 else amin)(sums, then, keepdim=True)
    return found if keepdim else squeeze(found, (row, column))


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """vector_norm without ord (2, over dim or all) or over one dimension; else matrix_norm."""
    if isinstance(dim, (tuple, list)) and len(dim) == 1:
        dim = dim[0]
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None and A.layout.ndim not in (1, 2):
        raise RuntimeError(f"linalg.norm: with ord, without dim, expected 1 or 2 dimensions, got {A.layout.shape}")
    if isinstance(dim, int) or (dim is None and A.layout.ndim == 1):
        if isinstance(ord, str):
            raise RuntimeError(f"linalg.norm: ord={ord!r} is for matrices, but dim={dim} and shape {A.layout.shape}")
        return vector_norm(A, ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (0, 1) if dim is None else tuple(dim), keepdim, dtype=dtype)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of 3 in dimension dim."""
    return any_cross(input, other, dim)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products along dimension dim; the others broadcast."""
    a, b = broadcast_tensors(x, y)
    return sum(mul(a, b), dim).to(a.layout.dtype)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """tg.matmul"""
    return input @ other


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """tg.diagonal, of the last two dimensions by default."""
    return any_diagonal(A, offset, dim1, dim2)
