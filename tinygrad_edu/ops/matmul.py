"""Matrix products: matmul, which is all that NumPy's is, addmm, which adds to one, outer, and linear.

Operands may have any strides, so no transpose is ever copied. linear is x W^T + b with an activation in the product's
last pass over memory. Left out: complex numbers. Read next: einsum.py.
"""

from __future__ import annotations

import math

import numpy as np

from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import Number, as_tensor, broadcast_shapes, no_tensor, promoted, remember, same_dtype
from .elementwise import add
from .philox import dropout_op, scale, threshold
from .reduce import sum
from .views import squeeze, transpose, unsqueeze

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
    a, b = input.shape, other.shape
    if not a or not b:
        raise RuntimeError(f"matmul: expected at least 1 dimension each, got shapes {_given(input, other)}")
    summed = -min(len(b), 2)  # the dimension of other
    if a[-1] != b[summed]:
        raise RuntimeError(
            f"matmul: shapes {_given(input, other)} can't be multiplied: {a[-1]} columns (dimension -1) but "
            f"{b[summed]} rows (dimension {summed})"
        )
    columns = b[-1:] if len(b) > 1 else ()
    return (*broadcast_shapes("matmul", a[:-2], b[:-2]), *a[-2:-1], *columns)


def _expanded(x: Layout, shape: tuple[int, ...]) -> Layout:
    """As expand(): what is repeated has stride 0."""
    new = len(shape) - x.ndim
    old = zip((1,) * new + x.shape, (0,) * new + x.strides, shape, strict=True)
    return layout_of(shape, x.dtype, tuple([by if n == m else 0 for n, by, m in old]))


class Matmul(Product):
    """matmul, of which kernels see stacks of matrices, all equally long."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        a, b = spec.inputs
        if a.ndim == 1:
            a = layout_of((1, *a.shape), a.dtype, (1, *a.strides))
        if b.ndim == 1:
            b = layout_of((*b.shape, 1), b.dtype, (*b.strides, 1))
        stack = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
        left, right = _expanded(a, (*stack, *a.shape[-2:])), _expanded(b, (*stack, *b.shape[-2:]))
        return [layout_of((*stack, a.shape[-2], b.shape[-1]), a.dtype), left, right], [], []


def _matmul(out, input, other):
    np.matmul(input, other, out=out)


def _to_input(g: Tensor, input_shape: tuple[int, ...], other: Tensor) -> Tensor:
    """g @ other^T, where a vector is a row on the left, a column on the right, and g lacks its dimension."""
    if other.layout.ndim == 1:
        return outer_op(g, other) if len(input_shape) > 1 else g * other
    if len(input_shape) == 1:
        return matmul_op(other, g) if other.layout.ndim == 2 else squeeze(matmul_op(other, unsqueeze(g, -1)), -1)
    return matmul_op(g, other.mT)


def _to_other(g: Tensor, input: Tensor, other_shape: tuple[int, ...]) -> Tensor:
    """input^T @ g, likewise. A stack that met one matrix is one product of more rows: no sum over the stack is left."""
    shape = input.layout.shape
    if len(shape) == 1:
        if len(other_shape) == 1:
            return input * g
        return outer_op(input, g) if len(other_shape) == 2 else unsqueeze(input, 1) * unsqueeze(g, -2)
    if len(shape) > 2 and len(other_shape) <= 2:
        rows = math.prod(shape[:-1])
        input, g = input.reshape((rows, shape[-1])), g.reshape((rows, *other_shape[1:]))
    return matmul_op(input.mT, g)


matmul_op = Matmul(_matmul, _matmul_shape, name="matmul")
matmul_op.vjps(input=_to_input, other=_to_other)


class Outer(Op):
    """outer, of which the kernel sees a column and a row."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        x, vec2 = spec.inputs
        return [spec.layout, layout_of((*x.shape, 1), x.dtype, (*x.strides, 1)), vec2], [], []


def _outer(out, input, vec2):
    """input[..., None] * vec2: input may have any dimensions."""
    np.multiply.outer(input, vec2, out=out)


outer_op = Outer(_outer, lambda input, vec2: (*input.shape, *vec2.shape), name="outer")
outer_op.vjps(
    input=lambda g, vec2: matmul_op(g, vec2), vec2=lambda g, input, vec2_shape: _to_other(input, g, vec2_shape)
)


