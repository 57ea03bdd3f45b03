"""Stochastic gradient descent with momentum. The formulas stand in ops/update.py.

Left out on purpose: differentiable steps. Read next: adam.py.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

from ..dtypes import float64
from ..modes import modes
from ..ops.create import full
from ..ops.update import sgd_
from ..tensor import Tensor
from .optimizer import Group, Optimizer, check_fused, check_numbers


class SGD(Optimizer):
    """p -= lr * d, where d is the gradient g (plus weight_decay * p), or with momentum the buffer
    b = momentum * b + (1 - dampening) * g, or with nesterov g + momentum * b. The buffer starts as g.

    maximize: go up. Raises ValueError for negative settings, and for nesterov without momentum or with dampening.
    """

    op = sgd_
    settings = operator.itemgetter("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_numbers(lr=lr, momentum=momentum, weight_decay=weight_decay)
        check_fused(fused, foreach, differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        # How often each momentum buffer was updated. PyTorch's state has no such entry, so it is kept beside it.
        self._counts: dict[Tensor, Tensor] = {}
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def numbers(self, group: Group) -> tuple[float, ...]:
        return group["momentum"], group["dampening"], group["weight_decay"]

    def flags(self, group: Group) -> dict[str, bool]:
        return {"momentum": group["momentum"] != 0, "nesterov": group["nesterov"], "maximize": group["maximize"]}

    def state_names(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def tensors(self, p: Tensor, group: Group) -> list[Tensor]:
        if group["momentum"] == 0:
            return []
        fresh = self.state[p].get("momentum_buffer") is None
        if fresh or p not in self._counts:
            with modes.unwatched():
                self._counts[p] = full((), 0 if fresh else 1, dtype=float64)
        return [*super().tensors(p, group), self._counts[p]]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._counts.clear()
