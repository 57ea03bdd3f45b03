"""Report 3's runs: what was trained, and what the report says came of it. Read next: report3.py."""

from __future__ import annotations

from dataclasses import dataclass

from .report import Result


@dataclass(frozen=True)
class Run:
    """One line of the report's table. Accuracy in percent; the losses are those of the last epoch; None: not told.

    The report says neither batch size nor learning rate nor which network its optimisers were compared on. Here: 0.001
    everywhere, 128 images for the ANNs and 64 for the CNNs, and the plain ANN, on which optimisers differ most.
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
    hardware: str = ""

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
        Run("r3-cnn", "cnn", "adam", False, 30, 9, 91.79, 0.122, 0.225, " of a GPU"),
        Run("r3-cnn-aug", "cnn", "adam", True, 60, 36, 90.14, 0.308, 0.265, " of a GPU"),
        # Adam was the best; the others "worse or slow to converge".
        Run("r3-opt-adam", "ann", "adam", False, 30),
        Run("r3-opt-rmsprop", "ann", "rmsprop", False, 30),
        Run("r3-opt-sgd", "ann", "sgd", False, 30),
        Run("r3-opt-adagrad", "ann", "adagrad", False, 30),
    )
}


def table(result: Result) -> str:
    """The run's figures beside the report's; on other data than the report's they stand alone.

    What the report's test accuracy is of, its last or its best model, it does not say; so both of ours are there.
    """
    run, settings, found, last = result.run, result.settings, result.metrics, result.history[-1]
    same, whole = settings["data"] == "FashionMNIST", last["epoch"] == run.epochs
    rate = f"{settings['optimizer']} at {settings['lr']:g}"
    if settings["schedule"] == "onecycle":
        rate += " at most (one-cycle)"
    lines = [
        f"{run.name}: {run.network}{', augmented' if settings['augment'] else ''}, batch {settings['batch']}, {rate}, "
        f"seed {settings['seed']}, {settings['data']}",
        f"{'':36}{'this run':>12}{'the report':>12}",
    ]
    rows: list[tuple[str, float, float | None, str]] = [
        (f"test accuracy, best epoch, {found['best_epoch']} (%)", found["test_accuracy"], run.accuracy, ".2f"),
        (f"test accuracy, last epoch, {last['epoch']} (%)", found["last_test_accuracy"], run.accuracy, ".2f"),
        ("train loss, last epoch", last["train_loss"], run.train_loss if whole else None, ".3f"),
        ("validation loss, last epoch", last["validation_loss"], run.validation_loss if whole else None, ".3f"),
        ("epochs", last["epoch"], run.epochs, "d"),
        (f"minutes{run.hardware and ' (theirs' + run.hardware + ')'}", last["seconds"] / 60, run.minutes, ".2f"),
    ]
    for label, ours, reported, form in rows:
        theirs = format(reported, form) if same and reported is not None else "-"
        lines.append(f"{label:36}{ours:>12{form}}{theirs:>12}")
    return "\n".join(lines)


def listing() -> str:
    """All runs with the report's figures."""

    def known(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = [
        "Report 3: test accuracy (%), train and validation loss after the last epoch, and the time (CNNs: of a GPU).",
        f"{'run':20} {'network':13} {'optimiser':9} {'epochs':>6} {'test':>6} {'train':>6} {'valid.':>6} {'time':>9}",
    ]
    for run in RUNS.values():
        lines.append(
            f"{run.name:20} {run.network:13} {run.optimizer:9} {run.epochs:6} {known(run.accuracy, '.2f'):>6} "
            f"{known(run.train_loss, '.3f'):>6} {known(run.validation_loss, '.3f'):>6} "
            f"{'-' if run.minutes is None else format(run.minutes, 'g') + ' min':>9}"
        )
    return "\n".join(lines)
