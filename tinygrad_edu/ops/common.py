"""What the op families share: users' arguments as tensors of one dtype, broadcasting, dimensions, elementwise ops.

Nothing here computes. Read next: elementwise.py, where the ops are.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, dtype, dtype_of_number, get_default_dtype, held, refuse_huge, result_type
from ..op import Op, Spec
from ..storage import Layout, layout_of
from ..tensor import Tensor

Number = bool | int | float
Known = tuple[Spec, tuple[Tensor, ...]]  # what is run for a signature met before


def is_number(x: object) -> bool:
    return isinstance(x, (bool, int, float))


def as_number(x: Any) -> Any:
    """A NumPy scalar as the Python number it is; anything else as it is."""
    return x.item() if isinstance(x, np.generic) else x


_constants: dict[tuple[Any, dtype], Tensor] = {}


def constant(value: Number, d: dtype) -> Tensor:
    """A number as a 0-d tensor; the same one every time, so don't change it."""
    key = (value or str(value), d)  # 0.0 equals -0.0, their texts do not
    known = _constants.get(key)
    if known is None:
        refuse_huge(value, "a number beside tensors")
        if len(_constants) > 4096:
            _constants.clear()
        if d.is_floating_point:  # 1e300 is infinite in float32, without a word
            known = Tensor.over(memory.from_numbers([value], d), layout_of((), d))
        else:
            known = Tensor.over(*memory.from_python(value, d))
        _constants[key] = known
    return known


_stored: dict[tuple[Any, dtype], Tensor] = {}


def stored(value: Number, d: dtype, name: str) -> Tensor:
    """A number that is written as it is (fill_, where), not computed with, as constant() gives it.

    Raises RuntimeError, naming the op, for one that the dtype can't hold: arithmetic takes 1e300 for infinity."""
    key = (value or str(value), d)
    known = _stored.get(key)
    if known is None:
        if len(_stored) > 4096:
            _stored.clear()
        known = _stored[key] = constant(held(value, d, name), d)
    return known


def beside(x: Tensor, y: Any, stored_by: str = "") -> Any:
    """A Python number beside a tensor of floats as a tensor of its dtype, which is quicker than promotion; else y.

    stored_by: the name of an op that stores the number as it is."""
    if not (y.__class__ is float or y.__class__ is int) or not x.layout.dtype.is_floating_point:
        return y
    return stored(y, x.layout.dtype, stored_by) if stored_by else constant(y, x.layout.dtype)


def as_tensor(x: Any, name: str) -> Tensor:
    """x if it is a tensor; a NumPy array or number made one. Raises TypeError, naming the op, for anything else."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (bool, int, float)):
        return constant(x, dtype_of_number(x))
    if isinstance(x, (np.ndarray, np.generic)):
        return Tensor.over(*memory.from_python(x, None))
    raise TypeError(f"{name}: expected a Tensor or a number, got {type(x).__name__}")


def promoted(name: str, *operands: Any) -> list[Tensor]:
    """The operands as tensors of their common dtype, by PyTorch's promotion rules."""
    plain = [x if isinstance(x, Tensor) or is_number(x) else as_tensor(x, name) for x in operands]
    d = result_type(*plain)
    return [constant(x, d) if not isinstance(x, Tensor) else x if x.layout.dtype is d else x.to(d) for x in plain]


def floating(x: Any, name: str) -> Tensor:
    """x as a floating-point tensor: integers become the default float dtype."""
    tensor = as_tensor(x, name)
    return tensor if tensor.layout.dtype.is_floating_point else tensor.to(get_default_dtype())


def no_tensor(name: str, x: object) -> TypeError:
    """What to raise where x turns out to have no layout: to ask is free, to look before would not be."""
    return TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")


def layout_in(name: str, input: Tensor) -> Layout:
    """The layout, a part of a key. Raises TypeError for what is no tensor."""
    try:
        return input.layout
    except AttributeError:
        raise no_tensor(name, input) from None


def layouts_of(name: str, inputs: tuple[Tensor, ...]) -> tuple[Layout, ...]:
    """The inputs' part of a key. Raises TypeError for what is no tensor."""
    try:
        return tuple([x.layout for x in inputs])
    except AttributeError:
        raise no_tensor(name, next(x for x in inputs if not isinstance(x, Tensor))) from None


def float_only(name: str, input: Tensor) -> None:
    """Raise RuntimeError, naming the function, for integers, TypeError for what is no tensor."""
    try:
        d = input.layout.dtype
    except AttributeError:
        raise no_tensor(name, input) from None
    if not d.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point input, got {input.dtype} of shape {input.layout.shape}")


def same_shape(x: Layout, *_: Layout, **__: Any) -> tuple[int, ...]:
    return x.shape


