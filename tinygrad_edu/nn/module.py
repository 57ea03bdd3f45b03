"""Module: a piece of a network that knows its parameters, buffers and children.

Assigning a Parameter or a Module to an attribute registers it; everything else follows from walking these tables.
Saving and loading stand in state.py, hooks in hooks.py. Left out on purpose: devices other than the CPU, lazy modules,
sharing memory between processes. Read next: linear.py, the shortest real module; container.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

from ..dtypes import dtype, float32, float64
from ..interop import device
from ..modes import modes, no_grad, watching
from ..tensor import Tensor
from .hooks import HookMixin
from .parameter import Buffer, Parameter
from .state import StateMixin

T = TypeVar("T")


def is_data(x: object) -> bool:
    """Whether it is of a type that is often given where a tensor is meant."""
    return type(x).__module__ in ("builtins", "numpy")


class Module(StateMixin, HookMixin):
    """Base class of all networks and layers: subclass it, call super().__init__() first, define forward()."""

    training: bool
    TABLES = ("_parameters", "_buffers", "_modules")

    def __init__(self) -> None:
        d = self.__dict__  # past __setattr__, which needs these tables
        d["training"] = True
        for table in self.TABLES:
            d[table] = {}
        d["_non_persistent_buffers"] = set()
        for hooks in self.HOOK_TABLES:
            d[hooks] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run forward(), with the hooks. An exception gets a note that says in which module it arose."""
        if watching:
            for watcher in modes.watchers:
                watcher.uses_module(self)
        try:
            if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            if isinstance(error, AttributeError) and error.name == "layout" and is_data(error.obj):
                wrong = TypeError(f"expected a Tensor, got {type(error.obj).__name__}; tg.tensor(data) makes one")
                self._note_path(wrong)
                raise wrong from None
            self._note_path(error)
            raise

    def _note_path(self, error: Exception) -> None:
        """Add this module to the path in the error's note: names are looked up on the way out, at no cost before."""
        origin, path, inner, note = getattr(error, "_raised_in", (self, "", self, ""))
        if inner is not self:
            name = next((name for name, module in self.named_modules() if module is inner), type(inner).__name__)
            path = f"{name}.{path}" if path else name
        notes = [other for other in getattr(error, "__notes__", ()) if other is not note]
        what = type(origin).__name__ if origin._modules else repr(origin)
        note = f"in {type(self).__name__}.{path}: {what}" if path else f"in {what}"
        error.__notes__ = [*notes, note]
        error._raised_in = (origin, path, self, note)  # type: ignore[attr-defined]

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        d = self.__dict__
        kind = "parameter" if isinstance(value, Parameter) else "module" if isinstance(value, Module) else "buffer"
        taken = kind != "parameter" and name in d.get("_parameters", ())  # by what it can't replace
        taken = taken or (kind == "buffer" and name in d.get("_modules", ()))
        if (kind != "buffer" or isinstance(value, Buffer)) and not taken:
            if "_parameters" not in d:
                raise AttributeError(f"cannot assign {kind}s before Module.__init__() call")
            for table in self.TABLES:
                if table != f"_{kind}s":
                    d[table].pop(name, None)
            d.pop(name, None)
            if isinstance(value, Buffer):
                self.register_buffer(name, value, value.persistent)
            elif kind == "parameter":
                self.register_parameter(name, value)
            else:
                self.register_module(name, value)
        elif name in d.get("_parameters", ()):
            if value is not None:
                raise TypeError(self._misfit(value, f"as parameter '{name}'", "nn.Parameter or None"))
            self.register_parameter(name, None)
        elif name in d.get("_modules", ()):
            if value is not None:
                raise TypeError(self._misfit(value, f"as child module '{name}'", "nn.Module or None"))
            self.register_module(name, None)
        elif name in d.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(self._misfit(value, f"as buffer '{name}'", "Tensor, nn.Buffer or None"))
            d["_buffers"][name] = value
            modes.structure_changed()
        else:
            if name == "training" and value is not d.get("training"):
                modes.structure_changed()
            object.__setattr__(self, name, value)

    @staticmethod
    def _misfit(value: Any, role: str, expected: str) -> str:
        return f"cannot assign '{type(value).__name__}' object {role} ({expected} expected)"

    def __getattr__(self, name: str) -> Any:
        d = self.__dict__
        if "_parameters" in d:
            if name in d["_parameters"]:
                return d["_parameters"][name]
            if name in d["_buffers"]:
                return d["_buffers"][name]
            if name in d["_modules"]:
                return d["_modules"][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for table in self.TABLES:
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                self._non_persistent_buffers.discard(name)
                modes.structure_changed()
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        own = [name for table in self.TABLES for name in self.__dict__.get(table, ())]
        return sorted({*super().__dir__(), *(name for name in own if not name[0].isdigit())})

    def _register(self, table: str, kind: str, name: str, value: Any) -> None:
        d = self.__dict__
        if table not in d:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if name not in d[table] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        d[table][name] = value
        modes.structure_changed()

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name free for one. Raises KeyError for a bad or taken name, TypeError for
        what is no Parameter, ValueError for one that was computed."""
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(self._misfit(param, f"to parameter '{name}'", "nn.Parameter or None"))
            if param.grad_fn is not None:
                raise ValueError(f"parameter '{name}' is computed (it has a grad_fn); a parameter must be a leaf")
        self._register("_parameters", "parameter", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is saved and moved with the module but not trained.

        persistent: whether state_dict() has it. Raises KeyError for a bad or taken name, TypeError for no Tensor."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(self._misfit(tensor, f"to buffer '{name}'", "Tensor or None"))
        self._register("_buffers", "buffer", name, tensor)
        if persistent:
            self._non_persistent_buffers.discard(name)
        else:
            self._non_persistent_buffers.add(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as add_module."""
        self.add_module(name, module)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child. Raises KeyError for a bad or taken name, TypeError for what is no Module."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._register("_modules", "module", name, module)

    # Walking

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their paths; each once unless remove_duplicate is False."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, table: Callable[[Module], dict[str, T | None]], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, T]]:
        seen = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in modules:
            for name, value in table(module).items():
                if value is not None and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their paths, in the order of definition; a shared one once."""
        return self._named_members(lambda m: m._parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Parameters, in the order of definition: what an optimiser takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their paths."""
        return self._named_members(lambda m: m._buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is this one. Raises AttributeError where there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; strict: only where there is one. Raises ValueError for no path or no Module,
        AttributeError where the path does not lead to modules."""
        if not target:
            raise ValueError("set_submodule: the target must not be empty")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected an nn.Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            parent.get_submodule(name)
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError where there is none."""
        return self._get_member(target, "_parameters", "an nn.Parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError where there is none."""
        return self._get_member(target, "_buffers", "a buffer")  # type: ignore[no-any-return]

    def _get_member(self, target: str, table: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in getattr(module, table):
            raise AttributeError(f"`{name}` is not {kind}")
        return getattr(module, table)[name]

    # Changing all at once

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call fn with every module below this one, then with this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training (dropout drops) or, with False, to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Switch gradients of all parameters on or off."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        modes.structure_changed()
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        zero_grads(self.parameters(), set_to_none)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """to(dtype), to(device), to(device, dtype), to(tensor): convert floating-point parameters and buffers in place.

        Raises TypeError for a dtype that is not floating-point, RuntimeError for a device other than the CPU."""
        kwargs.pop("non_blocking", None)
        target: dtype | None = None
        for value in (*args, *kwargs.values()):
            if isinstance(value, (dtype, Tensor)):
                target = value.dtype if isinstance(value, Tensor) else value
            elif value is not None and not isinstance(value, bool):
                device(value)  # raises for any but the one there is
        if target is None:
            return self
        if not target.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={target}")
        return self._apply(lambda t: t.to(target) if t.is_floating_point() else t)

    def float(self) -> Self:
        return self.to(float32)

    def double(self) -> Self:
        return self.to(float64)

    def type(self, dst_type: dtype) -> Self:
        """The same as to(dst_type)."""
        return self.to(dst_type)

    def cpu(self) -> Self:
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Replace the memory of every parameter (which stays the same object), gradient and buffer by fn of it."""
        for module in self.modules():
            for parameter in module._parameters.values():
                if parameter is not None:
                    grad = parameter.grad
                    parameter.grad = None
                    with no_grad():
                        parameter.data = fn(parameter.detach())
                        parameter.grad = None if grad is None else fn(grad)
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    with no_grad():
                        module._buffers[name] = fn(buffer)
        modes.structure_changed()
        return self

    # Text

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr; for subclasses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            body = extra
        else:
            body = "".join(f"\n  {line}" for line in lines + children) + "\n" * bool(lines or children)
        return f"{type(self).__name__}({body})"


def zero_grads(parameters: Iterator[Any] | list[Any], set_to_none: bool) -> None:
    """zero_grad of modules and optimisers. None is set without a look: a recorded step starts without gradients."""
    for parameter in parameters:
        if set_to_none:
            parameter.grad = None
        elif parameter.grad is not None:
            parameter.grad.detach_().zero_()
