"""Pictures for a report: the first images of the test set, and those that the model is most sure of and gets wrong.

They are kept with the run, so that a page can be made without the data. Read next: ../page, which shows them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.create import from_numpy
from ..tensor import Tensor

COUNT = 12  # of either kind


def pick(images: Tensor, targets: Tensor, probabilities: np.ndarray[Any, Any], count: int = COUNT) -> dict[str, Tensor]:
    """The first `count` images (n, ...), then the `count` worst mistakes, the surest first.

    probabilities: (n, classes). Returns "images" as they are, "targets" and "predicted" (int64, (m,)), "sure" (float32,
    (m,)), the probability of what was predicted, and "samples" (int64, 0-d), how many of the m are of the first kind.
    """
    true, predicted, sure = targets.array(), probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predicted != true)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    samples = np.arange(min(count, len(true)))
    rows = np.concatenate([samples, worst])
    return {
        "images": from_numpy(images.array()[rows]),
        "targets": from_numpy(true[rows]),
        "predicted": from_numpy(predicted[rows].astype(np.int64)),
        "sure": from_numpy(sure[rows].astype(np.float32)),
        "samples": from_numpy(np.array(len(samples))),
    }
