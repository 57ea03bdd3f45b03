"""Views by PyTorch's names: what users pass becomes the attributes of one of move.py's four view ops.

A signature seen before skips all checks: the lookup by (layout, arguments as given) is what makes a view cheap.
Left out: view(dtype), which reads bytes as another type. Read next: join.py, then index.py, where x[...] is.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Sequence
from typing import Any

from ..op import Spec
from ..op_kinds import ViewOp
from ..tensor import Tensor
from .common import normal_dim
from .move import Ints, contiguous, copy_op, expand_op, permute_op, slice_op, view_op, view_strides


def _spec(op: ViewOp, input: Any, key: tuple[Any, ...], **attrs: Any) -> Spec:
    """The op at this signature, from now on found by the arguments that the user gave."""
    spec = op.spec((input,), attrs)
    with contextlib.suppress(TypeError):  # a list among the arguments
        op.specs[(input.layout, *key)] = spec
    return spec


def shape_of(args: tuple[Any, ...], name: str) -> Ints:
    """f(2, 3), f((2, 3)) and f([2, 3]) as (2, 3)."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        return tuple([operator.index(n) for n in args])
    except TypeError:
        raise TypeError(f"{name}: expected integers, got {', '.join(type(n).__name__ for n in args)}") from None


def _fitted(shape: Ints, numel: int, name: str) -> Ints:
    """The shape with its -1 worked out. Raises RuntimeError when it does not hold numel elements."""
    if any(n < -1 for n in shape) or shape.count(-1) > 1:
        raise RuntimeError(f"{name}: sizes must not be negative, but for one -1, got {shape}")
    known = math.prod(n for n in shape if n >= 0)
    if -1 in shape:
        if known == 0 and numel == 0:
            raise RuntimeError(f"{name}: the -1 in {shape} could be anything for a tensor of 0 elements")
        if known and numel % known == 0:
            return tuple([numel // known if n < 0 else n for n in shape])
    elif known == numel:
        return shape
    raise RuntimeError(f"{name}: shape {shape} does not hold the tensor's {numel} elements")


def view(input: Tensor, *args: Any, size: Any = None) -> Tensor:
    """The same elements in the same order as another shape; one size may be -1. Raises RuntimeError for a wrong
    number of elements, or where strides don't allow it."""
    shape = args if size is None else (size,)
    try:
        spec = view_op.specs[input.layout, shape]
    except (KeyError, TypeError):
        fitted = _fitted(shape_of(shape, "view"), input.layout.numel, "view")
        spec = _spec(view_op, input, (shape,), shape=fitted)
    return view_op.run(spec, (input,))


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Seen as the shape of other."""
    return view(input, other.layout.shape)


def reshape(input: Tensor, *args: Any, shape: Any = None) -> Tensor:
    """As view, but a copy where strides don't allow a view: reshape(x, 2, -1) or reshape(x, shape=(2, -1))."""
    shape = args if shape is None else (shape,)
    try:
        spec = view_op.specs[input.layout, shape]
    except (KeyError, TypeError):
        fitted = _fitted(shape_of(shape, "reshape"), input.layout.numel, "reshape")
        if view_strides(input.layout, fitted) is None:
            input = copy_op(input)
        spec = _spec(view_op, input, (shape,), shape=fitted)
    return view_op.run(spec, (input,))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """Reshaped to the shape of other."""
    return reshape(input, other.layout.shape)


def ravel(input: Tensor) -> Tensor:
    """One dimension; a view of a contiguous tensor, of others a copy."""
    return view(contiguous(input), input.layout.numel)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim (inclusive) as one; a 0-d tensor becomes (1,). A view where it can be."""
    try:
        spec = view_op.specs[input.layout, "flatten", start_dim, end_dim]
    except (KeyError, TypeError):
        shape = input.layout.shape
        first, last = normal_dim(start_dim, len(shape), "flatten"), normal_dim(end_dim, len(shape), "flatten")
        if first > last:
            raise RuntimeError(
                f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {shape}"
            ) from None
        flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
        if view_strides(input.layout, flat) is None:
            input = copy_op(input)
        spec = _spec(view_op, input, ("flatten", start_dim, end_dim), shape=flat)
    return view_op.run(spec, (input,))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several, their sizes given (one may be -1)."""
    shape = input.layout.shape
    if not shape:
        raise RuntimeError("unflatten: a 0-d tensor has no dimension to divide")
    dim = normal_dim(dim, len(shape), "unflatten")
    return reshape(
        input, shape[:dim] + _fitted(shape_of((sizes,), "unflatten"), shape[dim], "unflatten") + shape[dim + 1 :]
    )


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of size 1 (or those of the named ones that have size 1)."""
    try:
        spec = view_op.specs[input.layout, "squeeze", dim]
    except (KeyError, TypeError):
        shape = input.layout.shape
        named = range(len(shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
        gone = {normal_dim(d, len(shape), "squeeze") for d in named}
        kept = tuple([n for d, n in enumerate(shape) if n != 1 or d not in gone])
        spec = _spec(view_op, input, ("squeeze", dim), shape=kept)
    return view_op.run(spec, (input,))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 before dimension dim (-1: at the end)."""
    try:
        spec = view_op.specs[input.layout, "unsqueeze", dim]
    except (KeyError, TypeError):
        shape = input.layout.shape
        at = normal_dim(dim, len(shape) + 1, "unsqueeze")
        spec = _spec(view_op, input, ("unsqueeze", dim), shape=(*shape[:at], 1, *shape[at:]))
    return view_op.run(spec, (input,))


def permute(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order: permute(x, 1, 0) or permute(x, dims=(1, 0)). Raises RuntimeError unless every
    one is named once."""
    dims = args if dims is None else (dims,)
    try:
        spec = permute_op.specs[input.layout, dims]
    except (KeyError, TypeError):
        n = input.layout.ndim
        order = tuple([normal_dim(d, n, "permute") for d in shape_of(dims, "permute")])
        if sorted(order) != list(range(n)):
            raise RuntimeError(
                f"permute: {order} does not name each of the {n} dimensions of the tensor once"
            ) from None
        spec = _spec(permute_op, input, (dims,), dims=order)
    return permute_op.run(spec, (input,))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Dimensions dim0 and dim1 exchanged."""
    try:
        spec = permute_op.specs[input.layout, dim0, dim1]
    except (KeyError, TypeError):
        n = input.layout.ndim
        order = list(range(n))
        a, b = normal_dim(dim0, n, "transpose"), normal_dim(dim1, n, "transpose")
        if n:
            order[a], order[b] = b, a
        spec = _spec(permute_op, input, (dim0, dim1), dims=tuple(order))
    return permute_op.run(spec, (input,))


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """NumPy's name for transpose."""
    return transpose(input, axis0, axis1)


swapdims = transpose


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The dimensions in `source` moved to the places in `destination`; the others keep their order."""
    n = input.layout.ndim
    sources = [normal_dim(d, n, "movedim") for d in shape_of((source,), "movedim")]
    places = [normal_dim(d, n, "movedim") for d in shape_of((destination,), "movedim")]
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise RuntimeError(
            f"movedim: source {source} and destination {destination} must be as many distinct dimensions"
        )
    order = [d for d in range(n) if d not in sources]
    for place, d in sorted(zip(places, sources, strict=True)):
        order.insert(place, d)
    return permute(input, order if n else ())


moveaxis = movedim


def t(input: Tensor) -> Tensor:
    """A matrix transposed; fewer dimensions stay as they are. Raises RuntimeError for more."""
    if input.layout.ndim > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got shape {input.layout.shape}; use transpose() or mT")
    return T(input)


def T(input: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    try:
        spec = permute_op.specs[input.layout, "T"]
    except KeyError:
        spec = _spec(permute_op, input, ("T",), dims=tuple(reversed(range(input.layout.ndim))))
    return permute_op.run(spec, (input,))


def mT(input: Tensor) -> Tensor:
    """The last two dimensions exchanged: every matrix of a batch transposed."""
    if input.layout.ndim < 2:
        raise RuntimeError(f"mT: expected 2 or more dimensions, got shape {input.layout.shape}")
    return transpose(input, -2, -1)


def expand(input: Tensor, *args: Any, size: Any = None) -> Tensor:
    """Dimensions of size 1 repeated, and new ones in front, without copying; -1 keeps a size. Raises RuntimeError
    where a size other than 1 would change."""
    size = args if size is None else (size,)
    try:
        spec = expand_op.specs[input.layout, size]
    except (KeyError, TypeError):
        wanted, shape = shape_of(size, "expand"), input.layout.shape
        new = len(wanted) - len(shape)
        padded = (None,) * new + shape
        if new < 0 or any(n == -1 and m is None for n, m in zip(wanted, padded, strict=True)):
            raise RuntimeError(f"expand: a tensor of shape {shape} can't have the sizes {wanted}") from None
        result = []
        for d, (n, m) in enumerate(zip(wanted, padded, strict=True)):
            if n < -1 or (m is not None and m != 1 and n not in (-1, m)):
                raise RuntimeError(
                    f"expand: shape {shape} can't become {wanted}: size {m} at dimension {d} is not 1 and not {n}"
                ) from None
            result.append(m if n == -1 and m is not None else n)
        spec = _spec(expand_op, input, (size,), shape=tuple(result))
    return expand_op.run(spec, (input,))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to the shape of other."""
    return expand(input, other.layout.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """NumPy's name for expand."""
    return expand(input, size)


# Slices. index.py has x[...]


def whole(shape: Ints) -> tuple[list[int], list[int], list[int], list[int]]:
    """What slice_op takes (start, step, axis, shape) to leave everything in: a place to begin from."""
    n = len(shape)
    return [0] * n, [1] * n, list(range(n)), list(shape)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Indices start to start + length - 1 of one dimension. Raises IndexError, RuntimeError outside of it."""
    if isinstance(start, Tensor) and (start.layout.ndim or start.layout.dtype.category != 1):
        raise RuntimeError(f"narrow: start must be an int or a 0-d integer tensor, got {start.dtype} {start.shape}")
    try:
        spec = slice_op.specs[input.layout, dim, start, length]
    except (KeyError, TypeError):
        shape = input.layout.shape
        if not shape:
            raise RuntimeError("narrow: a 0-d tensor has no dimension to narrow") from None
        d = normal_dim(dim, len(shape), "narrow")
        n, first = shape[d], operator.index(start)
        if not -n <= first <= n:
            raise IndexError(f"narrow: start {start} is out of range for dimension {d} of size {n}") from None
        first += n if first < 0 else 0
        if length < 0 or first + length > n:
            raise RuntimeError(f"narrow: {start} + {length} exceeds the size {n} of dimension {d}") from None
        starts, steps, axes, sizes = whole(shape)
        starts[d], sizes[d] = first, operator.index(length)
        spec = sliced(input, (dim, start, length), starts, steps, axes, sizes)
    return slice_op.run(spec, (input,))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One index of one dimension, which is gone. Raises IndexError outside of it."""
    try:
        spec = slice_op.specs[input.layout, dim, index]
    except (KeyError, TypeError):
        shape = input.layout.shape
        if not shape:
            raise IndexError("select: a 0-d tensor has no dimension to select from") from None
        d = normal_dim(dim, len(shape), "select")
        starts, steps, axes, sizes = whole(shape)
        starts[d] = in_range(index, shape[d], d, "select")
        axes[d] = -1
        axes[d + 1 :] = [j - 1 for j in axes[d + 1 :]]
        del sizes[d]
        spec = sliced(input, (dim, index), starts, steps, axes, sizes)
    return slice_op.run(spec, (input,))


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of dimensions dim1 and dim2 as a new last dimension; offset > 0 above the main one, < 0 below."""
    shape = input.layout.shape
    a, b = normal_dim(dim1, len(shape), "diagonal"), normal_dim(dim2, len(shape), "diagonal")
    if a == b:
        raise RuntimeError(f"diagonal: dim1 {dim1} and dim2 {dim2} are the same dimension of shape {shape}")
    above, below = max(offset, 0), max(-offset, 0)
    rest = [d for d in range(len(shape)) if d not in (a, b)]
    starts, steps, axes, _ = whole(shape)
    for j, d in enumerate(rest):
        axes[d] = j
    axes[a] = axes[b] = len(rest)
    length = max(min(shape[a] - below, shape[b] - above), 0)
    if length:
        starts[a], starts[b] = below, above
    return slice_op.run(
        sliced(input, ("diagonal", offset, dim1, dim2), starts, steps, axes, [*[shape[d] for d in rest], length]),
        (input,),
    )


def sliced(
    input: Tensor, key: tuple[Any, ...], start: list[int], step: list[int], axis: list[int], shape: list[int]
) -> Spec:
    """slice_op at this signature, from now on found by `key`."""
    return _spec(slice_op, input, key, start=tuple(start), step=tuple(step), axis=tuple(axis), shape=tuple(shape))


def in_range(index: Any, n: int, dim: int, name: str) -> int:
    """index as a number from 0 on. Raises IndexError outside -n to n - 1."""
    i = operator.index(index)
    if not -n <= i < n:
        raise IndexError(f"{name}: index {i} is out of range for dimension {dim} of size {n}")
    return i % n
