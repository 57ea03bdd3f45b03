"""Report 3's runs: what was trained, and what the report says came of it. Read next: report3.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .report import Figure, Result


@dataclass(frozen=True)
class Run:
    """One line of the report's table, or a run that a claim of its needs, which has none of its figures. Accuracy in
    percent; the losses are those of the last epoch; None: not told.

    The report says neither batch size nor learning rate nor which network its optimisers were compared on. Here: 0.001
    (at most 0.003 on a one-cycle schedule), 128 images for the ANNs and 64 for the CNNs, and the plain ANN, on which
    optimisers differ most.
    """

    name: str
    network: str  # a key of report3.NETWORKS
    optimizer: str
    augmented: bool
    epochs: int
    minutes: float | None = None
    accuracy: float | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    lr: float | None = None  # None: as above

    data = "FashionMNIST"
    alike = True

    @property
    def about(self) -> str:
        """Network, augmentation, optimiser, batch, and a learning rate of its own."""
        rate = "" if self.lr is None else f", learning rate {self.lr:g}"
        return f"{self.network}{', augmented' if self.augmented else ''}, {self.optimizer}, batch {self.batch}{rate}"

    @property
    def batch(self) -> int:
        """Our choice."""
        return 64 if self.network == "cnn" else 128


RUNS = {
    run.name: run
    for run in (
        Run("r3-ann", "ann", "adam", False, 30, 4.5, 88.43, 0.093, 0.473),
        Run("r3-ann-modified", "ann-modified", "adam", False, 30, 5, 89.94, 0.153, 0.296),
        Run("r3-ann-modified-aug", "ann-modified", "adam", True, 60, 14, 87.05, 0.422, 0.375),
        Run("r3-cnn", "cnn", "adam", False, 30, 9, 91.79, 0.122, 0.225),
        Run("r3-cnn-aug", "cnn", "adam", True, 60, 36, 90.14, 0.308, 0.265),
        # Adam was the best; the others "worse or slow to converge".
        Run("r3-opt-adam", "ann", "adam", False, 30),
        Run("r3-opt-rmsprop", "ann", "rmsprop", False, 30),
        Run("r3-opt-sgd", "ann", "sgd", False, 30),
        Run("r3-opt-adagrad", "ann", "adagrad", False, 30),
        # "Adam is best": at 0.001, which suits Adam. SGD and Adagrad at larger rates, as they are often given.
        Run("r3-opt-sgd-0.1", "ann", "sgd", False, 30, lr=0.1),
        Run("r3-opt-adagrad-0.01", "ann", "adagrad", False, 30, lr=0.01),
        # "Augmentation prevents overfitting even at 60 epochs": as many epochs without it.
        Run("r3-ann-modified-60", "ann-modified", "adam", False, 60),
    )
}


def _last(key: str) -> Callable[[Result], float | None]:
    return lambda result: result.history[-1][key]


# What the report's test accuracy is of, its last or its best model, it does not say; so both of ours are there.
FIGURES = (
    Figure(
        "test accuracy, best model (%)", lambda run: run.accuracy, lambda r: r.metrics["test_accuracy"], whole=False
    ),
    Figure(
        "test accuracy, last epoch (%)",
        lambda run: run.accuracy,
        lambda r: r.metrics["last_test_accuracy"],
        whole=False,
    ),
    Figure("train loss, last epoch", lambda run: run.train_loss, _last("train_loss"), ".3f"),
    Figure("validation loss, last epoch", lambda run: run.validation_loss, _last("validation_loss"), ".3f"),
    Figure("epoch of the best model", lambda run: None, lambda r: r.metrics["best_epoch"], "d"),
    Figure(
        "minutes (CNNs: theirs of a GPU)",
        lambda run: run.minutes,
        lambda r: r.history[-1]["seconds"] / 60,
        whole=False,
        time=True,
    ),
)
