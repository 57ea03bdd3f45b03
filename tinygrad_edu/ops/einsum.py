"""einsum: sums of products by the names of dimensions, as views, sums, products and matmuls.

Operands are taken from left to right, two at a time; dimensions that nobody needs any more are summed at once. Which
ops that takes follows from the equation and the layouts: the first call works it out and is watched, later ones only
run the same ops. Left out: the form with lists of numbers, and a search for the best order. Read next: create.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import backends
from ..modes import Watcher, modes
from ..op import Spec
from ..tensor import Tensor
from .elementwise import mul
from .matmul import matmul, outer_op
from .reduce import sum

# One for each dimension: a letter, or a number for those that ... stands for, counted from the right.
Labels = list[str]


class Plan(Watcher):
    """The ops that ran, each with the places of its inputs: first come the operands, then what each op made."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.values = list(tensors)  # while the plan is made
        self.steps: list[tuple[Spec, list[int]]] = []
        self.result = 0

    def ran(self, spec: Spec, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        self.steps.append((spec, [self.place(x) for x in inputs]))
        self.values.append(out)

    def place(self, x: Tensor) -> int:
        return next(i for i, value in enumerate(self.values) if value is x)

    def close(self, result: Tensor) -> None:
        self.result = self.place(result)
        self.values.clear()

    def run(self, tensors: Sequence[Tensor]) -> Tensor:
        values = list(tensors)
        for spec, places in self.steps:
            values.append(spec.op.run(spec, tuple([values[i] for i in places])))
        return values[self.result]


_plans: dict[tuple[Any, ...], Plan] = {}
backends.on_change.append(_plans.clear)


def einsum(equation: str, *operands: Any) -> Tensor:
    """The sum of products that `equation` names, as "ij,jk->ik" does the matrix product.

    A letter for each dimension, the same one for dimensions that go together; a letter absent from the output is summed
    over, one repeated in an operand means its diagonal, and ... stands for any further dimensions, which broadcast.
    Without -> the output has ... first, then the letters that appear once, in alphabetical order.

    Raises ValueError, RuntimeError for an equation that is none or does not fit the operands."""
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    try:
        key = (equation, *[x.layout for x in tensors])
    except AttributeError:
        raise TypeError("einsum: expected an equation, then tensors") from None
    plan = _plans.get(key)
    if plan is not None:
        return plan.run(tensors)
    plan = Plan(tensors)
    modes.watch(plan)
    try:
        result = _computed(equation, list(tensors))
    finally:
        modes.unwatch(plan)
    plan.close(result)
    if len(_plans) > 4096:
        _plans.clear()
    _plans[key] = plan
    return result


def _computed(equation: str, tensors: list[Tensor]) -> Tensor:
    terms, output = _parsed(equation, tensors)
    tensors, terms = map(list, zip(*[_diagonals(x, term) for x, term in zip(tensors, terms, strict=True)], strict=True))
    _check_sizes(equation, tensors, terms)
    x, labels = tensors.pop(0), terms.pop(0)
    while tensors:
        needed = {*output, *(label for term in terms[1:] for label in term)}
        x, labels = _product(x, labels, tensors.pop(0), terms.pop(0), needed)
    x, labels = _summed(x, labels, set(output))
    return _ordered(x, labels, output)


def _parsed(equation: str, tensors: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of every operand and of the output."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(tensors):
        raise ValueError(f"einsum: {equation!r} names {len(parts)} operands, but {len(tensors)} are given")
    terms = [_labels(equation, part, x.layout.ndim) for part, x in zip(parts, tensors, strict=True)]
    used = [label for term in terms for label in term]
    dots = sorted({label for label in used if label.isdigit()}, key=int, reverse=True)
    if not arrow:
        return terms, dots + sorted(label for label in used if label.isalpha() and used.count(label) == 1)
    output = _labels(equation, right, len(right.replace("...", "")) + (len(dots) if "..." in right else 0))
    for label in output:
        if output.count(label) > 1 or label not in used:
            reason = "appears twice in the output" if output.count(label) > 1 else "is in the output but in no operand"
            raise RuntimeError(f"einsum: {label!r} {reason} of {equation!r}")
    return terms, output


def _labels(equation: str, part: str, ndim: int) -> Labels:
    before, dots, after = part.partition("...")
    letters = before + after
    if not all(letter.isalpha() and letter.isascii() for letter in letters):
        raise ValueError(f"einsum: {part!r} in {equation!r} is not made of letters and at most one '...'")
    free = ndim - len(letters)
    if free < 0 or (free and not dots):
        raise RuntimeError(f"einsum: {part!r} in {equation!r} does not name the dimensions of a tensor that has {ndim}")
    return [*before, *[str(k) for k in reversed(range(free))], *after]


def _diagonals(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Every label once: a repeated one means the diagonal."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            sizes = x.layout.shape[first], x.layout.shape[second]
            if sizes[0] != sizes[1]:
                raise RuntimeError(f"einsum: {label!r} is repeated, but the sizes {sizes[0]} and {sizes[1]} differ")
            x = x.diagonal(0, first, second)
            labels = [other for d, other in enumerate(labels) if d not in (first, second)] + [label]
    return x, labels


def _check_sizes(equation: str, tensors: Sequence[Tensor], terms: Sequence[Labels]) -> None:
    sizes: dict[str, int] = {}
    for x, term in zip(tensors, terms, strict=True):
        for label, n in zip(term, x.layout.shape, strict=True):
            if n != 1 and sizes.setdefault(label, n) != n:
                name = "..." if label.isdigit() else label
                raise RuntimeError(f"einsum: {name!r} in {equation!r} has the sizes {sizes[label]} and {n}")


def _summed(x: Tensor, labels: Labels, needed: set[str]) -> tuple[Tensor, Labels]:
    """Without the dimensions that nobody needs."""
    gone = [d for d, label in enumerate(labels) if label not in needed]
    return (sum(x, gone), [label for label in labels if label in needed]) if gone else (x, labels)


def _ordered(x: Tensor, labels: Labels, wanted: Labels) -> Tensor:
    return x if labels == wanted else x.permute([labels.index(label) for label in wanted])


def _shaped(x: Tensor, shape: list[int]) -> Tensor:
    return x if x.layout.shape == tuple(shape) else x.reshape(shape)


def _product(a: Tensor, left: Labels, b: Tensor, right: Labels, needed: set[str]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over what they share and nobody else needs."""
    a, left = _summed(a, left, needed | set(right))
    b, right = _summed(b, right, needed | set(left))
    size = dict(zip(left, a.layout.shape, strict=True))
    for label, n in zip(right, b.layout.shape, strict=True):
        size[label] = n if size.get(label, 1) == 1 else size[label]
    stack = [label for label in left if label in right and label in needed]
    summed = [label for label in left if label in right and label not in needed]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    labels = stack + rows + columns
    if summed:
        y = matmul(_grouped(a, left, size, stack, rows, summed), _grouped(b, right, size, stack, summed, columns))
        return _shaped(y, [size[label] for label in labels]), labels
    if left == right:
        return mul(a, b), left
    a, b = _ordered(a, left, stack + rows), _ordered(b, right, stack + columns)
    if not stack and len(columns) == 1 and a.layout.dtype is b.layout.dtype:
        return outer_op(a, b), labels
    in_a, in_b, n = a.layout.shape, b.layout.shape, len(stack)
    return mul(_shaped(a, [*in_a, *[1] * len(columns)]), _shaped(b, [*in_b[:n], *[1] * len(rows), *in_b[n:]])), labels


def _grouped(x: Tensor, labels: Labels, size: dict[str, int], stack: Labels, *groups: Labels) -> Tensor:
    """A dimension for each label of the stack, which broadcasts, then one for each group; a vector where there is no
    stack and a group has no label."""
    shape = [n if label in stack else size[label] for label, n in zip(labels, x.layout.shape, strict=True)]
    if x.layout.shape != tuple(shape):  # a size of 1 in a dimension that is summed over
        x = x.expand(shape)
    x = _ordered(x, labels, [*stack, *[label for group in groups for label in group]])
    merged = [math.prod(size[label] for label in group) for group in groups if group or stack]
    return _shaped(x, [*x.layout.shape[: len(stack)], *merged])
