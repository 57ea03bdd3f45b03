"""What bool tensors choose: masked_fill, masked_select, nonzero.

How many elements a mask chooses depends on its values, so only what fills can be part of a recorded step. Read next:
index.py, x[...].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import bool_, int64
from ..modes import modes, watching
from ..tensor import Tensor
from .common import as_tensor, broadcast_shapes, constant
from .compare import ne, where
from .gather import converted, dimensional, everywhere, prepared
from .move import contiguous
from .rows import index_op, index_put_op, true_positions, zero
from .views import expand, reshape


def _mask(mask: Any, name: str) -> Tensor:
    found = as_tensor(mask, name)
    if found.layout.dtype is not bool_:
        raise RuntimeError(f"{name}: the mask must be bool, got {found.layout.dtype}")
    return found


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with one value (a number or a 0-d tensor) where the mask, which broadcasts, is true."""
    filler = converted(value, input, "masked_fill")
    if filler.layout.ndim:
        raise RuntimeError(f"masked_fill: the value must be a number or a 0-d tensor, got shape {filler.layout.shape}")
    spec = where.specs.get((getattr(mask, "layout", None), filler.layout, input.layout))
    return where(_mask(mask, "masked_fill"), filler, input) if spec is None else where.run(spec, (mask, filler, input))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, (k,); both broadcast. Not in a recorded step, as nonzero."""
    mask = _mask(mask, "masked_select")
    if mask.layout.shape != input.layout.shape:
        shape = broadcast_shapes("masked_select", input.layout.shape, mask.layout.shape)
        input, mask = expand(input, shape), expand(mask, shape)
    x = dimensional(input)
    return index_op(x, true_positions(contiguous(mask)), dims=everywhere(x))


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with one value (a number or a 0-d tensor) at the positions in index, (k,)."""
    x, d, i = prepared("index_fill", input, dim, index)
    # as a mask a repeated position counts once
    rows = index_put_op(zero(bool_, (x.layout.shape[d],)), constant(True, bool_), i, dims=(0,))
    rows = reshape(rows, [-1 if k == d else 1 for k in range(x.layout.ndim)])
    return reshape(masked_fill(x, rows, value), input.layout.shape)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of elements that are not 0: int64 (k, ndim), or with as_tuple a tuple of ndim tensors (k,).

    Their number depends on values, so a step that calls this can't be recorded (RuntimeError)."""
    mask = input if input.layout.dtype is bool_ else ne(input, 0)
    if not as_tuple:
        return true_positions(contiguous(mask), flat=False)
    if watching:
        modes.leaves_tape("nonzero(), or indexing with a mask,")
    return tuple([Tensor.over(*memory.from_python(at, int64)) for at in np.nonzero(np.atleast_1d(mask.array()))])


def argwhere(input: Tensor) -> Tensor:
    """nonzero as one tensor, (k, ndim)."""
    return nonzero(input)  # type: ignore[no-any-return]
