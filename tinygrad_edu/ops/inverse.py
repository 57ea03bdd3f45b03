"""Inverses, determinants, systems of equations and Cholesky's factor, of square matrices and stacks of them.

LAPACK computes them through NumPy, on every backend. Left out: what has several factors (QR, SVD, eigenvectors).
Read next: ../linalg.py, PyTorch's names.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..op import Op
from ..storage import Layout
from ..tensor import Tensor
from .common import broadcast_shapes, float_only, same_dtype, same_shape, zeros_as
from .elementwise import log, mul
from .matmul import matmul
from .move import Array, Ints
from .products import adjoint, square_matrices
from .rearrange import tril
from .views import expand, reshape, squeeze, unsqueeze


class LinAlgError(RuntimeError):
    """A matrix has no inverse, or no Cholesky factor."""


def _lapack(name: str, function: Any, *arrays: Array) -> Array:
    try:
        return function(*arrays)  # type: ignore[no-any-return]
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{name}: {error}") from None


def _stack_shape(input: Layout, **_: Any) -> Ints:
    return input.shape[:-2]


@partial(Op, shape=same_shape, name="inv")
def inv_op(out, input):
    out[...] = _lapack("inv", np.linalg.inv, input)


@partial(Op, shape=lambda a, b: b.shape, name="solve")
def solve_op(out, a, b):
    """a and b are stacks of matrices, equally long."""
    out[...] = _lapack("solve", np.linalg.solve, a, b)


@partial(Op, shape=_stack_shape, name="det")
def det_op(out, input):
    out[...] = np.linalg.det(input)


@partial(Op, shape=_stack_shape, name="slogdet_sign")
def slogdet_sign(out, input):
    out[...] = np.linalg.slogdet(input)[0]


@partial(Op, shape=_stack_shape, name="logabsdet")
def logabsdet(out, input):
    out[...] = np.linalg.slogdet(input)[1]


@partial(Op, shape=same_shape, name="cholesky")
def cholesky_op(out, input):
    """The lower factor; only the lower triangle is read."""
    out[...] = _lapack("cholesky", np.linalg.cholesky, input)


def _per_matrix(x: Tensor) -> Tensor:
    return reshape(x, (*x.layout.shape, 1, 1))


def _cofactors(input: Tensor, y: Tensor) -> Tensor:
    """The determinant's derivative where there is an inverse."""
    return mul(_per_matrix(y), adjoint(inv_op(input)))


def _cholesky_rule(g: Tensor, y: Tensor) -> Tensor:
    """Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527, equation 10, made symmetric."""
    inner = tril(matmul(adjoint(y), g))
    half = inner - mul(_diagonal_matrix(inner), 0.5)
    both = (half + adjoint(half)) * 0.5
    inverse = inv_op(y)
    return matmul(matmul(adjoint(inverse), both), inverse)


def _diagonal_matrix(x: Tensor) -> Tensor:
    return tril(x) - tril(x, -1)


inv_op.vjps(input=lambda g, y: -matmul(matmul(adjoint(y), g), adjoint(y)))
solve_op.vjps(
    a=lambda g, a, y: -matmul(solve_op(adjoint(a), g), adjoint(y)),
    b=lambda g, a: solve_op(adjoint(a), g),
)
det_op.vjps(input=lambda g, input, y: mul(_per_matrix(g), _cofactors(input, y)))
slogdet_sign.vjps(input=lambda g, input: zeros_as(input))
logabsdet.vjps(input=lambda g, input: mul(_per_matrix(g), adjoint(inv_op(input))))
cholesky_op.vjps(input=_cholesky_rule)


class SignAndLog(NamedTuple):
    """What slogdet returns."""

    sign: Tensor
    logabsdet: Tensor


def _floats(name: str, x: Tensor) -> Tensor:
    square_matrices(name, x)
    float_only(name, x)
    return x


def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices (.., n, n). Raises LinAlgError, a RuntimeError, for a singular one."""
    return inv_op(_floats("inv", A))


def det(A: Tensor) -> Tensor:
    """The determinants (..,) of square matrices (.., n, n). The gradient needs an inverse: LinAlgError without."""
    return det_op(_floats("det", A))


def slogdet(A: Tensor) -> SignAndLog:
    """(sign, logabsdet): the determinant is sign * exp(logabsdet), which may overflow where this does not."""
    x = _floats("slogdet", A)
    return SignAndLog(slogdet_sign(x), logabsdet(x))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN of a negative one."""
    found = slogdet(input)
    return log(found.sign) + found.logabsdet


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X with A X = B, or with left=False X A = B, of A (.., n, n) and B (.., n, k), with left also vectors (.., n);
    stacks broadcast.

    Raises LinAlgError, a RuntimeError, for a singular A."""
    _floats("solve", A)
    same_dtype("solve", A.layout, B.layout)
    a, b = A.layout.shape, B.layout.shape
    vectors = len(b) == 1 or b == a[:-1]
    if not left:
        if vectors:
            raise RuntimeError(f"solve: with left=False, B must be matrices, got shape {b}")
        return adjoint(solve(adjoint(A), adjoint(B)))
    if vectors:
        B = unsqueeze(B, -1)
        b = B.layout.shape
    if len(b) < 2 or b[-2] != a[-1]:
        raise RuntimeError(f"solve: shapes {A.layout.shape} and {B.layout.shape} don't fit")
    stack = broadcast_shapes("solve", a[:-2], b[:-2])
    found = solve_op(expand(A, (*stack, *a[-2:])), expand(B, (*stack, *b[-2:])))
    return squeeze(found, -1) if vectors else found


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with A = L @ L.mT of symmetric positive definite matrices, or with upper its transpose.

    Raises LinAlgError, a RuntimeError, for what is not positive definite."""
    factor = cholesky_op(_floats("cholesky", A))
    return adjoint(factor) if upper else factor


inverse = inv
