"""The C backend: describes a signature to the core once, as a node, and then only hands over addresses.

What the core cannot do (a dtype, a number of dimensions, an op without a kernel) falls back to the reference.
Read next: csrc/tg.h, the core's manual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends
from ..storage import Layout

if TYPE_CHECKING:
    from ..op import Spec
    from ..steps import Step
    from ..tensor import Tensor

try:
    from .._core import ffi, lib
except ImportError as error:
    _reason: str | None = f"the C core could not be loaded ({error})"
else:
    _reason = None
    MAX_DIMS, MAX_INTS, MAX_FLOATS = lib.TG_DIMS, lib.TG_INTS, lib.TG_FLOATS


MUCH = 2**28  # bytes of scratch that a machine may not have, without which the core could only end the process
IN_PLACE = True  # elementwise kernels may write where they read


def unavailable() -> str | None:
    """Why the core cannot be used, or None."""
    return _reason


def describe(spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
    """The layouts, output first, and the attributes as numbers: what csrc/tg.h calls args, ints and floats."""
    custom = getattr(spec.op, "c_arguments", None)
    if custom is not None:
        return custom(spec)  # type: ignore[no-any-return]
    ints: list[int] = []
    floats: list[float] = []
    for value in spec.attrs.values():
        if isinstance(value, float):
            floats.append(value)
        elif isinstance(value, int):
            ints.append(int(value))
        elif isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            ints.extend(value)
    return list(spec.inputs) if spec.op.updates else [spec.layout, *spec.inputs], ints, floats


def described(spec: Spec) -> Any | None:
    """A node of the core that describes this signature, or None where there is no kernel of that name and type."""
    layouts, ints, floats = describe(spec)
    place = spec.op.working_input
    working = spec.inputs[place] if spec.inputs and place is not None else spec.layout
    kernel = lib.tg_kernel_find(spec.op.name.encode(), working.dtype.index)
    fits = all(x.ndim <= MAX_DIMS for x in layouts) and len(ints) <= MAX_INTS and len(floats) <= MAX_FLOATS
    if kernel < 0 or not fits:
        return None
    node = ffi.gc(lib.tg_node_new(kernel, len(layouts)), lib.tg_node_free)
    for i, layout in enumerate(layouts):
        arg = node.args[i]
        arg.dtype, arg.ndim = layout.dtype.index, layout.ndim
        arg.shape[0 : layout.ndim] = layout.shape
        arg.stride[0 : layout.ndim] = layout.strides
    node.n_ints = len(ints)
    node.ints[0 : len(ints)] = ints
    node.floats[0 : len(floats)] = floats
    return node


def make_node(spec: Spec) -> Any | None:
    """A node of the core for this signature, or None where there is no kernel for it, or no memory for its scratch."""
    node = described(spec)
    if node is None or lib.tg_node_prepare(node):
        return None
    if (scratch := node.aux_bytes + node.own_bytes) >= MUCH:
        try:
            np.empty(scratch, np.uint8)
        except MemoryError:
            return None
    return node


def make_chain(step: Step) -> Any | None:
    """A node of the core that runs the parts of a chain, or None where one of them cannot be part of one."""
    parts = [described(part.spec) for part in step.parts]
    if None in parts:
        return None
    places = {(o.buffer, o.offset): i for i, o in reversed(list(enumerate(step.operands)))}
    last = {o.buffer: k for k, part in enumerate(step.parts) for o in part.operands}
    slots: dict[Any, int] = {}  # of what is handed on: the number of its place in scratch
    listed = []
    for k, part in enumerate(step.parts):
        for o in part.operands:
            place = places.get((o.buffer, o.offset))
            if place is None:
                taken = {slots[b] for b in slots if last[b] >= k}
                place = slots.setdefault(o.buffer, next(i for i in range(-1, -99, -1) if i not in taken))
            listed.append(place)
    along = [part.along for part in step.parts]
    node = lib.tg_chain_new(len(step.operands), step.outputs, len(parts), parts, along, listed)
    return None if node == ffi.NULL else ffi.gc(node, lib.tg_node_free)


def prepare(spec: Spec) -> Callable[..., None] | None:
    """A launcher for this signature, or None where the core has no kernel for it."""
    node = make_node(spec)
    if node is None:
        return None
    count = node.n_args
    if count in _launchers:
        return _launchers[count](node)

    def launch(*tensors: Tensor) -> None:
        lib.tg_run_many(node, [x.address for x in tensors])

    return launch


def _launch1(node: Any) -> Callable[..., None]:
    run = lib.tg_run1
    return lambda out: run(node, out.address)


def _launch2(node: Any) -> Callable[..., None]:
    run = lib.tg_run2
    return lambda out, a: run(node, out.address, a.address)


def _launch3(node: Any) -> Callable[..., None]:
    run = lib.tg_run3
    return lambda out, a, b: run(node, out.address, a.address, b.address)


def _launch4(node: Any) -> Callable[..., None]:
    run = lib.tg_run4
    return lambda out, a, b, c: run(node, out.address, a.address, b.address, c.address)


_launchers = {1: _launch1, 2: _launch2, 3: _launch3, 4: _launch4}


class Program(backends.Program):
    """A tape as the core runs it: stretches of nodes in one call each, between them what only the reference can do."""

    def __init__(self, steps: Sequence[Any]) -> None:
        super().__init__(steps)
        self.nodes = [make_chain(step) if step.parts else make_node(step.spec) for step in steps]
        for node, step in zip(self.nodes, steps, strict=True):
            if node is not None:
                for i, tensor in enumerate(step.tensors):
                    node.args[i].data = ffi.cast("char *", tensor.address)
        self.stretches: list[tuple[int, int, Any]] = []  # first node, one past the last, tape or None
        k = 0
        while k < len(steps):
            end = k + 1
            if self.nodes[k] is not None:
                while end < len(steps) and self.nodes[end] is not None:
                    end += 1
            self.stretches.append((k, end, None if self.nodes[k] is None else self._tape(k, end)))
            k = end

    def _tape(self, first: int, end: int) -> Any:
        tape = ffi.gc(lib.tg_tape_new(end - first), lib.tg_tape_free)
        for k in range(first, end):
            lib.tg_tape_set(tape, k - first, self.nodes[k])
        return tape

    def run(self) -> None:
        for first, _, tape in self.stretches:
            if tape is not None:
                lib.tg_tape_run(tape)
            else:
                self.steps[first].spec.launch(*self.steps[first].tensors)

    def loop(self, times: int, moves: Sequence[tuple[int, int, int]]) -> None:
        if len(self.stretches) != 1 or self.stretches[0][2] is None:
            super().loop(times, moves)
            return
        steps, places, nbytes = zip(*moves, strict=True) if moves else ((), (), ())
        lib.tg_tape_loop(self.stretches[0][2], times, len(moves), steps, places, nbytes)

    def run_timed(self) -> list[int]:
        times = []
        for first, end, tape in self.stretches:
            if tape is not None:
                measured = ffi.new("int64_t[]", end - first)
                lib.tg_tape_run_timed(tape, measured)
                times += list(measured)
            else:
                times += backends.Program(self.steps[first:end]).run_timed()
        return times

    def run_checked(self) -> int:
        for first, end, tape in self.stretches:
            bad = (
                backends.Program(self.steps[first:end]).run_checked()
                if tape is None
                else lib.tg_tape_run_checked(tape, 0)
            )
            if bad >= 0:
                return int(first + bad)
        return -1

    def scratch_bytes(self) -> int:
        return max(
            (int(lib.tg_tape_scratch_bytes(tape)) for _, _, tape in self.stretches if tape is not None), default=0
        )

    def bind(self, step: int, place: int, address: int) -> None:
        super().bind(step, place, address)
        node = self.nodes[step]
        if node is not None:
            node.args[place].data = ffi.cast("char *", address)


def isa() -> str:
    """The instruction set in use: "avx512", "avx2", "neon" or "baseline"."""
    return ffi.string(lib.tg_isa_name()).decode()  # type: ignore[no-any-return]
