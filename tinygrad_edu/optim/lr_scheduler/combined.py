"""Schedules made of schedules: SequentialLR one after another, ChainedScheduler all at once.

Read next: ../optimizer.py, where the learning rates go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, learning_rates, set_learning_rate
from .plateau import ReduceLROnPlateau


class _OfSchedulers(LRScheduler):
    """What both share: checks, saving and loading."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name} expects at least one scheduler, but got no scheduler.")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name}: the scheduler at index {i} is a {type(scheduler).__name__}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau`, whose step() takes a metric (index {i})"
                )
            if scheduler.optimizer is not (optimizer or schedulers[0].optimizer):
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer; the one at {i} does not"
                )

    def state_dict(self) -> dict[str, Any]:
        saved = super().state_dict()
        saved["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})
        for scheduler, saved in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(saved)


class SequentialLR(_OfSchedulers):
    """One schedule after another: the k-th ends at epoch milestones[k], where the next starts from its epoch 0.

    Raises ValueError for no schedules, those of another optimiser, a wrong number of milestones."""

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "SequentialLR expects the number of schedulers to be one more than the number of milestones, "
                f"but got {len(schedulers)} schedulers and {len(milestones)} milestones"
            )
        self.optimizer, self._schedulers, self._milestones = optimizer, schedulers, milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:  # undo what making the schedulers has done to the rates
            set_learning_rate(group, group["initial_lr"])
        self._repeat_initial_step()

    def _repeat_initial_step(self) -> None:
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._repeat_initial_step()
        self._last_lr = first.get_last_lr()

    def start(self) -> None:
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first.start()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[k]
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            scheduler.start()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_OfSchedulers):
    """Steps several schedules one after another, so that their factors multiply.

    Raises ValueError for no schedules or those of another optimiser."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._check(optimizer, schedulers)
        self.optimizer = optimizer or schedulers[0].optimizer
        self._schedulers = schedulers
        self._last_lr = learning_rates(self.optimizer)

    def _repeat_initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._repeat_initial_step()
        self._last_lr = learning_rates(self.optimizer)

    def start(self) -> None:
        for group in self.optimizer.param_groups:
            set_learning_rate(group, group["initial_lr"])
        for scheduler in self._schedulers:
            scheduler.last_epoch = 0
        self._repeat_initial_step()

    def step(self) -> None:
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = learning_rates(self.optimizer)
