"""Reductions: ops over a sorted tuple of dimensions: sums, means, products, any, all, logsumexp, and running sums.

A primitive `..._op` takes dim and keepdim as they stand; the function of the plain name takes what PyTorch's takes.
Read next: extremum.py, moments.py, vector_norm.py and statistics.py, the other reductions; matmul.py.
"""

from __future__ import annotations

import builtins
import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import dtypes
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import (
    as_tensor,
    exactly,
    floating,
    layout_in,
    no_tensor,
    normal_dim,
    normal_dims,
    remember,
    same_shape,
    shape_args,
    zeros_as,
)
from .compare import ne
from .elementwise import exp
from .join import cat
from .rearrange import flip

Dims = int | tuple[int, ...] | list[int] | None


def reduced_shape(input: Layout, *, dim: tuple[int, ...], keepdim: bool, **_: Any) -> tuple[int, ...]:
    """The input's shape without the dimensions `dim`, or with size 1 there."""
    if keepdim:
        return tuple([1 if d in dim else n for d, n in enumerate(input.shape)])
    return tuple([n for d, n in enumerate(input.shape) if d not in dim])


class Reduction(Op):
    """A primitive reduction: `dim` are the reduced dimensions, sorted; `keepdim` leaves them with size 1; some have a
    number as a third attribute."""

    def __init__(
        self, reference: Callable[..., None], out_dtype: Any = None, shape: Callable[..., Any] = reduced_shape
    ) -> None:
        super().__init__(reference, shape, out_dtype, reference.__name__.removesuffix("_op"))
        code = reference.__code__
        self.attributes = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The kernel sees which dimensions are reduced from an output that keeps them."""
        x, (dim, _, *number) = spec.inputs[0], spec.attrs.values()
        return [layout_of(reduced_shape(x, dim=dim, keepdim=True), spec.layout.dtype), x], [], number

    def over(self, input: Tensor, dim: Dims, keepdim: bool, *number: float) -> Tensor:
        """The reduction over dimensions as users give them; a signature met before is found without checks."""
        try:
            key = input.layout, exactly(dim), keepdim, number
            spec = self.specs[key]
        except AttributeError:
            raise no_tensor(self.name, input) from None
        except (KeyError, TypeError):
            dims = normal_dims(dim, input.layout.ndim, self.name)
            try:
                spec = self.spec((input,), dict(zip(self.attributes, (dims, bool(keepdim), *number), strict=True)))
            except IndexError as error:
                if dim in (None, ()) and input.layout.ndim:  # PyTorch's type of error where no dimension was named
                    raise RuntimeError(str(error)) from None
                raise
            with contextlib.suppress(TypeError):  # dimensions in a list
                self.specs[key] = spec
        return self.run(spec, (input,))


def spread(x: Tensor, shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """What has a reduction's output shape in the shape of its input."""
    if not keepdim and len(dim) != len(shape):
        x = x.reshape(tuple([1 if d in dim else n for d, n in enumerate(shape)]))
    return x.expand(shape)


def count(shape: tuple[int, ...], dim: tuple[int, ...]) -> int:
    """How many elements go into each of the output's."""
    return math.prod([shape[d] for d in dim])


def _wide(input: Layout, **_: Any) -> dtypes.dtype:
    return input.dtype if input.dtype.is_floating_point else dtypes.int64


def _truth(input: Layout, **_: Any) -> dtypes.dtype:
    return input.dtype if input.dtype is dtypes.uint8 else dtypes.bool_


# The primitives


@partial(Reduction, out_dtype=_wide)
def sum_op(out, input, *, dim, keepdim):
    np.sum(input, axis=dim, keepdims=keepdim, out=out, dtype=out.dtype)


@Reduction
def mean_op(out, input, *, dim, keepdim):
    np.divide(np.sum(input, axis=dim, keepdims=keepdim), count(input.shape, dim), out=out)


@partial(Reduction, out_dtype=_wide)
def prod_op(out, input, *, dim, keepdim):
    np.prod(input, axis=dim, keepdims=keepdim, out=out, dtype=out.dtype)


@partial(Reduction, out_dtype=_truth)
def any_op(out, input, *, dim, keepdim):
    out[...] = np.any(input, axis=dim, keepdims=keepdim)


@partial(Reduction, out_dtype=_truth)
def all_op(out, input, *, dim, keepdim):
    out[...] = np.all(input, axis=dim, keepdims=keepdim)


@Reduction
def logsumexp_op(out, input, *, dim, keepdim):
    """log(sum(exp(x))), the largest x taken out first so that nothing overflows."""
    top = np.max(input, axis=dim, keepdims=True)
    top = np.where(np.isinf(top), 0, top)
    np.add(np.log(np.sum(np.exp(input - top), axis=dim, keepdims=keepdim)), top.reshape(out.shape), out=out)


# Their gradients


