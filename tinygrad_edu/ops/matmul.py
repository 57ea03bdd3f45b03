"""Matrix products: two ops, matmul and linear, and everything else by rearranging for them.

matmul takes matrices or stacks of them, of any strides, so no transpose is ever copied. linear is x W^T + b with an
activation in the product's last pass over memory. Left out: complex numbers.
Read next: einsum.py.
"""

from __future__ import annotations

import math

import numpy as np

from ..op import Op, Spec
from ..storage import Layout
from ..tensor import Tensor
from .common import as_tensor, broadcast_shapes, no_tensor, same_dtype
from .elementwise import add, mul
from .philox import dropout_op, scale, threshold
from .reduce import sum
from .views import transpose

NONE, RELU = 0, 1  # linear's activations


def _given(*layouts: Layout) -> str:
    return " and ".join(str(x.shape) for x in layouts)


class Product(Op):
    """An op that multiplies matrices."""

    def flops(self, spec: Spec) -> int:
        """A multiplication and an addition for each element of the output and each of the summed dimension."""
        return 2 * spec.layout.numel * spec.inputs[0].shape[-1]


def _matmul_shape(input: Layout, other: Layout) -> tuple[int, ...]:
    same_dtype("matmul", input, other)
    if input.shape[-1] != other.shape[-2]:
        raise RuntimeError(
            f"matmul: shapes {_given(input, other)} can't be multiplied: {input.shape[-1]} columns (dimension -1) but "
            f"{other.shape[-2]} rows (dimension -2)"
        )
    return (*input.shape[:-1], other.shape[-1])


def _matmul(out, input, other):
    np.matmul(input, other, out=out)


matmul_op = Product(_matmul, _matmul_shape, name="matmul")
matmul_op.vjps(input=lambda g, other: matmul_op(g, other.mT), other=lambda g, input: matmul_op(input.mT, g))


def _linear_shape(input: Layout, weight: Layout, bias: Layout | None = None, *, activation: int) -> tuple[int, ...]:
    same_dtype("linear", input, weight, *([bias] if bias else []))
    if input.shape[1] != weight.shape[1]:
        raise RuntimeError(
            f"linear: input {input.shape} and weight {weight.shape} (out_features, in_features) don't fit: the input "
            f"has {input.shape[1]} features, the weight takes {weight.shape[1]}"
        )
    if bias is not None and bias.shape != (weight.shape[0],):
        raise RuntimeError(
            f"linear: bias has shape {bias.shape}, expected ({weight.shape[0]},) from weight {weight.shape}"
        )
    return (input.shape[0], weight.shape[0])


def _linear(out, input, weight, bias=None, *, activation):
    np.matmul(input, weight.T, out=out)
    if bias is not None:
        np.add(out, bias, out=out)
    if activation == RELU:
        np.maximum(out, 0, out=out)


def _plain(g: Tensor, activation: int) -> Tensor:
    if activation != NONE:
        raise RuntimeError("linear with an activation has no gradient: it is what tg.replay makes of a recorded step")
    return g


linear_op = Product(_linear, _linear_shape, name="linear")
linear_op.vjps(
    input=lambda g, weight, activation: matmul_op(_plain(g, activation), weight),
    weight=lambda g, input, activation: matmul_op(transpose(_plain(g, activation), 0, 1), input),
    bias=lambda g, activation: sum(_plain(g, activation), 0),
)


