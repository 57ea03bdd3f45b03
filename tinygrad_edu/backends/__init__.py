"""Backends: tables from an op's name to a kernel. One is current; the reference (numpy) fills every gap.

`use(name)` chooses one, `TG_BACKEND` the first; the default is the fastest that is there. A backend module has
`prepare(spec)`, which gives a launcher `(out, *inputs) -> None` or None where it has no kernel for that signature.
Read next: numpy.py, which is ten lines.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import numpy as reference

if TYPE_CHECKING:
    from ..op import Spec

NAMES = ("c", "numba", "numpy")  # the fastest first
on_change: list[Callable[[], None]] = []  # called when another backend becomes current
fell_back: set[str] = set()  # ops that ran on the reference though another backend was current
_current: ModuleType = reference


def available() -> list[str]:
    """The names of the backends that work here, the fastest first."""
    return [name for name in NAMES if why_not(name) is None]


def why_not(name: str) -> str | None:
    """Why a backend does not work here, or None if it does. Raises ValueError for a name that is none."""
    if name not in NAMES:
        raise ValueError(f"unknown backend {name!r}; the backends are {', '.join(NAMES)}")
    try:
        return _load(name).unavailable()  # type: ignore[no-any-return]
    except ImportError as error:
        return f"{error}"


def _load(name: str) -> ModuleType:
    return importlib.import_module(f".{name}", __name__)


def current() -> str:
    """The name of the backend in use."""
    return _current.__name__.rpartition(".")[2]


class use:
    """Make a backend current: `use("numpy")` from now on, or `with use("numpy"):` for a while.

    Raises ValueError for an unknown name, RuntimeError for a backend that does not work here."""

    def __init__(self, name: str) -> None:
        reason = why_not(name)
        if reason is not None:
            raise RuntimeError(f"backend {name!r} is not available: {reason}")
        self.before = current()
        _switch(_load(name))

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        _switch(_load(self.before))


def _switch(module: ModuleType) -> None:
    global _current
    if module is not _current:
        _current = module
        for react in on_change:
            react()


def has_chain(step: Any) -> bool:
    """Whether the current backend can run a chain (see fuse_chain.py) as one node."""
    make = getattr(_current, "make_chain", None)
    return make is not None and make(step) is not None


def launcher(spec: Spec) -> Callable[..., None]:
    """The current backend's kernel for this signature, else the reference's."""
    launch = _current.prepare(spec)
    if launch is None:
        fell_back.add(spec.op.name)
        launch = reference.prepare(spec)
    return launch  # type: ignore[no-any-return]


def has_kernel(spec: Spec) -> bool:
    """Whether the current backend runs this signature itself."""
    return _current.prepare(spec) is not None


def in_place(step: Any) -> bool:
    """Whether what a step of an elementwise op makes may lie where an input lies."""
    return getattr(_current, "IN_PLACE", False) and (bool(step.parts) or has_kernel(step.spec))


class Program:
    """A tape run node by node from Python; a backend that can do better has a Program of its own."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self.steps = steps

    def run(self) -> None:
        for step in self.steps:
            step.spec.launch(*step.tensors)

    def loop(self, times: int, moves: Sequence[tuple[int, int, int]]) -> None:
        """Run `times` times, after each moving the address of argument `place` of node `step` on by some bytes, for
        each (step, place, bytes) in moves."""
        for _ in range(times):
            self.run()
            for step, place, nbytes in moves:
                self.bind(step, place, self.steps[step].tensors[place].address + nbytes)

    def run_timed(self) -> list[int]:
        """Run, and give the nanoseconds of each node."""
        times = []
        for step in self.steps:
            start = time.perf_counter_ns()
            step.spec.launch(*step.tensors)
            times.append(time.perf_counter_ns() - start)
        return times

    def run_checked(self) -> int:
        """Run up to the first node whose output holds a NaN, and give its index, or -1."""
        for k, step in enumerate(self.steps):
            step.spec.launch(*step.tensors)
            if holds_nan(step.tensors[0]):
                return k
        return -1

    def scratch_bytes(self) -> int:
        """Memory that kernels work in, beside their inputs and outputs, where the backend knows it."""
        return 0

    def bind(self, step: int, place: int, address: int) -> None:
        """The argument `place` of node `step` lies at `address` now."""
        tensor = self.steps[step].tensors[place]
        tensor.address = address
        tensor.storage.address = address - tensor.offset * tensor.itemsize  # where a reference's array looks


def holds_nan(tensor: Any) -> bool:
    """Whether a tensor of floats has a NaN in it."""
    if not tensor.layout.dtype.is_floating_point:
        return False
    array = tensor.array()
    return bool((array != array).any())


def program(steps: Sequence[Any]) -> Program:
    """The steps of a tape as the current backend runs them."""
    return getattr(_current, "Program", Program)(steps)


def start() -> None:
    """Make the backend current that TG_BACKEND names, else the fastest. Numba must be asked for: its import is slow."""
    wanted = os.environ.get("TG_BACKEND", "")
    if wanted:
        try:
            use(wanted)
        except (ValueError, RuntimeError) as error:
            raise RuntimeError(f"TG_BACKEND={wanted}: {error}") from None
    elif why_not("c") is None:
        use("c")