class SumOfProduct(Product):
    """addmm and baddbmm."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        mat1, mat2, input = spec.inputs
        factors = [float(spec.attrs["beta"]), float(spec.attrs["alpha"])]
        return [spec.layout, mat1, mat2, _expanded(input, spec.layout.shape)], [], factors


def _addmm_shape(mat1: Layout, mat2: Layout, input: Layout, **_: Number) -> tuple[int, ...]:
    same_dtype("addmm", input, mat1, mat2)
    shape = _matmul_shape(mat1, mat2)
    if broadcast_shapes("addmm", input.shape, shape) != shape:
        raise RuntimeError(f"addmm: an input of shape {input.shape} does not broadcast to the product's {shape}")
    return shape


def _addmm(out, mat1, mat2, input, *, beta, alpha):
    """beta * input + alpha * (mat1 @ mat2), of matrices or equally long stacks of them; input may be smaller."""
    np.matmul(mat1, mat2, out=out)
    np.multiply(out, alpha, out=out)
    if beta != 0:
        np.add(out, input * beta, out=out)


addmm_op = SumOfProduct(_addmm, _addmm_shape, name="addmm")
addmm_op.vjps(
    mat1=lambda g, mat2, alpha: matmul_op(g * alpha, mat2.mT),
    mat2=lambda g, mat1, alpha: matmul_op(mat1.mT, g * alpha),
    input=lambda g, beta: g * beta,
)


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
    try:
        spec = matmul_op.specs.get((input.layout, other.layout))
    except AttributeError:
        spec = None
    if spec is None:
        return matmul_op(as_tensor(input, "matmul"), as_tensor(other, "matmul"))
    return matmul_op.run(spec, (input, other))


def check_dims(name: str, *operands: tuple[Tensor, int]) -> None:
    """Raise, naming the function, unless all are tensors of so many dimensions."""
    for x, ndim in operands:
        if not isinstance(x, Tensor):
            raise no_tensor(name, x)
        if x.layout.ndim != ndim:
            raise RuntimeError(f"{name}: expected a tensor of {ndim} dimensions, got shape {x.layout.shape}")


def _check_pair(name: str, input: Tensor, ndim: int, other: Tensor, other_ndim: int) -> None:
    check_dims(name, (input, ndim), (other, other_ndim))
    if ndim == other_ndim == 3 and input.layout.shape[0] != other.layout.shape[0]:
        raise RuntimeError(f"{name}: the stacks differ in length, shapes {_given(input.layout, other.layout)}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, nothing else: (n, k) and (k, m) give (n, m)."""
    return _product("mm", input, 2, mat2, 2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two equally long stacks of matrices: (b, n, k) and (b, k, m) give (b, n, m)."""
    return _product("bmm", input, 3, mat2, 3)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector: (n, k) and (k,) give (n,)."""
    return _product("mv", input, 2, vec, 1)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one size, a 0-d tensor."""
    return _product("dot", input, 1, tensor, 1)


def _product(name: str, input: Tensor, ndim: int, other: Tensor, other_ndim: int) -> Tensor:
    """matmul of tensors of so many dimensions, nothing else; a signature met before is found without checks."""
    spec = matmul_op.specs.get((name, getattr(input, "layout", None), getattr(other, "layout", None)))
    if spec is None:
        _check_pair(name, input, ndim, other, other_ndim)
        spec = remember(matmul_op, (input, other), (name, input.layout, other.layout))
    return matmul_op.run(spec, (input, other))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of two vectors' elements: (n,) and (m,) give (n, m)."""
    spec = outer_op.specs.get((getattr(input, "layout", None), getattr(vec2, "layout", None), "of vectors"))
    if spec is None:
        check_dims("outer", (input, 1), (vec2, 1))
        if input.layout.dtype is not vec2.layout.dtype:
            return outer(*promoted("outer", input, vec2))
        spec = remember(outer_op, (input, vec2), (input.layout, vec2.layout, "of vectors"))
    return outer_op.run(spec, (input, vec2))


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2), input broadcast; it is ignored where beta is 0."""
    return _added("addmm", 2, input, mat1, mat2, beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2) for stacks of matrices, input broadcast; ignored where beta is 0."""
    return _added("baddbmm", 3, input, batch1, batch2, beta, alpha)


def _added(name: str, ndim: int, input: Tensor, a: Tensor, b: Tensor, beta: Number, alpha: Number) -> Tensor:
    try:
        key = name, input.layout, a.layout, b.layout, beta, alpha
    except AttributeError:
        raise no_tensor(name, next(x for x in (input, a, b) if not isinstance(x, Tensor))) from None
    spec = addmm_op.specs.get(key)
    if spec is None:
        _check_pair(name, a, ndim, b, ndim)
        number = float if a.layout.dtype.is_floating_point else int  # PyTorch truncates the factors of integers
        spec = remember(addmm_op, (a, b, input), key, beta=number(beta), alpha=number(alpha))
    return addmm_op.run(spec, (a, b, input))


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
