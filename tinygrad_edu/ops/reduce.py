"""Reductions: ops over a sorted tuple of dimensions, and what is composed of them (std, norms, max with dim).

A primitive `..._op` takes dim and keepdim as they stand; the function of the plain name takes what PyTorch's takes.
Gradients at ties and at 0 are PyTorch's: amax shares evenly, max with dim gives all to the index that it names, a norm
or standard deviation of 0 has gradient 0. Left out: median and the nan... forms. Read next: matmul.py.
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
from .common import as_tensor, floating, normal_dim, normal_dims, refuse_bools, same_shape, shape_args, unary, zeros_as
from .compare import maximum, minimum, ne, where
from .elementwise import abs, exp, pow, sign
from .gather import gather
from .join import cat, flip
from .order import Ordered

Dims = int | tuple[int, ...] | list[int] | None


class Reduction(Op):
    """A primitive reduction: `dim` are the reduced dimensions, sorted; `keepdim` leaves them with size 1.

    nonempty: there is no result for no elements, so that is an error."""

    def __init__(self, reference: Callable[..., None], out_dtype: Any = None, nonempty: bool = False) -> None:
        shape = _reduced_to_something if nonempty else reduced_shape
        super().__init__(reference, shape, out_dtype, reference.__name__.removesuffix("_op"))

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The kernel sees which dimensions are reduced from an output that keeps them."""
        x, dim = spec.inputs[0], spec.attrs["dim"]
        return [layout_of(reduced_shape(x, dim=dim, keepdim=True), spec.layout.dtype), x], [], []

    def over(self, input: Tensor, dim: Dims, keepdim: bool, **more: Any) -> Tensor:
        """The reduction over dimensions as users give them; a signature met before is found without checks."""
        try:
            spec = self.specs[input.layout, dim, keepdim, *more.values()]
        except (KeyError, TypeError):
            attrs = {"dim": normal_dims(dim, input.layout.ndim, self.name), "keepdim": bool(keepdim), **more}
            try:
                spec = self.spec((input,), attrs)
            except IndexError as error:
                if dim in (None, ()) and input.layout.ndim:  # PyTorch's type of error where no dimension was named
                    raise RuntimeError(str(error)) from None
                raise
            with contextlib.suppress(TypeError):  # dimensions in a list
                self.specs[input.layout, dim, keepdim, *more.values()] = spec
        return self.run(spec, (input,))


def reduced_shape(input: Layout, *, dim: tuple[int, ...], keepdim: bool, **_: Any) -> tuple[int, ...]:
    if keepdim:
        return tuple([1 if d in dim else n for d, n in enumerate(input.shape)])
    return tuple([n for d, n in enumerate(input.shape) if d not in dim])


