"""Transforms of one image that are no geometry: to floats, normalised, one after the other, anything.

They run in Python; where a DataLoader meets a list that one kernel can do, batches.py says so. Read next: geometry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import float32, uint8
from ..ops.create import tensor
from ..tensor import Tensor


class ToTensor:
    """An image of bytes, (height, width) or (channels, height, width), as float32 (channels, height, width) in 0..1."""

    def __call__(self, image: Tensor) -> Tensor:
        if not isinstance(image, Tensor) or image.dtype is not uint8 or image.ndim not in (2, 3):
            given = f"{image.dtype} of shape {image.shape}" if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(f"ToTensor: expected a uint8 tensor (H, W) or (C, H, W), got {given}")
        image = image if image.ndim == 3 else image.unsqueeze(0)
        return image.to(float32) / 255

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """(image - mean) / std of floats (..., channels, height, width); one number for all channels or one for each."""

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = _numbers(mean), _numbers(std)
        if 0.0 in self.std:
            raise ValueError(f"Normalize: std {std} has a zero, so it would divide by zero")

    def __call__(self, image: Tensor) -> Tensor:
        if not isinstance(image, Tensor) or image.ndim < 3 or not image.is_floating_point():
            given = f"{image.dtype} of shape {image.shape}" if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(f"Normalize: expected a float tensor (..., C, H, W), got {given}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, image.shape[-3]):
                raise ValueError(f"Normalize: {len(values)} numbers in {name} for an image of shape {image.shape}")
        columns = [tensor(v, dtype=image.dtype).reshape(-1, 1, 1) for v in (self.mean, self.std)]
        return (image - columns[0]) / columns[1]

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"


class Lambda:
    """Any function. Raises TypeError for what can't be called."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"


def _numbers(values: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in values) if isinstance(values, Sequence) else (float(values),)
