"""Report 2: fully connected networks on CIFAR-10, trained as the report's code ran them and as they were meant.

    as-reported  "weight decay" passed as SGD's third positional argument, which is momentum; "lr 0.001" run at 0.1
    corrected    what was meant; a run without a mistake trains the same in both modes, from equal settings

5,000 of the 50,000 training images are for validation, after every epoch; the last model is tested at the end. The
report's runs stand in table2.py. Read next: ../train/training.py; examples/report2.py, the same without the kit.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import nn, optim, train
from ..datasets import ImageDataset
from ..nn import functional as F
from ..ops.batch import assemble
from ..ops.random import Generator, randperm
from ..replay import replay
from ..tensor import Tensor
from .report import Options
from .table2 import FIGURES, RUNS, Leg, Run

TITLE = "Report 2, an MLP on CIFAR-10"
MODES = ("as-reported", "corrected")
TAKES = ("mode", "lr")
PANELS = (
    ("accuracy (%)", ("validation_accuracy", "train_accuracy")),
    ("loss (cross-entropy)", ("validation_loss", "train_loss")),
)
# The report's seed of the split, which stays whatever a run's own seed is. Its images are others than the report's:
# those that PyTorch's generator would draw from that seed, ours does not.
SPLIT_SEED = 25
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}

__all__ = [
    "FIGURES",
    "MODES",
    "PANELS",
    "RUNS",
    "TAKES",
    "TITLE",
    "Leg",
    "Run",
    "Training",
    "network",
    "settings",
    "start",
]


def network(pixels: int, hidden: Sequence[int], classes: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with ReLU between, PyTorch's initialisation, and dropout, if any, before the last layer."""
    sizes = (pixels, *hidden)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


class Training(train.Training):
    """A network of the report in training; see `settings` for what chooses it. Weights and dropout draw from the
    default generator, the order from one of its own."""

    def __init__(self, settings: Mapping[str, Any], train_set: ImageDataset, test_set: ImageDataset) -> None:
        batch, self.legs = settings["batch"], settings["legs"]
        images, targets = train_set.data.flatten(1), train_set.targets
        model = network(images.shape[1], settings["hidden"], len(train_set.classes), settings["dropout"])
        optimizer = OPTIMIZERS[settings["optimizer"]](model.parameters(), **self.leg(1))
        rows = randperm(len(images), generator=Generator().manual_seed(SPLIT_SEED))
        held_out = len(images) // 10  # 5,000 of 50,000
        validation, self.rows = rows[:held_out], rows[held_out:]
        sums = train.Sums()

        @replay
        def step(rows: Tensor) -> None:
            logits, y = model(assemble(images, rows)), targets.index_select(0, rows)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums.add(loss, logits, y)

        def evaluator(images: Tensor, targets: Tensor, rows: Tensor | None = None) -> train.Evaluator:
            loss_sum = lambda logits, y: F.cross_entropy(logits, y, reduction="sum")
            return train.Evaluator(model, images, targets, loss_sum, rows, 2 * batch)

        self.validate = evaluator(images, targets, validation)
        test = evaluator(test_set.data.flatten(1), test_set.targets)
        generator = Generator().manual_seed(settings["seed"])
        super().__init__(model, optimizer, step, batch, self.rows, generator, test, sums=sums)

    def leg(self, epoch: int) -> dict[str, Any]:
        """The optimiser's settings in an epoch (from 1)."""
        leg = next(leg for leg in reversed(self.legs) if leg["from_epoch"] <= epoch)
        return {key: value for key, value in leg.items() if key != "from_epoch"}

    def begin_epoch(self) -> None:
        """A fresh shuffle of the images that are not for validation, and the settings of the epoch's leg."""
        self.order = self.rows.index_select(0, randperm(len(self.rows), generator=self.generator))
        for group in self.optimizer.param_groups:
            group.update(self.leg(len(self.history) + 1))

    def measure(self) -> dict[str, Any]:
        """Train loss and accuracy as the steps of the epoch had them, dropout on and weights moving; validation's with
        the epoch's model."""
        accuracy, loss = self.validate()
        return {
            **self.sums.figures(len(self.rows)),
            "validation_loss": loss,
            "validation_accuracy": accuracy,
        }

    def conclude(self) -> dict[str, Any]:
        """The last model's figures, the best epoch (the first of equals), and validation accuracy where legs end."""
        last = self.history[-1]
        best = max(self.history, key=lambda record: float(record["validation_accuracy"]))
        ends = [leg["from_epoch"] - 1 for leg in self.legs[1:] if leg["from_epoch"] <= last["epoch"]]
        accuracy, loss = self.test()
        return {
            "test_accuracy": accuracy,
            "test_loss": loss,
            **{key: last[key] for key in ("validation_accuracy", "validation_loss", "train_loss", "train_accuracy")},
            "best_validation_accuracy": best["validation_accuracy"],
            "best_epoch": best["epoch"],
            **{
                f"validation_accuracy_leg_{k}": self.history[end - 1]["validation_accuracy"]
                for k, end in enumerate(ends, 1)
            },
        }


def settings(run: Run, options: Options) -> dict[str, Any]:
    """What determines the run but the data. Fewer epochs, or more, are shared out among the legs as the report's are;
    another learning rate is the first leg's, the others' stay in proportion."""
    mode = options.mode or MODES[0]
    legs = run.mistaken if run.mistaken and mode == "as-reported" else run.legs
    epochs = options.epochs or run.epochs
    described, done = [], 0
    for leg in legs:
        values = dataclasses.asdict(leg)
        values.pop("epochs")
        if options.lr is not None:
            values["lr"] = options.lr * (leg.lr / legs[0].lr)
        if run.optimizer != "sgd":
            values.pop("momentum")
        described.append({"from_epoch": -(-done * epochs // run.epochs) + 1, **values})
        done += leg.epochs
    return {
        "run": run.name,
        "mode": mode,
        "seed": options.seed,
        "epochs": epochs,
        "hidden": list(run.hidden),
        "dropout": run.dropout,
        "batch": run.batch,
        "optimizer": run.optimizer,
        "legs": described,
    }


def start(settings: Mapping[str, Any], train_set: ImageDataset, test_set: ImageDataset) -> Training:
    """The training of such settings."""
    return Training(settings, train_set, test_set)
