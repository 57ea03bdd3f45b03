"""A small kit around a training loop, shared by the reports. examples/ has them without it, the loop written out."""

from .checkpoint import CheckpointError, Checkpoints
from .evaluate import Evaluator, class_metrics, nll_with_floor
from .folder import FolderInUseError, RunFolder
from .loop import train_epoch
from .pictures import pick
from .statistics import BatchNormStatistics
from .sums import Sums
from .training import Training

__all__ = [
    "BatchNormStatistics",
    "CheckpointError",
    "Checkpoints",
    "Evaluator",
    "FolderInUseError",
    "RunFolder",
    "Sums",
    "Training",
    "class_metrics",
    "nll_with_floor",
    "pick",
    "train_epoch",
]
