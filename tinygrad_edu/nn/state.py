"""state_dict and load_state_dict: a module's parameters and persistent buffers by path, in PyTorch's keys and order.

A mix-in of Module. Left out on purpose: version metadata; `local_metadata`, which hooks receive as in
PyTorch, is an empty dict. Read next: module.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..hooks import RemovableHandle
from ..modes import no_grad
from ..ops.common import as_tensor
from ..tensor import Tensor
from .hooks import register
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module

EXTRA = "_extra_state"  # the key of what get_extra_state gives


class IncompatibleKeys(NamedTuple):
    """What load_state_dict returns: the keys that only the module has, and those that only the state_dict has."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class StateMixin:
    """The methods of Module that save and load."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers: set[str]
    _state_dict_pre_hooks: dict[int, Callable[..., None]]
    _state_dict_hooks: dict[int, Callable[..., None]]
    _load_state_dict_pre_hooks: dict[int, Callable[..., None]]
    _load_state_dict_post_hooks: dict[int, Callable[..., None]]

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """hook(module, prefix, keep_vars) runs before state_dict() collects."""
        return register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """hook(module, state_dict, prefix, local_metadata) may change the collected state_dict in place."""
        return register(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs) runs
        before a module loads; it may change the state_dict in place (a copy of the caller's)."""
        return register(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """hook(module, incompatible_keys) runs after a module has loaded; it may change the two lists in place."""
        return register(self._load_state_dict_post_hooks, hook)

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by dotted path. The tensors share the module's memory.

        keep_vars: the parameters themselves instead of detached tensors.
        """
        found: dict[str, Any] = OrderedDict() if destination is None else destination
        for pre_hook in list(self._state_dict_pre_hooks.values()):
            pre_hook(self, prefix, keep_vars)
        self._save_to_state_dict(found, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            hook(self, found, prefix, {})
        return found

    def _persistent(self) -> dict[str, Tensor]:
        """This module's own parameters and persistent buffers."""
        buffers = {name: b for name, b in self._buffers.items() if name not in self._non_persistent_buffers}
        return {name: t for name, t in (self._parameters | buffers).items() if t is not None}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Save this module's own tensors, not those of its children. Subclasses may save otherwise."""
        for name, tensor in self._persistent().items():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if self._has("get_extra_state"):
            destination[prefix + EXTRA] = self.get_extra_state()

    def _has(self, method: str) -> bool:
        """Whether a subclass defines it."""
        return getattr(type(self), method) is not getattr(StateMixin, method)

    def get_extra_state(self) -> Any:
        """What state_dict() should have besides tensors, under the key "_extra_state"; for subclasses."""
        raise RuntimeError(f"{type(self).__name__} saves no extra state; define get_extra_state and set_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take what get_extra_state gave; for subclasses that define it."""
        raise RuntimeError(f"{type(self).__name__} loads no extra state; define get_extra_state and set_extra_state")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values into the parameters and persistent buffers; NumPy arrays and PyTorch's CPU tensors serve as well.

        strict: missing and unexpected keys are errors. assign: the module takes the given tensors themselves.
        Raises TypeError for what is no mapping; RuntimeError listing every missing and unexpected key and every size
        that differs (what does fit has been loaded by then, as in PyTorch).
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        given = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []

        def load(module: Module, own: dict[str, Any], prefix: str) -> None:
            module._load_from_state_dict(
                own, prefix, {"assign_to_params_buffers": assign}, strict, missing, unexpected, errors
            )
            for name, child in module._modules.items():
                if child is not None:
                    path = f"{prefix}{name}."
                    load(child, {k: v for k, v in own.items() if k.startswith(path)}, path)
            for hook in list(module._load_state_dict_post_hooks.values()):
                hook(module, IncompatibleKeys(missing, unexpected))

        load(self, given, "")  # type: ignore[arg-type]
        if strict:
            for title, keys in (("Unexpected", unexpected), ("Missing", missing)):
                if keys:
                    errors.insert(0, f"{title} key(s) in state_dict: " + ", ".join(f'"{k}"' for k in keys) + ". ")
        if errors:
            name = type(self).__name__
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t" + "\n\t".join(errors))
        return IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own tensors, not those of its children. Subclasses may load otherwise."""
        for pre_hook in list(self._load_state_dict_pre_hooks.values()):
            pre_hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = self._persistent()
        for name, tensor in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            problem = self._load_tensor(
                name, tensor, state_dict[key], bool(local_metadata.get("assign_to_params_buffers"))
            )
            if problem is not None:
                error_msgs.append(problem.format(key=key))
        extra = prefix + EXTRA
        if self._has("set_extra_state"):
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            else:
                missing_keys.append(extra)
        for key in state_dict:
            if key.startswith(prefix) and not (key == extra and self._has("set_extra_state")):
                head, _, rest = key[len(prefix) :].partition(".")
                if (head in self._modules) if rest else (head in own):
                    continue
                unexpected_keys.append(key)

    def _load_tensor(self, name: str, tensor: Tensor, value: Any, assign: bool) -> str | None:
        """Load one of this module's tensors. Returns what is wrong, or None."""
        if not isinstance(value, Tensor):
            if not hasattr(value, "__array__"):
                return f"{{key}}: expected a Tensor or an array, got {type(value).__name__}"
            value = as_tensor(value.__array__(), "load_state_dict")
        if value.layout.shape != tensor.layout.shape:
            return (
                f"size mismatch for {{key}}: copying a param with shape {value.shape} from checkpoint, "
                f"the shape in current model is {tensor.shape}."
            )
        if not assign:
            with no_grad():
                tensor.copy_(value)
        elif name in self._parameters:
            setattr(self, name, value if isinstance(value, Parameter) else Parameter(value, tensor.requires_grad))
        else:
            setattr(self, name, value)
        return None
