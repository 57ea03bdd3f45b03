"""OneCycleLR: up to a large learning rate and down to a tiny one, once over the whole training; momentum the other way.

Left out on purpose: CyclicLR. Read next: plateau.py.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer


def _per_group(name: str, optimizer: Optimizer, value: Any) -> list[float]:
    """A number, or one for each group, as a list. Raises ValueError for another length."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {n}."
        )
    return list(value)


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


class OneCycleLR(LRScheduler):
    """max_lr / div_factor up to max_lr during the first pct_start of all steps, then down to that / final_div_factor.

    Call step() after every batch, total_steps (or epochs * steps_per_epoch) times. three_phase: down as far as up, then
    to the end. cycle_momentum: momentum, or Adam's first beta, goes from max_momentum to base_momentum and back.
    Source: Smith, Topin 2017, arXiv 1708.07120. Raises ValueError for settings that make no sense, and when stepped
    too often.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if total_steps is not None:
            self.total_steps = _positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        up = pct_start * self.total_steps - 1  # the step number at the top
        top = ("max_lr", "base_momentum")
        bottom = ("initial_lr", "max_momentum")
        end = ("min_lr", "max_momentum")
        if three_phase:
            points = [(0.0, bottom), (up, top), (2 * up, bottom), (self.total_steps - 1.0, end)]
        else:
            points = [(0.0, bottom), (up, top), (self.total_steps - 1.0, end)]
        self._schedule_phases = [
            {"end_step": at, "start_lr": a[0], "end_lr": b[0], "start_momentum": a[1], "end_momentum": b[1]}
            for (_, a), (at, b) in itertools.pairwise(points)
        ]
        self.cycle_momentum = cycle_momentum
        self.use_beta1 = "betas" in optimizer.defaults
        if cycle_momentum and not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        peaks = _per_group("max_lr", optimizer, max_lr)
        highs = _per_group("max_momentum", optimizer, max_momentum)
        lows = _per_group("base_momentum", optimizer, base_momentum)
        if last_epoch == -1:
            for group, peak, high, low in zip(optimizer.param_groups, peaks, highs, lows, strict=True):
                initial = peak / div_factor
                group.update(initial_lr=initial, max_lr=peak, min_lr=initial / final_div_factor)
                if cycle_momentum:
                    group.update(max_momentum=high, base_momentum=low)
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self) -> list[float]:
        now = self.last_epoch
        if now > self.total_steps:
            raise ValueError(f"Tried to step {now} times. The specified number of total steps is {self.total_steps}")
        phases: list[dict[str, Any]] = self._schedule_phases
        k = next((k for k, phase in enumerate(phases) if now <= phase["end_step"]), len(phases) - 1)
        phase, begin = phases[k], phases[k - 1]["end_step"] if k else 0.0
        share = (now - begin) / (phase["end_step"] - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], share)
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return rates

    def start_lr(self) -> list[float]:
        return self.get_lr()
