"""Optimiser steps: one op changes all parameters of a group, so that a step is one node of a tape.

Every op takes `hyper`, a float64 vector of the numbers that may change between steps, then the same few tensors for
each parameter, one parameter after the other; the last of those is its step count, which the op advances (plain SGD has
none). What a first step does otherwise is thereby decided by data, and a replayed step decides it anew. Formulas and
their order of operations are PyTorch's. Left out: sparse gradients. Read next: csrc/update.c; ../optim, the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..dtypes import float64
from ..op import Spec
from ..op_kinds import update
from ..storage import Layout


def _group(name: str, hyper: str, roles: Callable[..., str]) -> Callable[[Callable[..., None]], Any]:
    """Decorator: an update op. hyper: the names in the vector; roles: flags -> the names of a parameter's tensors."""

    def shape(*layouts: Layout, **flags: bool) -> tuple[int, ...]:
        """Raises TypeError or RuntimeError where tensors are missing or do not fit their parameter."""
        names, settings, rest = roles(**flags).split(), layouts[0], layouts[1:]
        if settings.dtype is not float64 or settings.shape != (len(hyper.split()),):
            raise TypeError(f"{name}: hyper must be a float64 vector ({hyper}), got {settings.dtype} {settings.shape}")
        if not rest or len(rest) % len(names):
            raise TypeError(f"{name}: expected groups of {len(names)} tensors ({', '.join(names)}), got {len(rest)}")
        for k, x in enumerate(rest):
            role, param = names[k % len(names)], rest[k - k % len(names)]
            where = f"{name}: {role} of parameter {k // len(names)}"
            if role == "step":
                if x.numel != 1 or not x.dtype.is_floating_point:
                    raise TypeError(f"{where} must be one floating-point number, got {x.dtype} of shape {x.shape}")
            elif not x.dtype.is_floating_point or x.dtype is not rest[0].dtype:
                raise TypeError(f"{where} must be of the first parameter's floating dtype, got {x.dtype}")
            elif x.shape != param.shape:
                raise RuntimeError(f"{where} has shape {x.shape}, the parameter {param.shape}")
        return settings.shape

    def writes(spec: Spec) -> tuple[int, ...]:
        names = roles(**spec.attrs).split()
        return tuple(k for k in range(1, len(spec.inputs)) if names[(k - 1) % len(names)] != "grad")

    def decorate(reference: Callable[..., None]) -> Any:
        made = update(shape, writes)(reference)
        made.working_input = 1
        return made

    return decorate


def _each(inputs: tuple[Any, ...], roles: str, maximize: bool) -> Iterator[tuple[Any, ...]]:
    """For each parameter: the array, the gradient to descend along, its state, its step count after this step, and the
    type that numbers are rounded to before they meet its elements."""
    names = roles.split()
    for k in range(1, len(inputs), len(names)):
        param, grad, *state = inputs[k : k + len(names)]
        step = 0.0
        if names[-1] == "step":
            state[-1] += 1
            step = float(state.pop().reshape(-1)[0])
        yield param, -grad if maximize else grad, state, step, param.dtype.type


def _sgd_roles(*, momentum: bool, nesterov: bool, maximize: bool) -> str:
    return "param grad momentum_buffer step" if momentum else "param grad"


@_group("sgd_", "lr momentum dampening weight_decay", _sgd_roles)
def sgd_(*inputs, momentum, nesterov, maximize):
    """Stochastic gradient descent on (hyper, then for each parameter: param, grad[, momentum_buffer, step]).

    hyper: lr, momentum, dampening, weight_decay. The buffer is there if `momentum`; it starts as the gradient.
    """
    lr, mu, dampening, weight_decay = inputs[0]
    roles = _sgd_roles(momentum=momentum, nesterov=nesterov, maximize=maximize)
    for param, grad, state, step, real in _each(inputs, roles, maximize):
        if weight_decay != 0:
            grad = grad + real(weight_decay) * param
        if momentum:
            buffer = state[0]
            buffer[...] = grad if step == 1 else real(mu) * buffer + real(1 - dampening) * grad
            grad = grad + real(mu) * buffer if nesterov else buffer
        param -= real(lr) * grad


