"""Transforms of images, by torchvision's names: what to do with each image, alone or in a batch.

Images are tensors; random transforms draw from tg.default_generator, or inside a DataLoader from its seed. Left out:
colour, PIL images. Read next: geometry.py; batches.py, where a whole batch becomes one call of a kernel.
"""

from . import functional
from .arguments import InterpolationMode
from .basic import Compose, Lambda, Normalize, ToTensor
from .batches import Assembler, assembler
from .geometry import (
    CenterCrop,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)

__all__ = [
    "Assembler",
    "CenterCrop",
    "Compose",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToTensor",
    "assembler",
    "functional",
]
