"""Adagrad. The formulas stand in ops/update.py.

Left out on purpose: differentiable steps. Read next: lr_scheduler.py.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from ..ops.create import full_like
from ..ops.update import adagrad_
from ..tensor import Tensor
from .optimizer import Group, Optimizer, check_fused, check_numbers


class Adagrad(Optimizer):
    """p -= lr / (1 + t * lr_decay) * g / (sqrt(sum of all g^2) + eps), t the number of steps before.
    Source: Duchi, Hazan, Singer 2011.

    Raises ValueError for negative settings.
    """

    op = adagrad_
    settings = operator.itemgetter("lr", "lr_decay", "weight_decay", "eps", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_numbers(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:  # PyTorch's state is there from the start
            for p in group["params"]:
                self.tensors(p, group)

    def numbers(self, group: Group) -> tuple[float, ...]:
        return group["lr_decay"], group["weight_decay"], group["eps"]

    def flags(self, group: Group) -> dict[str, bool]:
        return {"maximize": group["maximize"]}

    def state_names(self, group: Group) -> tuple[str, ...]:
        return ("sum", "step")

    def new_state(self, name: str, p: Tensor, group: Group) -> Tensor:
        if name == "sum":
            return full_like(p, self.defaults["initial_accumulator_value"])
        return super().new_state(name, p, group)
