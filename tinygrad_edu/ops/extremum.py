"""Extrema: amax and amin over dimensions, where the first one is, and max and min, PyTorch's functions of three kinds.

NaN counts as the extremum. Gradients at ties are PyTorch's: amax shares evenly, max with dim gives all to the element
that its index names. Left out: median and aminmax. Read next: moments.py.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .. import dtypes
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor
from .common import exactly, no_tensor, normal_dim, refuse_bools, remember
from .compare import maximum, minimum, where
from .gather import scatter_add_op
from .order import Ordered
from .reduce import Dims, Reduction, reduced_shape, spread, sum_op
from .rows import zero
from .views import unsqueeze


def shape_of_some(input: Layout, *, dim: tuple[int, ...], keepdim: bool, **_: Any) -> tuple[int, ...]:
    """The shape rule of what has no result for no elements. Raises IndexError for those."""
    shape = reduced_shape(input, dim=dim, keepdim=keepdim)
    if math.prod(shape) and not input.numel:
        raise IndexError(
            f"the extremum over dimensions {dim} of shape {input.shape}: there are no elements to choose from"
        )
    return shape


def _place_shape(name: str) -> Any:
    def shape(input: Layout, *, dim: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
        refuse_bools(name, input.dtype)
        return shape_of_some(input, dim=dim, keepdim=keepdim)

    return shape


@partial(Reduction, shape=shape_of_some)
def amax_op(out, input, *, dim, keepdim):
    np.max(input, axis=dim, keepdims=keepdim, out=out)


@partial(Reduction, shape=shape_of_some)
def amin_op(out, input, *, dim, keepdim):
    np.min(input, axis=dim, keepdims=keepdim, out=out)


@partial(Reduction, out_dtype=dtypes.int64, shape=_place_shape("argmax"))
def argmax_op(out, input, *, dim, keepdim):
    out[...] = np.argmax(input, axis=dim[0] if len(dim) == 1 else None, keepdims=keepdim)


@partial(Reduction, out_dtype=dtypes.int64, shape=_place_shape("argmin"))
def argmin_op(out, input, *, dim, keepdim):
    out[...] = np.argmin(input, axis=dim[0] if len(dim) == 1 else None, keepdims=keepdim)


def shared_by_ties(g: Tensor, input: Tensor, y: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """The gradient of the extremum y of input."""
    shape = input.layout.shape
    chosen = input == spread(y, shape, dim, keepdim)
    ties = sum_op(chosen, dim=dim, keepdim=keepdim).to(g.layout.dtype)
    return where(chosen, spread(g / ties, shape, dim, keepdim), 0.0)


amax_op.vjps(input=shared_by_ties)
amin_op.vjps(input=shared_by_ties)


class SelectEach(Op):
    """Of each line along a dimension the one element that an index names: gather, but for an index without it."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """As gather's, with a dimension of size 1."""
        input, index = spec.inputs
        dim = spec.attrs["dim"]
        shape, strides = list(input.shape), list(index.strides)
        shape[dim] = 1
        if not spec.attrs["keepdim"]:
            strides.insert(dim, 1)
        kept = tuple(shape)
        return [layout_of(kept, input.dtype), input, layout_of(kept, index.dtype, tuple(strides))], [dim], []


def _select_each(out: Any, input: Any, index: Any, *, dim: int, keepdim: bool) -> None:
    kept = index if keepdim else np.expand_dims(index, dim)
    out[...] = np.take_along_axis(input, kept, dim).reshape(out.shape)


def _kept(x: Tensor, dim: int, keepdim: bool) -> Tensor:
    return x if keepdim else unsqueeze(x, dim)


select_each = SelectEach(_select_each, lambda input, index, **_: index.shape, name="select_each")
select_each.vjps(
    input=lambda g, index, input_shape, dim, keepdim: scatter_add_op(
        zero(g.layout.dtype, input_shape), _kept(index, dim, keepdim), _kept(g, dim, keepdim), dim=dim
    ),
    index=None,
)


# What users call


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The largest elements over dim (default all); ties share the gradient. Raises IndexError where there is none."""
    return amax_op.over(input, dim, keepdim)


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest elements over dim (default all); ties share the gradient. Raises IndexError where there is none."""
    return amin_op.over(input, dim, keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the (first) largest element is, along dim or in the flattened tensor. Raises IndexError of no elements."""
    return argmax_op.over(input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the (first) smallest element is, along dim or in the flattened tensor. Raises IndexError of no elements."""
    return argmin_op.over(input, dim, keepdim)


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
        raise no_tensor(pairwise.name, input)
    if dim is None:
        return value.over(input, None, False)
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    key = input.layout, exactly(dim), keepdim
    spec = select_each.specs.get(key)
    if spec is None:
        along = normal_dim(dim, input.layout.ndim, value.name)
        if input.layout.dtype is dtypes.bool_:
            found = _extremum(value, place, pairwise, input.to(dtypes.uint8), dim, keepdim)
            return Ordered(found.values.to(dtypes.bool_), found.indices)
        if not input.layout.ndim:
            return Ordered(input.clone(), place.over(input, None, False))
    indices = place.over(input, dim, keepdim)
    if spec is None:
        spec = remember(select_each, (input, indices), key, dim=along, keepdim=bool(keepdim))
    return Ordered(select_each.run(spec, (input, indices)), indices)
