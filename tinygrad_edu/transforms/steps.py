"""Steps for images of a given shape: what transforms hand to the batch kernel, and run on a single image themselves.

`planes` is (channels, height, width) throughout. Read next: ../ops/augment.py, where a Step is defined.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dtypes import dtype as Dtype
from ..dtypes import uint8
from ..ops.augment import CHANNELS, FLIP_H, FLIP_V, MODES, WINDOW, Step

Planes = tuple[int, int, int]
Fill = float | tuple[float, ...]


def colours(fill: Fill, planes: Planes, dtype: Dtype, name: str) -> tuple[float, ...]:
    """A number for each plane. Raises ValueError for another number of them, and for what is no byte but must be."""
    values = tuple(fill) if isinstance(fill, Sequence) else (fill,)
    if not values or planes[0] % len(values):
        raise ValueError(f"{name}: {len(values)} numbers in fill for an image of {planes[0]} channels")
    if dtype is uint8:
        if any(not 0 <= v <= 255 for v in values):
            raise ValueError(f"{name}: expected fill from 0 to 255 for an image of bytes, got {fill}")
        values = tuple([int(v) for v in values])
    values *= planes[0] // len(values)
    return values + (0,) * (CHANNELS - len(values))


def flipped(planes: Planes, p: float, vertical: bool) -> Step:
    """Upside down, or left and right exchanged, with probability p."""
    size = planes[1:]
    return Step(FLIP_V if vertical else FLIP_H, *size, *size, p=p)


def cut(
    planes: Planes,
    size: Sequence[int],
    top: tuple[int, int],
    left: tuple[int, int],
    fill: tuple[float, ...] | None = None,
    mode: int = 0,
) -> Step:
    """A window (height, width) at a place between the limits, which may reach outside of the image, onto zeros where
    there are no other colours."""
    if fill is None:
        fill = (0,) * max(planes[0], CHANNELS)
    return Step(WINDOW, planes[1], planes[2], size[0], size[1], top=top, left=left, mode=mode, fill=fill)


def padded(
    planes: Planes, padding: tuple[int, int, int, int], fill: tuple[float, ...], mode: int, name: str
) -> tuple[Step, Planes]:
    """An image with borders (left, top, right, bottom), and its shape. Raises ValueError where nothing would be left of
    it, or where it is too small to be reflected that far."""
    left, top, right, bottom = padding
    channels, height, width = planes
    for n, ends, axis in ((width, (left, right), "width"), (height, (top, bottom), "height")):
        if n + sum(ends) < 1:
            raise ValueError(f"{name}: nothing is left of {axis} {n} with padding {ends}")
        most = {"reflect": n - 1, "symmetric": n}.get(MODES[mode], max(ends))
        if max(ends) > most:
            raise ValueError(f"{name}: padding {ends} in mode {MODES[mode]} is too much for {axis} {n}")
    size = height + top + bottom, width + left + right
    return cut(planes, size, (-top, -top), (-left, -left), fill, mode), (channels, *size)


def centred(planes: Planes, size: tuple[int, int]) -> Step:
    """The middle of the image, with zeros around it where it is too small."""
    starts = [-((s - n) // 2) if s > n else round((n - s) / 2) for s, n in zip(size, planes[1:], strict=True)]
    return cut(planes, size, (starts[0], starts[0]), (starts[1], starts[1]))
