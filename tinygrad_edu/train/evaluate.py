"""How good a model is: accuracy and mean loss over a whole set, in batches, as a replayed step; and class by class.

Read next: training.py, which asks after every epoch; ../viz/confusion.py, which draws a confusion matrix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
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
        self.count = sum(len(rows) for rows in self.batches)

        @replay
        def step(rows: Tensor) -> tuple[Tensor, Tensor]:
            logits, y = model(assemble(images, rows)), targets.index_select(0, rows)
            return (logits.argmax(1) == y).sum(), loss_sum(logits, y)

        @replay
        def probabilities_step(rows: Tensor) -> Tensor:
            return F.softmax(model(assemble(images, rows)), 1)

        self.step, self.probabilities_step = step, probabilities_step

    def __call__(self) -> tuple[float, float]:
        """The accuracy in percent, and the mean loss."""
        hits, loss = 0, 0.0
        with self.evaluation():
            for rows in self.batches:
                right, total = self.step(rows)
                hits, loss = hits + int(right.item()), loss + total.item()
        return 100 * hits / self.count, loss / self.count

    def probabilities(self) -> np.ndarray[Any, Any]:
        """(n, classes): softmax of the model's outputs, be they logits or their log-softmax."""
        with self.evaluation():
            return np.concatenate([self.probabilities_step(rows).array().copy() for rows in self.batches])

    @contextlib.contextmanager
    def evaluation(self) -> Iterator[None]:
        """Within: no gradients, the model in evaluation mode; afterwards it is in the mode that it was in."""
        before = self.model.training
        self.model.eval()
        with no_grad():
            yield
        self.model.train(before)


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
