"""From a list of samples to one batch: numbers and arrays become tensors, containers are collated part by part."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...dtypes import float64
from ...ops.create import as_tensor, tensor
from ...ops.join import stack
from ...tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples of equal structure as one batch, as PyTorch does it.

    Tensors and arrays are stacked; ints become int64, floats float64; strings stay a list; dicts, named tuples, tuples
    and lists are collated part by part. Raises TypeError for anything else, RuntimeError for sequences of differing
    lengths and tensors of differing shapes.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray):
        return stack([as_tensor(a) for a in batch])
    if isinstance(first, np.generic):
        return as_tensor(np.array(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        parts_by_key = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return type(first)(parts_by_key) if isinstance(first, OrderedDict) else parts_by_key
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("default_collate: each sample of a batch must have as many parts as the others")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(
        f"default_collate: batches are made of tensors, arrays, numbers, strings, dicts and sequences, not "
        f"{type(first).__name__}; pass collate_fn="
    )
