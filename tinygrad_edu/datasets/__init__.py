"""Data sets as classes of torchvision's form: found on this machine or downloaded, checked, kept as bytes."""

from .cifar10 import CIFAR10
from .digits import Digits
from .fashion_mnist import FashionMNIST
from .idx import read_idx
from .kmnist import KMNIST
from .mnist import MNIST
from .resource import DatasetError
from .vision import ImageDataset

__all__ = ["CIFAR10", "KMNIST", "MNIST", "DatasetError", "Digits", "FashionMNIST", "ImageDataset", "read_idx"]
