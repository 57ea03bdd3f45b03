"""Shorten a recorded step before it is planned: drop what nobody reads, merge steps that one kernel can do together.

A merge changes no bit of the result: the fused kernel does the same operations in the same order. What can be merged
is a table (fuse_rules.py) and chains of elementwise ops (fuse_chain.py); here is what makes a merge safe. Steps of a
group need not be neighbours: what stands between them moves before or after the group, if order allows.
Read next: fuse_rules.py, then plan.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import backends, fuse_chain
from .fuse_rules import RULES, Found, Rule
from .steps import Buffer, Step, same


def fuse(steps: list[Step]) -> list[Step]:
    """The same computation in fewer steps."""
    steps = without_dead(steps)
    for rule in RULES:
        steps = apply(rule, steps)
    return fuse_chain.chained(without_dead(steps), collapse)


def without_dead(steps: Sequence[Step]) -> list[Step]:
    """The steps whose results are read later, held by somebody, or written to memory from outside."""
    needed: set[Buffer] = set()
    alive: list[Step] = []
    for step in reversed(steps):
        if any(o.buffer.lasting or o.buffer in needed for o in step.written()):
            alive.append(step)
            needed.update(o.buffer for o in step.read())
    return alive[::-1]


def conflict(a: Step, b: Step) -> bool:
    """Whether the order of two steps matters: one writes what the other reads or writes. Parts of a buffer count as the
    whole."""
    return bool(a.writes & b.touches or b.writes & a.touches)


def collapse(steps: list[Step], places: Sequence[int], fused: Step) -> list[Step] | None:
    """The steps with those at `places` (ascending) replaced by one, or None where a step between them must come after
    one of them and before another.

    What stands between goes before the fused step unless it depends on one of the group, so order is kept otherwise."""
    before: list[Step] = []
    after: list[Step] = []
    group: list[Step] = []
    first, last = places[0], places[-1]
    for k in range(first, last + 1):
        step = steps[k]
        if k in places:
            if any(conflict(step, x) for x in after):
                return None
            group.append(step)
        elif any(conflict(step, x) for x in group) or any(conflict(step, x) for x in after):
            after.append(step)
        else:
            before.append(step)
    return [*steps[:first], *before, fused, *after, *steps[last + 1 :]]


def apply(rule: Rule, steps: list[Step]) -> list[Step]:
    """Merge wherever the rule fits, until it fits nowhere."""
    start = 0
    while start < len(steps):
        if steps[start].name == rule.path[0]:
            shorter = next(merges(rule, steps, start), None)
            if shorter is not None:
                steps = shorter
                continue  # another step stands at `start` now
        start += 1
    return steps


def merges(rule: Rule, steps: list[Step], start: int) -> Iterator[list[Step]]:
    """What the tape becomes by merging a path of the rule that begins at step number `start`."""
    for places in paths(steps, [start], rule.path):
        group = [steps[k] for k in places]
        fused = rule.fused(Found(steps), *group)
        if fused is None or not hides(fused, group, steps) or not backends.has_kernel(fused.spec):
            continue  # without a kernel the reference would run, which may differ in a bit
        shorter = collapse(steps, places, fused)
        if shorter is not None:
            yield shorter


def paths(steps: list[Step], places: list[int], names: Sequence[str]) -> Iterator[list[int]]:
    """The ways to go on from steps[places[-1]]: steps of the next names, each reading what the one before it made."""
    if len(places) == len(names):
        yield places
        return
    maker = steps[places[-1]]
    for k in range(places[-1] + 1, len(steps)):
        if steps[k].name == names[len(places)] and any(
            same(made, read) for made in maker.written() for read in steps[k].read()
        ):
            yield from paths(steps, [*places, k], names)


def hides(fused: Step, group: Sequence[Step], steps: Iterable[Step]) -> bool:
    """Whether what the group wrote and the fused step does not is read by nobody else."""
    lost = {b for step in group for b in step.writes} - fused.writes
    if any(b.lasting for b in lost):
        return False
    return not any(lost & step.touches for step in steps if not any(step is g for g in group))
