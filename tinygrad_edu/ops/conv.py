"""Convolution: three ops that are each other's gradients.

conv2d is linear in the picture and in the weight; conv2d_grad_input and conv2d_grad_weight are its adjoints, and every
rule of the three is one of the three, so all orders of derivative are there. The references multiply matrices of
windows (fold.py). Left out: three spatial dimensions; uneven padding, which users' functions do before.
Read next: convolution.py, what users call; csrc/conv.c and csrc/winograd.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..op import Op, Spec
from ..storage import Layout
from ..tensor import Tensor
from .common import same_dtype
from .fold import Ints, add_windows, check_padded, check_window, counts, windows
from .matmul import NONE, RELU
from .reduce import sum

BLOCK = 1 << 20  # most elements of the windows of a few pictures: what the references hold at once


class Convolution(Op):
    """An op of the family; its kernels take contiguous inputs only, so others are copied here."""

    def apply(self, *inputs: Tensor, **attrs: Any) -> Tensor:
        return super().apply(*[x.contiguous() for x in inputs], **attrs)

    __call__ = apply

    def flops(self, spec: Spec) -> int:
        """A multiplication and an addition for each output position (of the forward pass) and element of weight that
        meet there."""
        c = conv_sizes(spec)
        groups: int = spec.attrs["groups"]
        return 2 * c["N"] * c["K"] * c["P"] * c["Q"] * (c["C"] // groups) * c["R"] * c["S"]


def conv_sizes(spec: Spec) -> dict[str, int]:
    """N, C, H, W of the picture, K, R, S of the weight and P, Q of the result, for any op of the three."""
    a, b, out = spec.inputs[0].shape, spec.inputs[1].shape, spec.layout.shape
    picture, weight, result = {
        "conv2d": (a, b, out),
        "conv2d_grad_input": (out, b, a),
        "conv2d_grad_weight": (b, out, a),
    }[spec.op.name]
    return dict(zip("NCHWKRSPQ", (*picture, weight[0], *weight[2:], *result[2:]), strict=True))


def conv_shape(
    name: str,
    input: Layout,
    weight: Layout,
    bias: Layout | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
) -> Ints:
    """The shape of a convolution's result, for any number of spatial dimensions."""
    same_dtype(name, input, weight, *([bias] if bias else []))
    n, c, *sizes = input.shape
    k, per_group, *kernel = weight.shape
    check_groups(name, weight, groups)
    check_window(name, tuple(kernel), stride, padding, dilation)
    if c != per_group * groups:
        raise RuntimeError(
            f"{name}: weight {weight.shape} with groups={groups} takes {per_group * groups} input channels, but the "
            f"input {input.shape} has {c}"
        )
    if bias is not None and bias.shape != (k,):
        raise RuntimeError(f"{name}: bias has shape {bias.shape}, expected ({k},) from weight {weight.shape}")
    found = counts(sizes, tuple(kernel), stride, padding, dilation)
    if min(found) < 1:
        padded = tuple(n + 2 * p for n, p in zip(sizes, padding, strict=True))
        spread = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        raise RuntimeError(
            f"{name}: kernel of size {spread} (with dilation {dilation}) can't be larger than the padded input, which "
            f"has size {padded} (input {input.shape}, padding {padding})"
        )
    check_padded(name, sizes, padding)
    return (n, k, *found)


def check_groups(name: str, weight: Layout, groups: int) -> None:
    if not isinstance(groups, int) or isinstance(groups, bool):
        raise TypeError(f"{name}: groups must be an int, got {groups!r}")
    if groups < 1:
        raise RuntimeError(f"{name}: groups must be positive, got {groups}")
    if weight.shape[0] < groups or weight.shape[0] % groups:
        raise RuntimeError(
            f"{name}: weight {weight.shape} must have a positive multiple of groups={groups} as its dimension 0"
        )


def _conv2d_shape(
    input: Layout,
    weight: Layout,
    bias: Layout | None = None,
    *,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    activation: int,
) -> Ints:
    return conv_shape("conv2d", input, weight, bias, stride, padding, dilation, groups)


