"""The memory plan of a tape: buffers needed at the same time never overlap, and little is wasted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.plan import ALIGNMENT, Lifetime, assign, padded

lifetimes = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(0, 5000)).map(
        lambda t: Lifetime(t[0], t[0] + t[1], t[2])
    ),
    max_size=60,
)


def lower_bound(buffers, guard=0):
    """The most bytes that are alive at one step: no plan can do with less."""
    steps = range(max((b.last for b in buffers), default=-1) + 1)
    return max((sum(padded(b.nbytes, guard) for b in buffers if b.first <= k <= b.last) for k in steps), default=0)


def check(buffers, offsets, total, guard=0):
    assert len(offsets) == len(buffers)
    for k, (a, start) in enumerate(zip(buffers, offsets, strict=True)):
        assert start % ALIGNMENT == 0 and start >= 0
        assert start + max(a.nbytes, 1) + guard <= total
        for b, other in zip(buffers[:k], offsets[:k], strict=True):
            if a.first <= b.last and b.first <= a.last:
                apart = start + a.nbytes + guard <= other or other + b.nbytes + guard <= start
                assert apart, f"{a} at {start} overlaps {b} at {other}"


@given(lifetimes, st.sampled_from([0, ALIGNMENT]))
def test_no_two_live_buffers_overlap(buffers, guard):
    offsets, total = assign(buffers, guard)
    check(buffers, offsets, total, guard)
    assert lower_bound(buffers, guard) <= total <= sum(padded(b.nbytes, guard) for b in buffers)


def test_little_is_wasted():
    """On average within a tenth of the lower bound, never more than 1.3 times it, on tapes like a network's."""
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(5, 120))
        buffers = []
        for k in range(n):
            # most results are read soon; those that backward needs live to the mirrored step
            last = 2 * n - k if rng.random() < 0.3 else k + int(rng.integers(1, 4))
            buffers.append(Lifetime(k, last, int(rng.choice([256, 4096, 40_000, 262_144])) + int(rng.integers(0, 3))))
        offsets, total = assign(buffers)
        check(buffers, offsets, total)
        ratios.append(total / lower_bound(buffers))
    assert max(ratios) <= 1.3, max(ratios)
    assert np.mean(ratios) <= 1.1, np.mean(ratios)


def test_a_chain_needs_two_buffers():
    buffers = [Lifetime(k, k + 1, 1000) for k in range(50)]
    assert assign(buffers)[1] == 2 * padded(1000)


def test_nothing_to_place():
    assert assign([]) == ([], 0)
    offsets, total = assign([Lifetime(0, 0, 0)])
    assert offsets == [0] and total == ALIGNMENT
