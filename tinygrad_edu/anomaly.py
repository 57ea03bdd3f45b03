"""Anomaly detection: stop at the op where the first NaN or infinity arose, and name the user's line.

Every op's output is looked at, so it is slow; it is for finding a fault. Read next: autograd.py.
"""

from __future__ import annotations

import os
import traceback

import numpy as np

from .modes import Watcher, modes
from .op import Node, Spec
from .tensor import Tensor

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def user_line() -> str:
    """The innermost line on the stack that is not this package's."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(PACKAGE):
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return "unknown"


def _finite(x: Tensor) -> bool:
    return not x.layout.dtype.is_floating_point or bool(np.isfinite(x.array()).all())


class Detector(Watcher):
    """Looks at every output; in backward it knows whose rules are running."""

    def __init__(self, check_nan: bool) -> None:
        self.check_nan = check_nan
        self.node: Node | None = None  # whose rules are running

    def enters(self, node: Node | None) -> None:
        self.node = node

    def ran(self, spec: Spec, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        if out.node is not None:
            out.node.trace = user_line()
        if not self.check_nan or spec.op.is_view or _finite(out):
            return
        if not spec.op.updates and not all(_finite(x) for x in inputs):
            return  # it arose earlier, or was given
        what = "NaN" if np.isnan(out.array()).any() else "an infinity"
        where = user_line()
        node = self.node
        if node is not None:
            where = f"{where}\nin the gradient of {node.name()!r}, called at {node.trace or 'an unknown line'}"
        raise RuntimeError(f"anomaly: op {spec.op.name!r} gave {what} from finite inputs, at {where}")


class set_detect_anomaly:
    """Switch anomaly detection on or off in this thread; as a context manager, for a while.

    While on, the first op whose output holds a NaN or an infinity though its inputs were finite raises RuntimeError
    naming the op and the line that called it (in backward: the forward op, too). check_nan=False keeps the lines only.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = [w for w in modes.watchers if isinstance(w, Detector)]
        self.own = [Detector(check_nan)] if mode else []
        self._replace(self.before, self.own)

    def _replace(self, old: list[Detector], new: list[Detector]) -> None:
        for watcher in old:
            modes.unwatch(watcher)
        for watcher in new:
            modes.watch(watcher)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._replace(self.own, self.before)


class detect_anomaly(set_detect_anomaly):
    """`with autograd.detect_anomaly():` is set_detect_anomaly(True) for a while."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)


def is_anomaly_enabled() -> bool:
    """Whether it is on in this thread."""
    return any(isinstance(w, Detector) for w in modes.watchers)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether values are looked at while it is on: what check_nan says, True where it is off."""
    return all(w.check_nan for w in modes.watchers if isinstance(w, Detector))
