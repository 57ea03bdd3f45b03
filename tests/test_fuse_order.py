"""Merging steps that are no neighbours: fuse.collapse loses no order that matters, and refuses nothing without need.

The checker is tested as well: with a hazard dropped, or an order turned round, it must fail. Read next: test_fuse.py.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_edu import fuse


@dataclass(eq=False)
class Fake:
    """A step as fuse.collapse sees it."""

    writes: frozenset
    touches: frozenset
    members: list = field(default_factory=list)


def fake(reads, writes):
    return Fake(frozenset(writes), frozenset(reads) | frozenset(writes))


buffers = st.sets(st.integers(0, 5), max_size=2)
tapes = st.lists(st.builds(fake, buffers, st.sets(st.integers(0, 5), min_size=1, max_size=2)), min_size=2, max_size=9)


def must_precede(a, b):
    """The definition, apart from the code: b sees or destroys what a wrote, or destroys what a sees."""
    return any(x in b.touches for x in a.writes) or any(x in a.touches for x in b.writes)


def is_cyclic(tape, places):
    """Whether some way leads out of the group and back, by going through everything."""
    reached = set(places)
    for k in range(len(tape)):
        if k not in places and any(j in reached and j < k and must_precede(tape[j], tape[k]) for j in range(k)):
            reached.add(k)
    outside = reached - set(places)
    return any(j < k and must_precede(tape[j], tape[k]) for k in places for j in outside)


def check_collapse(tape, places):
    group = [tape[k] for k in places]
    fused = Fake(frozenset().union(*[g.writes for g in group]), frozenset().union(*[g.touches for g in group]))
    result = fuse.collapse(tape, places, fused)
    if result is None:
        assert is_cyclic(tape, places), "a merge was refused that would have done no harm"
        return
    flat = [x for step in result for x in (group if step is fused else [step])]
    assert sorted(map(id, flat)) == sorted(map(id, tape)), "steps were lost"
    for a in range(len(tape)):
        for b in range(a + 1, len(tape)):
            if must_precede(tape[a], tape[b]):
                assert flat.index(tape[a]) < flat.index(tape[b]), f"step {b} now runs before step {a}"


@given(tapes, st.data())
@settings(max_examples=400)
def test_collapse_keeps_every_order_that_matters(tape, data):
    places = data.draw(st.sets(st.integers(0, len(tape) - 1), min_size=2, max_size=4))
    check_collapse(tape, sorted(places))


def without(kind):
    """fuse.conflict with one kind of hazard forgotten."""

    def conflict(a, b):
        writes, reads = a.writes, a.touches - a.writes
        read_after_write = writes & (b.touches - b.writes) or b.writes & reads
        return bool(writes & b.writes if kind == "reads" else read_after_write)

    return conflict


@pytest.mark.parametrize("kind", ["reads", "writes"])
def test_a_dropped_hazard_is_caught(kind, monkeypatch):
    monkeypatch.setattr(fuse, "conflict", without(kind))
    with pytest.raises(AssertionError):
        test_collapse_keeps_every_order_that_matters()


def test_a_wrong_order_is_caught(monkeypatch):
    right = fuse.collapse

    def wrong(tape, places, fused):
        result = right(tape, places, fused)
        return result[::-1] if result is not None else None

    monkeypatch.setattr(fuse, "collapse", wrong)
    with pytest.raises(AssertionError):
        test_collapse_keeps_every_order_that_matters()
