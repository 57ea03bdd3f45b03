"""Tools around training; `utils.data` holds data sets and loaders, as in PyTorch."""

from . import data

__all__ = ["data"]
