"""Views by PyTorch's names: what users pass becomes the attributes of one of move.py's four view ops.

A signature seen before skips all checks: the lookup by (layout, arguments as given) is what makes a view cheap. It is
for exact ints only: to a dict 2.0 is 2 and True is 1, to PyTorch neither is a size.
Left out: view(dtype), which reads bytes as another type. Read next: join.py, then index.py, where x[...] is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..op import Spec
from ..op_kinds import ViewOp
from ..tensor import Tensor
from .common import integer, no_tensor, normal_dim
from .move import Ints, contiguous, copy_op, expand_op, permute_op, slice_op, view_op, view_strides


def _known(op: ViewOp, input: Tensor, name: str, args: tuple[Any, ...]) -> Spec | None:
    """The op at a signature that _spec has seen."""
    for n in args:
        if n.__class__ is not int:
            return None
    try:
        return op.specs.get((input.layout, name, args))
    except AttributeError:
        raise no_tensor(name, input) from None


def _spec(op: ViewOp, input: Tensor, name: str, args: tuple[Any, ...], **attrs: Any) -> Spec:
    """The op at this signature, from now on found by the arguments that the user gave."""
    spec = op.spec((input,), attrs)
    if {*map(type, args)} <= {int}:
        op.specs[input.layout, name, args] = spec
    return spec


def _sizes(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """f(2, 3), f((2, 3)) and f([2, 3]) as (2, 3)."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


def shape_of(args: tuple[Any, ...], name: str) -> Ints:
    """Sizes as ints, however they are given. Raises TypeError for what is none."""
    return tuple([integer(n, f"{name}: a size or dimension") for n in _sizes(args)])


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
    sizes = _sizes(args if size is None else (size,))
    spec = _known(view_op, input, "view", sizes)
    if spec is None:
        fitted = _fitted(shape_of(sizes, "view"), input.layout.numel, "view")
        spec = _spec(view_op, input, "view", sizes, shape=fitted)
    return view_op.run(spec, (input,))


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Seen as the shape of other."""
    return view(input, other.layout.shape)


def reshape(input: Tensor, *args: Any, shape: Any = None) -> Tensor:
    """As view, but a copy where strides don't allow a view: reshape(x, 2, -1) or reshape(x, shape=(2, -1))."""
    sizes = _sizes(args if shape is None else (shape,))
    spec = _known(view_op, input, "view", sizes)
    if spec is None:
        fitted = _fitted(shape_of(sizes, "reshape"), input.layout.numel, "reshape")
        if view_strides(input.layout, fitted) is None:
            input = copy_op(input)
        spec = _spec(view_op, input, "view", sizes, shape=fitted)
    return view_op.run(spec, (input,))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """Reshaped to the shape of other."""
    return reshape(input, other.layout.shape)


def ravel(input: Tensor) -> Tensor:
    """One dimension; a view of a contiguous tensor, of others a copy."""
    return view(contiguous(input), input.layout.numel)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim (inclusive) as one; a 0-d tensor becomes (1,). A view where it can be."""
    ends = start_dim, end_dim
    spec = _known(view_op, input, "flatten", ends)
    if spec is None:
        shape = input.layout.shape
        first, last = normal_dim(start_dim, len(shape), "flatten"), normal_dim(end_dim, len(shape), "flatten")
        if first > last:
            raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {shape}")
        flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
        if view_strides(input.layout, flat) is None:
            input = copy_op(input)
        spec = _spec(view_op, input, "flatten", ends, shape=flat)
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
    name, named = ("squeeze all", ()) if dim is None else ("squeeze", _sizes((dim,)))
    spec = _known(view_op, input, name, named)
    if spec is None:
        shape = input.layout.shape
        gone = {normal_dim(d, len(shape), "squeeze") for d in (range(len(shape)) if dim is None else named)}
        kept = tuple([n for d, n in enumerate(shape) if n != 1 or d not in gone])
        spec = _spec(view_op, input, name, named, shape=kept)
    return view_op.run(spec, (input,))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 before dimension dim (-1: at the end)."""
    spec = _known(view_op, input, "unsqueeze", (dim,))
    if spec is None:
        shape = input.layout.shape
        at = normal_dim(dim, len(shape) + 1, "unsqueeze")
        spec = _spec(view_op, input, "unsqueeze", (dim,), shape=(*shape[:at], 1, *shape[at:]))
    return view_op.run(spec, (input,))


