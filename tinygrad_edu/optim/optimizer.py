"""Optimizer: parameter groups, their state, saving and loading, and the step as one op a group.

A group's numbers (learning rate, betas, ...) lie in a small tensor, so that a recorded step takes changed ones without
being recorded anew. Left out on purpose: sparse gradients, gradient scaling, state_dict hooks. Read next: sgd.py.
"""

from __future__ import annotations

import copy
import itertools
import operator
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from ..dtypes import dtype, float32, float64, get_default_dtype
from ..hooks import RemovableHandle
from ..modes import enable_grad, modes, no_grad
from ..nn.hooks import register
from ..nn.module import zero_grads
from ..op_kinds import UpdateOp
from ..ops.common import as_tensor
from ..ops.create import zeros, zeros_like
from ..tensor import Tensor

Group = dict[str, Any]
StepHook = Callable[..., Any]


class _Slot:
    """A group's settings as they were when last looked at, and what the kernel gets of them."""

    def __init__(self) -> None:
        self.known: tuple[Any, ...] = ()
        self.numbers: Tensor | None = None  # a float64 vector
        self.flags: dict[str, bool] = {}


class Optimizer:
    """Base class of the optimisers. A subclass names its UpdateOp and says what it takes: see `numbers`, `flags`,
    `state_names`; or it overrides step() altogether.

    params: an iterable of tensors or of (name, tensor), or of groups: dictionaries with "params" and settings that
    differ from `defaults`. Raises TypeError for a single tensor, ValueError for no parameters.
    """

    op: UpdateOp  # op(numbers, p0, g0, *state0, p1, g1, ...; **flags)
    settings: operator.itemgetter[Any]  # of a group: what numbers and flags depend on, "lr" first

    def numbers(self, group: Group) -> tuple[float, ...]:
        """What the op takes as numbers, after the learning rate, which is always the first."""
        raise NotImplementedError

    def flags(self, group: Group) -> dict[str, bool]:
        """The op's attributes, which select code: a recorded step holds only as long as they stay."""
        raise NotImplementedError

    def state_names(self, group: Group) -> tuple[str, ...]:
        """The names of a parameter's state tensors, in the op's order."""
        raise NotImplementedError

    def new_state(self, name: str, p: Tensor, group: Group) -> Tensor:
        """A state tensor before the first step: zeros of p's shape; for "step" a counter."""
        if name == "step":
            return zeros((), dtype=float64 if get_default_dtype() is float64 else float32)
        return zeros_like(p)

    def tensors(self, p: Tensor, group: Group) -> list[Tensor]:
        """What the op takes for parameter p after its gradient: the state, made where it is missing."""
        state = self.state[p]
        for name in self.state_names(group):
            if state.get(name) is None:
                with modes.unwatched(), no_grad():  # made once: no part of a recorded step
                    state[name] = self.new_state(name, p, group)
        return [state[name] for name in self.state_names(group)]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, not a Tensor"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._slots: list[_Slot] = []
        self._flags: Hashable = None  # those of all groups
        self._pre_hooks: dict[int, StepHook] = {}
        self._post_hooks: dict[int, StepHook] = {}
        self._loads = 0  # how often a state was loaded
        self.stepped = (
            type(self).step is not Optimizer.step
        )  # whether step() was ever called, for the schedulers' warning
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group; settings it lacks come from the defaults. Raises TypeError for what is no dictionary of tensors,
        ValueError for tensors that were computed, or are in another group already."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        listed: list[Any] = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in listed if isinstance(p, tuple)]
        if names and len(names) != len(listed):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        tensors = [p[1] for p in listed] if names else listed
        for p in tensors:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(set(tensors)) != len(tensors):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        if any(("param_names" in group) != bool(names) for group in self.param_groups):
            raise ValueError("all optimizer param groups should be with/without names")
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(tensors):
            raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = tensors
        if names:
            param_group["param_names"] = names
        for name, value in self.defaults.items():
            param_group.setdefault(name, value)
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        zero_grads([p for group in self.param_groups for p in group["params"]], set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters from their gradients; those without one are skipped.

        closure: computes the loss and its gradients anew; its result is returned.
        """
        self.stepped = True
        for hook in list(self._pre_hooks.values()):
            hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self.refresh()
        before, modes.grad = modes.grad, False
        try:  # and not no_grad(): a Ctrl-C may come before its __exit__ has begun
            for group, slot in zip(self.param_groups, self._slots, strict=True):
                for inputs in self._inputs(group, slot):
                    self.op.apply(*inputs, **slot.flags)
        finally:
            modes.grad = before
        for watcher in modes.watchers:
            watcher.guards(self._structure)
        for hook in list(self._post_hooks.values()):
            hook(self, (closure,), {})
        return loss

    def refresh(self) -> None:
        """Bring what the kernels read up to date with param_groups. Cheap where nothing has changed: every replay of a
        recorded step asks."""
        if len(self._slots) != len(self.param_groups):  # a user may have changed the list, too
            self._slots = [_Slot() for _ in self.param_groups]
        for k, group in enumerate(self.param_groups):
            slot, settings = self._slots[k], self.settings(group)
            read_anew = isinstance(settings[0], Tensor)  # and not compared: that would be an op
            if read_anew or settings != slot.known:
                with modes.unwatched():
                    numbers = (float(settings[0]), *self.numbers(group))
                    if slot.numbers is None:
                        slot.numbers = zeros(len(numbers), dtype=float64)
                slot.numbers.array()[:] = numbers
                slot.known, slot.flags = () if read_anew else settings, self.flags(group)
                self._flags = tuple([tuple(slot.flags.values()) for slot in self._slots])

    def _structure(self) -> Hashable:
        """What a recorded step has frozen: the flags, and which state tensors there are."""
        self.refresh()
        return self._flags, self._loads, id(self.state), len(self.state)

    def _inputs(self, group: Group, slot: _Slot) -> Iterable[list[Tensor]]:
        """The op's inputs: one list, or one for each dtype."""
        lists: dict[dtype, list[Any]] = {}
        for p in group["params"]:
            g = p.grad
            if g is not None:
                lists.setdefault(p.layout.dtype, [slot.numbers]).extend([p, g, *self.tensors(p, group)])
        return lists.values()

    def register_step_pre_hook(self, hook: StepHook) -> RemovableHandle:
        """hook(optimizer, args, kwargs) runs before every step(); what it returns is ignored."""
        return register(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: StepHook) -> RemovableHandle:
        """hook(optimizer, args, kwargs) runs after every step()."""
        return register(self._post_hooks, hook)

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: tensor}}, "param_groups": [settings with "params" as numbers]}, as in PyTorch."""
        numbers: dict[Tensor, int] = {}
        for p in itertools.chain(*[group["params"] for group in self.param_groups]):
            numbers.setdefault(p, len(numbers))
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": {numbers.get(p, p): state for p, state in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take settings and state from what state_dict() gave, here or in PyTorch; tensors are copied.

        Raises ValueError where the groups do not match this optimiser's in number or size."""
        saved = copy.deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, "
                f"this optimizer has {len(self.param_groups)}"
            )
        for old, new in zip(self.param_groups, saved, strict=True):
            if len(old["params"]) != len(new["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(new['params'])} parameters, not {len(old['params'])}"
                )
        by_number: dict[Any, Tensor] = {}
        for old, new in zip(self.param_groups, saved, strict=True):
            by_number.update(zip(new["params"], old["params"], strict=True))
            for k, p in enumerate(old["params"]):
                for name, value in state_dict["state"].get(new["params"][k], {}).items():
                    self._check_state(name, value, p)
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            p = by_number.get(number, number)
            state[p] = {name: self._loaded(name, value, p) for name, value in values.items()}
        self.state = state
        for i, (old, new) in enumerate(zip(self.param_groups, saved, strict=True)):
            kept = {k: v for k, v in old.items() if k in ("params", "param_names")}
            self.param_groups[i] = {**self.defaults, **new, **kept}
        self._loads += 1

    @staticmethod
    def _check_state(name: str, value: Any, p: Tensor) -> None:
        shape = tuple(getattr(value, "shape", ()))
        if shape not in ((), tuple(p.shape)):
            raise ValueError(f"the loaded {name!r} has shape {shape}, its parameter {tuple(p.shape)}")

    @staticmethod
    def _loaded(name: str, value: Any, p: Tensor) -> Any:
        """A copy of a loaded value; tensors become ours, and of the parameter's dtype unless they count steps."""
        if not isinstance(value, Tensor) and not hasattr(value, "__array__"):
            return copy.deepcopy(value)
        tensor = value if isinstance(value, Tensor) else as_tensor(value.__array__(), "load_state_dict")
        return tensor.detach().clone() if name == "step" else tensor.detach().to(p.dtype).clone()

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
        return text + ")"


def check_numbers(**numbers: Any) -> None:
    """Raise ValueError for a setting that is negative or NaN; the keywords are the words of the message."""
    for name, value in numbers.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element, got shape {tuple(value.shape)}")
        if not value >= 0.0:  # so that NaN is caught
            words = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {words}: {value}")


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """PyTorch's choices of an implementation. There is one here, which is fused; differentiable is not to be had.

    Raises RuntimeError for differentiable, and for fused together with foreach."""
    if differentiable:
        raise RuntimeError("differentiable=True is not supported: an update is one in-place op without a gradient")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
