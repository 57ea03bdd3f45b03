"""What is done to all parameters or gradients of a model at once: clipping, and packing into one vector.

Nothing here looks at values (unless asked to by error_if_nonfinite), so that clipping can be part of a recorded step.
Read next: optim/optimizer.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..modes import no_grad
from ..ops.create import tensor as make_tensor
from ..ops.join import cat, stack
from ..tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    gradients = [p.grad for p in parameters]
    return [g for g in gradients if g is not None]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The p-norm (or "inf") of all tensors taken as one vector, a 0-d tensor. `foreach` is ignored.

    Raises RuntimeError when error_if_nonfinite and the norm is NaN or infinite."""
    p = float(norm_type)
    parts = [t.detach().norm(p) for t in _listed(tensors)]
    if not parts:
        return make_tensor(0.0)
    total = stack(parts).norm(p)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            "To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )
    return total


@no_grad
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients by min(max_norm / (total_norm + 1e-6), 1), in place."""
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for g in _gradients(_listed(parameters)):
        g.mul_(scale)


@no_grad
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients down, in place, so that the norm of all of them as one vector is at most max_norm.

    Returns the norm before scaling. Raises RuntimeError when error_if_nonfinite and that norm is NaN or infinite."""
    listed = _listed(parameters)
    total = get_total_norm(_gradients(listed), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(listed, max_norm, total, foreach)
    return total


@no_grad
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clamp every element of the gradients to [-clip_value, clip_value], in place."""
    bound = float(clip_value)
    for g in _gradients(_listed(parameters)):
        g.clamp_(min=-bound, max=bound)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters one after another as one vector; differentiable."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the slices of a vector into the parameters. Raises TypeError for what is no Tensor, ValueError where the
    sizes do not add up (PyTorch lets parameters share the vector's memory, and leaves a rest unnoticed)."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}")
    listed = list(parameters)
    total = sum(p.numel() for p in listed)
    if vec.dim() != 1 or vec.numel() != total:
        raise ValueError(f"vector_to_parameters: expected a vector of {total} elements, got shape {tuple(vec.shape)}")
    with no_grad():
        for p, part in zip(listed, vec.detach().split([p.numel() for p in listed]), strict=True):
            p.copy_(part.view(p.shape))
