"""Adam and AdamW. The formulas stand in ops/update.py.

Left out on purpose: differentiable steps. Read next: rmsprop.py.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from ..ops.update import adam_
from ..tensor import Tensor
from .optimizer import Group, Optimizer, check_fused, check_numbers


class Adam(Optimizer):
    """p -= lr * m / (sqrt(v) + eps), m and v the running means of the gradient and of its square, both corrected for
    their start at zero. Source: Kingma, Ba 2014, arXiv 1412.6980.

    amsgrad: the largest v so far (Reddi et al. 2018). weight_decay is added to the gradient, or with
    decoupled_weight_decay taken off p itself, which is AdamW. Raises ValueError for settings out of range.
    """

    op = adam_
    settings = operator.itemgetter(
        "lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay"
    )

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_numbers(lr=lr, eps=eps, weight_decay=weight_decay)
        check_fused(fused, foreach, differentiable)
        in_tensors = [isinstance(beta, Tensor) for beta in betas]
        if any(in_tensors) and not all(in_tensors):
            raise ValueError(f"betas must be either both floats or both Tensors, got {betas}")
        for word, in_tensor in (("lr", isinstance(lr, Tensor)), ("betas[0]", in_tensors[0])):
            if in_tensor and foreach and not capturable:
                raise ValueError(f"{word} as a Tensor is not supported for capturable=False and foreach=True")
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": (float(betas[0]), float(betas[1])),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def numbers(self, group: Group) -> tuple[float, ...]:
        return *group["betas"], group["eps"], group["weight_decay"]

    def flags(self, group: Group) -> dict[str, bool]:
        decoupled = group["decoupled_weight_decay"]
        return {"amsgrad": group["amsgrad"], "decoupled": decoupled, "maximize": group["maximize"]}

    def state_names(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()), "step")


class AdamW(Adam):
    """Adam with weight_decay taken off the parameters themselves. Source: Loshchilov, Hutter 2017, arXiv 1711.05101."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
