"""Carry out a run of any report: data, training, the folder it leaves.

The loop over epochs stands here once, in `carry_out`. Read next: report1.py, what is trained; sweep.py, the caller.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import backends
from ..config import get_num_threads
from ..datasets import CIFAR10, KMNIST, Digits, FashionMNIST, ImageDataset
from ..ops.random import manual_seed
from ..train import CheckpointError, Checkpoints, RunFolder, Training, class_metrics, pick
from ..train.folder import as_json
from ..train.loop import STEPS
from ..train.progress import Progress, progress
from . import report_of
from .interrupts import first_interrupt
from .report import SEED, Options, Result, Run
from .results import read

SETS: dict[str, type[ImageDataset]] = {kind.__name__: kind for kind in (FashionMNIST, KMNIST, CIFAR10, Digits)}


def load(name: str, root: str | None) -> tuple[ImageDataset, ImageDataset]:
    """Training and test set of a name in SETS. Raises DatasetError when they can't be had."""
    kind = SETS[name]
    return kind(root, train=True, download=True), kind(root, train=False, download=True)


def check(run: Run, options: Options) -> None:
    """Raise ValueError for an option that the run's report has no use for."""
    takes = report_of(run.name).TAKES
    for name in ("mode", "lr", "clip_grad_norm", "schedule", "patience"):
        if getattr(options, name) is not None and name not in takes:
            raise ValueError(f"--{name.replace('_', '-')} is not for {run.name}")