def _spread_mean(g: Tensor, input_shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Tensor:
    return spread(g / float(builtins.max(count(input_shape, dim), 1)), input_shape, dim, keepdim)


def _product_of_others(x: Tensor) -> Tensor:
    """For every element the product of all others along the last dimension, in any order of zeros: no division.

    Halves are multiplied, the pairs' others found likewise, and each half multiplied with the other one's element."""
    n = x.layout.shape[-1]
    if n <= 1:
        return zeros_as(x) + 1.0
    half = n // 2
    a, b, odd = x.narrow(-1, 0, half), x.narrow(-1, half, half), x.narrow(-1, 2 * half, n - 2 * half)
    others = _product_of_others(cat([a * b, odd], -1))
    pairs = others.narrow(-1, 0, half)
    return cat([pairs * b, pairs * a, others.narrow(-1, half, n - 2 * half)], -1)


def _prod_rule(g: Tensor, input: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    shape = input.layout.shape
    kept = [d for d in range(len(shape)) if d not in dim]
    order = (*kept, *dim)
    last = input.permute(order).reshape((*[shape[d] for d in kept], count(shape, dim)))
    others = _product_of_others(last).reshape(tuple([shape[d] for d in order]))
    back = tuple(sorted(range(len(shape)), key=order.__getitem__))
    return spread(g, shape, dim, keepdim) * others.permute(back)


sum_op.vjps(input=lambda g, input_shape, dim, keepdim: spread(g, input_shape, dim, keepdim))
mean_op.vjps(input=_spread_mean)
prod_op.vjps(input=_prod_rule)


def _logsumexp_rule(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    shape = input.layout.shape
    return spread(g, shape, dim, keepdim) * exp(input - spread(y, shape, dim, keepdim))


logsumexp_op.vjps(input=_logsumexp_rule)


# What users call


def converted(input: Any, dtype: dtypes.dtype | None, name: str) -> Tensor:
    """What a reduction's dtype= does before and after it."""
    x = as_tensor(input, name)
    return x if dtype is None or x.layout.dtype is dtype else x.to(dtype)


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The sum over dim (default all). Integers and bools add up in int64. Raises IndexError, RuntimeError for a dim out
    of range, named twice."""
    if dtype is None:
        return sum_op.over(input, dim, keepdim)
    return converted(sum_op.over(converted(input, dtype, "sum"), dim, keepdim), dtype, "sum")


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The mean over dim (default all); NaN of no elements. Raises RuntimeError for integers unless dtype says what
    they shall become."""
    input = converted(input, dtype, "mean")
    if not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"mean: expected floating-point elements, got {input.layout.dtype}; pass dtype=")
    return mean_op.over(input, dim, keepdim)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The product over one dimension, or of all elements; of integers and bools in int64."""
    return converted(prod_op.over(converted(input, dtype, "prod"), dim, keepdim), dtype, "prod")


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element over dim (default all) is not 0; bool (of uint8: uint8)."""
    return _true(input) if dim.__class__ is tuple and not dim else any_op.over(input, dim, keepdim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether no element over dim (default all) is 0; bool (of uint8: uint8)."""
    return _true(input) if dim.__class__ is tuple and not dim else all_op.over(input, dim, keepdim)


def _true(input: Tensor) -> Tensor:
    """any and all over no dimension, which here, unlike elsewhere in PyTorch, does not mean all."""
    return ne(input, 0).to(_truth(input.layout))


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements over dim (default all) are not 0, as int64."""
    return sum(ne(input, 0), dim)


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions that broadcasting from `size` would have made or stretched.

    Raises RuntimeError where `size` does not broadcast to the tensor's shape."""
    wanted, shape = shape_args(size, "sum_to_size"), input.layout.shape
    if not wanted and not input.layout.dtype.is_floating_point:
        return sum(input)  # of integers in int64, as in PyTorch
    new = len(shape) - len(wanted)
    if new < 0 or not builtins.all(n in (1, m) for n, m in zip(wanted, shape[new:], strict=True)):
        raise RuntimeError(f"sum_to_size: {wanted} does not broadcast to the tensor's shape {shape}")
    dim = tuple([d for d, m in enumerate(shape) if d < new or (m != 1 and wanted[d - new] == 1)])
    return sum_op(input, dim=dim, keepdim=True).reshape(wanted) if dim else input


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))) over dim, without overflow. Of nothing but -inf it is -inf, with any +inf it is inf."""
    input = floating(input, "logsumexp")
    if not input.layout.numel:
        return sum(input, dim, keepdim) - math.inf
    if isinstance(dim, int):
        return logsumexp_op.over(input, dim, keepdim)
    for d in normal_dims(dim, input.layout.ndim, "logsumexp")[::-1] or (None,):  # one by one, as it is its own sum
        input = logsumexp_op.over(input, d, keepdim)
    return input


# Running sums


@partial(Op, shape=same_shape, out_dtype=_wide, name="cumsum")
def cumsum_op(out, input, *, dim):
    np.cumsum(input, axis=dim, out=out, dtype=out.dtype)


def _cumsum_rule(g: Tensor, dim: int) -> Tensor:
    return flip(cumsum_op(flip(g, dim), dim=dim), dim)


cumsum_op.vjps(input=_cumsum_rule)


def cumsum(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """Element i is the sum of elements 0 to i along dim; integers and bools add up in int64."""
    if dtype is not None:
        input = converted(input, dtype, "cumsum")
        return converted(cumsum(input, dim), dtype, "cumsum")
    key = layout_in("cumsum", input), exactly(dim)
    spec = cumsum_op.specs.get(key)
    if spec is None:
        along = normal_dim(dim, input.layout.ndim, "cumsum")
        if not input.layout.ndim:
            return sum(input)
        spec = remember(cumsum_op, (input,), key, dim=along)
    return cumsum_op.run(spec, (input,))
