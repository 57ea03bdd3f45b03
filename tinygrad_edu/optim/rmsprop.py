"""RMSprop. The formulas stand in ops/update.py.

Left out on purpose: differentiable steps. Read next: adagrad.py.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from ..ops.update import rmsprop_
from ..tensor import Tensor
from .optimizer import Group, Optimizer, check_fused, check_numbers


class RMSprop(Optimizer):
    """p -= lr * g / (sqrt(s) + eps), s = alpha * s + (1 - alpha) * g^2; with momentum, lr times a buffer of these.
    Source: Hinton 2012, lecture 6 of "Neural networks for machine learning".

    centered: s less the square of the gradient's running mean. Raises ValueError for negative settings.
    """

    op = rmsprop_
    settings = operator.itemgetter("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_numbers(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        check_fused(None, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def numbers(self, group: Group) -> tuple[float, ...]:
        return group["alpha"], group["eps"], group["weight_decay"], group["momentum"]

    def flags(self, group: Group) -> dict[str, bool]:
        return {"momentum": group["momentum"] > 0, "centered": group["centered"], "maximize": group["maximize"]}

    def state_names(self, group: Group) -> tuple[str, ...]:
        centered = ("grad_avg",) if group["centered"] else ()
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        return ("square_avg", *centered, *momentum, "step")
