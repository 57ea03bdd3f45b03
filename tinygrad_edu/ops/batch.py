"""Batch assembly: gather images of bytes, scale and normalise them, in one pass over the batch.

A batch made in Python, image by image, costs more than training a small network on it. The kernel is csrc/batch.c.
Left out: a gradient (bytes have none). Read next: augment.py, where images change on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype, float32, int64, uint8
from ..op import Op, Spec
from ..storage import Layout
from ..tensor import Tensor
from .move import Array
from .rows import bounded, check_positions


def batch_shape(
    name: str, images: Layout, indices: Layout, *, mean: tuple[float, ...], std: tuple[float, ...], **_: object
) -> tuple[int, ...]:
    """The shape of a batch of images that stay as large as they are. Raises what `assemble` does, under that name."""
    if images.dtype is not uint8 or images.ndim < 1:
        raise TypeError(f"{name}: images must be uint8 (n, ...), got {images.dtype} of shape {images.shape}")
    if indices.dtype is not int64 or indices.ndim != 1:
        raise TypeError(f"{name}: indices must be int64 (b,), got {indices.dtype} of shape {indices.shape}")
    if images.shape[0] == 0 and indices.shape[0] > 0:
        raise RuntimeError(f"{name}: {indices.shape[0]} images wanted of none")
    if not mean or not std or 0.0 in std:
        raise ValueError(f"{name}: expected numbers for mean and std, and no std of 0, got {mean} and {std}")
    channels = max(len(mean), len(std))
    if channels > 1 and (images.ndim < 2 or images.shape[1] != channels or {len(mean), len(std)} - {1, channels}):
        raise RuntimeError(
            f"{name}: {len(mean)} means and {len(std)} deviations do not fit the channels of images {images.shape}"
        )
    return (*indices.shape, *images.shape[1:])


def _shape(images: Layout, indices: Layout, **attrs: Any) -> tuple[int, ...]:
    return batch_shape("assemble", images, indices, **attrs)


class Assemble(Op):
    """The op: a pixel becomes pixel * a + b, in double precision; `factors` gives a and b."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The node as csrc/batch.c wants it: how many pairs, then a and b of each."""
        pairs = factors(**spec.attrs)
        return [spec.layout, *spec.inputs], [len(pairs)], [x for pair in pairs for x in pair]


def factors(*, scale: float, mean: tuple[float, ...], std: tuple[float, ...], **_: object) -> list[tuple[float, float]]:
    """a = scale / std and b = -mean / std, for each channel, or once for all of them."""
    n = max(len(mean), len(std))
    return [(scale / s, -m / s) for m, s in zip(mean * (n // len(mean)), std * (n // len(std)), strict=True)]


def _assemble(
    out: Array,
    images: Array,
    indices: Array,
    *,
    scale: float,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: dtype,
) -> None:
    ab = np.array(factors(scale=scale, mean=mean, std=std))
    a, b = ab.T.reshape(2, -1, *[1] * (images.ndim - 2)) if len(ab) > 1 else ab[0]
    out[...] = images[bounded(indices, len(images))] * a + b


assemble_op = Assemble(_assemble, _shape, lambda *_, dtype, **__: dtype, "assemble")


def numbers(values: float | Sequence[float]) -> tuple[float, ...]:
    """One number, or one for each channel."""
    return (float(values),) if isinstance(values, (int, float)) else tuple(map(float, values))


def assemble(
    images: Tensor,
    indices: Tensor,
    scale: float = 1 / 255,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    dtype: dtype = float32,
) -> Tensor:
    """(images[indices] * scale - mean) / std as floats, each rounded once.

    images uint8 (n, ...), or (n, channels, ...) where mean or std is given for each channel; indices int64 (b,). Result
    (b, ...) of that dtype. Raises TypeError and RuntimeError for tensors that do not fit, and IndexError for an index
    outside 0 to n - 1 (except in a step that is recorded or replayed, which looks at no values).
    """
    if images.ndim and indices.dtype is int64:
        check_positions(indices, images.shape[0], 0, "assemble")
    return assemble_op.apply(images, indices, scale=float(scale), mean=numbers(mean), std=numbers(std), dtype=dtype)