def check_same(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise CheckpointError when a checkpoint's settings are not those of the run. Epochs and patience only say when to
    stop, so they may differ, unless a schedule was made for that many epochs."""
    free = {"patience"} if now.get("schedule") == "onecycle" else {"epochs", "patience"}
    differing = [k for k in saved.keys() | now.keys() if k not in free and saved.get(k) != now.get(k)]
    if differing:
        told = ", ".join(f"{k} {saved.get(k)!r}, now {now.get(k)!r}" for k in sorted(differing))
        raise CheckpointError(
            f"the checkpoint is of a run with other settings: {told}. Without --resume it starts anew."
        )


def folder_name(run: str, mode: str | None, seed: int) -> str:
    """Of a run's folder, such as r1-arch-8-corrected-seed7."""
    return run + (f"-{mode}" if mode else "") + (f"-seed{seed}" if seed != SEED else "")


def to_stderr(text: str) -> None:
    """How a run is told of, where nothing else is said."""
    print(text, file=sys.stderr)


def finished(folder: Path, settings: Mapping[str, Any]) -> Result | None:
    """The result in a run's folder, if it is one of these settings."""
    try:
        result = read(folder)
    except ValueError:
        return None
    return result if result.settings == json.loads(json.dumps(as_json(settings))) else None


def carry_out(
    run: Run,
    options: Options,
    data: tuple[ImageDataset, ImageDataset],
    tell: Callable[[str], Any] = to_stderr,
    stop: Callable[[], bool] = lambda: False,
    show: bool = True,
) -> Result:
    """Train, measuring after every epoch; leave config, log, metrics, weights and checkpoints in a folder of the run's.

    Resumed, a run ends with the same bytes as one that was never stopped, whenever that was; a finished one is left as
    it is. stop() is asked between steps: if it says so, or after a Ctrl-C, the run is saved and KeyboardInterrupt
    raised. show: progress, on stderr. Raises ValueError for options that the run does not take, OSError when the folder
    can't be written, FolderInUseError where another process does, CheckpointError when it can't go on from what is
    there.
    """
    check(run, options)
    settings = report_of(run.name).settings(run, options)
    settings |= {"data": type(data[0]).__name__, "images": len(data[0])}
    folder = RunFolder(Path(options.out) / folder_name(run.name, settings.get("mode"), options.seed))
    with folder.locked():
        result = finished(folder.path, settings) if options.resume else None
        if result is None:
            return train(run, options, settings, data, folder, tell, stop, show)
        tell(f"{result.title}: finished before")
        return result


def train(
    run: Run,
    options: Options,
    settings: dict[str, Any],
    data: tuple[ImageDataset, ImageDataset],
    folder: RunFolder,
    tell: Callable[[str], Any],
    stop: Callable[[], bool],
    show: bool,
) -> Result:
    """What carry_out does, the folder being locked and not finished."""
    report, (train_set, test_set) = report_of(run.name), data
    mode, seed = settings.get("mode"), options.seed
    checkpoints = Checkpoints(folder.path, options.checkpoint_steps, options.checkpoint_seconds)
    saved = checkpoints.load() if options.resume else None
    for damage in checkpoints.damaged:
        tell(f"{damage}. Going on from the checkpoint before it.")
    if saved is not None:
        check_same(saved["settings"], settings)
        folder.remove("metrics")  # of fewer epochs: the run is not finished now
    else:
        folder.clear()
    folder.write("config", settings)
    result = Result(run, settings, folder=folder.path)

    start = time.perf_counter()
    manual_seed(seed)
    training = report.start(settings, train_set, test_set)
    if saved is not None:
        training.load_state(saved["training"])
        start -= saved["seconds"]
        folder.rewrite_log(training.history)
    n, epochs = len(training.order), settings["epochs"]
    result.history = training.history
    done = len(training.history) * n + training.position
    if options.resume:
        at = f"epoch {len(training.history) + 1}, image {training.position:,} of {n:,}"
        tell(f"{result.title}: " + ("no checkpoint, starting anew" if saved is None else f"resumed at {at}"))
    lost = False  # whether a loss was no number
    interrupts: list[bool] = []

    def save() -> None:
        seconds = time.perf_counter() - start
        checkpoints.save({"settings": settings, "training": training.state(), "seconds": seconds})

    def pause(steps: int) -> None:
        stopping = interrupts or stop()
        if stopping or checkpoints.due(steps):
            save()
        if stopping:
            raise KeyboardInterrupt

    shown = progress(result.title, epochs * n, done) if show else contextlib.nullcontext(Progress())
    with shown as bar, first_interrupt(lambda: interrupts.append(True)):
        while len(training.history) < epochs and not (options.patience and training.stalled(options.patience)):
            training.epoch(bar.advance, pause, min(STEPS, options.checkpoint_steps or STEPS))
            record = {"epoch": len(training.history) + 1, **training.measure()}
            record["seconds"] = time.perf_counter() - start
            training.note(record)
            folder.log(record)
            save()
            kind = "validation" if "validation_loss" in record else "test"
            accuracy, loss = record[f"{kind}_accuracy"], record[f"{kind}_loss"]
            bar.advance(0, epoch=str(record["epoch"]), loss=f"{loss:.3f}", accuracy=f"{accuracy:.2f} %")
            if not (math.isfinite(loss) or lost):
                tell(f"{result.title}: the {kind} loss is {loss} after epoch {record['epoch']}; it goes on to the end")
                lost = True
            if interrupts or stop():
                raise KeyboardInterrupt
    folder.save_tensors("weights", training.model.state_dict())
    if training.best is not None:
        folder.save_tensors("best", training.best["weights"])
    result.metrics = {
        "run": run.name,
        **({"mode": mode} if mode else {}),
        "seed": seed,
        "epochs": training.history[-1]["epoch"],
        **training.conclude(),
        "train_seconds": training.history[-1]["seconds"],
        "backend": backends.current(),
        "threads": get_num_threads(),
        "report_accuracy": run.accuracy,
        **judge(training, test_set, folder),
    }
    folder.write("metrics", result.metrics)
    return result


def judge(training: Training, test_set: ImageDataset, folder: RunFolder) -> dict[str, Any]:
    """The model's metrics by class (the best one's, where one is kept), or a note why there are none; and pictures."""
    with training.best_model():
        probabilities = training.test.probabilities()
    folder.save_tensors("pictures", pick(test_set.data, test_set.targets, probabilities))
    try:
        return class_metrics(test_set.targets.array(), probabilities.argmax(1), test_set.classes)
    except ImportError as error:
        return {"note": str(error)}
