"""The tape: a recorded step as a flat list of nodes, with its memory planned, ready to run.

Debugging, profiling and explaining read this list; print a tape to see it. Read next: plan.py, backends/c.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from . import backends, plan
from .dtypes import uint8
from .modes import modes
from .steps import Step
from .storage import Layout, Storage, allocate, layout_of
from .tensor import Tensor

GUARD_BYTES, GUARD_VALUE = 64, 0xA5


class Tape:
    """A recorded step. `run` replays it; `holds` says whether it still describes what the function would do."""

    def __init__(self, steps: list[Step], result: Any, n_slots: int, checked: bool) -> None:
        self.steps, self.result, self.checked = steps, result, checked
        self.timed = False
        self.nanoseconds: list[int] | None = None
        self.guards: list[tuple[Callable[[], Hashable], Hashable]] = []
        self.modules: list[tuple[Any, bool, dict[str, Any]]] = []
        self.leaves: list[tuple[weakref.ref[Tensor], Storage]] = []
        self.grads_before: list[tuple[Tensor, Tensor | None]] = []
        self.grads_after: list[tuple[Tensor, Tensor | None]] = []
        self.structure = modes.structure[0]
        self.arena_bytes = self._place(n_slots)
        self.changed = self._changed_storages()
        self.kept = {o.buffer.storage for step in steps for o in step.operands if o.buffer.kept}
        self.changed_slots = {o.buffer.slot for step in steps for o in step.written() if o.buffer.slot is not None}
        self.program = backends.program(steps)
        self.bound = [0] * n_slots  # addresses of the arguments of the last call

    def _place(self, n_slots: int) -> int:
        """Give every operand its memory: a tensor over it."""
        guard = GUARD_BYTES if self.checked else 0
        needed = plan.lifetimes(self.steps)
        heirs = {} if guard else plan.heirs(self.steps, needed, backends.in_place)
        owner = {b: b for b in needed}  # whose memory a buffer lies in
        joint = dict(needed)
        for new, old in heirs.items():  # in the order of steps: what is taken over has its place by now
            place = owner[new] = owner[old]
            joint[place] = plan.Lifetime(joint[place].first, joint.pop(new).last, new.nbytes)
        lives = list(joint.values())
        if guard:  # nothing is shared, or one buffer's guard zone would be another's memory
            lives = [plan.Lifetime(0, len(self.steps), life.nbytes) for life in lives]
        offsets, total = plan.assign(lives, guard)
        self.arena = arena = allocate(total)
        at = dict(zip(joint, offsets, strict=True))
        for buffer in needed:
            buffer.storage = Storage(arena.address + at[owner[buffer]], buffer.nbytes, arena)
        self.zones = [(at[b] + b.nbytes, needed[b].last) for b in joint] if guard else []
        self.slot_places: list[list[tuple[int, int, int]]] = [[] for _ in range(n_slots)]
        self.slots = [Storage(0, 0, arena) for _ in range(n_slots)]  # they move with the arguments
        for k, step in enumerate(self.steps):
            step.tensors = []
            for i, (buffer, layout, offset) in enumerate((o.buffer, o.layout, o.offset) for o in step.operands):
                storage = buffer.storage if buffer.slot is None else self.slots[buffer.slot]
                assert storage is not None
                tensor = Tensor.over(storage, layout, offset)
                step.tensors.append(tensor)
                if buffer.slot is not None:
                    self.slot_places[buffer.slot].append((k, i, offset * layout.dtype.itemsize))
        return total

    def _changed_storages(self) -> list[Storage]:
        """Memory from outside that a run changes, or hands out: its version must count the runs."""
        found: dict[int, Storage] = {}
        for step in self.steps:
            for operand in step.written():
                storage = operand.buffer.storage
                if storage is not None and storage.owner is not self.arena:
                    found[id(storage)] = storage
        return list(found.values())

    def holds(self) -> bool:
        """Whether the function, called now, would do what was recorded. Raises RuntimeError if a parameter it uses was
        replaced: the tape updates the old one, and silently training it would be worse than stopping."""
        if self.structure != modes.structure[0]:
            if any(module.training is not training for module, training, _ in self.modules):
                return False
            for module, _, recorded in self.modules:
                now = members(module)
                for name in recorded.keys() | now.keys():
                    if now.get(name) is not recorded.get(name):
                        raise RuntimeError(_replaced(f"{name!r} of {type(module).__name__}"))
            for ref, storage in self.leaves:
                leaf = ref()
                if leaf is not None and leaf.storage is not storage:
                    raise RuntimeError(_replaced(f"the data of a leaf of shape {leaf.layout.shape}"))
            self.structure = modes.structure[0]
        for value, expected in self.guards:
            if value() != expected:
                return False
        return all(tensor._grad is grad for tensor, grad in self.grads_before)

    def run(self, arguments: list[Tensor]) -> Any:
        """Replay on these arguments, whose layouts are those recorded. Returns the recorded result, with new values."""
        for k, argument in enumerate(arguments):
            if argument.storage in self.kept:  # a result of the last call, which this one overwrites while it reads
                argument = arguments[k] = argument.clone()
            if argument.address != self.bound[k]:
                self._bind(k, argument)
        if self.checked:
            self._run_checked()
        elif self.timed:
            self.nanoseconds = self.program.run_timed()
        else:
            self.program.run()
        self._note(arguments, 1)
        return self.result

    def can_loop(self, arguments: Sequence[Tensor]) -> bool:
        """Whether nothing has to be looked at between runs: no node is checked or timed, no result is an argument."""
        return not (self.checked or self.timed or any(a.storage in self.kept for a in arguments))

    def run_over(self, arguments: list[Tensor], size: int, times: int) -> Any:
        """Replay `times` times: on the first `size` rows of the arguments, on the next ones, and so on."""
        moves = []
        for k, argument in enumerate(arguments):
            self._bind(k, argument[:size])
            nbytes = size * argument.layout.strides[0] * argument.layout.dtype.itemsize
            moves += [(step, place, nbytes) for step, place, _ in self.slot_places[k]]
            self.bound[k] = 0  # the program's addresses have moved on afterwards
        self.program.loop(times, moves)
        self._note(arguments, times)
        return self.result

    def _note(self, arguments: list[Tensor], times: int) -> None:
        """Let versions and gradients be what `times` eager runs would have left."""
        self.note_changes(arguments)
        for storage in self.changed:
            storage.version += times
        for tensor, grad in self.grads_after:
            tensor._grad = grad

    def note_changes(self, arguments: list[Tensor]) -> None:
        """Count a new version of every argument that the step writes to."""
        for k in self.changed_slots:
            arguments[k].storage.version += 1

    def _bind(self, k: int, argument: Tensor) -> None:
        self.bound[k] = argument.address
        slot = self.slots[k]
        slot.owner = argument.storage
        slot.nbytes = argument.layout.span() * argument.layout.dtype.itemsize
        for step, place, delta in self.slot_places[k]:
            self.program.bind(step, place, argument.address + delta)

    def _run_checked(self) -> None:
        memory = self.arena.array(layout_of((self.arena.nbytes,), uint8))
        for end, _ in self.zones:
            memory[end : end + GUARD_BYTES] = GUARD_VALUE
        bad = self.program.run_checked()
        if bad >= 0:
            raise FloatingPointError(f"replay: the output of node {bad} holds a NaN: {self._line(bad)}")
        for end, step in self.zones:
            if (memory[end : end + GUARD_BYTES] != GUARD_VALUE).any():
                raise RuntimeError(
                    f"replay: memory past the buffer last used by node {step} was overwritten: {self._line(step)}"
                )

    def memory(self) -> dict[str, int]:
        """Bytes of the planned arena, of what it would be without sharing, of what stays between calls, of the kernels'
        scratch, and of all that a run needs."""
        buffers = {o.buffer for step in self.steps for o in step.operands if o.buffer.slot is None}
        planned = [b for b in buffers if b.storage is not None and b.storage.owner is self.arena]
        outside = sum(b.nbytes for b in buffers) - sum(b.nbytes for b in planned)
        scratch = self.program.scratch_bytes()
        return {
            "arena": self.arena_bytes,
            "unshared": sum(plan.padded(b.nbytes) for b in planned),
            "outside": outside,
            "scratch": scratch,
            "peak": self.arena_bytes + outside + scratch,
        }

    def _line(self, k: int) -> str:
        step = self.steps[k]
        inputs = ", ".join(_shape(o.layout) for o in (step.read() if step.parts else step.operands[1:]))
        attrs = " ".join(f"{name}={value}" for part in step.parts or (step,) for name, value in part.spec.attrs.items())
        nbytes = sum(o.layout.nbytes for o in step.operands)
        flops = step.flops()
        line = f"{k:3d}  {step.name:24s} {_shape(step.spec.layout):>16s} <- {inputs}"
        if attrs:
            line += f"  [{attrs}]"
        line = f"{line:90s} {nbytes / 1024:9.1f} KB"
        line += f" {flops / 1e6:9.2f} MFLOP" if flops else " " * 16
        saved = 2 * sum(o.layout.nbytes for o in step.hidden())
        line += f" saves {saved / 1024:.1f} KB" if saved else ""
        if self.nanoseconds is not None and self.nanoseconds[k] > 0:
            ns = self.nanoseconds[k]
            line += f" {ns / 1000:9.1f} us {nbytes / ns:7.1f} GB/s"
            line += f" {flops / ns:7.1f} GFLOP/s" if flops else ""
        return line

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        sizes = self.memory()
        head = (
            f"tape of {len(self)} nodes on backend {backends.current()}; peak {sizes['peak'] / 1024:.1f} KB: arena "
            f"{sizes['arena'] / 1024:.1f} (without sharing {sizes['unshared'] / 1024:.1f}), outside "
            f"{sizes['outside'] / 1024:.1f}, scratch {sizes['scratch'] / 1024:.1f}"
        )
        lines = [self._line(k) for k in range(len(self))]
        if self.nanoseconds is not None:
            lines.append(f"     total {sum(self.nanoseconds) / 1000:.1f} us")
        return "\n".join([head, *lines])


def members(module: Any) -> dict[str, Any]:
    """A module's parameters, buffers and submodules by name."""
    return {**module._parameters, **module._buffers, **module._modules}


def _shape(layout: Layout) -> str:
    return "x".join(str(n) for n in layout.shape) or "scalar"


def _replaced(what: str) -> str:
    return (
        f"{what} was replaced after the step was recorded; the tape still works on the old memory. "
        "Change parameters in place (copy_ under no_grad(), load_state_dict), or make a new tg.replay(step)."
    )
