"""A data set for tests: three hundred images of 6 x 6, in ten classes that a small network can learn."""

from __future__ import annotations

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.datasets import ImageDataset


class SmallImages(ImageDataset):
    classes = tuple("0123456789")

    def load(self, root, train, download):
        rng = np.random.default_rng(0 if train else 1)
        n = 300 if train else 100
        labels = rng.integers(0, 10, n)
        ideals = np.random.default_rng(2).integers(0, 256, (10, 6, 6))
        images = np.clip(ideals[labels] + rng.normal(0, 40, (n, 6, 6)), 0, 255)
        return tg.from_numpy(images.astype(np.uint8)), tg.from_numpy(labels)


def small_images():
    return SmallImages(train=True), SmallImages(train=False)