def same_dtype(name: str, *layouts: Layout) -> None:
    """Raise RuntimeError, naming the op, unless all have one dtype."""
    if any(x.dtype is not layouts[0].dtype for x in layouts):
        given = ", ".join(str(x.dtype) for x in layouts)
        raise RuntimeError(f"{name}: expected one dtype, got {given}; convert with .to()")


def broadcast_shapes(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape, sizes of 1 stretched. Raises RuntimeError naming op, shapes and sizes that differ."""
    result: list[int] = []
    for back in range(1, max((len(s) for s in shapes), default=0) + 1):
        sizes = {s[-back] for s in shapes if len(s) >= back}
        sizes.discard(1)
        if len(sizes) > 1:
            a, b = sorted(sizes)[:2]
            given = " and ".join(str(tuple(s)) for s in shapes)
            raise RuntimeError(
                f"{name}: shapes {given} do not broadcast: sizes {a} and {b} differ at dimension -{back}"
            )
        result.append(sizes.pop() if sizes else 1)
    return tuple(reversed(result))


def broadcasting(name: str) -> Callable[..., tuple[int, ...]]:
    """The shape rule of elementwise ops, by which backends know that an op is one."""

    def rule(*layouts: Layout, **_: Any) -> tuple[int, ...]:
        first = layouts[0].shape
        return first if all(x.shape == first for x in layouts) else broadcast_shapes(name, *[x.shape for x in layouts])

    rule.elementwise = True  # type: ignore[attr-defined]
    return rule


def is_int(x: object) -> bool:
    """Whether it is an int, NumPy's too, and no bool."""
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def integer(x: Any, what: str) -> int:
    """x as an int. Raises TypeError, naming what it is, for a bool, a float and all else that is none."""
    if isinstance(x, (bool, np.bool_)):
        raise TypeError(f"{what} must be an int, got bool")
    try:
        return operator.index(x)
    except TypeError:
        raise TypeError(f"{what} must be an int, got {type(x).__name__}") from None


def normal_dim(dim: int, ndim: int, name: str) -> int:
    """A dimension as a number from 0 on; a 0-d tensor has the dimensions 0 and -1. Raises IndexError out of range."""
    n = max(ndim, 1)
    if dim.__class__ is not int:
        if not is_int(dim):
            raise TypeError(f"{name}: dim must be an int, got {type(dim).__name__}")
        dim = int(dim)
    if not -n <= dim < n:
        raise IndexError(f"{name}: dimension {dim} is out of range for {ndim} dimensions; expected {-n} to {n - 1}")
    return dim % n


def normal_dims(dim: int | tuple[int, ...] | list[int] | None, ndim: int, name: str) -> tuple[int, ...]:
    """Dimensions as sorted numbers from 0 on; None and () mean all. Raises for a repeated one."""
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return tuple(range(ndim))
    dims = [normal_dim(d, ndim, name) for d in (dim if isinstance(dim, (tuple, list)) else [dim])]
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"{name}: a dimension appears twice in {dim}")
    return tuple(sorted(dims)) if ndim else ()


def exactly(argument: Any) -> Any:
    """An argument as part of a key: 2, 2.0 and True, which are equal, differ, and so do tuples of them."""
    kind = argument.__class__
    if kind is int or argument is None:
        return argument
    return (argument, *map(type, argument)) if kind is tuple else (argument, kind)


def remember(op: Op, inputs: tuple[Tensor, ...], key: tuple[Any, ...], **attrs: Any) -> Spec:
    """The op at this signature, from now on found in op.specs by `key`, what the user gave."""
    spec = op.spec(inputs, attrs)
    with contextlib.suppress(TypeError):  # a list among the arguments
        op.specs[key] = spec
    return spec


def ints(args: tuple[Any, ...], name: str, size: Any = None) -> tuple[Any, ...]:
    """f(2, 3), f((2, 3)), f([2, 3]) and f(size=(2, 3)) as (2, 3); they may be bools, NumPy's, or 0-d tensors of ints.

    Raises TypeError, naming the function, for what is no int; of bools, as PyTorch does, only for a first one."""
    if size is not None:
        args = (*args, size)
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        math.gcd(*args)  # looks at all of them, at a third of a loop's cost
    except TypeError:
        raise TypeError(f"{name}: expected ints, got {args}") from None
    if args and args[0].__class__ is bool:
        raise TypeError(f"{name}: expected ints, got {args}")
    return args


