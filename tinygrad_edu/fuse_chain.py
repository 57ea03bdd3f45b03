"""Chains: elementwise steps that follow each other run block by block as one node, so that what they hand on stays in
the cache (csrc/chain.c).

The parts' kernels are those that would have run alone, so no bit changes. What is too small for memory to matter stays
as it is, and so does everything on backends without chains. Read next: plan.py; csrc/chain.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from . import backends
from .steps import Buffer, Operand, Step, same

# Elements from which on a chain is made: with fewer, what is handed on stays in the cache anyway. add and relu, of so
# many floats as they stand here, cost the same merged or not; of four times as many, 1.3 times as much apart.
WORTH = 16384
MOST = 12  # parts: each is copied for every piece of work that a thread takes

Collapse = Callable[[list[Step], Sequence[int], Step], list[Step] | None]


def chained(steps: list[Step], collapse: Collapse) -> list[Step]:
    """The steps with chains made wherever a step reads what an earlier one made and both can be parts."""
    k = 0
    while k < len(steps):
        for place in _makers(steps, k):
            chain = _chain(steps, place, k)
            shorter = None if chain is None else collapse(steps, (place, k), chain)
            if chain is not None and shorter is not None:
                steps = shorter
                k = steps.index(chain) - 1  # perhaps it reads what yet another part made
                break
        k += 1
    return steps


def _parts(step: Step) -> tuple[Step, ...]:
    return step.parts or ((step,) if step.along else ())


def _makers(steps: list[Step], k: int) -> list[int]:
    """Where the elements that step k goes along with were made, the latest first."""
    if not _parts(steps[k]) or steps[k].spec.layout.numel < WORTH:
        return []
    read = {o.buffer for o in steps[k].read()}
    return [j for j in range(k - 1, -1, -1) if steps[j].writes & read and _parts(steps[j])]


def _chain(steps: list[Step], place: int, k: int) -> Step | None:
    parts = _parts(steps[place]) + _parts(steps[k])
    if len(parts) > MOST or len({part.spec.layout.numel for part in parts}) > 1 or not _together(parts):
        return None
    others = (o.buffer for n, step in enumerate(steps) if n not in (place, k) for o in step.operands)
    chain = make(parts, set(others))
    return chain if backends.has_chain(chain) else None


def _together(parts: Iterable[Step]) -> bool:
    """Whether each part may run on a block before the one before it has done the others: what a part writes is seen by
    others at the same places only."""
    seen = [(o, i < part.along) for part in parts for i, o in enumerate(part.operands)]
    return all(
        elements and same(made, o)
        for part in parts
        for made in [part.operands[0]]
        for o, elements in seen
        if o.buffer is made.buffer
    )


def make(parts: Sequence[Step], outside: set[Buffer]) -> Step:
    """The chain of some parts; `outside`: the buffers that other steps touch."""
    made = {part.operands[0].buffer: part.operands[0] for part in parts}
    outputs = [o for o in made.values() if o.buffer.lasting or o.buffer in outside]
    outputs.reverse()  # the last one first: it is what the chain is for
    inputs: dict[object, Operand] = {}
    ready: set[Buffer] = set()
    for part in parts:
        for o in part.operands[1:]:
            if o.buffer not in ready:
                inputs.setdefault((o.buffer, o.offset), o)
        ready.add(part.operands[0].buffer)
    return Step(parts[-1].spec, [*outputs, *inputs.values()], tuple(parts), len(outputs))
