"""Ops as methods of Tensor, with the operators: names and arguments are PyTorch's.

A function whose first parameter is the tensor is a method as it stands; op objects need a function around them. An
operator looks its signature up itself, for an eager op's cost is mostly Python's. Read next: index.py, x[...].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..op import Op
from ..tensor import Tensor
from . import activation as a
from . import (
    assign,
    create,
    extremum,
    index,
    inplace,
    masks,
    moments,
    move,
    on_demand,
    order,
    random,
    rearrange,
    ternary,
    vector_norm,
    views,
)
from . import compare as c
from . import elementwise as e
from . import gather as g
from . import join as j
from . import matmul as m
from . import norm as n
from . import reduce as r
from .common import Binary, Unary, as_tensor, beside

OPERANDS = (Tensor, bool, int, float, np.ndarray, np.generic)


def unary(op: Unary) -> Callable[[Any], Tensor]:
    """The method of an elementwise op of one input."""

    def method(self: Tensor) -> Tensor:
        spec = op.specs.get((self.layout,))
        return op(self) if spec is None else op.run(spec, (self,))

    method.__name__ = method.__qualname__ = op.name
    method.__doc__ = op.__doc__
    return method


def operator(op: Binary) -> Callable[[Any, Any], Tensor]:
    """The method behind a binary operator; NotImplemented for what is no operand: Python then asks the other side."""

    def method(self: Tensor, other: Any) -> Any:
        if other.__class__ is not float and other.__class__ is not int:  # which would raise an exception on their way
            try:
                spec = op.specs.get((self.layout, other.layout))
            except AttributeError:
                if not isinstance(other, OPERANDS):
                    return NotImplemented
                spec = None
            if spec is not None:
                return op.run(spec, (self, other))
        return op(self, other)

    return method


def reflected(op: Binary) -> Callable[[Any, Any], Tensor]:
    """The method behind a binary operator whose left side is no tensor."""

    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            return NotImplemented
        left = beside(self, other)
        spec = None if left is other else op.specs.get((left.layout, self.layout))
        return op(other, self) if spec is None else op.run(spec, (left, self))

    return method


def conversion(d: dtypes.dtype) -> Callable[[Any], Tensor]:
    """The method that converts to a dtype."""

    def method(self: Tensor) -> Tensor:
        return self if self.layout.dtype is d else move.cast_op(self, d)

    return method


class TensorMethods:
    """Everything that a Tensor can do, beyond what tensor.py says it is."""

    # Operators

    __add__, __radd__, __iadd__ = operator(e.add), reflected(e.add), inplace.operator(e.add)
    __sub__, __rsub__, __isub__ = operator(e.sub), reflected(e.sub), inplace.operator(e.sub)
    __mul__, __rmul__, __imul__ = operator(e.mul), reflected(e.mul), inplace.operator(e.mul)
    __truediv__, __rtruediv__, __itruediv__ = operator(e.div), reflected(e.div), inplace.operator(e.div)
    __floordiv__, __rfloordiv__ = operator(e.floor_divide), reflected(e.floor_divide)
    __mod__, __rmod__, __imod__ = operator(e.remainder), reflected(e.remainder), inplace.operator(e.remainder)
    __pow__, __rpow__, __ipow__ = operator(e.pow), reflected(e.pow), inplace.operator(e.pow)
    __ifloordiv__ = inplace.operator(e.floor_divide)
    __eq__, __ne__ = operator(c.eq), operator(c.ne)  # type: ignore[assignment]
    __hash__ = object.__hash__  # by identity, though == compares elements
    __lt__, __le__, __gt__, __ge__ = operator(c.lt), operator(c.le), operator(c.gt), operator(c.ge)

    def __matmul__(self: Any, other: Any) -> Tensor:
        return m.matmul(self, as_tensor(other, "@")) if isinstance(other, (Tensor, np.ndarray)) else NotImplemented

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return m.matmul(as_tensor(other, "@"), self) if isinstance(other, np.ndarray) else NotImplemented

    __neg__ = unary(e.neg)

    def __pos__(self: Any) -> Tensor:
        return self  # type: ignore[no-any-return]

    __abs__ = unary(e.abs)

    __invert__ = unary(c.bitwise_not)
    __and__, __or__, __xor__ = operator(c.bitwise_and), operator(c.bitwise_or), operator(c.bitwise_xor)
    __rand__, __ror__, __rxor__ = reflected(c.bitwise_and), reflected(c.bitwise_or), reflected(c.bitwise_xor)

    def __lshift__(self: Any, other: Any) -> Tensor:
        return self.bitwise_left_shift(other) if isinstance(other, OPERANDS) else NotImplemented

    def __rshift__(self: Any, other: Any) -> Tensor:
        return self.bitwise_right_shift(other) if isinstance(other, OPERANDS) else NotImplemented

    # Elementwise

    def add(self: Any, other: Any, *, alpha: Any = 1) -> Tensor:
        return e.add(self, other, alpha=alpha)

    def sub(self: Any, other: Any, *, alpha: Any = 1) -> Tensor:
        return e.sub(self, other, alpha=alpha)

    def mul(self: Any, other: Any) -> Tensor:
        return e.mul(self, other)

    def div(self: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return e.div(self, other, rounding_mode=rounding_mode)

    def lerp(self: Any, end: Any, weight: Any) -> Tensor:
        return ternary.lerp(self, end, weight)

    def addcmul(self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        return ternary.addcmul(self, tensor1, tensor2, value=value)

    def addcdiv(self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        return ternary.addcdiv(self, tensor1, tensor2, value=value)

    def floor_divide(self: Any, other: Any) -> Tensor:
        return e.floor_divide(self, other)

    def remainder(self: Any, other: Any) -> Tensor:
        return e.remainder(self, other)

    def pow(self: Any, exponent: Any) -> Tensor:
        return e.pow(self, exponent)

    def maximum(self: Any, other: Any) -> Tensor:
        return c.maximum(self, other)

    def minimum(self: Any, other: Any) -> Tensor:
        return c.minimum(self, other)

    def clamp(self: Any, min: Any = None, max: Any = None) -> Tensor:
        return c.clamp(self, min, max)

    def round(self: Any, *, decimals: Any = 0) -> Tensor:
        return e.round(self, decimals=decimals)

    def where(self: Any, condition: Any, other: Any) -> Tensor:
        return c.where(condition, self, other)

    neg, abs, sign, square = unary(e.neg), unary(e.abs), unary(e.sign), unary(e.square)
    sqrt, rsqrt, reciprocal, exp = unary(e.sqrt), unary(e.rsqrt), unary(e.reciprocal), unary(e.exp)
    expm1, log, log1p, sin = unary(e.expm1), unary(e.log), unary(e.log1p), unary(e.sin)
    cos, tan, erf, floor = unary(e.cos), unary(e.tan), unary(e.erf), unary(e.floor)
    ceil, trunc, relu, tanh = unary(e.ceil), unary(e.trunc), unary(a.relu), unary(a.tanh)
    sigmoid = unary(a.sigmoid)

    # Comparisons and logic

    isnan, isinf, isfinite, logical_not = unary(c.isnan), unary(c.isinf), unary(c.isfinite), unary(c.logical_not)
    bitwise_not = unary(c.bitwise_not)

    def eq(self: Any, other: Any) -> Tensor:
        return c.eq(self, other)

    def ne(self: Any, other: Any) -> Tensor:
        return c.ne(self, other)

    def lt(self: Any, other: Any) -> Tensor:
        return c.lt(self, other)

    def le(self: Any, other: Any) -> Tensor:
        return c.le(self, other)

    def gt(self: Any, other: Any) -> Tensor:
        return c.gt(self, other)

    def ge(self: Any, other: Any) -> Tensor:
        return c.ge(self, other)

    def logical_and(self: Any, other: Any) -> Tensor:
        return c.logical_and(self, other)

    def logical_or(self: Any, other: Any) -> Tensor:
        return c.logical_or(self, other)

    def logical_xor(self: Any, other: Any) -> Tensor:
        return c.logical_xor(self, other)

    def bitwise_and(self: Any, other: Any) -> Tensor:
        return c.bitwise_and(self, other)

    def bitwise_or(self: Any, other: Any) -> Tensor:
        return c.bitwise_or(self, other)

    def bitwise_xor(self: Any, other: Any) -> Tensor:
        return c.bitwise_xor(self, other)

    absolute, negative, subtract, multiply, divide, true_divide, clip = abs, neg, sub, mul, div, div, clamp
    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
    clamp_min, clamp_max, softmax, log_softmax = c.clamp_min, c.clamp_max, n.softmax, n.log_softmax
    equal, isclose, allclose = c.equal, c.isclose, c.allclose

    # Reductions

    sum, mean, prod, any, all, count_nonzero = r.sum, r.mean, r.prod, r.any, r.all, r.count_nonzero
    amax, amin, argmax, argmin = extremum.amax, extremum.amin, extremum.argmax, extremum.argmin
    max, min, var, std, norm = extremum.max, extremum.min, moments.var, moments.std, vector_norm.norm
    logsumexp, cumsum, sum_to_size = r.logsumexp, r.cumsum, r.sum_to_size

    # Products

    matmul, mm, bmm, mv, dot, outer = m.matmul, m.mm, m.bmm, m.mv, m.dot, m.outer
    addmm, baddbmm = m.addmm, m.baddbmm

    # Views and copies

    view, view_as, reshape, reshape_as = views.view, views.view_as, views.reshape, views.reshape_as
    flatten, unflatten, ravel, squeeze, unsqueeze = (
        views.flatten,
        views.unflatten,
        views.ravel,
        views.squeeze,
        views.unsqueeze,
    )
    permute, transpose, swapaxes, swapdims, t = views.permute, views.transpose, views.swapaxes, views.swapdims, views.t
    movedim, moveaxis, T, mT = views.movedim, views.moveaxis, property(views.T), property(views.mT)
    expand, expand_as, broadcast_to = views.expand, views.expand_as, views.broadcast_to
    narrow, select, diagonal = views.narrow, views.select, views.diagonal
    clone, contiguous = move.clone, move.contiguous

    # Elements and positions; joined, repeated, ordered

    __getitem__ = index.getitem
    __setitem__ = assign.setitem
    index_put, index_put_ = assign.index_put, assign.index_put_
    take, take_along_dim, scatter, scatter_add = g.take, g.take_along_dim, g.scatter, g.scatter_add
    gather, index_select, index_add, index_copy = g.gather, g.index_select, g.index_add, g.index_copy
    index_fill, nonzero, argwhere = masks.index_fill, masks.nonzero, masks.argwhere
    masked_fill, masked_select = masks.masked_fill, masks.masked_select
    split, chunk, unbind, repeat, tile = j.split, j.chunk, j.unbind, rearrange.repeat, rearrange.tile
    split_with_sizes = j.split_with_sizes
    repeat_interleave, flip, roll, tril, triu = (
        rearrange.repeat_interleave,
        rearrange.flip,
        rearrange.roll,
        rearrange.tril,
        rearrange.triu,
    )
    argsort, sort, msort, topk, kthvalue = order.argsort, order.sort, order.msort, order.topk, order.kthvalue

    # New tensors and conversions

    new_tensor, new_full, new_zeros, new_ones, new_empty = (
        create.new_tensor,
        create.new_full,
        create.new_zeros,
        create.new_ones,
        create.new_empty,
    )
    to = create.to

    def type(self: Any, dtype: Any = None) -> Any:
        """The name of the dtype, or the tensor converted to another one."""
        return repr(self.layout.dtype) if dtype is None else create.to(self, dtype)

    def type_as(self: Any, other: Tensor) -> Tensor:
        return create.to(self, other.layout.dtype)

    float, double, bool = conversion(dtypes.float32), conversion(dtypes.float64), conversion(dtypes.bool_)
    int, long, byte = conversion(dtypes.int32), conversion(dtypes.int64), conversion(dtypes.uint8)

    def cpu(self: Any) -> Tensor:
        """The tensor itself: there is no other device."""
        return self  # type: ignore[no-any-return]

    # In place

    add_, sub_, mul_, div_, pow_ = inplace.forms(e.add, e.sub, e.mul, e.div, e.pow)
    floor_divide_, remainder_ = inplace.forms(e.floor_divide, e.remainder)
    neg_, abs_, sign_, square_, sqrt_, rsqrt_ = inplace.forms(e.neg, e.abs, e.sign, e.square, e.sqrt, e.rsqrt)
    exp_, expm1_, log_, log1p_, reciprocal_ = inplace.forms(e.exp, e.expm1, e.log, e.log1p, e.reciprocal)
    sin_, cos_, tan_, erf_ = inplace.forms(e.sin, e.cos, e.tan, e.erf)
    floor_, ceil_, trunc_, round_ = inplace.forms(e.floor, e.ceil, e.trunc, e.round)
    relu_, tanh_, sigmoid_, clamp_ = inplace.forms(a.relu, a.tanh, a.sigmoid, c.clamp)
    lerp_, addcmul_, addcdiv_ = inplace.forms(ternary.lerp, ternary.addcmul, ternary.addcdiv)
    addmm_, baddbmm_, cumsum_ = inplace.forms(m.addmm, m.baddbmm, r.cumsum)
    scatter_, scatter_add_, masked_fill_ = *inplace.forms(g.scatter, g.scatter_add), assign.masked_fill_
    index_add_, index_copy_, index_fill_ = inplace.forms(g.index_add, g.index_copy, masks.index_fill)
    tril_, triu_ = inplace.forms(rearrange.tril, rearrange.triu)
    clamp_min_, clamp_max_ = inplace.forms(c.clamp_min, c.clamp_max)
    eq_, ne_, lt_, le_, gt_, ge_ = inplace.forms(c.eq, c.ne, c.lt, c.le, c.gt, c.ge)
    logical_not_, logical_and_ = inplace.forms(c.logical_not, c.logical_and)
    logical_or_, logical_xor_ = inplace.forms(c.logical_or, c.logical_xor)
    bitwise_not_, bitwise_and_ = inplace.forms(c.bitwise_not, c.bitwise_and)
    bitwise_or_, bitwise_xor_ = inplace.forms(c.bitwise_or, c.bitwise_xor)
    absolute_, negative_, subtract_, multiply_, divide_, true_divide_, clip_ = (
        abs_,
        neg_,
        sub_,
        mul_,
        div_,
        div_,
        clamp_,
    )
    greater_, greater_equal_, less_, less_equal_, not_equal_ = gt_, ge_, lt_, le_, ne_
    squeeze_, unsqueeze_ = inplace.reshaping(views.squeeze), inplace.reshaping(views.unsqueeze)
    transpose_, t_ = inplace.reshaping(views.transpose), inplace.reshaping(views.t)
    swapaxes_ = swapdims_ = transpose_
    bernoulli = random.bernoulli
    uniform_, normal_, bernoulli_, exponential_ = (
        random.uniform_,
        random.normal_,
        random.bernoulli_,
        random.exponential_,
    )
    copy_, fill_, zero_ = inplace.copy_, inplace.fill_, inplace.zero_


class Later:
    """A method that is imported when it is first asked for, and then stands in this one's place."""

    def __init__(self, name: str, inplace: bool = False) -> None:
        self.name, self.inplace = name, inplace

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        method = on_demand.find_method(self.name)
        if self.inplace:
            method = inplace.inplace(method)
        elif isinstance(method, Unary):
            method = unary(method)
        elif isinstance(method, Op):
            method = called(method)
        setattr(Tensor, f"{self.name}_" if self.inplace else self.name, method)
        return method if instance is None else method.__get__(instance)


def called(op: Op) -> Callable[..., Tensor]:
    """The method of an op that takes more than one argument."""
    return lambda self, *args, **kwargs: op(self, *args, **kwargs)


for name in on_demand.METHODS:
    setattr(Tensor, name, Later(name))
for name in on_demand.INPLACE:
    setattr(Tensor, f"{name}_", Later(name, inplace=True))
for name, method in list(vars(TensorMethods).items()):
    if name not in ("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__"):
        setattr(Tensor, name, method)
