"""Transforms of an image's geometry, most of them random: torchvision's, by name, arguments and errors.

All but Resize and an expanding RandomRotation are made of steps (../ops/augment.py), which the batch kernel runs as
well; so an image is changed in the same way alone and in a batch. Images are tensors (..., H, W) of bytes or floats.
Left out: get_params, PIL images, and PyTorch's numbers, which are drawn from our generators. Read next: batches.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dtypes import dtype as Dtype
from ..ops.augment import AFFINE, Step, between
from ..tensor import Tensor
from . import functional as F
from . import steps
from .arguments import (
    InterpolationMode,
    angles_of,
    fill_of,
    interpolation_of,
    is_number,
    mode_of,
    padding_of,
    sequence_of,
    size_of,
)
from .draws import numbers
from .steps import Planes

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


class StepTransform:
    """A transform that is a list of steps for images (channels, height, width) of a dtype."""

    in_batches = True  # whether the batch kernel may run the steps

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        """What happens to an image of that shape."""
        raise NotImplementedError

    def __call__(self, image: Tensor) -> Tensor:
        return F.apply(image, type(self).__name__, lambda planes: self.steps(planes, image.dtype), numbers)


class _RandomFlip(StepTransform):
    vertical: bool

    def __init__(self, p: float = 0.5) -> None:
        if not is_number(p):
            raise TypeError(f"{type(self).__name__}: p should be a number, got {p!r}")
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p should be a number in the interval [0, 1], got {p}")
        self.p = p

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        return [steps.flipped(planes, self.p, self.vertical)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged with probability p. Raises ValueError for a p outside 0 to 1."""

    vertical = False


class RandomVerticalFlip(_RandomFlip):
    """Upside down with probability p. Raises ValueError for a p outside 0 to 1."""

    vertical = True


