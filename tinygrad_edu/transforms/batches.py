"""Whole batches by one kernel, for the transforms that amount to steps, ToTensor and perhaps Normalize, in this order.

    batch_of = transforms.assembler(transform, images)
    step = tg.replay(lambda rows: train_on(batch_of(rows)))

A DataLoader does this by itself; in a step that is replayed an assembler draws anew each time. Read next:
../ops/augment.py, ../datasets/vision.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops.augment import CHANNELS, MOST_STEPS, Step, augment
from ..ops.batch import assemble
from ..ops.random import Generator
from ..tensor import Tensor
from . import draws, geometry
from .basic import Compose, Normalize, ToTensor
from .geometry import StepTransform

Scaling = tuple[float, tuple[float, ...], tuple[float, ...]]  # (pixel * scale - mean) / std, by channel


class Assembler:
    """assembler(indices) is the batch of the images there: float32 (b, channels, height, width).

    images: uint8 (n, channels, height, width). generator: where random steps draw from; by default where transforms do.
    """

    def __init__(self, images: Tensor, steps: Sequence[Step], scaling: Scaling, generator: Generator | None) -> None:
        self.images, self.steps, self.scaling, self.generator = images, tuple(steps), scaling, generator

    def __call__(self, indices: Tensor) -> Tensor:
        if not self.steps:
            return assemble(self.images, indices, *self.scaling)
        key = (self.generator or draws.generator()).take_key()
        return augment(self.images, indices, key, self.steps, *self.scaling)


def assembler(transform: Any, images: Tensor, generator: Generator | None = None) -> Assembler | None:
    """What gives the batches that `transform` makes of images (n, height, width) or (n, channels, height, width) of
    bytes, or None where the transform is Python's to run."""
    images = images if images.ndim == 4 else images.unsqueeze(1)
    planes = tuple(images.shape[1:])
    if 0 in planes or planes[0] > CHANNELS:
        return None
    parts, steps = _parts(transform), []
    while parts and _is_step(parts[0]):
        for step in parts.pop(0).steps(planes, images.dtype):
            steps.append(step)
            planes = planes[0], step.out_height, step.out_width
    kinds = [type(part) for part in parts]
    if len(steps) > MOST_STEPS or kinds not in ([ToTensor], [ToTensor, Normalize]):
        return None
    mean, std = (parts[1].mean, parts[1].std) if len(parts) == 2 else ((0.0,), (1.0,))
    return Assembler(images, steps, (1 / 255, mean, std), generator)


def _is_step(part: Any) -> bool:
    """Whether the kernel does just what the transform does: a subclass of a user's may do anything."""
    return isinstance(part, StepTransform) and type(part).__module__ == geometry.__name__ and part.in_batches


def _parts(transform: Any) -> list[Any]:
    """The transforms that a Compose, perhaps of Composes, goes through."""
    if type(transform) is not Compose:
        return [transform]
    return [part for inner in transform.transforms for part in _parts(inner)]
