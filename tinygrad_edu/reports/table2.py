"""Report 2's runs: what was trained, and what the report says came of it. Read next: report2.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .report import Figure, Result


@dataclass(frozen=True)
class Leg:
    """Epochs that are trained with the same settings of the optimiser."""

    epochs: int
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    @property
    def about(self) -> str:
        """Such as 0.1, weight decay 0.0001."""
        named = (("momentum", self.momentum), ("weight decay", self.weight_decay))
        return ", ".join([f"{self.lr:g}", *(f"{name} {value:g}" for name, value in named if value)])


@dataclass(frozen=True)
class Run:
    """One line of the report's table. Accuracies are in percent; None: the report does not tell it.

    The validation accuracy is that after the last epoch of each leg.
    """

    name: str
    validation: tuple[float, ...] | None = None
    best: float | None = None  # validation accuracy
    accuracy: float | None = None  # on the test set
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.0
    batch: int = 128
    optimizer: str = "sgd"  # a key of report2.OPTIMIZERS
    legs: tuple[Leg, ...] = (Leg(10, 0.1),)  # as they were meant
    mistaken: tuple[Leg, ...] | None = None  # as the report's code ran them, where that is something else

    data = "CIFAR10"

    @property
    def alike(self) -> bool:
        """Whether there is no mistake in it."""
        return self.mistaken is None

    @property
    def epochs(self) -> int:
        """Those of all legs."""
        return sum(leg.epochs for leg in self.legs)

    @property
    def about(self) -> str:
        """Architecture, dropout, batch, optimiser and its legs, and the mistake where there is one."""
        layers = "-".join(map(str, (3072, *self.hidden, 10))) + (f", dropout {self.dropout:g}" if self.dropout else "")
        meant, ran = (" then ".join(leg.about for leg in legs or ()) for legs in (self.legs, self.mistaken))
        return f"{layers}, batch {self.batch}, {self.optimizer} {meant}{f' (as reported: {ran})' if ran else ''}"


_DEEPER = (256, 256, 128)
RUNS = {
    run.name: run
    for run in (
        Run("r2-baseline", (44.14, 50.50, 51.04), accuracy=51.94, legs=(Leg(10, 0.1), Leg(10, 0.01), Leg(10, 0.001))),
        Run("r2-dropout-0.25", (44.13,), dropout=0.25),
        Run("r2-dropout-0.15", (45.13,), dropout=0.15),
        # "weight decay" was passed as SGD's third positional argument, which is momentum.
        Run("r2-l2-1e-5", (43.66,), legs=(Leg(10, 0.1, weight_decay=1e-5),), mistaken=(Leg(10, 0.1, momentum=1e-5),)),
        Run("r2-l2-1e-4", (44.95,), legs=(Leg(10, 0.1, weight_decay=1e-4),), mistaken=(Leg(10, 0.1, momentum=1e-4),)),
        Run("r2-epochs-10", (44.97,)),
        Run("r2-epochs-25", (48.68,), 50.22, legs=(Leg(25, 0.1),)),
        Run("r2-epochs-50", (50.94,), 52.23, legs=(Leg(50, 0.1),)),
        Run("r2-batch-128", (44.34,)),
        Run("r2-batch-64", (41.64,), batch=64),
        Run("r2-batch-256", (46.80,), batch=256),
        Run("r2-opt-sgd", (44.24,)),
        Run("r2-opt-adam", (10.08,), optimizer="adam"),
        # For the claim that SGD beats Adam: the report ran Adam at SGD's rate only, a hundred times its default.
        Run("r2-opt-adam-0.001", optimizer="adam", legs=(Leg(10, 0.001),)),
        # The report's future work. Adagrad at PyTorch's default rate; RMSprop, whose steps are about as long as Adam's,
        # at Adam's default.
        Run("r2-opt-rmsprop", optimizer="rmsprop", legs=(Leg(10, 0.001),)),
        Run("r2-opt-adagrad", optimizer="adagrad", legs=(Leg(10, 0.01),)),
        Run("r2-lr-0.1", (44.93,)),
        Run("r2-lr-0.05", legs=(Leg(10, 0.05),)),  # future work
        Run("r2-lr-0.01", (35.49,), legs=(Leg(10, 0.01),)),
        Run("r2-lr-0.001", (41.40,), legs=(Leg(10, 0.001),), mistaken=(Leg(10, 0.1),)),
        # The report counts the layers between 256 and 10.
        Run("r2-hidden-1", (39.82,)),
        Run("r2-hidden-2", (45.03,), hidden=(256, 128, 128)),
        Run("r2-hidden-3", (37.86,), hidden=(256, 256, 128, 128)),
        Run("r2-nodes-256", (43.82,)),
        Run("r2-nodes-128", (43.20,), hidden=(128, 64)),
        Run("r2-nodes-512", (41.28,), hidden=(512, 256)),
        Run(
            "r2-final-a",
            (43.07, 46.75),
            hidden=_DEEPER,
            dropout=0.15,
            legs=(Leg(10, 0.1), Leg(10, 0.01, weight_decay=1e-4)),
            mistaken=(Leg(10, 0.1), Leg(10, 0.01, momentum=1e-4)),
        ),
        Run("r2-final-b", (30.70,), hidden=_DEEPER, dropout=0.15, legs=(Leg(10, 0.01),)),
    )
}


def _after_leg(leg: int) -> Figure:
    """Validation accuracy after a leg that is not the last."""
    return Figure(
        f"validation accuracy, after leg {leg} (%)",
        lambda run: run.validation[leg - 1] if run.validation and len(run.validation) > leg else None,
        lambda result: result.metrics.get(f"validation_accuracy_leg_{leg}"),
    )


def _metric(key: str) -> Callable[[Result], float | None]:
    return lambda result: result.metrics[key]


FIGURES = (
    Figure(
        "validation accuracy, last epoch (%)",
        lambda run: run.validation[-1] if run.validation else None,
        _metric("validation_accuracy"),
    ),
    _after_leg(1),
    _after_leg(2),
    Figure("validation accuracy, best epoch (%)", lambda run: run.best, _metric("best_validation_accuracy")),
    Figure("best epoch", lambda run: None, _metric("best_epoch"), "d"),
    Figure("test accuracy, last epoch (%)", lambda run: run.accuracy, _metric("test_accuracy")),
    Figure("seconds", lambda run: None, lambda r: r.history[-1]["seconds"], ".1f", time=True),
)