def _reduced_to_something(input: Layout, *, dim: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    shape = reduced_shape(input, dim=dim, keepdim=keepdim)
    if math.prod(shape) and not input.numel:
        raise IndexError(
            f"the extremum over dimensions {dim} of shape {input.shape}: there are no elements to choose from"
        )
    return shape


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


@partial(Reduction, nonempty=True)
def amax_op(out, input, *, dim, keepdim):
    np.max(input, axis=dim, keepdims=keepdim, out=out)


@partial(Reduction, nonempty=True)
def amin_op(out, input, *, dim, keepdim):
    np.min(input, axis=dim, keepdims=keepdim, out=out)


@partial(Reduction, out_dtype=dtypes.int64, nonempty=True)
def argmax_op(out, input, *, dim, keepdim):
    out[...] = np.argmax(input, axis=dim[0] if len(dim) == 1 else None, keepdims=keepdim)


@partial(Reduction, out_dtype=dtypes.int64, nonempty=True)
def argmin_op(out, input, *, dim, keepdim):
    out[...] = np.argmin(input, axis=dim[0] if len(dim) == 1 else None, keepdims=keepdim)


@partial(Reduction, out_dtype=_truth)
def any_op(out, input, *, dim, keepdim):
    out[...] = np.any(input, axis=dim, keepdims=keepdim)


@partial(Reduction, out_dtype=_truth)
def all_op(out, input, *, dim, keepdim):
    out[...] = np.all(input, axis=dim, keepdims=keepdim)


class Variance(Reduction):
    """The primitive under var and std, whose third attribute the kernel must know."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        return super().c_arguments(spec)[0], [], [spec.attrs["correction"]]


@Variance
def var_op(out, input, *, dim, keepdim, correction):
    """sum((x - mean(x))^2) / (n - correction)"""
    np.var(input, axis=dim, keepdims=keepdim, ddof=correction, out=out)


@Reduction
def norm_op(out, input, *, dim, keepdim):
    """sqrt(sum(x^2)), with gradient 0 where it is 0."""
    np.sqrt(np.sum(np.square(input), axis=dim, keepdims=keepdim), out=out)


@Reduction
def logsumexp_op(out, input, *, dim, keepdim):
    """log(sum(exp(x))), the largest x taken out first so that nothing overflows."""
    top = np.max(input, axis=dim, keepdims=True)
    top = np.where(np.isinf(top), 0, top)
    np.add(np.log(np.sum(np.exp(input - top), axis=dim, keepdims=keepdim)), top.reshape(out.shape), out=out)


@unary()
def sqrt_flat_at_0(out, input):
    """The square root, with gradient 0 at 0."""
    np.sqrt(input, out=out)


# Their gradients


def _spread_mean(g: Tensor, input_shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Tensor:
    return spread(g / float(builtins.max(count(input_shape, dim), 1)), input_shape, dim, keepdim)


def _shared_by_ties(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    shape = input.layout.shape
    chosen = input == spread(y, shape, dim, keepdim)
    ties = sum_op(chosen, dim=dim, keepdim=keepdim).to(g.layout.dtype)
    return where(chosen, spread(g / ties, shape, dim, keepdim), 0.0)


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
amax_op.vjps(input=_shared_by_ties)
amin_op.vjps(input=_shared_by_ties)


def _var_rule(g: Tensor, input: Tensor, dim: tuple[int, ...], keepdim: bool, correction: float) -> Tensor:
    shape = input.layout.shape
    n = count(shape, dim) - correction
    apart = input - mean_op(input, dim=dim, keepdim=True)
    return spread(g * (2 / n if n > 0 else math.inf), shape, dim, keepdim) * apart


var_op.vjps(input=_var_rule)


def _norm_rule(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    none = y == 0.0
    return input * spread(where(none, 0.0, g / where(none, 1.0, y)), input.layout.shape, dim, keepdim)


def _logsumexp_rule(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    shape = input.layout.shape
    return spread(g, shape, dim, keepdim) * exp(input - spread(y, shape, dim, keepdim))


norm_op.vjps(input=_norm_rule)
logsumexp_op.vjps(input=_logsumexp_rule)
sqrt_flat_at_0.vjps(input=lambda g, y: where(y == 0.0, 0.0, g / where(y == 0.0, 1.0, y * 2.0)))


# What users call


def _converted(input: Any, dtype: dtypes.dtype | None, name: str) -> Tensor:
    x = as_tensor(input, name)
    return x if dtype is None or x.layout.dtype is dtype else x.to(dtype)


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The sum over dim (default all). Integers and bools add up in int64. Raises IndexError, RuntimeError for a dim out
    of range, named twice."""
    if dtype is None:
        return sum_op.over(input, dim, keepdim)
    return _converted(sum_op.over(_converted(input, dtype, "sum"), dim, keepdim), dtype, "sum")


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The mean over dim (default all); NaN of no elements. Raises RuntimeError for integers unless dtype says what
    they shall become."""
    input = _converted(input, dtype, "mean")
    if not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"mean: expected floating-point elements, got {input.layout.dtype}; pass dtype=")
    return mean_op.over(input, dim, keepdim)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The product over one dimension, or of all elements; of integers and bools in int64."""
    return _converted(prod_op.over(_converted(input, dtype, "prod"), dim, keepdim), dtype, "prod")


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The largest elements over dim (default all); ties share the gradient. Raises IndexError where there is none."""
    return amax_op.over(input, dim, keepdim)


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest elements over dim (default all); ties share the gradient. Raises IndexError where there is none."""
    return amin_op.over(input, dim, keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the (first) largest element is, along dim or in the flattened tensor. Raises IndexError of no elements."""
    return argmax_op.over(_ordered(input, "argmax"), dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the (first) smallest element is, along dim or in the flattened tensor. Raises IndexError of no elements."""
    return argmin_op.over(_ordered(input, "argmin"), dim, keepdim)


def _ordered(input: Tensor, name: str) -> Tensor:
    refuse_bools(name, input)
    return input


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element over dim (default all) is not 0; bool (of uint8: uint8)."""
    return any_op.over(input, dim, keepdim) if dim != () else _true(input)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether no element over dim (default all) is 0; bool (of uint8: uint8)."""
    return all_op.over(input, dim, keepdim) if dim != () else _true(input)


def _true(input: Tensor) -> Tensor:
    """any and all over no dimension, which here, unlike elsewhere in PyTorch, does not mean all."""
    return ne(input, 0).to(_truth(input.layout))


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements over dim (default all) are not 0, as int64."""
    return sum(ne(input, 0), dim)


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """max(input): the largest element. max(input, dim): (values, indices), the first index that has the value.
    max(input, other): the larger of two, as maximum."""
    return _extremum(amax_op, argmax_op, maximum, input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """min(input): the smallest element. min(input, dim): (values, indices), the first index that has the value.
    min(input, other): the smaller of two, as minimum."""
    return _extremum(amin_op, argmin_op, minimum, input, dim, keepdim)


def _extremum(value: Reduction, place: Reduction, pairwise: Op, input: Tensor, dim: Any, keepdim: bool) -> Any:
    if not isinstance(input, Tensor):
        raise TypeError(f"{pairwise.name}: expected a Tensor, got {type(input).__name__}")
    if dim is None:
        return value.over(input, None, False)
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    dim = normal_dim(dim, input.layout.ndim, value.name)
    if not input.layout.ndim:
        return Ordered(input.clone(), place.over(input, None, False))
    if input.layout.dtype is dtypes.bool_:
        found = _extremum(value, place, pairwise, input.to(dtypes.uint8), dim, keepdim)
        return Ordered(found.values.to(dtypes.bool_), found.indices)
    indices = place.over(input, dim, True)
    values = gather(input, dim, indices)
    return Ordered(values, indices) if keepdim else Ordered(values.squeeze(dim), indices.squeeze(dim))


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions that broadcasting from `size` would have made or stretched.

    Raises RuntimeError where `size` does not broadcast to the tensor's shape."""
    wanted, shape = shape_args(size), input.layout.shape
    if not wanted and not input.layout.dtype.is_floating_point:
        return sum(input)  # of integers in int64, as in PyTorch
    new = len(shape) - len(wanted)
    if new < 0 or not builtins.all(n in (1, m) for n, m in zip(wanted, shape[new:], strict=True)):
        raise RuntimeError(f"sum_to_size: {wanted} does not broadcast to the tensor's shape {shape}")
    dim = tuple([d for d, m in enumerate(shape) if d < new or (m != 1 and wanted[d - new] == 1)])
    return sum_op(input, dim=dim, keepdim=True).reshape(wanted) if dim else input


# Moments. unbiased=False is correction=0, True is correction=1; it may also stand in dim's place, as in PyTorch.


def _variance(
    name: str, input: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> tuple[Tensor, Tensor, Dims]:
    """The variance, the input, and the dimensions. Raises RuntimeError for integers."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: pass either unbiased or correction, not both")
    less = correction if correction is not None else 0 if unbiased is False else 1
    input = as_tensor(input, name)
    if not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"{name}: expected floating-point elements, got {input.layout.dtype}")
    return var_op.over(input, dim, keepdim, correction=float(less)), input, dim


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over dim (default all). The squared distances are divided by n - correction (default 1); NaN where
    that is 0 and there is but one element. Raises RuntimeError for integers."""
    return _variance("var", input, dim, unbiased, keepdim, correction)[0]


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Variance and mean over dim; see var."""
    variance, x, dims = _variance("var_mean", input, dim, unbiased, keepdim, correction)
    return variance, mean_op.over(x, dims, keepdim)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over dim, with gradient 0 where it is 0; see var."""
    return sqrt_flat_at_0(_variance("std", input, dim, unbiased, keepdim, correction)[0])


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean over dim; see std."""
    variance, x, dims = _variance("std_mean", input, dim, unbiased, keepdim, correction)
    return sqrt_flat_at_0(variance), mean_op.over(x, dims, keepdim)


def _root_flat_at_0(x: Tensor, exponent: float) -> Tensor:
    """x ** exponent with gradient 0 at 0; the inner where keeps 0 * inf = NaN out of the gradient."""
    zero = x == 0.0
    return where(zero, 0.0, pow(where(zero, 1.0, x), exponent))


# Norms and stable sums of exponentials


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """The p-norm over dim (default all): sum(|x|^p)^(1/p); p = 0 counts what is not 0, inf and -inf take the largest
    and smallest |x|, "fro" is 2. Gradient 0 where x, or the norm, is 0. Raises RuntimeError for integers."""
    if not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"norm: expected floating-point elements, got {input.layout.dtype}")
    input = _converted(input, dtype, "norm")
    if p in ("fro", None):
        p = 2.0
    if isinstance(p, str):
        raise ValueError(f"norm: p must be a number or 'fro', got {p!r}")
    if p == 2:
        return norm_op.over(input, dim, keepdim)
    if p == 1:
        return sum(abs(input), dim, keepdim)
    if p == 0:
        return sum(where(input == 0, sign(input), 1.0), dim, keepdim)  # sign: flat, but part of the graph
    if math.isinf(p):
        return (amax if p > 0 else amin)(abs(input), dim, keepdim)
    size = abs(input)
    if p < 0:  # an element of 0 would make the sum infinite; it makes the norm 0
        none = size == 0
        safe = where(any(none, dim, True), 1.0, size)
        return where(any(none, dim, keepdim), 0.0, pow(sum(pow(safe, p), dim, keepdim), 1 / p))
    return _root_flat_at_0(sum(_root_flat_at_0(size, p), dim, keepdim), 1 / p)


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
    input = _converted(input, dtype, "cumsum")
    dim = normal_dim(dim, input.layout.ndim, "cumsum")
    return _converted(cumsum_op(input, dim=dim) if input.layout.ndim else sum(input), dtype, "cumsum")
