"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28 x 28, in ten classes.

Xiao, Rasul, Vollgraf: Fashion-MNIST, a Novel Image Dataset for Benchmarking Machine Learning Algorithms, 2017 (MIT
license). The checksums are of the decompressed files. Read next: vision.py.
"""

from __future__ import annotations

from .resource import Source
from .vision import IdxDataset, mnist_files


class FashionMNIST(IdxDataset):
    """FashionMNIST(root=None, train=True, transform=None, target_transform=None, download=False)"""

    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    source = Source(
        "FashionMNIST",
        "fashion-mnist",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        "on Debian and Ubuntu install the package dataset-fashion-mnist",
    )
    resources = mnist_files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )
