"""What calling an op does besides computing: leave nodes, be watched. Per thread, as in PyTorch.

A watcher sees every op right after it ran: the recorder of replay.py, the anomaly detector. Read next: op.py.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Generator, Hashable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from .op import Node, Spec
    from .tensor import Tensor


class Watcher:
    """Told of everything that happens while it is in modes.watchers; does nothing by itself."""

    recording = False  # whether looking at a value would freeze it into a tape

    def ran(self, spec: Spec, inputs: tuple[Tensor, ...], out: Tensor) -> None: ...
    def enters(self, node: Node | None) -> None:
        """Backward is about to call this node's rules; None: it has ended."""

    def reads_grad(self, tensor: Tensor) -> None: ...
    def writes_grad(self, tensor: Tensor) -> None: ...
    def guards(self, value: Callable[[], Hashable]) -> None:
        """What is being recorded holds only as long as value() is what it is now. It is called before every replay, so
        it may bring tensors up to date with Python numbers (a learning rate) on the way."""

    def uses_module(self, module: Any) -> None:
        """A module's forward runs: its parameters and its mode become part of what is recorded."""


F = TypeVar("F", bound=Callable[..., Any])

watching: list[Watcher] = []  # of all threads: asking an empty list is cheaper than asking a thread-local


class Modes(threading.local):
    """The state of one thread; `modes` is the only instance."""

    grad = True
    watchers: tuple[Watcher, ...] = ()
    structure: ClassVar[list[int]] = [0]  # of all threads: counts replaced parameters, train() and eval()

    def watch(self, watcher: Watcher) -> None:
        watching.append(watcher)
        self.watchers = (*self.watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        watching.remove(watcher)
        self.watchers = tuple(w for w in self.watchers if w is not watcher)

    def unwatched(self) -> contextlib.AbstractContextManager[None]:
        """What runs inside belongs to no step: state that is made once, on first use."""
        return _Unwatched()

    @property
    def recording(self) -> bool:
        """Whether tg.replay records a step in this thread."""
        return bool(watching) and any(watcher.recording for watcher in self.watchers)

    def leaves_tape(self, what: str) -> None:
        """Raise RuntimeError if a step is being recorded: a value seen by Python would be frozen into the tape."""
        if self.recording:
            raise RuntimeError(
                f"{what} while tg.replay records a step: Python would see the first step's value only. "
                "Return the tensor from the step and look at it outside."
            )

    def structure_changed(self) -> None:
        """A parameter was replaced, or a module's mode changed: recorded steps check that they still hold."""
        self.structure[0] += 1


modes = Modes()


class _Unwatched(contextlib.AbstractContextManager[None]):
    """Not a generator, which a Ctrl-C would leave to put the watchers back when it is collected, after everybody."""

    def __enter__(self) -> None:
        self.before, modes.watchers = modes.watchers, ()

    def __exit__(self, *_: object) -> None:
        modes.watchers = self.before


class set_grad_enabled:
    """Switch the recording of gradients on or off in this thread: at once as a plain call, for a while in `with`, for
    the length of each call as a decorator."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled: mode must be a bool, got {type(mode).__name__}")
        self.mode = mode
        self.before = [modes.grad]
        modes.grad = mode

    def __enter__(self) -> None:
        modes.grad = self.mode

    def __exit__(self, *_: object) -> None:
        modes.grad = self.before[0]

    def __call__(self, function: F) -> F:
        modes.grad = self.before[0]  # decorating is not entering
        return _decorated(function, lambda: set_grad_enabled(self.mode))


def _decorated(function: F, context: Callable[[], Any]) -> F:
    if inspect.isgeneratorfunction(function):
        return _decorated_generator(function, context)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with context():
            return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def _decorated_generator(function: F, context: Callable[[], Any]) -> F:
    """The mode holds while the generator's own lines run, not while its caller's do."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        resume, value = generator.send, None
        try:
            while True:
                with context():
                    given = resume(value)
                try:
                    resume, value = generator.send, (yield given)
                except GeneratorExit:
                    raise
                except BaseException as error:  # what the caller throws into it
                    resume, value = generator.throw, error
        except StopIteration as end:
            return end.value
        finally:
            with context():
                generator.close()

    return wrapped  # type: ignore[return-value]


class _Switch:
    """no_grad and enable_grad: re-entrant, usable as `with`, as decorator with and without parentheses."""

    mode: bool
    before: list[bool]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        self.before = []
        return self if function is None else self(function)

    def __enter__(self) -> None:
        self.before.append(modes.grad)
        modes.grad = self.mode

    def __exit__(self, *_: object) -> None:
        modes.grad = self.before.pop()

    def __call__(self, function: F) -> F:
        return _decorated(function, type(self))


class no_grad(_Switch):
    """Context manager and decorator: ops leave no nodes."""

    mode = False


class enable_grad(_Switch):
    """Context manager and decorator: ops leave nodes again, inside no_grad()."""

    mode = True


def inference_mode(mode: Any = True) -> Any:
    """no_grad, or with mode=False enable_grad, as context manager or decorator. Unlike PyTorch's, it does not forbid
    what is made in it to take part in a graph later: here that costs nothing."""
    return no_grad(mode) if callable(mode) else no_grad() if mode else enable_grad()


def is_grad_enabled() -> bool:
    """Whether ops leave nodes in this thread."""
    return modes.grad
