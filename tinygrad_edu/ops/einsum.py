"""einsum: sums of products by the names of dimensions, reduced to permute, reshape, mul and matmul.

Operands are taken from left to right, two at a time; dimensions that nobody needs any more are summed at once.
Left out: the form with lists of numbers, and a search for the best order. Read next: create.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from .elementwise import mul
from .matmul import matmul
from .reduce import sum

Labels = list[
    str
]  # one for each dimension: a letter, or for those that ... stands for a number, counted from the right


def einsum(equation: str, *operands: Any) -> Tensor:
    """The sum of products that `equation` names, as "ij,jk->ik" does the matrix product.

    A letter for each dimension, the same one for dimensions that go together; a letter absent from the output is summed
    over, one repeated in an operand means its diagonal, and ... stands for any further dimensions, which broadcast.
    Without -> the output has ... first, then the letters that appear once, in alphabetical order.

    Raises ValueError, RuntimeError for an equation that is none or does not fit the operands."""
    tensors = list(operands[0] if len(operands) == 1 and not isinstance(operands[0], Tensor) else operands)
    terms, output = _parsed(equation, tensors)
    tensors, terms = map(list, zip(*[_diagonals(x, term) for x, term in zip(tensors, terms, strict=True)], strict=True))
    _check_sizes(equation, tensors, terms)
    x, labels = tensors.pop(0), terms.pop(0)
    while tensors:
        needed = {*output, *(label for term in terms[1:] for label in term)}
        x, labels = _product(x, labels, tensors.pop(0), terms.pop(0), needed)
    x, labels = _summed(x, labels, set(output))
    return x.permute([labels.index(label) for label in output]) if labels != output else x


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


def _product(a: Tensor, left: Labels, b: Tensor, right: Labels, needed: set[str]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over what they share and nobody else needs."""
    a, left = _summed(a, left, needed | set(right))
    b, right = _summed(b, right, needed | set(left))
    size = dict(zip(left, a.layout.shape, strict=True))
    for label, n in zip(right, b.layout.shape, strict=True):
        size[label] = n if size.get(label, 1) == 1 else size[label]
    a = a.expand([size[label] for label in left])  # sizes of 1 broadcast
    b = b.expand([size[label] for label in right])
    shared = [label for label in left if label in right]
    contracted = [label for label in shared if label not in needed]
    stack = [label for label in shared if label in needed]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    a, b = _grouped(a, left, size, stack, rows, contracted), _grouped(b, right, size, stack, contracted, columns)
    y = matmul(a, b) if contracted else mul(a, b)
    labels = stack + rows + columns
    return y.reshape([size[label] for label in labels]), labels


def _grouped(x: Tensor, labels: Labels, size: dict[str, int], *groups: Labels) -> Tensor:
    """Three dimensions, each of them a group of labels."""
    order = [labels.index(label) for group in groups for label in group]
    return x.permute(order).reshape([math.prod(size[label] for label in group) for group in groups])