class Pad(StepTransform):
    """Borders around the image; see functional.pad for the arguments and errors."""

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode
        self._borders, self._mode = padding_of(padding, "Pad"), mode_of(padding_mode, "Pad")
        self._fill = fill_of(fill, "Pad")

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        colours = steps.colours(self._fill, planes, dtype, "Pad")
        return [steps.padded(planes, self._borders, colours, self._mode, "Pad")[0]]

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class CenterCrop(StepTransform):
    """The middle of the image, (height, width) or a square, with zeros around it where it is too small."""

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = size_of(size, "CenterCrop")

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        return [steps.centred(planes, self.size)]

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class RandomCrop(StepTransform):
    """A window (height, width), or a square, from anywhere in the image with its borders.

    padding, fill, padding_mode: as for Pad. pad_if_needed: borders as wide as what is missing, on both sides. Raises
    ValueError where the image is too small."""

    def __init__(
        self,
        size: int | Sequence[int],
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size, self.padding, self.pad_if_needed = size_of(size, "RandomCrop"), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode
        self._borders = None if padding is None else padding_of(padding, "RandomCrop")
        self._mode, self._fill = mode_of(padding_mode, "RandomCrop"), fill_of(fill, "RandomCrop")

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        colours = steps.colours(self._fill, planes, dtype, "RandomCrop")
        taken: list[tuple[Step, Planes]] = []  # borders, each with the shape before

        def widen(borders: tuple[int, int, int, int]) -> None:
            nonlocal planes
            step, larger = steps.padded(planes, borders, colours, self._mode, "RandomCrop")
            taken.append((step, planes))
            planes = larger

        if self._borders is not None:
            widen(self._borders)
        height, width = self.size
        if self.pad_if_needed and planes[2] < width:
            widen((width - planes[2], 0, width - planes[2], 0))
        if self.pad_if_needed and planes[1] < height:
            widen((0, height - planes[1], 0, height - planes[1]))
        if planes[1] < height or planes[2] < width:
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than input image size {tuple(planes[1:])}"
            )
        top = left = 0
        rows, columns = planes[1] - height, planes[2] - width
        if taken:  # the last borders are never made: the window reaches over the edge instead
            step, planes = taken.pop()
            top, left = int(step.top[0]), int(step.left[0])
        window = steps.cut(planes, self.size, (top, top + rows), (left, left + columns), colours, self._mode)
        return [step for step, _ in taken] + [window]

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomAffine(StepTransform):
    """Turned by an angle between the limits `degrees` (or -degrees and degrees), clockwise; shifted by up to the parts
    `translate` (x, y) of width and height, in whole pixels; scaled by a factor between the limits `scale`; sheared
    along x by degrees between the limits `shear` (one number, two), and with four along y as well.

    center: in pixels (x, y), the middle by default. fill: the colour around the image. Raises TypeError and ValueError
    for arguments that are none of these."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | str | int = NEAREST,
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        self.degrees = angles_of(degrees, "degrees", (2,))
        self.translate = None if translate is None else sequence_of(translate, "translate", (2,))
        if self.translate is not None and not all(0 <= t <= 1 for t in self.translate):
            raise ValueError(f"translation values should be between 0 and 1, got {translate}")
        self.scale = None if scale is None else sequence_of(scale, "scale", (2,))
        if self.scale is not None and min(self.scale) <= 0:
            raise ValueError(f"scale values should be positive, got {scale}")
        self.shear = None if shear is None else angles_of(shear, "shear", (2, 4))
        self.interpolation = interpolation_of(interpolation, "RandomAffine")
        self.fill = fill_of(fill, "RandomAffine")
        self.center = None if center is None else sequence_of(center, "center", (2,))

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        _, height, width = planes
        x, y = self.translate or (0.0, 0.0)
        shear = (*(self.shear or (0.0, 0.0)), 0.0, 0.0)
        return [
            Step(
                AFFINE,
                height,
                width,
                height,
                width,
                degrees=self.degrees[:2],  # type: ignore[arg-type]
                shift_x=(-x * width, x * width),
                shift_y=(-y * height, y * height),
                scale=self.scale or (1.0, 1.0),  # type: ignore[arg-type]
                shear_x=shear[:2],  # type: ignore[arg-type]
                shear_y=shear[2:4],  # type: ignore[arg-type]
                bilinear=self.interpolation is BILINEAR,
                center=F.middle(self.center, planes, "RandomAffine"),
                fill=steps.colours(self.fill, planes, dtype, "RandomAffine"),
            )
        ]

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{k}={getattr(self, k)}" for k in ("translate", "scale", "shear") if getattr(self, k) is not None]
        if self.interpolation is not NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"RandomAffine({', '.join(parts)})"


class RandomRotation(StepTransform):
    """Turned counter-clockwise by an angle between the limits `degrees` (or -degrees and degrees).

    expand: make the result as large as the turned image; then images come one by one. center, fill and errors: as for
    RandomAffine."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | str | int = NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        self.degrees = angles_of(degrees, "degrees", (2,))
        self.interpolation = interpolation_of(interpolation, "RandomRotation")
        self.expand, self.in_batches = expand, not expand
        self.center = None if center is None else sequence_of(center, "center", (2,))
        self.fill = fill_of(fill, "RandomRotation")

    def steps(self, planes: Planes, dtype: Dtype) -> list[Step]:
        clockwise = (-self.degrees[0], -self.degrees[1])
        turned = RandomAffine(0, interpolation=self.interpolation, fill=self.fill, center=self.center)
        turned.degrees = clockwise
        return turned.steps(planes, dtype)

    def __call__(self, image: Tensor) -> Tensor:
        if not self.expand:
            return super().__call__(image)
        angle = between(self.degrees[0], self.degrees[1], numbers()[0])
        return F.rotate(image, angle, self.interpolation, True, self.center, self.fill)

    def __repr__(self) -> str:
        center = f", center={self.center}" if self.center is not None else ""
        return (
            f"RandomRotation(degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}, "
            f"fill={self.fill}{center})"
        )


class Resize:
    """The image in another size; see functional.resize for the arguments. Not a step: batches come image by image."""

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | str | int = BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        size_of(size, "Resize")
        if max_size is not None and (not isinstance(max_size, int) or isinstance(max_size, bool)):
            raise TypeError(f"Resize: max_size should be an int or None, got {max_size!r}")
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = interpolation_of(interpolation, "Resize")

    def __call__(self, image: Tensor) -> Tensor:
        return F.resize(image, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.value}, max_size={self.max_size}, "
            f"antialias={self.antialias})"
        )
