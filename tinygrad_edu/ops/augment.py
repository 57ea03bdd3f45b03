"""Augmented batches: images of bytes gathered, flipped, cut out, turned at random, and normalised, in one pass.

What happens to an image is a program, a list of Steps. An image's place in the batch says which random numbers of a
stream it gets, so a batch is the same on every backend, for any number of threads and after a resume; arithmetic is
exactly rounded, in one order. Here stands the NumPy truth, for bytes and floats; csrc/augment.h is the kernel's, for
bytes. Left out: a gradient. Read next: ../transforms/geometry.py, which makes the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..dtypes import dtype, float32, float64, int64
from ..modes import modes
from ..op import Spec
from ..storage import Layout
from ..tensor import Tensor
from .batch import Assemble, batch_shape, factors, numbers
from .create import tensor
from .move import Array
from .philox import LANES, groups, sin_cos_of_quarter
from .rows import bounded, check_positions

FLIP_H, FLIP_V, WINDOW, AFFINE = range(4)
MODES = ("constant", "edge", "reflect", "symmetric")
NUMBERS = 8  # random numbers that a step may use
MOST_STEPS = LANES * 4 // NUMBERS  # that one group of Philox has numbers for
CHANNELS = 8  # that a step's fill has room for

Pair = tuple[float, float]  # limits that a number is drawn from
ZERO: Pair = (0.0, 0.0)


@dataclass(frozen=True)
class Step:
    """One thing that happens to an image (C, height, width); csrc/augment.h reads the fields as a row of doubles.

    FLIP_H, FLIP_V  with probability p
    WINDOW          the part that starts at (top, left), whole numbers; what `mode` finds outside of the image
    AFFINE          torchvision's affine map: `degrees` clockwise, shift in pixels (rounded), scale, shear in degrees,
                    about `center`, in pixels from the image's middle; with `fill` around the image
    """

    kind: int
    height: int
    width: int
    out_height: int
    out_width: int
    p: float = 0.0
    top: Pair = ZERO
    left: Pair = ZERO
    mode: int = 0
    degrees: Pair = ZERO
    shift_x: Pair = ZERO
    shift_y: Pair = ZERO
    scale: Pair = (1.0, 1.0)
    shear_x: Pair = ZERO
    shear_y: Pair = ZERO
    bilinear: bool = False
    center: Pair = ZERO
    fill: tuple[float, ...] = (0.0,) * CHANNELS

    def row(self) -> list[float]:
        """The fields one after the other."""
        return [float(v) for field in astuple(self) for v in (field if isinstance(field, tuple) else (field,))]

    @staticmethod
    def of_row(row: Array) -> Step:
        """The step that row() was called on."""
        v = row.tolist()
        kind, height, width, out_height, out_width = map(int, v[:5])
        top, left, degrees, shift_x, shift_y, scale, shear_x, shear_y, center = (
            (v[i], v[i + 1]) for i in (6, 8, 11, 13, 15, 17, 19, 21, 24)
        )
        return Step(
            kind, height, width, out_height, out_width, v[5], top, left, int(v[10]), degrees, shift_x, shift_y,
            scale, shear_x, shear_y, bool(v[23]), center, tuple(v[26:]),
        )  # fmt: skip

    def apply(self, image: Array, u: Sequence[float]) -> Array:
        """The changed image, by the numbers u in [0, 1)."""
        if self.kind == WINDOW:
            top, left = (int(a) + int(r * (b - a + 1)) for (a, b), r in zip((self.top, self.left), u, strict=False))
            return window(image, self.out_height, self.out_width, top, left, self.mode, self.fill[: len(image)])
        if self.kind == AFFINE:
            limits = self.degrees, self.shift_x, self.shift_y, self.scale, self.shear_x, self.shear_y
            angle, x, y, scale, *shear = (between(a, b, r) for (a, b), r in zip(limits, u, strict=False))
            m = inverse_map(angle, (round(x), round(y)), scale, shear, self.center)
            return affine(image, m, image.shape[1:], self.bilinear, self.fill[: len(image)])
        if not u[0] < self.p:
            return image
        return image[:, :, ::-1] if self.kind == FLIP_H else image[:, ::-1]


def between(first: float, last: float, u: float) -> float:
    """The number that is u of the way from the first to the last."""
    return first + u * (last - first)


def window(image: Array, height: int, width: int, top: int, left: int, mode: int, fill: Sequence[float]) -> Array:
    """out[:, r, c] = image[:, top + r, left + c], or outside of the image `fill`, or what `mode` finds inside."""
    lines, outside = [], []
    for start, length, n in ((top, height, image.shape[1]), (left, width, image.shape[2])):
        i = np.arange(start, start + length)
        outside.append((i < 0) | (i >= n))
        if MODES[mode] in ("reflect", "symmetric"):
            past = int(MODES[mode] == "symmetric")
            i = np.where(i < 0, -i - past, np.where(i >= n, 2 * n - 2 - i + past, i))
        lines.append(i.clip(0, n - 1))
    out = image[:, lines[0][:, None], lines[1]]
    if MODES[mode] == "constant":
        colours = np.array(fill, image.dtype)[:, None, None]
        out = np.where(outside[0][:, None] | outside[1], colours, out)
    return out


def sin_cos(degrees: float) -> tuple[float, float]:
    """Sine and cosine, from series about the nearest quarter turn: quarter turns are exact."""
    nearest = np.floor(degrees / 90 + 0.5)
    s, c = sin_cos_of_quarter(degrees / 90 - nearest)
    return ((s, c), (c, -s), (-s, -c), (-c, s))[int(nearest) & 3]


def inverse_map(
    angle: float, shift: Sequence[float], scale: float, shear: Sequence[float], center: Sequence[float]
) -> tuple[float, ...]:
    """m such that the pixel at (x, y) comes from (m0 x + m1 y + m2, m3 x + m4 y + m5), both from the image's middle.

    It is torchvision's inverse of T C R(angle) S(shear) scale C^-1 with T the shift and C the center; angles are in
    degrees, a positive one turns clockwise.
    """
    sine, cosine = sin_cos(angle)
    s, c = sin_cos(angle - shear[1])
    sx, cx = sin_cos(shear[0])
    cy = sin_cos(shear[1])[1]
    tangent = sx / cx
    m0, m1 = (cosine - s * tangent / cy) / scale, (c * tangent / cy + sine) / scale
    m3, m4 = -s / cy / scale, c / cy / scale
    x, y = -center[0] - shift[0], -center[1] - shift[1]
    return m0, m1, m0 * x + m1 * y + center[0], m3, m4, m3 * x + m4 * y + center[1]


def affine(image: Array, m: Sequence[float], size: Sequence[int], bilinear: bool, fill: Sequence[float]) -> Array:
    """The image (C, h, w) through the map m (see inverse_map), as (C, *size): between four pixels, or the nearest.

    The image lies in a plane of the colour `fill`. Coordinates are float32; bytes are interpolated in float32 and
    rounded to the nearest, ties to even; floats are interpolated in their own dtype.
    """
    (h, w), (height, width) = image.shape[1:], size
    bordered = np.empty((len(image), h + 4, w + 4), image.dtype)
    bordered[...] = np.array(fill, image.dtype)[:, None, None]
    bordered[:, 2:-2, 2:-2] = image
    x, y = _coordinates(m[:3], w, height, width), _coordinates(m[3:], h, height, width)
    x, y = x.clip(0, w + 3 - bilinear), y.clip(0, h + 3 - bilinear)  # beyond a border of 2, `fill` is all there is
    if not bilinear:
        return bordered[:, np.rint(y).astype(int), np.rint(x).astype(int)]
    column, row = x.astype(np.int32), y.astype(np.int32)
    work = np.float32 if image.dtype == np.uint8 else image.dtype
    fx, fy = ((t - whole.astype(np.float32)).astype(work) for t, whole in ((x, column), (y, row)))
    a, b, c, d = (bordered[:, row + i, column + j].astype(work) for i in (0, 1) for j in (0, 1))
    top, bottom = a + fx * (b - a), c + fx * (d - c)
    out = top + fy * (bottom - top)
    result: Array = (np.rint(out) if image.dtype == np.uint8 else out).astype(image.dtype)
    return result


def _coordinates(m: Sequence[float], n: int, height: int, width: int) -> Array:
    """m0 x + m1 y + m2 for the pixels of a result (height, width), from the middle of n pixels with a border of 2."""
    start = m[2] + (n - 1) / 2 + 2 - m[0] * ((width - 1) / 2) - m[1] * ((height - 1) / 2)
    rows = (start + m[1] * np.arange(float(height))).astype(np.float32)
    columns: Array = np.float32(m[0]) * np.arange(width, dtype=np.float32)
    return rows[:, None] + columns


def numbers_of(key: Array, images: int, steps: int) -> list[list[list[float]]]:
    """The random numbers of each image and step, NUMBERS in [0, 1): image k has group k of the key's stream, step s its
    lanes 2 s and 2 s + 1, of which the words come in order."""
    words = groups(key, images).astype(np.float64) * 2.0**-32
    return [[w[:, 2 * s : 2 * s + 2].T.reshape(-1).tolist() for s in range(steps)] for w in words]


def _shape(
    images: Layout, indices: Layout, key: Layout, program: Layout, *, size: tuple[int, int], **attrs: Any
) -> tuple[int, ...]:
    channels = batch_shape("augment", images, indices, **attrs)[1]
    return (*indices.shape, channels, *size)


class Augment(Assemble):
    """The op; attrs: size and room, the height and width at the end and the greatest on the way, and assemble's."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        """The node as csrc/batch.c wants it: how many pairs, the room; then a and b of each pair."""
        layouts, ints, floats = super().c_arguments(spec)
        return layouts, [*ints, *spec.attrs["room"]], floats


def _augment(
    out: Array,
    images: Array,
    indices: Array,
    key: Array,
    program: Array,
    *,
    size: tuple[int, int],
    room: tuple[int, int],
    scale: float,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: dtype,
) -> None:
    steps = [Step.of_row(row) for row in program]
    ab = np.array(factors(scale=scale, mean=mean, std=std))
    a, b = ab.T.reshape(2, -1, 1, 1)
    drawn = numbers_of(key, len(indices), len(steps))
    for k, image in enumerate(images[bounded(indices, len(images))]):
        for step, u in zip(steps, drawn[k], strict=True):
            image = step.apply(image, u)
        out[k] = image * a + b


augment_op = Augment(_augment, _shape, lambda *_, dtype, **__: dtype, "augment")


@lru_cache(64)
def program(steps: tuple[Step, ...]) -> Tensor:
    """The steps as the kernel reads them: float64, a row each."""
    with modes.unwatched():  # a constant, not a part of the step that is being recorded
        return tensor(np.array([step.row() for step in steps]), dtype=float64)


def augment(
    images: Tensor,
    indices: Tensor,
    key: Tensor,
    steps: Sequence[Step],
    scale: float = 1 / 255,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    dtype: dtype = float32,
) -> Tensor:
    """assemble of images that the steps have changed, the image at place k of the batch by numbers of its own.

    images uint8 (n, C, H, W), indices int64 (b,), key int64 (2,) as Generator.take_key gives it. Result (b, C, H', W').
    Raises what assemble raises, and ValueError for no steps, more than MOST_STEPS, or steps whose sizes don't follow.
    """
    steps = tuple(steps)
    if images.ndim != 4 or 0 in images.shape[1:] or images.shape[1] > CHANNELS:
        raise RuntimeError(f"augment: expected images (n, 1 to {CHANNELS} channels, H, W), got {images.shape}")
    if key.layout.dtype is not int64 or key.shape != (2,):
        raise TypeError(f"augment: a key is int64 (2,), got {key.dtype} of shape {key.shape}")
    if not 1 <= len(steps) <= MOST_STEPS:
        raise ValueError(f"augment: expected 1 to {MOST_STEPS} steps, got {len(steps)}")
    height, width = images.shape[2:]
    for k, step in enumerate(steps):
        if (step.height, step.width) != (height, width):
            raise ValueError(
                f"augment: step {k} is for images of {step.height} x {step.width}, it gets {height} x {width}"
            )
        height, width = step.out_height, step.out_width
    if indices.dtype is int64:
        check_positions(indices, images.shape[0], 0, "augment")
    room = max(s.height for s in steps), max(s.width for s in steps)
    return augment_op.apply(
        images,
        indices,
        key,
        program(steps),
        size=(height, width),
        room=(max(room[0], height), max(room[1], width)),
        scale=float(scale),
        mean=numbers(mean),
        std=numbers(std),
        dtype=dtype,
    )
