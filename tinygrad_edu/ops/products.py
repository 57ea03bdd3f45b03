"""Products beyond matmul.py's: tensordot, kron, cross and inner products, sums of products, chains and powers.

All compositions of matmul and elementwise ops. Read next: linalg.py, which has most of them under torch.linalg's names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from .common import normal_dim
from .compare import flat_in
from .create import eye
from .elementwise import add, mul, sub
from .join import broadcast_tensors
from .matmul import bmm, check_dims, dot, matmul, mm, mv, outer
from .rearrange import roll
from .reduce import sum
from .views import expand, permute, reshape, transpose

vdot = dot  # they differ for complex numbers only


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The products summed over the last dimension of both: (.., k) and (.., k) give both's leading dimensions; a 0-d
    tensor multiplies. Raises RuntimeError where the last sizes differ."""
    a, b = input.layout.shape, other.layout.shape
    if not a or not b:
        return mul(input, other)
    if a[-1] != b[-1]:
        raise RuntimeError(f"inner: the last dimensions must have one size, got shapes {a} and {b}")
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The products summed over pairs of dimensions: the last `dims` of a with the first of b, or those that a pair of
    lists names. Raises RuntimeError where sizes differ."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    n, m = a.layout.ndim, b.layout.ndim
    if isinstance(dims, int):
        if not 0 <= dims <= min(n, m):
            raise RuntimeError(f"tensordot: dims must be 0 to {min(n, m)} for {n} and {m} dimensions, got {dims}")
        left, right = list(range(n - dims, n)), list(range(dims))
    else:
        first, second = [[d] if isinstance(d, int) else list(d) for d in dims]
        left = [normal_dim(d, n, "tensordot") for d in first]
        right = [normal_dim(d, m, "tensordot") for d in second]
    if len(left) != len(right) or len(set(left)) != len(left) or len(set(right)) != len(right):
        raise RuntimeError(f"tensordot: dims must be two lists of as many different dimensions, got {dims}")
    for i, (d, e) in enumerate(zip(left, right, strict=True)):
        k, l = a.layout.shape[d], b.layout.shape[e]
        if k == 1 != l:  # a size of 1 is broadcast, as in PyTorch
            b = sum(b, e, keepdim=True).to(b.layout.dtype)
        elif l == 1 != k:
            a = sum(a, d, keepdim=True).to(a.layout.dtype)
        elif k != l:
            raise RuntimeError(f"tensordot: sizes {k} and {l} of dimensions {d} and {e}, pair {i}, differ")
    rows = [d for d in range(n) if d not in left]
    columns = [d for d in range(m) if d not in right]
    k = math.prod([a.layout.shape[d] for d in left])
    sizes = [a.layout.shape[d] for d in rows], [b.layout.shape[d] for d in columns]
    matrix = reshape(permute(a, (*rows, *left)), (math.prod(sizes[0]), k))
    product = mm(matrix, reshape(permute(b, (*right, *columns)), (k, math.prod(sizes[1]))))
    return reshape(product, (*sizes[0], *sizes[1]))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: other times every element of input, side by side; missing dimensions in front are 1."""
    n = max(input.layout.ndim, other.layout.ndim)
    a = (1,) * (n - input.layout.ndim) + input.layout.shape
    b = (1,) * (n - other.layout.ndim) + other.layout.shape
    apart = mul(
        reshape(input, [size for k in a for size in (k, 1)]), reshape(other, [size for k in b for size in (1, k)])
    )
    return reshape(apart, [k * l for k, l in zip(a, b, strict=True)])


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of 3 in dimension dim (None: the first one of size 3); the others broadcast."""
    if input.layout.ndim != other.layout.ndim:
        raise RuntimeError(f"cross: shapes {input.layout.shape} and {other.layout.shape} differ in dimensions")
    a, b = broadcast_tensors(input, other)
    shape = a.layout.shape
    if dim is None:
        if 3 not in shape:
            raise RuntimeError(f"cross: no dimension of shape {shape} has size 3")
        dim = shape.index(3)
    d = normal_dim(dim, len(shape), "cross")
    if input.layout.shape[d] != 3 or other.layout.shape[d] != 3:
        raise RuntimeError(
            f"cross: dimension {dim} must have size 3, got shapes {input.layout.shape} and {other.layout.shape}"
        )
    return sub(mul(roll(a, -1, d), roll(b, -2, d)), mul(roll(a, -2, d), roll(b, -1, d)))


# Sums of a tensor and a product; see addmm


def _added(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    if not product.layout.dtype.is_floating_point:  # PyTorch truncates the factors of integers
        beta, alpha = int(beta), int(alpha)
    product = product if alpha == 1 else mul(product, alpha)
    input = expand(input, product.layout.shape)  # it may not be the larger one
    return product if beta == 0 else add(product, input if beta == 1 else mul(input, beta))


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec), input broadcast; it is ignored where beta is 0."""
    return _added(input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2), input broadcast; it is ignored where beta is 0."""
    return _added(input, outer(vec1, vec2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (the sum of all batch1[i] @ batch2[i]), input broadcast; ignored where beta is 0."""
    return _added(input, sum(bmm(batch1, batch2), 0).to(batch1.layout.dtype), beta, alpha)


# Several matrices


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two matrices or more in the order that multiplies least; the first and last may be vectors.

    Raises RuntimeError for fewer, and where sizes don't fit."""
    given = list(tensors)
    if len(given) < 2:
        raise RuntimeError(f"multi_dot: expected at least 2 tensors, got {len(given)}")
    first, last = given[0].layout.ndim == 1, given[-1].layout.ndim == 1
    if first:
        given[0] = reshape(given[0], 1, -1)
    if last:
        given[-1] = reshape(given[-1], -1, 1)
    check_dims("multi_dot", *[(x, 2) for x in given])
    product = _chain(given)
    shape = product.layout.shape
    return reshape(product, shape[first : 2 - last])


def chain_matmul(*matrices: Tensor) -> Tensor:
    """multi_dot of one matrix or more."""
    check_dims("chain_matmul", *[(x, 2) for x in matrices])
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


def _chain(matrices: list[Tensor]) -> Tensor:
    """By dynamic programming: Cormen et al., Introduction to Algorithms, "Matrix-chain multiplication"."""
    n = len(matrices)
    sizes = [matrices[0].layout.shape[0], *[x.layout.shape[1] for x in matrices]]
    cost = {(i, i): (0, i) for i in range(n)}  # of the product i..j: multiplications, and after which one to split
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        if i == j:
            return matrices[i]
        k = cost[i, j][1]
        return mm(product(i, k), product(k + 1, j))

    return product(0, n - 1)


def square_matrices(name: str, x: Tensor) -> None:
    """Raise RuntimeError, naming the function, unless x is a square matrix or a stack of such."""
    shape = x.layout.shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(f"{name}: expected square matrices (.., n, n), got shape {shape}")


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The product of n times the same square matrix, by squaring; of its inverse for a negative n."""
    square_matrices("matrix_power", input)
    if n < 0:
        from .inverse import inv

        return matrix_power(inv(input), -n)
    if n == 0:
        one = eye(input.layout.shape[-1], dtype=input.layout.dtype)
        return flat_in(input, expand(one, input.layout.shape).clone())
    result = None
    while True:
        if n & 1:
            result = input if result is None else matmul(result, input)
        n >>= 1
        if not n:
            break
        input = matmul(input, input)
    assert result is not None
    return result


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return transpose(input, -2, -1)
