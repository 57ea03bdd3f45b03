"""Where each buffer of a tape lies: two that are never needed at the same time may share memory, and what an
elementwise step makes may lie where an input lay that nobody reads later.

The problem is offline dynamic storage allocation; placing the largest first, each into the tightest gap between the
buffers alive at the same time, is within a few percent of the best on our tapes. Read next: replay.py, the user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .steps import Buffer, Step

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Lifetime(NamedTuple):
    """A buffer of nbytes that is written first at step `first` and touched last at step `last` (inclusive)."""

    first: int
    last: int
    nbytes: int


def lifetimes(steps: Sequence[Step]) -> dict[Buffer, Lifetime]:
    """When each buffer that is to be planned is needed."""
    found: dict[Buffer, Lifetime] = {}
    for k, step in enumerate(steps):
        for buffer in (o.buffer for o in step.operands):
            if not buffer.lasting:
                first = found[buffer].first if buffer in found else k
                found[buffer] = Lifetime(first, k, buffer.nbytes)
    return found


def heirs(
    steps: Sequence[Step], needed: dict[Buffer, Lifetime], in_place: Callable[[Step], bool]
) -> dict[Buffer, Buffer]:
    """Buffers that lie where another one lies: what an elementwise step makes, and the input that it takes over."""
    found: dict[Buffer, Buffer] = {}
    taken: set[Buffer] = set()
    for k, step in enumerate(steps):
        for made, x in step.overwrites():
            new, old = made.buffer, x.buffer
            if new not in needed or old not in needed or new in found or old in taken:
                continue
            fits = made.fills(new) and x.fills(old) and new.nbytes == old.nbytes
            if fits and needed[new].first == needed[old].last == k and in_place(step):
                found[new] = old
                taken.add(old)
    return found


def padded(nbytes: int, guard: int = 0) -> int:
    """nbytes rounded up to the alignment, and the guard after it."""
    return -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT + guard


def assign(lifetimes: Sequence[Lifetime], guard: int = 0) -> tuple[list[int], int]:
    """An offset in bytes for each buffer, aligned, and the total size. Buffers alive at the same time do not overlap.

    guard: bytes left free after each buffer, for the checked mode to watch; a multiple of ALIGNMENT."""
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    total = 0
    for k in sorted(range(len(lifetimes)), key=lambda k: (-lifetimes[k].nbytes, lifetimes[k].first)):
        first, last, nbytes = lifetimes[k]
        size = padded(nbytes, guard)
        neighbours = sorted(
            (offsets[j], padded(lifetimes[j].nbytes, guard))
            for j in placed
            if lifetimes[j].first <= last and first <= lifetimes[j].last
        )
        best, best_gap, end = None, None, 0
        for offset, taken in neighbours:
            gap = offset - end
            if gap >= size and (best_gap is None or gap < best_gap):
                best, best_gap = end, gap
            end = max(end, offset + taken)
        offsets[k] = end if best is None else best
        total = max(total, offsets[k] + size)
        placed.append(k)
    return offsets, total
