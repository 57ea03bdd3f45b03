"""Report 1's runs: what was trained, and what the report says came of it. Read next: report1.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .report import Figure


@dataclass(frozen=True)
class Run:
    """One line of the report's tables, or a run that a claim needs, which has none of its figures. Accuracies are
    in percent, on the test set; the time is for 30 epochs."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    lr: float  # acts on gradients summed over the mini-batch
    first_accuracy: float | None = None  # after epoch 1
    accuracy: float | None = None  # after epoch 30
    loss: float | None = None
    seconds: float | None = None
    clip_grad_norm: float | None = None  # of all weights together, of the gradient summed over the mini-batch

    epochs = 30
    data = "FashionMNIST"
    alike = False

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The network in the report's own form."""
        *inner, last = self.sizes
        hidden = [{"input_nodes": n, "activation": self.activation} for n in inner]
        return [*hidden, {"input_nodes": last, "activation": "softmax"}]

    @property
    def about(self) -> str:
        """Architecture, batch, the report's learning rate, and clipping."""
        network = f"{'-'.join(map(str, self.sizes))} {self.activation}"
        clipped = "" if self.clip_grad_norm is None else f", gradients clipped to norm {self.clip_grad_norm:g}"
        return f"{network}, batch {self.batch}, learning rate {self.lr:g}{clipped}"


_SMALL, _RELU = (784, 64, 10), "relu"
RUNS = {
    run.name: run
    for run in (
        # Learning rates, one image a step. The first three collapsed: the first of them in epoch 5.
        Run("r1-lr-0.1", _SMALL, _RELU, 1, 0.1, 84.73, 10.00, 31.03, 580),
        Run("r1-lr-0.01", _SMALL, _RELU, 1, 0.01, 79.45, 10.00, 31.00, 541),
        Run("r1-lr-0.005", _SMALL, _RELU, 1, 0.005, 77.03, 10.00, 31.05, 520),
        Run("r1-lr-0.001", _SMALL, _RELU, 1, 0.001, 66.42, 83.86, 0.554, 507),
        # Batch sizes
        Run("r1-batch-8", _SMALL, _RELU, 8, 0.001, 66.43, 83.89, 0.554, 252),
        Run("r1-batch-16", _SMALL, _RELU, 16, 0.001, 66.42, 83.83, 0.555, 189),
        Run("r1-batch-32", _SMALL, _RELU, 32, 0.001, 66.41, 83.88, 0.555, 160),
        Run("r1-batch-64", _SMALL, _RELU, 64, 0.001, 66.42, 83.82, 0.558, 146),
        Run("r1-batch-128", _SMALL, _RELU, 128, 0.001, 66.39, 83.72, 0.562, 140),
        Run("r1-batch-256", _SMALL, _RELU, 256, 0.001, 66.45, 83.91, 0.564, 138),
        Run("r1-batch-512", _SMALL, _RELU, 512, 0.001, 66.42, 83.90, 0.569, 136),
        Run("r1-batch-1024", _SMALL, _RELU, 1024, 0.001, 66.32, 83.97, 0.567, 135),
        Run("r1-batch-2048", _SMALL, _RELU, 2048, 0.001, 66.19, 83.50, 0.561, 135),
        Run("r1-batch-4096", _SMALL, _RELU, 4096, 0.001, 62.51, 83.15, 0.537, 131),
        # Architectures
        Run("r1-arch-1", _SMALL, _RELU, 128, 0.001, 66.39, 83.72, 0.562, 134),
        Run("r1-arch-2", _SMALL, "sigmoid", 128, 0.001, 40.25, 75.66, 1.852, 134),
        Run("r1-arch-3", (784, 128, 64, 10), "sigmoid", 128, 0.001, 22.30, 53.68, 1.456, 149),
        Run("r1-arch-4", (784, 64, 64, 10), _RELU, 128, 0.001, 63.22, 83.79, 0.570, 142),
        Run("r1-arch-5", (784, 128, 64, 10), _RELU, 128, 0.001, 66.56, 84.87, 0.568, 146),
        Run("r1-arch-6", (784, 512, 64, 10), _RELU, 128, 0.001, 68.75, 85.08, 0.544, 225),
        Run("r1-arch-7", (784, 512, 128, 64, 10), _RELU, 128, 0.001, 71.16, 86.37, 0.427, 238),
        Run("r1-arch-8", (784, 512, 256, 128, 64, 10), _RELU, 128, 0.001, 65.94, 85.51, 0.431, 297),
        # The report proposes it, and never tried: "gradient clipping would cure the exploding gradients".
        Run("r1-lr-0.1-clip", _SMALL, _RELU, 1, 0.1, clip_grad_norm=1.0),
        Run("r1-lr-0.01-clip", _SMALL, _RELU, 1, 0.01, clip_grad_norm=1.0),
        Run("r1-lr-0.005-clip", _SMALL, _RELU, 1, 0.005, clip_grad_norm=1.0),
    )
}

FIGURES = (
    Figure("test accuracy, last epoch (%)", lambda run: run.accuracy, lambda r: r.history[-1]["test_accuracy"]),
    Figure("test loss, last epoch", lambda run: run.loss, lambda r: r.history[-1]["test_loss"], ".3f"),
    Figure(
        "test accuracy, epoch 1 (%)",
        lambda run: run.first_accuracy,
        lambda r: r.history[0]["test_accuracy"],
        whole=False,
    ),
    Figure("seconds, with metrics", lambda run: run.seconds, lambda r: r.history[-1]["seconds"], ".1f", time=True),
)
