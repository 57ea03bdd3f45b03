"""Containers: Sequential runs its modules one after another; the lists and dictionaries only hold theirs.

Parameters of a child appear under its index or key, as in PyTorch. Read next: linear.py.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from ..modes import modes
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter


def _position(index: Any, length: int, kind: str) -> int:
    """An index as a number from 0 on. Raises IndexError naming what is indexed."""
    number = operator.index(index)
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of range for a {kind} of length {length}")
    return number % length


class _ModuleSequence(Module):
    """What Sequential and ModuleList share: children named "0", "1", ... (Sequential takes other names as well)."""

    def _renumber(self, modules: Iterable[Module]) -> None:
        """Make these the children, numbered from 0."""
        checked = list(modules)
        self._modules.clear()
        modes.structure_changed()
        for i, module in enumerate(checked):
            self.add_module(str(i), module)

    def _name(self, index: int) -> str:
        position = _position(index, len(self), type(self).__name__)
        return next(itertools.islice(self._modules, position, None))

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name(index)]
        kept = [module for name, module in self._modules.items() if name not in names]
        self._renumber(kept)  # type: ignore[arg-type]

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end. Raises TypeError for what is not iterable."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Insert a module before `index`. Raises TypeError for what is no Module, IndexError out of range."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range for a {type(self).__name__} of length {len(self)}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, index: int = -1) -> Module:
        """Remove a module and return it."""
        module: Module = list(self)[_position(index, len(self), type(self).__name__)]
        del self[index]
        return module


class Sequential(_ModuleSequence):
    """Modules run one after another: Sequential(a, b)(x) = b(a(x)). Takes modules, or one dictionary of named modules.

    A slice is a Sequential of the same modules."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def __add__(self, other: Sequential) -> Sequential:
        """The modules of both, renumbered."""
        return Sequential(*self, *other)

    def __mul__(self, times: int) -> Sequential:
        """The same modules, so many times one after another. Raises TypeError, ValueError unless a positive int."""
        self._check_times(times)
        return Sequential(*[module for _ in range(times) for module in self])

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        self._check_times(times)
        return self.extend([module for _ in range(times - 1) for module in self])

    def _check_times(self, times: int) -> None:
        if not isinstance(times, int):
            raise TypeError(f"Sequential: it can be repeated an int of times, not {type(times).__name__}")
        if times <= 0:
            raise ValueError(f"Sequential: it can be repeated a positive number of times, not {times}")

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(_ModuleSequence):
    """A list of modules, registered so that their parameters are found. It has no forward()."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._name(index)]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])


def _pairs(items: Any, kind: str) -> list[tuple[str, Any]]:
    """A mapping or an iterable of pairs as a list of pairs. Raises TypeError for anything else."""
    if isinstance(items, (Mapping, ModuleDict, ParameterDict)):
        return list(items.items())
    if not isinstance(items, Iterable):
        raise TypeError(
            f"{kind}.update should be called with an iterable of key/value pairs, got {type(items).__name__}"
        )
    pairs = list(items)
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"{kind} update sequence element #{i} is no key/value pair: {pair!r}")
    return [(key, value) for key, value in pairs]


class _Dictionary(Module):
    """What ModuleDict and ParameterDict share; `_entries` is the table they show."""

    @property
    def _entries(self) -> dict[str, Any]:
        raise NotImplementedError

    def __init__(self, items: Any = None) -> None:
        super().__init__()
        if items is not None:
            self.update(items)

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __setitem__(self, key: str, value: Any) -> None:
        raise NotImplementedError

    def __delitem__(self, key: str) -> None:
        del self._entries[key]
        modes.structure_changed()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def keys(self) -> Iterable[str]:
        return self._entries.keys()

    def values(self) -> Iterable[Any]:
        return self._entries.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._entries.items()

    def update(self, items: Any) -> None:
        """Add or replace entries from a mapping or an iterable of pairs."""
        for key, value in _pairs(items, type(self).__name__):
            self[key] = value

    def clear(self) -> None:
        self._entries.clear()
        modes.structure_changed()

    def pop(self, key: str) -> Any:
        """Remove an entry and return its value. Raises KeyError."""
        value = self[key]
        del self[key]
        return value


class ModuleDict(_Dictionary):
    """A dictionary of modules, registered so that their parameters are found. It has no forward()."""

    @property
    def _entries(self) -> dict[str, Any]:
        return self._modules

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)


def _as_parameter(value: Any, kind: str) -> Parameter | None:
    if value is None or isinstance(value, Parameter):
        return value
    if isinstance(value, Tensor):
        return Parameter(value, requires_grad=value.dtype.is_floating_point)
    raise TypeError(f"{kind} holds tensors, got {type(value).__name__}")


def _parameter_line(name: str, p: Tensor | None) -> str:
    return f"({name}): " + (
        "None" if p is None else f"Parameter containing: [{p.dtype} of size {'x'.join(map(str, p.shape))}]"
    )


class ParameterDict(_Dictionary):
    """A dictionary of parameters; other tensors become parameters when they are put in."""

    @property
    def _entries(self) -> dict[str, Any]:
        return self._parameters

    def __setitem__(self, key: str, value: Tensor | None) -> None:
        self.register_parameter(key, _as_parameter(value, "ParameterDict"))

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._parameters))

    def __or__(self, other: Any) -> ParameterDict:
        """A copy with the entries of the other as well, which win."""
        return self.copy().__ior__(other)

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        """Another dictionary of the same parameters."""
        return ParameterDict(self._parameters)

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of that name, or default."""
        return self._parameters.get(key, default)

    def setdefault(self, key: str, default: Tensor | None = None) -> Any:
        """The parameter of that name, default having become it where there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> tuple[str, Any]:
        """Remove the last entry and return it. Raises KeyError where there is none."""
        if not self._parameters:
            raise KeyError("popitem: the ParameterDict is empty")
        key = next(reversed(self))
        return key, self.pop(key)

    @classmethod
    def fromkeys(cls, keys: Iterable[str], default: Tensor | None = None) -> ParameterDict:
        """A dictionary with that value, or None, under each key."""
        return cls(dict.fromkeys(keys, default))

    def extra_repr(self) -> str:
        return "\n".join(_parameter_line(name, p) for name, p in self.items())


class ParameterList(Module):
    """A list of parameters; other tensors become parameters when they are put in."""

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._parameters[str(_position(index, len(self), "ParameterList"))]

    def __setitem__(self, index: int, value: Tensor) -> None:
        name = str(_position(index, len(self), "ParameterList"))
        self.register_parameter(name, _as_parameter(value, "ParameterList"))

    def __iadd__(self, values: Iterable[Tensor]) -> Self:
        return self.extend(values)

    def append(self, value: Tensor) -> Self:
        """Add a parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter(value, "ParameterList"))
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Add parameters at the end. Raises TypeError for a single tensor."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(_parameter_line(name, p) for name, p in self._parameters.items())
