"""The handwritten digits that scikit-learn ships: 1,797 images of 8 x 8. For where there is no network and no data.

The first 1,437 images (four in five) are the training part, the rest the test part: the file keeps each writer's
digits together, so a network is tested on hands it has not seen. Read next: vision.py.
"""

from __future__ import annotations

import os

import numpy as np

from ..ops.create import from_numpy
from ..tensor import Tensor
from .resource import DatasetError
from .vision import ImageDataset

TRAIN = 1437


class Digits(ImageDataset):
    """Digits(root=None, train=True, transform=None, target_transform=None, download=False); nothing is downloaded.

    Pixels are stretched from 0..16 to 0..255. Raises DatasetError when scikit-learn is not installed.
    """

    classes = tuple("0123456789")

    def load(self, root: str | os.PathLike[str] | None, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """Read the file out of scikit-learn's package."""
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise DatasetError(
                "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
            ) from None
        pixels, labels = load_digits(return_X_y=True)
        part = slice(0, TRAIN) if train else slice(TRAIN, None)
        images = np.rint(pixels[part].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        return from_numpy(images), from_numpy(labels[part].astype(np.int64))