def permute(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order: permute(x, 1, 0) or permute(x, dims=(1, 0)). Raises RuntimeError unless every
    one is named once."""
    given = _sizes(args if dims is None else (dims,))
    spec = _known(permute_op, input, "permute", given)
    if spec is None:
        n = input.layout.ndim
        order = tuple([normal_dim(d, n, "permute") for d in shape_of(given, "permute")])
        if sorted(order) != list(range(n)):
            raise RuntimeError(f"permute: {order} does not name each of the {n} dimensions of the tensor once")
        spec = _spec(permute_op, input, "permute", given, dims=order)
    return permute_op.run(spec, (input,))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Dimensions dim0 and dim1 exchanged."""
    pair = dim0, dim1
    spec = _known(permute_op, input, "transpose", pair)
    if spec is None:
        n = input.layout.ndim
        order = list(range(n))
        a, b = normal_dim(dim0, n, "transpose"), normal_dim(dim1, n, "transpose")
        if n:
            order[a], order[b] = b, a
        spec = _spec(permute_op, input, "transpose", pair, dims=tuple(order))
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
    spec = _known(permute_op, input, "T", ())
    if spec is None:
        spec = _spec(permute_op, input, "T", (), dims=tuple(reversed(range(input.layout.ndim))))
    return permute_op.run(spec, (input,))


def mT(input: Tensor) -> Tensor:
    """The last two dimensions exchanged: every matrix of a batch transposed."""
    if input.layout.ndim < 2:
        raise RuntimeError(f"mT: expected 2 or more dimensions, got shape {input.layout.shape}")
    return transpose(input, -2, -1)


def expand(input: Tensor, *args: Any, size: Any = None) -> Tensor:
    """Dimensions of size 1 repeated, and new ones in front, without copying; -1 keeps a size. Raises RuntimeError
    where a size other than 1 would change."""
    sizes = _sizes(args if size is None else (size,))
    spec = _known(expand_op, input, "expand", sizes)
    if spec is None:
        wanted, shape = shape_of(sizes, "expand"), input.layout.shape
        new = len(wanted) - len(shape)
        padded = (None,) * new + shape
        if new < 0 or any(n == -1 and m is None for n, m in zip(wanted, padded, strict=True)):
            raise RuntimeError(f"expand: a tensor of shape {shape} can't have the sizes {wanted}")
        result = []
        for d, (n, m) in enumerate(zip(wanted, padded, strict=True)):
            if n < -1 or (m is not None and m != 1 and n not in (-1, m)):
                raise RuntimeError(
                    f"expand: shape {shape} can't become {wanted}: size {m} at dimension {d} is not 1 and not {n}"
                )
            result.append(m if n == -1 and m is not None else n)
        spec = _spec(expand_op, input, "expand", sizes, shape=tuple(result))
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
    args = dim, start, length
    spec = _known(slice_op, input, "narrow", args)
    if spec is None:
        shape = input.layout.shape
        if not shape:
            raise RuntimeError("narrow: a 0-d tensor has no dimension to narrow")
        d = normal_dim(dim, len(shape), "narrow")
        n, first, length = shape[d], integer(start, "narrow: start"), integer(length, "narrow: length")
        if not -n <= first <= n:
            raise IndexError(f"narrow: start {first} is out of range for dimension {d} of size {n}")
        first += n if first < 0 else 0
        if length < 0 or first + length > n:
            raise RuntimeError(f"narrow: {first} + {length} exceeds the size {n} of dimension {d}")
        starts, steps, axes, sizes = whole(shape)
        starts[d], sizes[d] = first, length
        spec = _sliced(input, "narrow", args, starts, steps, axes, sizes)
    return slice_op.run(spec, (input,))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One index of one dimension, which is gone. Raises IndexError outside of it."""
    args = dim, index
    spec = _known(slice_op, input, "select", args)
    if spec is None:
        shape = input.layout.shape
        if not shape:
            raise IndexError("select: a 0-d tensor has no dimension to select from")
        d = normal_dim(dim, len(shape), "select")
        i, n = integer(index, "select: index"), shape[d]
        if not -n <= i < n:
            raise IndexError(f"select: index {i} is out of range for dimension {d} of size {n}")
        starts, steps, axes, sizes = whole(shape)
        starts[d] = i % n
        axes[d] = -1
        axes[d + 1 :] = [j - 1 for j in axes[d + 1 :]]
        del sizes[d]
        spec = _sliced(input, "select", args, starts, steps, axes, sizes)
    return slice_op.run(spec, (input,))


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of dimensions dim1 and dim2 as a new last dimension; offset > 0 above the main one, < 0 below."""
    args = offset, dim1, dim2
    spec = _known(slice_op, input, "diagonal", args)
    if spec is None:
        shape, offset = input.layout.shape, integer(offset, "diagonal: offset")
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
        spec = _sliced(input, "diagonal", args, starts, steps, axes, [*[shape[d] for d in rest], length])
    return slice_op.run(spec, (input,))


def _sliced(
    input: Tensor,
    name: str,
    args: tuple[Any, ...],
    start: list[int],
    step: list[int],
    axis: list[int],
    shape: list[int],
) -> Spec:
    """slice_op at this signature."""
    ints = {"start": tuple(start), "step": tuple(step), "axis": tuple(axis), "shape": tuple(shape)}
    return _spec(slice_op, input, name, args, **ints)
