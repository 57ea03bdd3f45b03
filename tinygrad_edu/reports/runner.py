"""Carry out a run of a report: data, training, the folder it leaves, and its figures beside the report's.

The loop over epochs stands here once, in `carry_out`. Read next: report1.py, what is trained; ../cli.py, the caller.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import backends
from ..config import get_num_threads
from ..datasets import Digits, FashionMNIST, ImageDataset
from ..train.folder import RunFolder
from ..train.progress import progress
from .report1 import CORRECTED_LR, Training
from .table1 import Run


@dataclass(frozen=True)
class Options:
    """What can be chosen about a run; None: what the report chose, or for a corrected run this project."""

    mode: str = "as-reported"
    seed: int = 42
    epochs: int | None = None
    lr: float | None = None
    clip_grad_norm: float | None = None
    data: str | None = None
    out: str = "runs"


@dataclass
class Result:
    """What came of a run."""

    run: Run
    options: Options
    history: list[dict[str, Any]] = field(default_factory=list)  # a record for each epoch
    folder: Path = Path()
    data: str = "FashionMNIST"

    @property
    def title(self) -> str:
        """Such as r1-arch-8 (as-reported)."""
        return f"{self.run.name} ({self.options.mode})"

    def metrics(self) -> dict[str, Any]:
        """The figures in short."""
        last = self.history[-1]
        return {
            "run": self.run.name,
            "mode": self.options.mode,
            "seed": self.options.seed,
            "epochs": last["epoch"],
            "test_accuracy": last["test_accuracy"],
            "test_loss": last["test_loss"],
            "train_seconds": last["seconds"],
            "backend": backends.current(),
            "threads": get_num_threads(),
            "report_accuracy": self.run.accuracy,
        }


def learning_rate(run: Run, options: Options) -> float:
    """The one asked for, else the report's; corrected CORRECTED_LR, but its own in a run that is about the rate."""
    if options.lr is not None:
        return options.lr
    return run.lr if options.mode == "as-reported" or run.name.startswith("r1-lr-") else CORRECTED_LR


def load(root: str | None, digits: bool = False) -> tuple[ImageDataset, ImageDataset]:
    """Training and test set. Raises DatasetError when they can't be had."""
    kind = Digits if digits else FashionMNIST
    return kind(root, train=True, download=True), kind(root, train=False, download=True)


def carry_out(run: Run, options: Options, data: tuple[ImageDataset, ImageDataset]) -> Result:
    """Train, with the test metrics after every epoch; leave config, log, metrics and weights in a folder of the run's.

    Data of another size than the report's gets a network with as many inputs. Raises OSError when the folder can't be
    written.
    """
    train, test = data
    epochs = run.epochs if options.epochs is None else options.epochs
    lr = learning_rate(run, options)
    layers = run.layers
    layers[0] = {**layers[0], "input_nodes": math.prod(train.data.shape[1:])}
    name = f"{run.name}-{options.mode}" + (f"-seed{options.seed}" if options.seed != 42 else "")
    folder = RunFolder(Path(options.out) / name)
    config = {
        "run": run.name,
        "mode": options.mode,
        "seed": options.seed,
        "epochs": epochs,
        "batch": run.batch,
        "lr": lr,
    }
    config |= {"clip_grad_norm": options.clip_grad_norm, "layers": layers, "data": type(train).__name__}
    folder.write("config", config)
    result = Result(run, options, [], folder.path, type(train).__name__)

    start = time.perf_counter()
    training = Training(layers, train, test, options.mode, run.batch, lr, options.seed, options.clip_grad_norm)
    with progress(result.title, epochs * len(train)) as bar:
        for epoch in range(1, epochs + 1):
            training.epoch(bar.advance)
            accuracy, loss = training.evaluate()
            bar.measured(epoch, accuracy, loss)
            seconds = time.perf_counter() - start
            record = {"epoch": epoch, "test_accuracy": accuracy, "test_loss": loss, "seconds": seconds}
            result.history.append(record)
            folder.log(record)
    folder.write("metrics", result.metrics())
    folder.save_weights(training.model)
    return result


def table(result: Result) -> str:
    """The run's figures beside the report's; on other data than the report's they stand alone."""
    run, options, first, last = result.run, result.options, result.history[0], result.history[-1]
    same = result.data == "FashionMNIST"
    whole = same and last["epoch"] == run.epochs
    lr = learning_rate(run, options)
    per = "sum" if options.mode == "as-reported" else "mean"
    lines = [
        f"{run.name}, {options.mode}: {run.architecture}, batch {run.batch}, learning rate {lr:g} on the {per} over "
        f"the batch, seed {options.seed}, {result.data}",
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