def _adam_roles(*, amsgrad: bool, decoupled: bool, maximize: bool) -> str:
    return f"param grad exp_avg exp_avg_sq {'max_exp_avg_sq ' * amsgrad}step"


@_group("adam_", "lr beta1 beta2 eps weight_decay", _adam_roles)
def adam_(*inputs, amsgrad, decoupled, maximize):
    """Adam on (hyper, then for each parameter: param, grad, exp_avg, exp_avg_sq[, max_exp_avg_sq], step).

    hyper: lr, beta1, beta2, eps, weight_decay. max_exp_avg_sq is there if `amsgrad`; `decoupled` makes it AdamW.
    """
    lr, beta1, beta2, eps, weight_decay = inputs[0]
    roles = _adam_roles(amsgrad=amsgrad, decoupled=decoupled, maximize=maximize)
    for param, grad, state, step, real in _each(inputs, roles, maximize):
        if weight_decay != 0 and decoupled:
            param *= real(1 - lr * weight_decay)
        elif weight_decay != 0:
            grad = grad + real(weight_decay) * param
        mean, square = state[:2]
        mean += real(1 - beta1) * (grad - mean)
        square *= real(beta2)
        square += real(1 - beta2) * grad * grad
        largest = square
        if amsgrad:
            largest = np.maximum(state[2], square, out=state[2])
        root = np.sqrt(largest) / real((1 - beta2**step) ** 0.5) + real(eps)
        param -= real(lr / (1 - beta1**step)) * mean / root


def _rmsprop_roles(*, momentum: bool, centered: bool, maximize: bool) -> str:
    return f"param grad square_avg {'grad_avg ' * centered}{'momentum_buffer ' * momentum}step"


@_group("rmsprop_", "lr alpha eps weight_decay momentum", _rmsprop_roles)
def rmsprop_(*inputs, momentum, centered, maximize):
    """RMSprop on (hyper, then for each parameter: param, grad, square_avg[, grad_avg][, momentum_buffer], step).

    hyper: lr, alpha, eps, weight_decay, momentum. grad_avg is there if `centered`, the buffer if `momentum`.
    """
    lr, alpha, eps, weight_decay, mu = inputs[0]
    roles = _rmsprop_roles(momentum=momentum, centered=centered, maximize=maximize)
    for param, grad, state, _, real in _each(inputs, roles, maximize):
        if weight_decay != 0:
            grad = grad + real(weight_decay) * param
        square = variance = state[0]
        square *= real(alpha)
        square += real(1 - alpha) * grad * grad
        if centered:
            mean = state[1]
            mean += real(1 - alpha) * (grad - mean)
            variance = square - mean * mean
        root = np.sqrt(variance) + real(eps)
        if momentum:
            buffer = state[-1]
            buffer *= real(mu)
            buffer += grad / root
            param -= real(lr) * buffer
        else:
            param -= real(lr) * grad / root


def _adagrad_roles(*, maximize: bool) -> str:
    return "param grad sum step"


@_group("adagrad_", "lr lr_decay weight_decay eps", _adagrad_roles)
def adagrad_(*inputs, maximize):
    """Adagrad on (hyper, then for each parameter: param, grad, sum, step). hyper: lr, lr_decay, weight_decay, eps."""
    lr, lr_decay, weight_decay, eps = inputs[0]
    for param, grad, state, step, real in _each(inputs, _adagrad_roles(maximize=maximize), maximize):
        if weight_decay != 0:
            grad = grad + real(weight_decay) * param
        total = state[0]
        total += grad * grad
        rate = lr / (1 + (step - 1) * lr_decay)
        param -= real(rate) * grad / (np.sqrt(total) + real(eps))