class LinearDropout(Product):
    """dropout(linear(input, weight, bias), key)."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        p = spec.attrs["p"]
        return [spec.layout, *spec.inputs], [spec.attrs["activation"], threshold(p)], [scale(p)]


def _linear_dropout(out, input, weight, key, bias=None, *, activation, p):
    """What a tape makes of linear, relu and dropout."""
    linear_op.reference(out, input, weight, bias, activation=activation)
    dropout_op.reference(out, out, key, p=p)


LinearDropout(
    _linear_dropout,
    lambda input, weight, key, bias=None, *, activation, p: _linear_shape(input, weight, bias, activation=activation),
    name="linear_dropout",
)


def _linear_grad_input_relu(out, grad, weight, result, *, scale):
    """The gradient with respect to z of linear(y, weight), where y is `result`: relu(z), or dropout(relu(z)) whose
    factor is `scale`."""
    np.matmul(grad, weight, out=out)
    np.copyto(out, np.where(result <= 0, 0, out * out.dtype.type(scale)))


linear_grad_input_relu = Product(
    _linear_grad_input_relu, lambda grad, weight, result, *, scale: result.shape, name="linear_grad_input_relu"
)


# What users call


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product: (.., n, k) and (.., k, m) give (.., n, m), the leading dimensions broadcast; a vector on the
    left is a row, on the right a column, and that dimension is gone from the result.

    Raises RuntimeError for sizes that don't fit, two dtypes or 0-d tensors."""
    try:  # only matrices with equal leading dimensions ever get a spec
        spec = matmul_op.specs.get((input.layout, other.layout))
    except AttributeError:
        spec = None
    if spec is not None:
        return matmul_op.run(spec, (input, other))
    input, other = as_tensor(input, "matmul"), as_tensor(other, "matmul")
    a, b = input.layout.ndim, other.layout.ndim
    if not a or not b:
        raise RuntimeError(
            f"matmul: expected at least 1 dimension each, got shapes {_given(input.layout, other.layout)}"
        )
    if a == 1 or b == 1:
        rows = input.unsqueeze(0) if a == 1 else input
        columns = other.unsqueeze(1) if b == 1 else other
        y = matmul(rows, columns)
        y = y.squeeze(-1) if b == 1 else y
        return y.squeeze(-1 if b == 1 else -2) if a == 1 else y
    if a > 2 and b == 2:  # one product of more rows, whose gradient needs no sum over the stack
        shape = input.layout.shape
        if shape[-1] == other.layout.shape[0]:
            rows = input.reshape((math.prod(shape[:-1]), shape[-1]))
            return matmul_op(rows, other).view((*shape[:-1], other.layout.shape[1]))
    batch = broadcast_shapes("matmul", input.layout.shape[:-2], other.layout.shape[:-2])
    return matmul_op(_stacked(input, batch), _stacked(other, batch))


def _stacked(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    shape = x.layout.shape
    return x if shape[:-2] == batch else x.expand((*batch, *shape[-2:]))


def _dims(name: str, *operands: tuple[Tensor, int]) -> None:
    for x, ndim in operands:
        if not isinstance(x, Tensor):
            raise no_tensor(name, x)
        if x.layout.ndim != ndim:
            raise RuntimeError(f"{name}: expected a tensor of {ndim} dimensions, got shape {x.layout.shape}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, nothing else: (n, k) and (k, m) give (n, m)."""
    _dims("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two equally long stacks of matrices: (b, n, k) and (b, k, m) give (b, n, m)."""
    _dims("bmm", (input, 3), (mat2, 3))
    if input.layout.shape[0] != mat2.layout.shape[0]:
        raise RuntimeError(f"bmm: the stacks differ in length, shapes {_given(input.layout, mat2.layout)}")
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector: (n, k) and (k,) give (n,)."""
    _dims("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one size, a 0-d tensor."""
    _dims("dot", (input, 1), (tensor, 1))
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of two vectors' elements: (n,) and (m,) give (n, m)."""
    _dims("outer", (input, 1), (vec2, 1))
    return mul(input.unsqueeze(1), vec2)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2), input broadcast; it is ignored where beta is 0."""
    return _added(input, mm(mat1, mat2), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2) for stacks of matrices, input broadcast; ignored where beta is 0."""
    return _added(input, bmm(batch1, batch2), beta, alpha)


def _added(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    if not product.layout.dtype.is_floating_point:  # PyTorch truncates the factors of integers
        beta, alpha = int(beta), int(alpha)
    product = product if alpha == 1 else mul(product, alpha)
    input = input.expand(product.layout.shape)  # it may not be the larger one
    return product if beta == 0 else add(product, input if beta == 1 else mul(input, beta))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias: (.., k), (m, k) and (m,) give (.., m). A weight of shape (k,) gives (..,).

    Raises RuntimeError for sizes that don't fit or different dtypes."""
    operands = (input, weight) if bias is None else (input, weight, bias)
    if weight.layout.ndim == 1:
        y = matmul(input, weight)
        return y if bias is None else add(y, bias)
    if input.layout.ndim == 2:
        return linear_op(*operands, activation=NONE)
    shape, k = input.layout.shape, weight.layout.shape[-1]
    if not shape or shape[-1] != k:
        raise RuntimeError(
            f"linear: input {shape} does not end in the weight's {k} features (weight {weight.layout.shape})"
        )
    rows = input.reshape((math.prod(shape[:-1]), k))
    return linear_op(rows, *operands[1:], activation=NONE).view((*shape[:-1], weight.layout.shape[0]))
