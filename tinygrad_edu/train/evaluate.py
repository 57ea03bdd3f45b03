"""How good a model is: accuracy and mean loss over a whole set, in batches, as a replayed step; and class by class.

Read next: training.py, which asks after every epoch; plots.py, which draws a confusion matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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
    """Accuracy and mean loss of `model` on images (n, ...) of bytes with targets (n,), or on `rows` (m,) of them."""

    def __init__(
        self,
        model: Any,
        images: Tensor,
        targets: Tensor,
        loss_sum: Callable[[Tensor, Tensor], Tensor],
        rows: Tensor | None = None,
        batch: int = BATCH,
    ) -> None:
        """loss_sum(logits, targets) gives the sum of the loss over a batch."""
        self.model = model
        self.batches = (arange(len(images)) if rows is None else rows).split(batch)
        self.targets = np.concatenate([targets.index_select(0, rows).array() for rows in self.batches])

        @replay
        def step(rows: Tensor) -> tuple[Tensor, Tensor]:
            logits, y = model(assemble(images, rows)), targets.index_select(0, rows)
            return logits.argmax(1), loss_sum(logits, y)

        self.step = step

    def predict(self) -> tuple[np.ndarray[Any, Any], float]:
        """The predicted classes, and the sum of the loss. The model's mode (train or eval) is as before afterwards."""
        before = self.model.training
        self.model.eval()
        classes, loss = [], 0.0
        with no_grad():
            for rows in self.batches:
                predicted, total = self.step(rows)
                classes.append(predicted.array().copy())
                loss += total.item()
        self.model.train(before)
        return np.concatenate(classes), loss

    def figures(self, predicted: np.ndarray[Any, Any], loss: float) -> tuple[float, float]:
        """The accuracy in percent, and the mean loss, of what predict() gave."""
        n = len(self.targets)
        return 100 * int((predicted == self.targets).sum()) / n, loss / n

    def __call__(self) -> tuple[float, float]:
        """The accuracy in percent, and the mean loss."""
        return self.figures(*self.predict())


def class_metrics(
    targets: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], classes: Sequence[str]
) -> dict[str, Any]:
    """{"classes": {name: {"precision", "recall", "f1", "images"}}, "confusion": rows of counts}, by scikit-learn.

    A row of the confusion matrix is a true class, a column a predicted one. A class that is never predicted has
    precision 0. Raises ImportError when scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
    except ImportError:
        raise ImportError("no metrics by class: they need scikit-learn: pip install 'tinygrad_edu[examples]'") from None
    labels = list(range(len(classes)))
    columns = precision_recall_fscore_support(targets, predicted, labels=labels, zero_division=0)
    rows = zip(*[column.tolist() for column in columns], strict=True)
    names = ("precision", "recall", "f1", "images")
    return {
        "classes": {name: dict(zip(names, row, strict=True)) for name, row in zip(classes, rows, strict=True)},
        "confusion": confusion_matrix(targets, predicted, labels=labels).tolist(),
    }
