"""Ctrl-C at a good moment: the first one is noted, so that a run can save where it is; the second one is Python's own.

Read next: runner.py and sweep.py, which ask.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any


@contextlib.contextmanager
def first_interrupt(note: Callable[[], Any]) -> Iterator[None]:
    """Within: the first SIGINT calls note(), whatever follows does what it did before.

    Nothing changes off the main thread, where Python allows no handlers, and in a process that was told to ignore it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def handle(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        note()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def children_without_interrupts() -> Iterator[None]:
    """Within: processes and threads that are started never see a Ctrl-C, which a terminal sends to all; one that comes
    meanwhile is seen here afterwards. Raises ImportError without joblib."""
    from joblib.externals.loky.backend import resource_tracker as loky_tracker

    resource_tracker.ensure_running()  # both let Ctrl-C through again when they start
    loky_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
