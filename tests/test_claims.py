"""Verdicts: the statistics of differences, as properties that they must have, and how often they are wrong."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinygrad_edu.reports import RUNS
from tinygrad_edu.reports.claim import (
    FAILS,
    HOLDS,
    NOISE,
    NOT_RUN,
    Difference,
    Verdict,
    all_of,
    difference,
    missing,
    noise,
    told,
)  # fmt: skip
from tinygrad_edu.reports.report import Result
from tinygrad_edu.reports.results import Results

NAMES = [name for name in RUNS if name.startswith("r3-")]


def some(values):
    """Results in which the runs of report 3 have these numbers, x, a list over seeds for each."""
    found = {}
    for name, numbers in zip(NAMES, values, strict=False):
        found[name, None] = [Result(RUNS[name], {"seed": k}, metrics={"x": x}) for k, x in enumerate(numbers)]
    return Results(found)


def compared(values, value="x"):
    """The difference of the first two runs."""
    return difference(some(values), *NAMES[:2], value)


numbers = st.lists(st.integers(-1000, 1000), min_size=1, max_size=5)
several = st.lists(numbers, min_size=2, max_size=8).filter(lambda runs: max(map(len, runs)) > 1)


def clear(found):
    """Whether a difference is not just at the edge of noise, where rounding decides."""
    return not math.isclose(abs(found.value), found.noise, rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=40)
@given(several, st.integers(-1000, 1000), st.integers(1, 50))
def test_only_differences_and_their_size_matter(values, shift, factor):
    before, after = compared(values), compared([[factor * x + shift for x in run] for run in values])
    assert after.value == pytest.approx(factor * before.value, abs=1e-6)
    assert after.error == pytest.approx(factor * before.error, abs=1e-6)
    if clear(before):
        assert after.sign == before.sign


@settings(max_examples=40)
@given(several, st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(values, rng):
    shuffled = [rng.sample(run, len(run)) for run in values]
    before, after = compared(values), compared(shuffled)
    assert (before.value, before.error) == pytest.approx((after.value, after.error)) and before.seeds == after.seeds


@settings(max_examples=40)
@given(several)
def test_the_other_way_round_it_is_the_opposite(values):
    first, second = compared(values), compared([values[1], values[0], *values[2:]])
    assert (first.value, first.error, first.sign) == pytest.approx((-second.value, second.error, -second.sign))


@settings(max_examples=40)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=8))
def test_with_one_seed_each_noise_is_not_known(values):
    found = compared([[x] for x in values])
    assert found.error is found.noise is None and found.sign == 0 and found.value == values[0] - values[1]
    assert "noise unknown" in str(found) and all_of([found]) == NOT_RUN
    assert noise(some([[x] for x in values]), "r3", "x") is None


@settings(max_examples=40)
@given(numbers, numbers, st.integers(2, 100))
def test_a_run_that_scatters_more_is_less_sure_and_makes_no_other_less_sure(first, second, factor):
    assume(len(first) > 1 and len(set(first)) > 1)
    calm = [[1, 2, 3]] * 5  # what is typical
    mean = sum(first) / len(first)
    wild = [mean + factor * (x - mean) for x in first]
    before, after = compared([first, second, *calm]), compared([wild, second, *calm])
    assert after.error >= before.error - 1e-9 and after.value == pytest.approx(before.value, abs=1e-6)
    assert after.error >= statistics.stdev(wild) / math.sqrt(len(wild)) - 1e-6
    assert noise(some([wild, *calm]), "r3", "x") == pytest.approx(noise(some(calm), "r3", "x"))


def test_what_is_typical_serves_a_run_with_one_seed():
    calm = [[1.0, 2.0, 3.0]] * 3  # a deviation of 1, which is more for the median of so few: (1 - 1/9)^-3/2
    typical = (1 - 1 / 9) ** -1.5
    found = compared([[10.0], [5.0], *calm])
    assert noise(some(calm), "r3", "x") == pytest.approx(typical)
    assert found.error == pytest.approx(typical * math.sqrt(2)) and found.seeds == (1, 1) and found.sign == 1
    four = compared([[10.0] * 4, [5.0], *calm])
    assert four.error == pytest.approx(typical * math.sqrt(1 / 4 + 1))


def test_modes_have_noises_of_their_own():
    found = {}
    for mode, scatter in (("as-reported", 1.0), ("corrected", 10.0)):
        for name in ("r1-arch-1", "r1-arch-2"):
            metrics = [{"x": scatter * k} for k in range(3)]
            found[name, mode] = [Result(RUNS[name], {"seed": 0, "mode": mode}, metrics=m) for m in metrics]
    results = Results(found)
    first, second = (noise(results, "r1", "x", mode) for mode in ("as-reported", "corrected"))
    assert second == pytest.approx(10 * first)
    across = difference(results, "r1-arch-1", "r1-arch-2", "x", "as-reported", "corrected")
    assert across.value == 1 - 10 and across.error == pytest.approx(math.hypot(first, second) / math.sqrt(3))
    assert difference(results, "r1-arch-1", "r1-arch-2", "x").error == pytest.approx(first * math.sqrt(2 / 3))


def test_numbers_that_collapsed_are_left_out_and_not_counted():
    found = compared([[1.0, math.nan, None], [3.0, math.inf, 4.0], [1.0, 2.0]])
    assert found.value == -2.5 and found.seeds == (1, 2)
    assert compared([[math.nan], [1.0, 2.0]]) is None
    assert difference(some([[1.0, 2.0]]), NAMES[0], NAMES[1], "x") is None
    assert compared([[1, 2], [5, 6]], value=lambda result: result.metrics["x"] ** 2).value == 2.5 - 30.5


@pytest.mark.parametrize(
    ("runs", "seeds", "low", "high"), [(10, 3, 0.02, 0.06), (3, 3, 0.04, 0.09), (2, 2, 0.06, 0.14)]
)
def test_of_equal_runs_few_differ_and_of_unequal_ones_most(runs, seeds, low, high):
    rng, trials = random.Random(0), 400
    wrong = right = 0
    for _ in range(trials):
        values = [[rng.gauss(0, 1) for _ in range(seeds)] for _ in range(runs)]
        wrong += compared(values).sign != 0
        right += compared([[x + 8 for x in values[0]], *values[1:]]).sign == 1
    assert low <= wrong / trials <= high and right / trials > 0.9


def test_the_word_for_several_differences():
    up, down, noisy, unknown = (Difference(x, e, (3, 3)) for x, e in ((1, 0.1), (-1, 0.1), (-1, 1.0), (5, None)))
    assert [all_of(found) for found in ([up, up], [up, down], [up, noisy], [noisy], [up, unknown], [])] == [
        HOLDS, FAILS, NOISE, NOISE, NOT_RUN, NOT_RUN
    ]  # fmt: skip
    assert str(up) == "+1.00 (noise up to 0.20, 3 seeds each)"
    assert str(Difference(0.5, 0.1, (1, 2))) == "+0.50 (noise up to 0.20, 1 and 2 seeds)"
    assert up.short == "+1.00 (noise up to 0.20)"


def test_what_is_missing_and_what_is_there():
    results = some([[1.0, 2.0], [3.0], [None]])
    assert missing(results, NAMES[:3]) is None
    verdict = missing(results, [NAMES[0], *NAMES[3:5]])
    assert verdict == Verdict(NOT_RUN, f"Not run here: {NAMES[3]}, {NAMES[4]}.")
    assert missing(results, ["r1-arch-1"], "as-reported", "corrected").why.count("r1-arch-1 (") == 2
    assert told(results, NAMES[:1], "x") == f"{NAMES[0]} 1.50 (2 seeds)"
    assert told(results, NAMES[:3], "x") == (
        f"{NAMES[0]} 1.50 (2 seeds), {NAMES[1]} 3.00 (1 seed), {NAMES[2]} no number (0 seeds)"
    )
    assert told(some([[1], [2]]), NAMES[:2], "x", form=".0f") == f"{NAMES[0]} 1, {NAMES[1]} 2 (1 seed each)"
