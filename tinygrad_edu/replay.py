"""Record a step once, then run it again without Python.

`step = tg.replay(function)`: the first call with a signature (layouts of the tensor arguments, values of the others,
backend) runs the function eagerly while a recorder notes every op. The notes are fused (fuse.py), their buffers planned
(plan.py), and the backend makes one program of them; every later call is that program.

What holds for a replayed step: returned tensors are overwritten by the next call; learning rates and other optimiser
settings are read anew each call; values cannot be looked at while recording; a new shape records another tape; a
replaced parameter is an error. Read next: fuse.py, plan.py, then csrc/tape.c, which runs the program.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any

from . import backends, fuse
from .modes import Watcher, modes, watching
from .op import Spec
from .steps import Buffer, Operand, Step
from .storage import Storage, trim
from .tape import Tape, members
from .tensor import Tensor

TAPES = 8  # kept for one signature: they differ in what the step found (modes of modules, gradients, flags)


class Recorder(Watcher):
    """Notes every op of one call: its spec and which buffers it touched."""

    recording = True

    def __init__(self, slots: list[Tensor]) -> None:
        self.steps: list[Step] = []
        self.known: dict[int, tuple[weakref.ref[Storage], Buffer]] = {}
        self.slots = slots
        self.guarded: list[tuple[Callable[[], Hashable], Hashable]] = []
        self.modules: dict[int, tuple[Any, bool, dict[str, Any]]] = {}
        self.leaves: dict[int, tuple[weakref.ref[Tensor], Storage]] = {}
        self.grads_read: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.grads_written: dict[int, Tensor] = {}
        for k, slot in enumerate(slots):
            self._enter(slot.storage, Buffer(slot.storage.nbytes, slot=k))

    def _enter(self, storage: Storage, buffer: Buffer) -> Buffer:
        self.known[id(storage)] = (weakref.ref(storage), buffer)
        return buffer

    def _buffer(self, tensor: Tensor, made_here: bool) -> Buffer:
        storage = tensor.storage
        known = self.known.get(id(storage))
        if known is not None and known[0]() is storage:
            return known[1]
        # An id can be that of memory which died during the step, so a missing or dead entry means: not seen yet.
        return self._enter(storage, Buffer(storage.nbytes, storage=None if made_here else storage))

    def ran(self, spec: Spec, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        for x in inputs:
            if x.needs_grad and x.node is None:
                self.leaves.setdefault(id(x), (weakref.ref(x), x.storage))
        if spec.op.is_view:
            self._buffer(inputs[0], made_here=False)
            return
        operands = [Operand(self._buffer(x, made_here=False), x.layout, x.offset) for x in inputs]
        if not spec.op.updates:
            operands.insert(0, Operand(self._buffer(out, made_here=True), out.layout, out.offset))
        self.steps.append(Step(spec, operands))

    def reads_grad(self, tensor: Tensor) -> None:
        if id(tensor) not in self.grads_written:
            self.grads_read.setdefault(id(tensor), (tensor, tensor._grad))

    def writes_grad(self, tensor: Tensor) -> None:
        self.grads_written[id(tensor)] = tensor

    def guards(self, value: Callable[[], Hashable]) -> None:
        self.guarded.append((value, value()))

    def uses_module(self, module: Any) -> None:
        self.modules.setdefault(id(module), (module, module.training, members(module)))

    def finish(self, result: Any, checked: bool) -> Tape:
        """Turn the notes into a tape. Memory made during the call that somebody still holds stays where it is."""
        for ref, buffer in self.known.values():
            storage = ref()
            if buffer.storage is None and buffer.slot is None and storage is not None:
                buffer.storage, buffer.kept = storage, True
        self.known.clear()
        trim()  # the arena takes the place of what the eager call needed: r3-cnn stays at 190 MB instead of 283
        tape = Tape(fuse.fuse(self.steps), result, len(self.slots), checked)
        tape.guards = self.guarded
        tape.modules = list(self.modules.values())
        tape.leaves = list(self.leaves.values())
        tape.grads_before = list(self.grads_read.values())
        tape.grads_after = [(t, t._grad) for t in self.grads_written.values()]
        return tape


def _key(value: Any) -> Hashable:
    if isinstance(value, Tensor):
        return value.layout.shape, value.layout.strides, value.layout.dtype
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"a replayed step takes tensors and hashable values, not {type(value).__name__}; "
            "pass arrays as tensors (tg.from_numpy), or let the step close over the object"
        ) from None
    return type(value), value


class Replay:
    """A function that is recorded on its first call with a signature and replayed afterwards; see tg.replay."""

    def __init__(self, function: Callable[..., Any], checked: bool) -> None:
        functools.update_wrapper(self, function)
        self.function, self.checked = function, checked
        self.tapes: dict[Hashable, list[Tape]] = {}
        self.tape: Tape | None = None  # the one that ran last; print it to see the program
        self.lock = threading.Lock()  # a tape's memory is for one run at a time

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if modes.recording:
            return self.function(*args, **kwargs)  # a step within a step is part of it
        if kwargs:
            args = (*args, *kwargs.values())
        tensors = [a for a in args if isinstance(a, Tensor)]
        key = (
            tuple([a.layout if isinstance(a, Tensor) else _key(a) for a in args]),
            tuple(kwargs),
            modes.grad,
            backends.current(),
        )
        with self.lock:
            for tape in self.tapes.get(key, ()):
                if tape.holds():
                    self.tape = tape
                    return tape.run(tensors)
            names = list(kwargs)
            positional = len(args) - len(names)
            return self._record(key, args[:positional], dict(zip(names, args[positional:], strict=True)), tensors)

    def _record(self, key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]) -> Any:
        if any(t.needs_grad for t in tensors):
            raise RuntimeError(
                "a tensor argument of a replayed step requires grad; "
                "let the step close over parameters, and detach() inputs"
            )
        # Every argument gets a storage of its own, so that each is told apart even where two share memory.
        slots = [
            Tensor.over(Storage(t.address, t.layout.span() * t.layout.dtype.itemsize, t.storage), t.layout)
            for t in tensors
        ]
        in_order = iter(slots)

        def slot(value: Any) -> Any:
            return next(in_order) if isinstance(value, Tensor) else value

        recorder = Recorder(slots)
        called = [slot(a) for a in args], {name: slot(a) for name, a in kwargs.items()}
        before = modes.watchers
        modes.watch(recorder)
        try:
            result = _detached(self.function(*called[0], **called[1]), [s.storage for s in slots])
        finally:
            modes.watchers = before  # and not unwatch(): a Ctrl-C may come when a function begins
            watching.remove(recorder)
        del called
        tape = recorder.finish(result, self.checked)
        tape.note_changes(tensors)
        known = self.tapes.setdefault(key, [])
        known.append(tape)
        del known[:-TAPES]  # what was recorded first can be recorded again
        self.tape = tape
        return result

    def over(self, size: int, *tensors: Tensor) -> Any:
        """Call the step on rows 0 to size - 1 of the tensors, on the next `size` rows, and so on to the end, where
        there may be fewer; return the last result. The loop over full pieces runs in the backend, without Python.

        Raises ValueError for a size below 1, no rows, or tensors of differing numbers of rows.
        """
        rows = {len(t) for t in tensors}
        if size < 1 or len(rows) != 1 or rows == {0}:
            raise ValueError(
                f"over: expected a positive size and tensors of as many rows, got {size} and {sorted(rows)}"
            )
        (n,) = rows
        result, start = None, 0
        while start < n:
            full = (n - start) // size
            tape = self.tape
            if start and full and tape is not None and tape.can_loop(tensors) and tape.holds():
                result = tape.run_over([t[start:] for t in tensors], size, full)
                start += full * size
            else:
                result = self(*[t[start : start + size] for t in tensors])
                start += size
        return result

    def profile(self, *args: Any, **kwargs: Any) -> Tape:
        """Run one call (a real one: it trains) with a clock around every node; print the returned tape."""
        self(*args, **kwargs)
        assert self.tape is not None
        self.tape.timed = True
        self(*args, **kwargs)
        self.tape.timed = False
        return self.tape

    def __repr__(self) -> str:
        return f"<replay of {self.function.__name__}: {sum(map(len, self.tapes.values()))} tapes>"


def _detached(result: Any, slots: list[Storage]) -> Any:
    """The result's tensors outside the graph; an argument returned as it came is copied, for slots change address."""
    if isinstance(result, Tensor):
        return result.clone().detach() if any(result.storage is slot for slot in slots) else result.detach()
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*[_detached(r, slots) for r in result])
    if isinstance(result, (tuple, list)):
        return type(result)(_detached(r, slots) for r in result)
    if isinstance(result, dict):
        return {k: _detached(r, slots) for k, r in result.items()}
    return result


def replay(function: Callable[..., Any] | None = None, *, checked: bool | None = None) -> Any:
    """Make a step that is recorded once for each signature and then replayed by the backend without Python.

        @tg.replay
        def step(x, y):
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

    checked: stop with FloatingPointError at the first node whose output holds a NaN, and verify that no kernel wrote
    outside its buffers (default: whether TG_DEBUG is set to something with "check" in it).
    Raises RuntimeError where the step looks at a value (item(), bool()) or a parameter was replaced since recording.
    """
    if checked is None:
        checked = "check" in os.environ.get("TG_DEBUG", "")
    if function is None:
        return lambda f: Replay(f, checked)
    return Replay(function, checked)
