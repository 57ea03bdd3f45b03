"""pad: elements added at the ends of dimensions, by one value or by what stands there.

Constant padding is move.py's place, which slices undo; the others read at positions. Read next: ../nn/padding.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .common import exactly, layouts_of, remember
from .gather import converted
from .move import Array, copy_op, place_op
from .rearrange import constant_index
from .rows import index_op
from .views import narrow, shape_of


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Elements added at both ends, (before, after) for the last dimension, then for the one before it, and so on.

    mode: constant (`value`, default 0; negative counts cut off), reflect (mirrored, the end not repeated), replicate
    (the end repeated), circular (from the other end). Raises RuntimeError for what does not fit, NotImplementedError
    for another mode."""
    key = (*layouts_of("pad", (input,)), exactly(tuple(pad) if isinstance(pad, list) else pad), mode, exactly(value))
    try:
        spec = place_op.specs.get(key)  # a signature met before is found without checks
    except TypeError:  # a list among the counts, which will be told
        spec = None
    if spec is not None:
        return place_op.run(spec, (input,))
    counts = shape_of((pad,), "pad")
    shape = input.layout.shape
    if len(counts) % 2 or len(counts) > 2 * len(shape):
        raise RuntimeError(f"pad: {counts} must be pairs, at most one for each dimension of shape {shape}")
    pairs = [(len(shape) - 1 - k, counts[2 * k], counts[2 * k + 1]) for k in range(len(counts) // 2)]
    if mode == "constant":
        filler = 0.0 if value is None else float(converted(value, input, "pad").array())
        return _pad_constant(input, pairs, filler, None if isinstance(value, Tensor) else key)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: mode {mode!r} is none of constant, reflect, replicate, circular")
    if value is not None and value != 0:
        raise ValueError(f"pad: mode {mode!r} takes no value")
    if len(pairs) > 3 or len(shape) - len(pairs) not in (1, 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 dimensions, all but the channels and maybe the batch in front "
            f"of them; got {counts} for shape {shape}"
        )
    if mode != "circular" and 0 in shape[-len(pairs) - 1 :]:
        raise RuntimeError(f"pad: mode {mode!r} takes nothing empty but the batch, got shape {shape}")
    for d, before, after in pairs:
        if before or after:
            source = _source_positions(mode, shape[d], before, after, d)
            input = index_op(input, constant_index(source), dims=(d,))
    return input


def _pad_constant(input: Tensor, pairs: list[tuple[int, int, int]], value: float, key: Any) -> Tensor:
    """key: what place_op's part in it is remembered by, where that is all of it."""
    whole = input
    shape, start = list(input.layout.shape), [0] * input.layout.ndim
    for d, before, after in pairs:
        n = shape[d]
        if n + min(before, 0) + min(after, 0) < 0 or n + before + after < 0:
            raise RuntimeError(f"pad: ({before}, {after}) would leave less than nothing of dimension {d} of size {n}")
        if before < 0 or after < 0:
            input = narrow(input, d, max(-before, 0), n + min(before, 0) + min(after, 0))
        shape[d], start[d] = n + before + after, max(before, 0)
    if tuple(shape) == input.layout.shape:
        return copy_op(input)
    n = len(shape)
    attrs = {"start": tuple(start), "step": (1,) * n, "axis": tuple(range(n)), "shape": tuple(shape), "value": value}
    if key is None or input is not whole:
        return place_op(input, **attrs)
    return place_op.run(remember(place_op, (input,), key, **attrs), (input,))


def _source_positions(mode: str, n: int, before: int, after: int, dim: int) -> Array:
    """For each element of the padded dimension, where it comes from."""
    at = np.arange(-before, n + after)
    most = {"reflect": n - 1, "replicate": math.inf if n else 0, "circular": n}[mode]
    if max(before, after) > most or (len(at) == 0 and mode != "circular"):
        raise RuntimeError(f"pad: mode {mode!r} can't pad dimension {dim} of size {n} by ({before}, {after})")
    if mode == "replicate":
        return at.clip(0, n - 1)
    if mode == "circular":  # round what negative counts leave
        kept = np.arange(max(-before, 0), n + min(after, 0))
        return kept[np.arange(-max(before, 0), len(kept) + max(after, 0)) % max(len(kept), 1)]
    return (n - 1) - abs((n - 1) - abs(at))
