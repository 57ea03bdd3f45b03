"""An epoch's train loss and accuracy, as its steps had them: dropout on, and weights moving from step to step.

That costs no second pass over the training set, and is what the reports call train loss. Read next: training.py.
"""

from __future__ import annotations

from ..dtypes import float64, int64
from ..modes import no_grad
from ..ops.create import zeros
from ..tensor import Tensor


class Sums:
    """Running sums that a step adds to, in memory of their own, so that a replayed step adds to them too."""

    def __init__(self) -> None:
        self.tensors = {"loss": zeros((), dtype=float64), "hits": zeros((), dtype=int64)}

    def add(self, loss: Tensor, scores: Tensor, targets: Tensor) -> None:
        """One batch: the mean of its loss (0-d), the scores (b, classes) and the targets (b,)."""
        with no_grad():
            self.tensors["loss"].add_(loss.detach() * len(targets))
            self.tensors["hits"].add_((scores.argmax(1) == targets).sum())

    def zero(self) -> None:
        """Start anew."""
        for total in self.tensors.values():
            total.zero_()

    def figures(self, images: int) -> dict[str, float]:
        """The mean loss, and the accuracy in percent, over so many images."""
        loss, hits = (self.tensors[key].item() for key in ("loss", "hits"))
        return {"train_loss": loss / images, "train_accuracy": 100 * hits / images}
