"""Data sets as classes of torchvision's form: found on this machine or downloaded, checked, kept as bytes."""

from .digits import Digits
from .fashion_mnist import FashionMNIST
from .idx import read_idx
from .resource import DatasetError
from .vision import ImageDataset

__all__ = ["DatasetError", "Digits", "FashionMNIST", "ImageDataset", "read_idx"]
