"""CIFAR-10: 50,000 training and 10,000 test colour images of animals and vehicles, 32 x 32, in ten classes.

Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009. Read is the official "Python version": pickles,
which could run any code; so they are checked first, and read by an unpickler that knows arrays and nothing else. Of the
archive only its known members are written, under names that stand here. Read next: resource.py, vision.py.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..ops.create import from_numpy
from ..tensor import Tensor
from .download import DownloadError, download, reason
from .resource import DatasetError, Resource, Source
from .vision import ImageDataset

FOLDER = "cifar-10-batches-py"
ARCHIVE = Resource(
    "cifar-10-python.tar.gz",
    170_498_071,
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    packed=False,
)
BATCHES = {
    True: (
        Resource("data_batch_1", 31_035_704, "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd"),
        Resource("data_batch_2", 31_035_320, "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8"),
        Resource("data_batch_3", 31_035_999, "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9"),
        Resource("data_batch_4", 31_035_696, "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b"),
        Resource("data_batch_5", 31_035_623, "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154"),
    ),
    False: (Resource("test_batch", 31_035_526, "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831"),),
}


class CIFAR10(ImageDataset):
    """CIFAR10(root=None, train=True, transform=None, target_transform=None, download=False)

    data is uint8 (n, 3, 32, 32), channels first, where torchvision's is an array (n, 32, 32, 3)."""

    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    source = Source(
        "CIFAR10",
        FOLDER,
        (
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
    )
    archive, batches = ARCHIVE, BATCHES

    def load(self, root: str | os.PathLike[str] | None, train: bool, download: bool) -> tuple[Tensor, Tensor]:
        """Find the batches, unpacking or downloading the archive where they are missing, and read them."""
        wanted = self.batches[bool(train)]
        if any(self.source.find(batch, root) is None for batch in wanted):
            self.unpack(self.find_archive(root, download))
        images, labels = [], []
        for batch in wanted:
            pixels, classes = read_batch(self.source.load(batch, root, False), batch.name)
            images.append(pixels)
            labels.append(classes)
        return from_numpy(np.concatenate(images)), from_numpy(np.concatenate(labels))

    def find_archive(self, root: str | os.PathLike[str] | None, fetch: bool) -> Path:
        """The archive, downloaded where it is missing and `fetch` says so. Raises DatasetError."""
        found = self.source.find(self.archive, root)
        if found is not None:
            return found
        failure = ""
        if fetch:
            path = self.source.target(root) / self.archive.name
            try:
                download([mirror + self.archive.name for mirror in self.source.mirrors], path, self.archive.read)
                return path
            except (DownloadError, OSError) as error:
                failure = f"{reason(error)}\n"
        raise DatasetError(failure + self.source.advice(self.archive, root, fetch))

    def unpack(self, archive: Path) -> None:
        """Write the archive's batches into a folder beside it. Raises DatasetError for a damaged archive."""
        folder = archive.parent / FOLDER
        known = {f"{FOLDER}/{batch.name}": batch for part in self.batches.values() for batch in part}
        try:
            folder.mkdir(exist_ok=True)
            with tarfile.open(archive) as tar:
                for member in tar:
                    batch = known.pop(member.name, None) if member.isfile() else None
                    file = tar.extractfile(member) if batch is not None else None
                    if batch is None or file is None:
                        continue
                    part = folder / (batch.name + ".part")
                    part.write_bytes(file.read(batch.size + 1))
                    batch.read(part)
                    os.replace(part, folder / batch.name)
        except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError) as error:
            raise DatasetError(f"{archive} can't be unpacked: {reason(error)}") from None
        if known:
            raise DatasetError(f"{archive} has no {', '.join(known)}")


class ArrayUnpickler(pickle.Unpickler):
    """Reads what pickles of arrays, lists, numbers and strings are made of; refuses to import anything else."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names that a pickled array refers to."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it wants to import {module}.{name}")


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray[Any, Any]:
    """What a pickled array starts from; its state follows."""
    return np.ndarray.__new__(np.ndarray, shape, code.decode())


def read_batch(data: bytes, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images (n, 3, 32, 32) and labels (n,) in a batch. Raises DatasetError for one that is of another form."""
    try:
        batch = ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
        pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"], np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072) or labels.min() < 0 or labels.max() > 9:
            raise ValueError(f"data of {pixels.dtype} {pixels.shape} and {len(labels)} labels")
        return pixels.reshape(-1, 3, 32, 32), labels
    except Exception as error:  # a pickle's bytes can raise anything
        raise DatasetError(f"{name} is no batch of CIFAR-10: {type(error).__name__}: {error}") from None