def _blocks(pictures: int, columns: int) -> Iterator[slice]:
    """Slices of a batch in which the windows of all pictures, `columns` elements each, are at most BLOCK or one's."""
    each = max(1, BLOCK // max(columns, 1))
    return (slice(n, n + each) for n in range(0, pictures, each))


def _matrices(x: Any, groups: int) -> Any:
    """(N, K, P, Q) as (N, groups, K / groups, P Q)."""
    n, k, p, q = x.shape
    return x.reshape(n, groups, k // groups, p * q)


def _columns(x: Any, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Any:
    """The windows of x (N, C, H, W) as matrices (N, groups, C / groups R S, P Q)."""
    seen = windows(x, kernel, stride, padding, dilation)
    n, c, r, s, p, q = seen.shape
    return seen.reshape(n, groups, c // groups * r * s, p * q)


def _conv2d(out, input, weight, bias=None, *, stride, padding, dilation, groups, activation):
    """out[n, k, p, q] = bias[k] + the sum over c, r, s of weight[k, c, r, s] times
    padded input[n, c, p stride + r dilation, q stride + s dilation], c over the channels of k's group"""
    (k, c, r, s), (p, q) = weight.shape, out.shape[2:]
    rows = weight.reshape(groups, k // groups, c * r * s)
    for some in _blocks(len(input), groups * c * r * s * p * q):
        columns = _columns(input[some], (r, s), stride, padding, dilation, groups)
        np.matmul(rows, columns, out=_matrices(out[some], groups))
    if bias is not None:
        np.add(out, bias[:, None, None], out=out)
    if activation == RELU:
        np.maximum(out, 0, out=out)


def _grad_input_shape(
    grad: Layout, weight: Layout, *, size: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Ints:
    picture = (grad.shape[0], weight.shape[1] * groups, *size)
    _check_result("conv2d_grad_input", grad, (weight.shape[0], weight.shape[2:]), size, stride, padding, dilation)
    same_dtype("conv2d_grad_input", grad, weight)
    check_groups("conv2d_grad_input", weight, groups)
    return picture


def _check_result(
    name: str,
    grad: Layout,
    weight: tuple[int, Ints],
    size: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> None:
    """That grad (N, K, P, Q) is what a convolution of pictures of that size can have as its result's gradient."""
    channels, kernel = weight
    check_window(name, kernel, stride, padding, dilation)
    check_padded(name, size, padding)
    expected = (channels, *counts(size, kernel, stride, padding, dilation))
    if grad.shape[1:] != expected:
        raise RuntimeError(
            f"{name}: grad has shape {grad.shape}, expected ({grad.shape[0]}, {str(expected)[1:]} from pictures of "
            f"size {size}, kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}"
        )


def _conv2d_grad_input(out, grad, weight, *, size, stride, padding, dilation, groups):
    """Inverts out = conv2d(input, weight): each gradient times the weight is added where the input was read."""
    (k, c, r, s), (p, q) = weight.shape, grad.shape[2:]
    rows = weight.reshape(groups, k // groups, c * r * s).swapaxes(1, 2)
    for some in _blocks(len(grad), groups * c * r * s * p * q):
        columns = np.matmul(rows, _matrices(grad[some], groups))
        add_windows(out[some], columns.reshape(-1, groups * c, r, s, p, q), stride, padding, dilation)


def _grad_weight_shape(
    grad: Layout, input: Layout, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Ints:
    name, k = "conv2d_grad_weight", grad.shape[1]
    same_dtype(name, grad, input)
    _check_result(name, grad, (k, kernel), input.shape[2:], stride, padding, dilation)
    if grad.shape[0] != input.shape[0] or input.shape[1] % groups or k % groups:
        raise RuntimeError(f"{name}: grad {grad.shape} and input {input.shape} don't fit with groups={groups}")
    return (k, input.shape[1] // groups, *kernel)


def _conv2d_grad_weight(out, grad, input, *, kernel, stride, padding, dilation, groups):
    """Inverts out = conv2d(input, weight): the sum over pictures and positions of each gradient times what it met."""
    (k, c, r, s), (p, q) = out.shape, grad.shape[2:]
    total = np.zeros((groups, k // groups, c * r * s), out.dtype)
    for some in _blocks(len(grad), groups * c * r * s * p * q):
        columns = _columns(input[some], kernel, stride, padding, dilation, groups)
        total += np.matmul(_matrices(grad[some], groups), columns.swapaxes(2, 3)).sum(0)
    out[...] = total.reshape(out.shape)


conv2d_op = Convolution(_conv2d, _conv2d_shape, name="conv2d")
conv2d_grad_input = Convolution(_conv2d_grad_input, _grad_input_shape, name="conv2d_grad_input")
conv2d_grad_weight = Convolution(_conv2d_grad_weight, _grad_weight_shape, name="conv2d_grad_weight")


def _plain(g: Tensor, activation: int) -> Tensor:
    if activation != NONE:
        raise RuntimeError("conv2d with an activation has no gradient: it is what tg.replay makes of a recorded step")
    return g


conv2d_op.vjps(
    input=lambda g, weight, input_shape, stride, padding, dilation, groups, activation: conv2d_grad_input(
        _plain(g, activation),
        weight,
        size=input_shape[2:],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    ),
    weight=lambda g, input, weight_shape, stride, padding, dilation, groups, activation: conv2d_grad_weight(
        _plain(g, activation),
        input,
        kernel=weight_shape[2:],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    ),
    bias=lambda g, activation: sum(_plain(g, activation), (0, 2, 3)),
)
conv2d_grad_input.vjps(
    grad=lambda g, weight, stride, padding, dilation, groups: conv2d_op(
        g, weight, stride=stride, padding=padding, dilation=dilation, groups=groups, activation=NONE
    ),
    weight=lambda g, grad, weight_shape, stride, padding, dilation, groups: conv2d_grad_weight(
        grad, g, kernel=weight_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
conv2d_grad_weight.vjps(
    grad=lambda g, input, stride, padding, dilation, groups: conv2d_op(
        input, g, stride=stride, padding=padding, dilation=dilation, groups=groups, activation=NONE
    ),
    input=lambda g, grad, input_shape, stride, padding, dilation, groups: conv2d_grad_input(
        grad, g, size=input_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
)
