"""Kuzushiji-MNIST: 60,000 training and 10,000 test images of cursive Japanese characters, 28 x 28, in ten classes.

Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha: Deep Learning for Classical Japanese Literature, 2018,
arXiv:1812.01718 (CC BY-SA 4.0, ROIS-DS Center for Open Data in the Humanities). The checksums are of the decompressed
files. Read next: vision.py.
"""

from __future__ import annotations

from .resource import Source
from .vision import IdxDataset, mnist_files


class KMNIST(IdxDataset):
    """KMNIST(root=None, train=True, transform=None, target_transform=None, download=False)"""

    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    source = Source("KMNIST", "kmnist", ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",))
    resources = mnist_files(
        "7112ba9ec422d98de4885262d4a4dff14cc4fefb81c11ace8bf563a8255df5c3",
        "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
        "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
        "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
    )
