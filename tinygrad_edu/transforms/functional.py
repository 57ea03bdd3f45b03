"""One image changed by given numbers: torchvision's functional transforms, for tensors (..., height, width).

Images are uint8 or floats; what a colour `fill` is for each channel, the third dimension from the end. A gradient does
not flow through. One difference to torchvision's tensors: outside of an image that is turned lies `fill`, and pixels at
its edge are mixed with it once, not twice. Left out: colour, perspective, elastic maps. Read next: geometry.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype as Dtype
from ..dtypes import uint8
from ..ops import augment
from ..ops.augment import Step
from ..ops.create import from_numpy
from ..ops.move import Array
from ..tensor import Tensor
from . import steps
from .arguments import (
    InterpolationMode,
    fill_of,
    interpolation_of,
    is_number,
    mode_of,
    padding_of,
    sequence_of,
    size_of,
)

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def planes_of(image: Any, name: str) -> Array:
    """The image as an array (channels, height, width). Raises TypeError for what is no image."""
    if not isinstance(image, Tensor) or image.ndim < 2 or not _fits(image.dtype):
        given = f"{image.dtype} of shape {image.shape}" if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"{name}: expected a tensor (..., H, W) of bytes or floats, got {given}")
    if 0 in image.shape:
        raise ValueError(f"{name}: the image of shape {image.shape} has no pixel")
    planes: Array = image.detach().numpy().reshape(-1, *image.shape[-2:])
    return planes


def _fits(dtype: Dtype) -> bool:
    return dtype is uint8 or dtype.is_floating_point


def image_of(planes: Array, image: Tensor) -> Tensor:
    """The planes as a tensor of their own, with the leading dimensions of `image`."""
    return from_numpy(np.array(planes, order="C").reshape(*image.shape[:-2], *planes.shape[1:]))


def apply(
    image: Tensor, name: str, plan: Callable[[Any], Sequence[Step]], numbers: Callable[[], list[float]]
) -> Tensor:
    """Run the steps that plan(planes) gives, each with numbers of its own."""
    planes = before = planes_of(image, name)
    for step in plan(planes.shape):
        planes = step.apply(planes, numbers())
    return image if planes is before else image_of(planes, image)


def _zeros() -> list[float]:
    return [0.0] * augment.NUMBERS


def hflip(img: Tensor) -> Tensor:
    """Left and right exchanged."""
    return apply(img, "hflip", lambda planes: [steps.flipped(planes, 1.0, False)], _zeros)


def vflip(img: Tensor) -> Tensor:
    """Upside down."""
    return apply(img, "vflip", lambda planes: [steps.flipped(planes, 1.0, True)], _zeros)


def crop(img: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """img[..., top : top + height, left : left + width], with zeros outside of the image."""
    size = size_of((height, width), "crop")
    return apply(img, "crop", lambda planes: [steps.cut(planes, size, (top, top), (left, left))], _zeros)


def center_crop(img: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The middle of the image, with zeros around it where it is too small."""
    size = size_of(output_size, "center_crop")
    return apply(img, "center_crop", lambda planes: [steps.centred(planes, size)], _zeros)


def pad(img: Tensor, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Tensor:
    """Borders around the image: one width, two (left and right, top and bottom) or four (left, top, right, bottom).

    padding_mode: constant (the colour fill), edge, reflect (not repeating the edge) or symmetric (repeating it). Raises
    TypeError and ValueError for arguments that are none of these, and where an image is too small to be reflected."""
    borders, mode, colour = padding_of(padding, "pad"), mode_of(padding_mode, "pad"), fill_of(fill, "pad")

    def plan(planes: Any) -> list[Step]:
        return [steps.padded(planes, borders, steps.colours(colour, planes, img.dtype, "pad"), mode, "pad")[0]]

    return apply(img, "pad", plan, _zeros)


def affine(
    img: Tensor,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode | str | int = NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Tensor:
    """The image sheared (degrees, along x or along x and y), scaled, turned clockwise (degrees) about `center` (pixels,
    x and y; the middle by default), shifted (pixels, x and y). Raises TypeError and ValueError for other arguments."""
    if not is_number(angle):
        raise TypeError(f"affine: angle should be a number, got {angle!r}")
    if not is_number(scale) or scale <= 0:
        raise ValueError(f"affine: scale should be positive, got {scale!r}")
    shears = (float(shear), 0.0) if is_number(shear) else sequence_of(shear, "affine: shear", (1, 2))  # type: ignore[arg-type]
    shift = sequence_of(translate, "affine: translate", (2,))
    planes = planes_of(img, "affine")
    m = augment.inverse_map(angle, shift, scale, (*shears, 0.0)[:2], middle(center, planes.shape, "affine"))
    return _mapped(img, planes, m, planes.shape[1:], interpolation, fill, "affine")


def rotate(
    img: Tensor,
    angle: float,
    interpolation: InterpolationMode | str | int = NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Tensor:
    """The image turned counter-clockwise by degrees about `center` (pixels, x and y; the middle by default).

    expand: make the result as large as the turned image, which supposes the middle as center. Raises TypeError and
    ValueError for other arguments."""
    if not is_number(angle):
        raise TypeError(f"rotate: angle should be a number, got {angle!r}")
    planes = planes_of(img, "rotate")
    m = augment.inverse_map(-angle, (0.0, 0.0), 1.0, (0.0, 0.0), middle(center, planes.shape, "rotate"))
    size = _expanded(m, planes.shape[1:]) if expand else planes.shape[1:]
    return _mapped(img, planes, m, size, interpolation, fill, "rotate")


def middle(center: Sequence[float] | None, planes: Sequence[int], name: str) -> tuple[float, float]:
    """A center in pixels from the upper left corner, as pixels from the image's middle."""
    if center is None:
        return 0.0, 0.0
    x, y = sequence_of(center, f"{name}: center", (2,))
    return x - planes[2] * 0.5, y - planes[1] * 0.5


def _mapped(
    img: Tensor, planes: Array, m: Sequence[float], size: Sequence[int], interpolation: Any, fill: Any, name: str
) -> Tensor:
    smooth = interpolation_of(interpolation, name) is BILINEAR
    colours = steps.colours(fill_of(fill, name), planes.shape, img.dtype, name)[: len(planes)]
    return image_of(augment.affine(planes, m, size, smooth, colours), img)


def _expanded(m: Sequence[float], size: Sequence[int]) -> tuple[int, int]:
    """The size that holds the whole of a turned image: after quarter turns that of a transposed one, as Pillow's, else
    torchvision's, which asks where the corners are, to 1e-4 of a pixel."""
    height, width = size
    if 0 in (m[0], m[1]):
        return (width, height) if m[0] == 0 else (height, width)
    corners = [(x * width / 2, y * height / 2) for x in (-1, 1) for y in (-1, 1)]
    ends = []
    for a, b, n in ((m[3], m[4], height), (m[0], m[1], width)):
        places = [math.trunc((a * x + b * y + n / 2) * 1e4) / 1e4 for x, y in corners]
        ends.append(math.ceil(max(places)) - math.floor(min(places)))
    return ends[0], ends[1]


def resize(
    img: Tensor,
    size: int | Sequence[int],
    interpolation: InterpolationMode | str | int = BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Tensor:
    """The image as (height, width), or, for one number, with its shorter side that long and no side above max_size.

    antialias: where it becomes smaller, let every pixel count (bilinear only)."""
    mode = interpolation_of(interpolation, "resize")
    planes = planes_of(img, "resize")
    height, width = resized(planes.shape[1:], size, max_size)
    if mode is NEAREST:
        rows, columns = (np.arange(n) * old // n for n, old in ((height, planes.shape[1]), (width, planes.shape[2])))
        return image_of(planes[:, rows[:, None], columns], img)
    out = _triangles(planes.shape[1], height, bool(antialias)) @ planes.astype(np.float64)
    out = out @ _triangles(planes.shape[2], width, bool(antialias)).T
    return image_of((np.rint(out) if img.dtype is uint8 else out).astype(planes.dtype), img)


def resized(old: Sequence[int], size: int | Sequence[int], max_size: int | None) -> tuple[int, int]:
    """The new height and width. Raises ValueError for sizes that make none."""
    if not is_number(size) and len(size) == 2:  # type: ignore[arg-type]
        if max_size is not None:
            raise ValueError("resize: max_size should only be passed if size is one number")
        return size_of(size, "resize")
    short, _ = size_of(size, "resize")
    if max_size is not None and max_size <= short:
        raise ValueError(f"resize: max_size = {max_size} must be greater than the size {short} of the shorter side")
    long = int(short * max(old) / min(old))
    if max_size is not None and long > max_size:
        short, long = int(max_size * short / long), max_size
    return (short, long) if old[0] <= old[1] else (long, short)


def _triangles(old: int, new: int, antialias: bool) -> Array:
    """The weights (new, old) of linear interpolation; a triangle covers what a new pixel does, or two old ones."""
    ratio = old / new
    width = max(ratio, 1.0) if antialias else 1.0
    at = (np.arange(new) + 0.5) * ratio
    if not antialias:
        at = at.clip(0.5, old - 0.5)
    weights = (1 - np.abs(np.arange(old) + 0.5 - at[:, None]) / width).clip(0)
    shares: Array = weights / weights.sum(1, keepdims=True)
    return shares
