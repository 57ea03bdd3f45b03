"""Batch norm's running statistics without dropout, which they must be before a model is evaluated.

Dropout makes the inputs of the layers after it vary more than they do in evaluation, where nothing is dropped. So the
running means and variances, gathered with dropout on, are wrong then, by an amount that grows from layer to layer; a
unit that dropout kept silent, so that its variance ran to 0, can drown all others. Report 3's CNN, after three epochs:
35 % of test images right with the statistics of training, in PyTorch as here, 92 % with these.
Source: Li, Chen, Hu, Yang: Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift,
CVPR 2019, section 4. Read next: evaluate.py.
"""

from __future__ import annotations

from typing import Any

from ..modes import no_grad
from ..nn import BatchNorm1d, BatchNorm2d
from ..ops.batch import assemble
from ..replay import replay
from ..tensor import Tensor


class BatchNormStatistics:
    """Calling it makes the running statistics of `model` the mean of its batches' over some rows of images (n, ...) of
    bytes, in evaluation mode but for batch norm itself. Training is not affected: it uses each batch's own."""

    def __init__(self, model: Any, images: Tensor, rows: Tensor, batch: int) -> None:
        self.model, self.batches = model, rows.split(batch)
        self.norms = [module for module in model.modules() if isinstance(module, (BatchNorm1d, BatchNorm2d))]

        @replay
        def step(rows: Tensor) -> None:
            model(assemble(images, rows))

        self.step = step

    def __call__(self) -> None:
        """Gather them. Modes and momenta are as before afterwards."""
        training, momenta = self.model.training, [norm.momentum for norm in self.norms]
        self.model.eval()
        for norm in self.norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean of all batches, not one that forgets
            norm.train()
        with no_grad():
            for rows in self.batches:
                self.step(rows)
        for norm, momentum in zip(self.norms, momenta, strict=True):
            norm.momentum = momentum
        self.model.train(training)
