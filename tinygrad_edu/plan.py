"""Where each buffer of a tape lies: two that are never needed at the same time may share memory.

The problem is offline dynamic storage allocation; placing the largest first, each into the tightest gap between the
buffers alive at the same time, is within a few percent of the best on our tapes. Read next: replay.py, the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Lifetime(NamedTuple):
    """A buffer of nbytes that is written first at step `first` and touched last at step `last` (inclusive)."""

    first: int
    last: int
    nbytes: int


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
