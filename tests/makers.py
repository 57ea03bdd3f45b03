"""What a row of the table in cases.py is made of: a Case, and the Makers that draw its inputs.

Read next: cases.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """call(library, *tensors) on inputs made by `makers`, called with a random generator each."""

    name: str
    call: Callable[..., Any]
    makers: tuple[Maker, ...]
    first: bool = True  # has a derivative
    second: bool = True  # whose derivative is not zero everywhere, or at least has a graph
    torch: bool = True  # PyTorch has the same, gradients included
    torch_grad: bool = True
    any_shape: bool = False  # takes inputs of any shape, all of the same: tried empty and 0-d
    ints: bool = False  # takes integers as PyTorch does, with the same dtype as the result
    ulps: float = 16  # of float32, against float64 on the same numbers, relative to the largest result

    def arrays(self, seed: int = 0) -> list[Array]:
        rng = np.random.default_rng([seed, *self.name.encode()])
        arrays = [make(rng) for make in self.makers]
        for k, maker in enumerate(self.makers):
            if maker.kind == "apart":  # from the other inputs, too
                arrays[k] = arrays[k] + 0.03 * k
        return arrays


@dataclass(frozen=True)
class Maker:
    """Draws an input: `kind` is one of those below."""

    kind: str
    shape: tuple[int, ...]
    low: int = 0
    high: int = 2
    grad: bool = True

    def __call__(self, rng: np.random.Generator) -> Array:
        n = int(np.prod(self.shape))
        if self.kind == "int":
            return rng.integers(self.low, self.high, self.shape)
        if self.kind == "distinct":  # along the last dimension
            rows = [rng.permutation(self.high)[: self.shape[-1]] for _ in range(n // self.shape[-1])]
            return np.array(rows).reshape(self.shape)
        if self.kind == "bool":
            return rng.random(self.shape) < 0.5
        if self.kind == "positive":
            array = rng.uniform(0.5, 2, n)
        elif self.kind == "unit":
            array = rng.uniform(-0.9, 0.9, n)
        elif (
            self.kind == "apart"
        ):  # from each other, from 0 and from the whole and half numbers: no kink, no tie is near
            grid = np.array([k + o for k in range(-n, n + 1) for o in (-0.37, -0.21, 0.17, 0.41)]) * min(1, 8 / (n + 1))
            grid = grid[np.abs(grid * 2 - np.round(grid * 2)) > 0.12]
            array = rng.choice(grid, n, replace=False)
        else:
            array = rng.standard_normal(n)
        return np.asarray(array, np.float64).reshape(self.shape).round(12)

    def reshaped(self, shape: tuple[int, ...]) -> Maker:
        return Maker(self.kind, shape, self.low, self.high, self.grad)


def N(*shape: int) -> Maker:
    return Maker("normal", shape)


def P(*shape: int) -> Maker:
    return Maker("positive", shape)


def U(*shape: int) -> Maker:
    return Maker("unit", shape)


def A(*shape: int) -> Maker:
    return Maker("apart", shape)


def Int(high: int, *shape: int, low: int = 0) -> Maker:
    return Maker("int", shape, low, high)


def DISTINCT(high: int, *shape: int) -> Maker:
    return Maker("distinct", shape, 0, high)


def B(*shape: int) -> Maker:
    return Maker("bool", shape)


def tensors(arrays: list[Array], dtype: Any = tg.float64, grad: bool = True) -> list[tg.Tensor]:
    """The arrays as leaves; floating-point ones in `dtype` and requiring grad."""
    return [tg.tensor(a, dtype=dtype, requires_grad=grad) if a.dtype.kind == "f" else tg.tensor(a) for a in arrays]


def outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]
