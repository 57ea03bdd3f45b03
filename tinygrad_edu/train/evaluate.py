"""How good a model is: accuracy and mean loss over a whole set, in batches, as a replayed step.

More than these two numbers (precision, recall, a confusion matrix) are not here yet. Read next: folder.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..modes import no_grad
from ..nn import functional as F
from ..ops.batch import assemble
from ..ops.create import arange
from ..replay import replay
from ..tensor import Tensor

BATCH = 1000  # the activations of a batch of this size stay in a second-level cache, all 10,000 would not


def nll_with_floor(logits: Tensor, targets: Tensor, floor: float = 1e-15) -> Tensor:
    """-sum log(softmax(logits)[target] + floor): logits (n, classes), targets (n,), result 0-d.

    With the floor a sure and wrong prediction costs -log(1e-15) = 34.5, not more.
    """
    p = F.softmax(logits, 1).gather(1, targets.unsqueeze(1))
    return -(p + floor).log().sum()


class Evaluator:
    """Accuracy and mean loss of `model` on images (n, ...) of bytes with targets (n,)."""

    def __init__(
        self, model: Any, images: Tensor, targets: Tensor, loss_sum: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        """loss_sum(logits, targets) gives the sum of the loss over a batch."""
        self.model, self.batches, self.n = model, arange(len(images)).split(BATCH), len(images)

        @replay
        def step(rows: Tensor) -> tuple[Tensor, Tensor]:
            logits, y = model(assemble(images, rows)), targets.index_select(0, rows)
            return (logits.argmax(1) == y).sum(), loss_sum(logits, y)

        self.step = step

    def __call__(self) -> tuple[float, float]:
        """The accuracy in percent, and the mean loss. The model's mode (train or eval) is as before afterwards."""
        before = self.model.training
        self.model.eval()
        correct = loss = 0.0
        with no_grad():
            for rows in self.batches:
                hits, total = self.step(rows)
                correct += hits.item()
                loss += total.item()
        self.model.train(before)
        return 100 * correct / self.n, loss / self.n
