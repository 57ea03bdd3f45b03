"""A small kit around a training loop, shared by the reports: it never hides the loop, which each of them writes out."""

from .evaluate import Evaluator, nll_with_floor
from .folder import RunFolder
from .loop import train_epoch

__all__ = ["Evaluator", "RunFolder", "nll_with_floor", "train_epoch"]