def shape_args(args: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """f(2, 3), f((2, 3)) and f([2, 3]) as the shape (2, 3). Raises RuntimeError for a negative size, TypeError for what
    is no int."""
    shape = tuple([int(n) for n in ints(args, name)])
    if any(n < 0 for n in shape):
        raise RuntimeError(f"{name}: sizes must not be negative, got {shape}")
    return shape


def zeros_as(x: Tensor) -> Tensor:
    """The gradient of what is flat almost everywhere: one zero, seen in the shape of x."""
    return constant(0, x.layout.dtype).expand(x.layout.shape)


def refuse_bools(name: str, *operands: Any) -> None:
    """Raise RuntimeError, naming the op, if an operand (or a dtype) is bool."""
    if any(isinstance(x, bool) or x is bool_ or getattr(x, "dtype", None) is bool_ for x in operands):
        raise RuntimeError(f"{name} is not supported for bool; use ~ or logical_not(), ^ or logical_xor(), or a cast")


class Maker(Op):
    """An op whose output's shape and dtype are attributes, as is what it is filled with: numbers."""

    working_input = None

    def __init__(self, reference: Callable[..., None], out_dtype: dtype | None = None, name: str = "") -> None:
        super().__init__(reference, lambda *_, shape, **__: shape, out_dtype or (lambda *_, dtype, **__: dtype), name)

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """Without the shape, which is the output's."""
        values = [v for name, v in spec.attrs.items() if name not in ("shape", "dtype")]
        whole = [v for v in values if isinstance(v, int)]
        return [spec.layout, *spec.inputs], whole, [v for v in values if isinstance(v, float)]


def given(*inputs: Tensor | None) -> list[Tensor]:
    """Those inputs that are not missing."""
    return [x for x in inputs if x is not None]


class Unary(Op):
    """An elementwise op of one input; with `floats` integers are computed as floats, as PyTorch does for exp."""

    def __init__(
        self, reference: Callable[..., None], floats: bool = True, out_dtype: dtype | None = None, bools: bool = True
    ) -> None:
        super().__init__(reference, broadcasting(reference.__name__), out_dtype)
        self.floats, self.bools = floats, bools

    def __call__(self, input: Any) -> Tensor:  # type: ignore[override]
        try:
            spec = self.specs.get((input.layout,))
        except AttributeError:
            spec = None
        if spec is not None:
            return self.run(spec, (input,))
        return self.apply(self.converted(input))

    def converted(self, input: Any) -> Tensor:
        """What a user passes as the tensor that the kernel takes."""
        if not self.bools:
            refuse_bools(self.name, input)
        return floating(input, self.name) if self.floats else as_tensor(input, self.name)


class Binary(Op):
    """An elementwise op of two inputs that broadcast and promote; with `floats` integers are computed as floats.

    bools: whether they are taken; None: only beside an operand of another dtype.
    numbers: where a Python number may stand: on "any" side, on "one" (beside a tensor), on the "right", on "none"."""

    def __init__(
        self,
        reference: Callable[..., None],
        floats: bool = False,
        out_dtype: dtype | None = None,
        bools: bool | None = True,
        numbers: Literal["any", "one", "right", "none"] = "any",
    ) -> None:
        super().__init__(reference, broadcasting(reference.__name__), out_dtype)
        self.floats, self.bools, self.numbers = floats, bools, numbers

    def __call__(self, input: Any, other: Any) -> Tensor:  # type: ignore[override]
        if self.numbers != "none" and isinstance(input, Tensor):
            other = beside(input, other)
        try:  # two tensors of a signature met before: only equal dtypes ever get one
            spec = self.specs.get((input.layout, other.layout))
        except AttributeError:
            spec = None
        if spec is not None:
            return self.run(spec, (input, other))
        if self.numbers != "any":
            self.refuse_numbers(is_number(input), is_number(other))
        return self.apply(*self.converted(input, other))

    def refuse_numbers(self, left: bool, right: bool) -> None:
        if (left and (right or self.numbers != "one")) or (right and self.numbers == "none"):
            wanted = {"one": "a Tensor on a side", "right": "a Tensor on the left", "none": "two Tensors"}
            sides = "both sides" if left and right else "the left" if left else "the right"
            raise TypeError(f"{self.name}: expected {wanted[self.numbers]}, got a number on {sides}")

    def converted(self, input: Any, other: Any) -> list[Tensor]:
        """What a user passes as the tensors of one dtype that the kernel takes."""
        if self.bools is False:
            refuse_bools(self.name, input, other)
        a, b = promoted(self.name, input, other)
        if not self.bools:
            refuse_bools(self.name, a)
        return [floating(a, self.name), floating(b, self.name)] if self.floats else [a, b]


def unary(
    floats: bool = True, out_dtype: dtype | None = None, bools: bool = True
) -> Callable[[Callable[..., None]], Unary]:
    """Decorator: an elementwise op of one input."""
    return lambda reference: Unary(reference, floats, out_dtype, bools)


def binary(
    floats: bool = False,
    out_dtype: dtype | None = None,
    bools: bool | None = True,
    numbers: Literal["any", "one", "right", "none"] = "any",
) -> Callable[[Callable[..., None]], Binary]:
    """Decorator: an elementwise op of two inputs."""
    return lambda reference: Binary(reference, floats, out_dtype, bools, numbers)
