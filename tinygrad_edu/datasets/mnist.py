"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28, in ten classes.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, Proceedings of the IEEE, 1998.
The checksums are of the decompressed files. Read next: vision.py.
"""

from __future__ import annotations

from .resource import Source
from .vision import IdxDataset, mnist_files


class MNIST(IdxDataset):
    """MNIST(root=None, train=True, transform=None, target_transform=None, download=False)"""

    classes = tuple(
        f"{digit} - {name}"
        for digit, name in enumerate("zero one two three four five six seven eight nine".split())  # noqa: SIM905
    )
    source = Source(
        "MNIST",
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    )
    resources = mnist_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )
