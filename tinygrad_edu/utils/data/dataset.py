"""Data sets: something with a length that gives a sample for an index.

One method goes beyond PyTorch: `batch(indices)` gives the collated samples of many indices at once, or None where the
set can't; the loader asks for it first. Left out: IterableDataset. Read next: sampler.py, then loader.py.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ...ops.create import tensor
from ...ops.random import Generator, randperm
from ...tensor import Tensor

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """What a data set defines: __getitem__, and __len__ for the samplers."""

    def __getitem__(self, index: int) -> T:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} must define __len__ to be sampled from")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])

    def batch(self, indices: Tensor) -> Any | None:
        """The samples at `indices` (int64 (b,), from 0 to len - 1), collated; None where they come one by one only."""
        return None


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is the i-th entry of every tensor. Raises TypeError for what is no tensor, ValueError unless all have
    the same first size."""

    def __init__(self, *tensors: Tensor) -> None:
        for k, t in enumerate(tensors):
            if not isinstance(t, Tensor):
                raise TypeError(f"TensorDataset: argument {k} must be a Tensor, got {type(t).__name__}")
        sizes = [t.shape[0] if t.ndim else None for t in tensors]
        if not sizes or None in sizes or len(set(sizes)) > 1:
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors) or "none"
            raise ValueError(f"TensorDataset: expected tensors of one common first size, got {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def batch(self, indices: Tensor) -> list[Tensor]:
        """The same rows of every tensor."""
        return [t.index_select(0, indices) for t in self.tensors]


class Subset(Dataset[Any]):
    """The samples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset[Any], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: Tensor) -> Any | None:
        """Asks the whole set, for the indices there."""
        return self.dataset.batch(tensor([int(self.indices[i]) for i in indices.tolist()]))


class ConcatDataset(Dataset[Any]):
    """Data sets one after the other. Raises ValueError for none."""

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for {n} samples")
        index %= n
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


def random_split(
    dataset: Dataset[Any], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset]:
    """Split at random into subsets of the given lengths, or of fractions that add up to 1.

    What rounding fractions down leaves over goes to the subsets in turn, from the first. Raises ValueError when the
    lengths do not add up to the whole.
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        if any(not 0 <= f <= 1 for f in lengths):
            raise ValueError(f"random_split: fractions must lie between 0 and 1, got {list(lengths)}")
        counts = [math.floor(n * f) for f in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(c) for c in lengths]
    if any(c < 0 for c in counts):
        raise ValueError(f"random_split: lengths must not be negative, got {list(lengths)}")
    if sum(counts) != n:
        raise ValueError(f"random_split: lengths {list(lengths)} add up to {sum(counts)}, the data set has {n} samples")
    order: Iterator[int] = iter(randperm(n, generator=generator).tolist())
    return [Subset(dataset, list(itertools.islice(order, count))) for count in counts]
