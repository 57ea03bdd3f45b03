"""LRScheduler: what all learning-rate schedules share. A schedule writes group["lr"]; the optimiser reads it each step.

Left out on purpose: PyTorch's deprecated step(epoch). Learning rates held in tensors are filled in place; what
schedules return are numbers. Read next: schedules.py.
"""

from __future__ import annotations

import warnings
from typing import Any

from ...modes import modes
from ...tensor import Tensor
from ..optimizer import Group, Optimizer


def learning_rates(optimizer: Optimizer) -> list[float]:
    """The present learning rate of every group."""
    return [float(group["lr"]) for group in optimizer.param_groups]


def set_learning_rate(group: Group, lr: float) -> None:
    """Write a group's learning rate; one in a tensor is filled."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def check_optimizer(optimizer: Any) -> None:
    """Raise TypeError for what is no Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def check_not_recording() -> None:
    """Raise RuntimeError while tg.replay records: Python runs but once then, so the schedule would stand still."""
    if modes.recording:
        raise RuntimeError("scheduler.step() inside a step that tg.replay records would run only once; call it outside")


class LRScheduler:
    """Base class: a subclass defines get_lr(), the learning rates of all groups at self.last_epoch.

    Making a scheduler sets the rates of epoch 0 (or last_epoch + 1, when resuming; groups need "initial_lr" then).
    Raises TypeError for what is no Optimizer, KeyError where "initial_lr" is missing.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(f"param 'initial_lr' is not specified in param_groups[{i}] when resuming an optimizer")
        self.base_lrs: list[float] = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """The step that sets the first rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _repeat_initial_step(self) -> None:
        """For SequentialLR: set the first rates once more, after those of other schedulers were undone."""
        self.last_epoch -= 1
        self._initial_step()

    def get_lr(self) -> list[float]:
        """The rates at self.last_epoch, most often computed from those before; for step() only: see get_last_lr()."""
        raise NotImplementedError

    def start_lr(self) -> list[float]:
        """The rates at epoch 0, from which SequentialLR starts a schedule."""
        return list(self.base_lrs)

    def get_last_lr(self) -> list[float]:
        """The rates that this scheduler set last."""
        return self._last_lr

    def step(self) -> None:
        """Go on by one epoch; call it after optimizer.step()."""
        check_not_recording()
        if self._step_count == 1 and not self.optimizer.stepped:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order, "
                "or the first value of the learning rate schedule is skipped.",
                stacklevel=2,
            )
        self._step_count += 1
        self.last_epoch += 1
        self._set(self.get_lr())

    def start(self) -> None:
        """Go to epoch 0, whatever the rates were before."""
        self.last_epoch = 0
        self._set(self.start_lr())

    def _set(self, rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_learning_rate(group, lr)
        self._last_lr = learning_rates(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """All of the scheduler's variables but the optimiser."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what state_dict() gave. The optimiser keeps its rates: load its own state, too."""
        self.__dict__.update(state_dict)
