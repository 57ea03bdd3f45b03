"""A training: model, optimiser, schedule, order of the data, and how far it has come; a checkpoint holds its state.

A report subclasses it: what a step is, what is measured after an epoch. The loop over epochs is the caller's
(reports/runner.py). Left out: more than one model or optimiser. Read next: loop.py, checkpoint.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..nn import Module
from ..ops.random import Generator, default_generator
from ..optim import Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from ..replay import Replay
from ..tensor import Tensor
from .evaluate import Evaluator
from .loop import STEPS, train_epoch
from .sums import Sums


class Training:
    """What the report's own class sets up is handed to __init__.

    step        step(rows): one step on the training images of those numbers
    order       the numbers (int64, (n,)) of the images of an epoch, in their order
    generator   what begin_epoch() draws the order from
    test        accuracy and loss on the test set
    scheduler   a learning-rate schedule that goes on after every step
    epochwise   one that goes on after every epoch; ReduceLROnPlateau looks at the record's `plateau`
    sums        what a step adds its loss and hits to, set to 0 at the start of each epoch
    """

    watched: str | None = None  # the number in an epoch's record whose highest value so far makes the model the best
    plateau = "validation_loss"  # the number that ReduceLROnPlateau is told

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        step: Replay,
        batch: int,
        order: Tensor,
        generator: Generator,
        test: Evaluator,
        scheduler: Any = None,
        epochwise: Any = None,
        sums: Sums | None = None,
    ) -> None:
        self.model, self.optimizer, self.step, self.test = model, optimizer, step, test
        self.scheduler, self.epochwise = scheduler, epochwise
        self.batch, self.order, self.generator, self.sums = batch, order, generator, sums or Sums()
        self.position = 0  # how many images of the present epoch are done; 0 between epochs
        self.history: list[dict[str, Any]] = []  # a record for each epoch
        self.best: dict[str, Any] | None = None  # the epoch, value and weights of the best model

    def begin_epoch(self) -> None:
        """Draw the order of the next epoch; as it stands here, the order stays."""

    def measure(self) -> dict[str, Any]:
        """The figures of the epoch just trained."""
        raise NotImplementedError

    def conclude(self) -> dict[str, Any]:
        """The figures of the whole training, when it is over."""
        raise NotImplementedError

    def epoch(
        self,
        advance: Callable[[int], Any] = lambda rows: None,
        pause: Callable[[int], Any] = lambda steps: None,
        most: int = STEPS,
    ) -> None:
        """Train on every image once, or on what was left of an epoch when the state was saved.

        advance(rows) is told how many more have been trained on, now and then, after `most` steps at most. So is
        pause(steps), while the epoch is not over: the moment to save the state.
        """
        if self.position == 0:
            self.begin_epoch()
            self.sums.zero()

        def done(rows: int) -> None:
            self.position += rows
            if self.scheduler is not None:
                self.scheduler.step()
            advance(rows)
            if self.position < len(self.order):
                pause(-(-rows // self.batch))

        train_epoch(self.step, self.order[self.position :], self.batch, done, 1 if self.scheduler is not None else most)
        self.position = 0

    def note(self, record: dict[str, Any]) -> None:
        """Add an epoch's record to the history, keep the model if it is the best so far, go on with the schedule."""
        self.history.append(record)
        if isinstance(self.epochwise, ReduceLROnPlateau):
            self.epochwise.step(record[self.plateau])
        elif self.epochwise is not None:
            self.epochwise.step()
        if self.watched is not None and (self.best is None or record[self.watched] > self.best["value"]):
            weights = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.best = {"epoch": record["epoch"], "value": record[self.watched], "weights": weights}

    def stalled(self, patience: int) -> bool:
        """Whether the best model is at least `patience` epochs old."""
        return self.best is not None and len(self.history) - int(self.best["epoch"]) >= patience

    @contextlib.contextmanager
    def best_model(self) -> Iterator[Module]:
        """Within: the model with its best weights, where one is kept."""
        if self.best is None:
            yield self.model
            return
        last = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.best["weights"])
        try:
            yield self.model
        finally:
            self.model.load_state_dict(last)

    def state(self) -> dict[str, Any]:
        """Everything that what follows depends on; the tensors are the training's own, not copies."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [None if s is None else s.state_dict() for s in (self.scheduler, self.epochwise)],
            "random": {"default": default_generator.state, "order": self.generator.state},
            "order": self.order if self.position else None,  # between epochs it is about to be drawn
            "position": self.position,
            "sums": self.sums.tensors,
            "history": self.history,
            "best": self.best,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; this training must have been made with the same settings."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for scheduler, saved in zip((self.scheduler, self.epochwise), state["schedulers"], strict=True):
            if scheduler is not None:
                scheduler.load_state_dict(saved)
        default_generator.set_state(state["random"]["default"])
        self.generator.set_state(state["random"]["order"])
        if state["order"] is not None:
            self.order = state["order"]
        for name, total in self.sums.tensors.items():
            total.copy_(state["sums"][name])
        self.position, self.history, self.best = state["position"], state["history"], state["best"]
