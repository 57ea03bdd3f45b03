"""What the image data sets share: images and labels as two tensors, in torchvision's class form without PIL.

A set names its files, its source and its classes; loading is two calls. Images stay uint8, and a transform made of
torchvision's geometry, ToTensor and Normalize runs as one kernel for a whole batch. Read next: fashion_mnist.py, then
../transforms/batches.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..ops.create import from_numpy
from ..tensor import Tensor
from ..transforms import assembler
from ..utils.data.dataset import Dataset
from .idx import read_idx
from .resource import DatasetError, Resource, Source


class ImageDataset(Dataset[Any]):
    """Images in memory with a label each.

    data      uint8 (n, height, width) or (n, channels, height, width)
    targets   int64 (n,)
    """

    classes: ClassVar[Sequence[str]]
    data: Tensor
    targets: Tensor

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        """Load one part. root: where to look first and to download to (see Source.places for where else is looked).

        transform gets one image, a uint8 tensor; target_transform one label, an int. Raises DatasetError (a
        RuntimeError) when the files are not there, can't be downloaded or are damaged.
        """
        self.root, self.train, self.transform, self.target_transform = root, train, transform, target_transform
        self.data, self.targets = self.load(root, train, download)

    def load(self, root: str | os.PathLike[str] | None, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """Images and labels of one part."""
        raise NotImplementedError

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for {type(self).__name__} of {n} images")
        image, target = self.data[index], int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def batch(self, indices: Tensor) -> list[Tensor] | None:
        """The samples at `indices`, collated, in one kernel call each; None where a transform is Python's to run."""
        if self.target_transform is not None:
            return None
        targets = self.targets.index_select(0, indices)
        if self.transform is None:
            return [self.data.index_select(0, indices), targets]
        batch_of = assembler(self.transform, self.data)
        return None if batch_of is None else [batch_of(indices), targets]

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"    Root location: {self.root}")
        lines.append(f"    Split: {'Train' if self.train else 'Test'}")
        if self.transform is not None:
            lines.append(f"    Transform: {self.transform!r}")
        return "\n".join(lines)


def mnist_files(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> dict[bool, tuple[Resource, Resource]]:
    """The four files of a set as large as MNIST and named as it is, from the SHA-256 of each when decompressed."""
    return {
        True: (
            Resource("train-images-idx3-ubyte", 47_040_016, train_images),
            Resource("train-labels-idx1-ubyte", 60_008, train_labels),
        ),
        False: (
            Resource("t10k-images-idx3-ubyte", 7_840_016, test_images),
            Resource("t10k-labels-idx1-ubyte", 10_008, test_labels),
        ),
    }


class IdxDataset(ImageDataset):
    """A set of MNIST's form: four IDX files, images and labels for each of the two parts."""

    source: ClassVar[Source]
    resources: ClassVar[dict[bool, tuple[Resource, Resource]]]  # of the training part (True) and the test part (False)

    def load(self, root: str | os.PathLike[str] | None, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """Find (or download) the two files and read them."""
        arrays = []
        for resource, ndim in zip(self.resources[bool(train)], (3, 1), strict=True):
            data = self.source.load(resource, root, download)
            try:
                array = read_idx(data, resource.name)
            except ValueError as error:
                raise DatasetError(str(error)) from None
            if array.ndim != ndim:
                raise DatasetError(f"{resource.name} has {array.ndim} dimensions, expected {ndim}")
            arrays.append(array)
        images, labels = arrays
        if len(images) != len(labels) or (len(labels) and int(labels.max()) >= len(self.classes)):
            raise DatasetError(
                f"{type(self).__name__}: {len(images)} images and {len(labels)} labels, expected as many, "
                f"and labels from 0 to {len(self.classes) - 1}"
            )
        return from_numpy(images.copy()), from_numpy(labels.astype(np.int64))
