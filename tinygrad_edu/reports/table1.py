"""Report 1's runs: what was trained, and what the report says came of it. Read next: report1.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .report import Result


@dataclass(frozen=True)
class Run:
    """One line of the report's tables. Accuracies are in percent, on the test set; the time is for 30 epochs."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    lr: float  # acts on gradients summed over the mini-batch
    first_accuracy: float  # after epoch 1
    accuracy: float  # after epoch 30
    loss: float
    seconds: float

    epochs = 30

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The network in the report's own form."""
        *inner, last = self.sizes
        hidden = [{"input_nodes": n, "activation": self.activation} for n in inner]
        return [*hidden, {"input_nodes": last, "activation": "softmax"}]

    @property
    def architecture(self) -> str:
        """Such as 784-64-10 relu."""
        return f"{'-'.join(map(str, self.sizes))} {self.activation}"


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
    )
}


def table(result: Result) -> str:
    """The run's figures beside the report's; on other data than the report's they stand alone."""
    run, settings, first, last = result.run, result.settings, result.history[0], result.history[-1]
    same = settings["data"] == "FashionMNIST"
    whole = same and last["epoch"] == run.epochs
    per = "sum" if settings["mode"] == "as-reported" else "mean"
    lines = [
        f"{run.name}, {settings['mode']}: {run.architecture}, batch {run.batch}, learning rate {settings['lr']:g} on "
        f"the {per} over the batch, seed {settings['seed']}, {settings['data']}",
        f"{'':28}{'this run':>12}{'the report':>12}",
    ]
    rows: list[tuple[str, float, float | None, str]] = [
        ("test accuracy, epoch 1 (%)", first["test_accuracy"], run.first_accuracy if same else None, ".2f")
    ]
    if last["epoch"] != 1:
        theirs = run.accuracy if whole else None
        rows.append((f"test accuracy, epoch {last['epoch']} (%)", last["test_accuracy"], theirs, ".2f"))
    rows.append((f"test loss, epoch {last['epoch']}", last["test_loss"], run.loss if whole else None, ".3f"))
    rows.append(("training with metrics (s)", last["seconds"], run.seconds if whole else None, ".1f"))
    for label, ours, reported, form in rows:
        lines.append(f"{label:28}{ours:>12{form}}{'-' if reported is None else format(reported, form):>12}")
    return "\n".join(lines)


def listing() -> str:
    """All runs with the report's figures."""
    lines = [
        "Report 1, as reported: test accuracy (%) after epochs 1 and 30, test loss, and the time of 30 epochs.",
        f"{'run':14} {'architecture':29} {'batch':>5} {'lr':>6} {'epoch 1':>8} {'epoch 30':>8} {'loss':>7} {'time':>6}",
    ]
    for run in RUNS.values():
        lines.append(
            f"{run.name:14} {run.architecture:29} {run.batch:5} {run.lr:6g} {run.first_accuracy:8.2f} "
            f"{run.accuracy:8.2f} {run.loss:7.3f} {run.seconds:4.0f} s"
        )
    return "\n".join(lines)
