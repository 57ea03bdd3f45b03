"""The judges of report 1's claims, on made-up results: each word can be reached, and only by what it stands for."""

from __future__ import annotations

import pytest

from tinygrad_edu.reports import report1
from tinygrad_edu.reports.claim import FAILS, HOLDS, NOISE, NOT_RUN
from tinygrad_edu.reports.claims1 import CLAIMS, DRIFT, SMALL_STEPS, collapsed
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.report1 import MODES, RUNS, settings
from tinygrad_edu.reports.results import Results

BOTH, REPORTED, CORRECTED = MODES, MODES[:1], MODES[1:]
HIGH = ("r1-lr-0.1", "r1-lr-0.01", "r1-lr-0.005")


def level(end):
    """Test accuracies of 30 epochs that settle at once."""
    return [end] * 30


def rising(end, points):
    """That rise by so many points from epoch 20 to 30, half of them after 25."""
    return [end - points * max(0, 30 - k) / 10 for k in range(1, 31)]


def made(*changes, seeds=3, scatter=0.1, lacking=()):
    """Results of all runs at 85 percent and a second an epoch, but for changes: names, modes, and accuracies of the
    epochs, or their end, or a list of an end for each seed, or a dict with more."""
    results = Results()
    for mode in MODES:
        for name, run in RUNS.items():
            for seed in range(seeds):
                accuracies, seconds, loss = level(85.0), 1.0, 0.5
                for names, modes, change in changes:
                    if mode in modes and name in names:
                        change = change if isinstance(change, dict) else {"accuracy": change}
                        accuracies, seconds = change.get("accuracy", accuracies), change.get("seconds", seconds)
                        accuracies = accuracies[seed] if isinstance(accuracies, tuple) else accuracies
                        accuracies = accuracies if isinstance(accuracies, list) else level(accuracies)
                moved = scatter * (seed - 1)
                pace = seconds * (1 + moved / 10)
                history = [
                    {"epoch": k, "test_accuracy": a + moved, "test_loss": loss, "seconds": k * pace}
                    for k, a in enumerate(accuracies, 1)
                ]
                history[-1]["seconds"] += 100.0  # the machine was suspended
                metrics = {**history[-1], "threads": 1}
                chosen = settings(run, Options(mode=mode, seed=seed))
                if (name, mode) not in lacking:
                    results.found.setdefault((name, mode), []).append(Result(run, chosen, history, metrics=metrics))
    return results


def judged(text, *changes, **kwargs):
    """The verdict on the one claim with that text."""
    (claim,) = (claim for claim in CLAIMS if text in claim.text)
    return claim.judge(made(*changes, **kwargs))


CLIPPED = tuple(f"{name}-clip" for name in HIGH)
BATCHES = tuple(f"r1-batch-{2**k}" for k in range(3, 13))
ARCHITECTURES = tuple(f"r1-arch-{k}" for k in range(1, 9))
FALLEN = [84.0] * 20 + [70.0] * 10
SIGMOID = ("r1-arch-2", "r1-arch-3")
UP = [((name,), BOTH, 70.0 + k) for k, name in enumerate(ARCHITECTURES)]

# A claim, what differs from runs that are all alike, the word, and whether the report's mistake is named.
JUDGED = [
    ("Learning rates", [], FAILS, ""),
    ("Learning rates", [(HIGH, REPORTED, 10.0)], FAILS, DRIFT),
    ("Learning rates", [(HIGH, REPORTED, 10.0), (HIGH[:1], CORRECTED, 10.0)], FAILS, DRIFT),
    ("Learning rates", [(HIGH, REPORTED, FALLEN), (HIGH, CORRECTED, 10.0)], HOLDS, ""),
    ("Learning rates", [(HIGH, BOTH, (10.0, 10.0, 85.0))], NOISE, ""),
    ("He init", [], HOLDS, ""),
    ("He init", [(HIGH[1:2], REPORTED, (85.0, 10.0, 85.0))], FAILS, ""),
    ("He init", [(HIGH[:1], CORRECTED, 17.0)], FAILS, ""),
    ("clipping", [], NOISE, ""),
    ("clipping", [(HIGH, REPORTED, 10.0)], HOLDS, ""),
    ("clipping", [(HIGH, REPORTED, 10.0), (CLIPPED[:1], REPORTED, (85.0, 85.0, FALLEN))], FAILS, DRIFT),
    ("clipping", [(HIGH, BOTH, 10.0), (CLIPPED, BOTH, 10.0)], FAILS, ""),
    ("clipping", [(HIGH, CORRECTED, 10.0), (CLIPPED, CORRECTED, 10.0)], FAILS, ""),
    ("2048 use", [], NOISE, ""),
    ("2048 use", [(("r1-batch-2048",), REPORTED, {"seconds": 0.9})], HOLDS, ""),
    ("2048 use", [(("r1-batch-2048",), CORRECTED, {"seconds": 0.9})], NOISE, ""),
    ("2048 use", [(("r1-batch-512",), REPORTED, {"seconds": 0.9})], FAILS, ""),
    ("4096 overshoot", [], NOISE, ""),
    ("4096 overshoot", [(BATCHES[-1:], REPORTED, 84.0)], HOLDS, ""),
    ("4096 overshoot", [(BATCHES[-1:], REPORTED, 86.0)], FAILS, ""),
    ("Sigmoid", [], FAILS, SMALL_STEPS),
    ("Sigmoid", [(SIGMOID, REPORTED, 60.0)], FAILS, SMALL_STEPS),
    ("Sigmoid", [(SIGMOID, BOTH, 60.0)], HOLDS, ""),
    ("Sigmoid", [(SIGMOID[1:], CORRECTED, 60.0)], NOISE, ""),
    ("Sigmoid", [(SIGMOID, BOTH, 86.0), (("r1-arch-1", "r1-arch-5"), CORRECTED, 88.0)], FAILS, SMALL_STEPS),
    ("Wider", [], NOISE, ""),
    ("Wider", UP, HOLDS, ""),
    ("Wider", [*UP, (("r1-arch-6",), CORRECTED, 70.0)], FAILS, ""),
    ("Wider", [*UP, (("r1-arch-6",), CORRECTED, 74.0)], NOISE, ""),
    ("Deeper", [], NOISE, ""),
    ("Deeper", UP, HOLDS, ""),
    ("Deeper", [*UP, (("r1-arch-8",), REPORTED, 75.0)], FAILS, ""),
    ("Architecture 8", [], NOISE, ""),
    ("Architecture 8", UP, HOLDS, ""),
    ("Architecture 8", [*UP, (("r1-arch-7",), CORRECTED, 90.0)], FAILS, ""),
    ("Architecture 8", [*UP, (("r1-arch-1",), REPORTED, 90.0)], FAILS, ""),
    ("settles", [], HOLDS, ""),
    ("settles", [(tuple(RUNS), REPORTED, rising(85.0, 1.0))], FAILS, SMALL_STEPS),
    ("settles", [(tuple(RUNS), BOTH, rising(85.0, 1.0))], FAILS, ""),
    ("settles", [(tuple(RUNS), BOTH, rising(85.0, 0.2))], HOLDS, ""),
    ("settles", [(HIGH, BOTH, FALLEN)], HOLDS, ""),  # what collapsed says nothing of it
    ("Early", [], HOLDS, ""),
    ("Early", [(tuple(RUNS), REPORTED, rising(85.0, 0.2))], FAILS, SMALL_STEPS),
]


@pytest.mark.parametrize(("text", "changes", "word", "mistake"), JUDGED)
def test_verdicts(text, changes, word, mistake):
    verdict = judged(text, *changes)
    assert verdict.word == word and verdict.mistake.startswith(mistake) and bool(verdict.mistake) == bool(mistake)
    assert "nan" not in verdict.why and verdict.why.endswith(".")


def test_every_claim_can_get_several_words_and_tells_what_is_missing():
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS) == 11
    for claim in CLAIMS:
        words = {word for text, _, word, _ in JUDGED if text in claim.text}
        assert len(words) > 1
        nothing = claim.judge(Results())
        assert nothing.word == NOT_RUN and nothing.why.startswith("Not run here: r1-")


def test_runs_that_are_missing_are_named():
    lacking = [("r1-lr-0.1-clip", "corrected"), ("r1-batch-8", "as-reported")]
    verdict = judged("clipping", lacking=lacking)
    assert (verdict.word, verdict.why) == (NOT_RUN, "Not run here: r1-lr-0.1-clip (corrected).")
    assert judged("2048 use", lacking=lacking).why == "Not run here: r1-batch-8 (as-reported)."
    assert judged("4096 overshoot", lacking=lacking).word == NOISE


@pytest.mark.parametrize(
    "text", ["2048 use", "4096", "Sigmoid", "Wider", "Deeper", "Architecture 8", "settles", "Early"]
)
def test_one_seed_tells_nothing_of_noise(text):
    verdict = judged(text, *UP, seeds=1)
    assert verdict.word == NOT_RUN and "more seeds" in verdict.why


@pytest.mark.parametrize("text", ["Learning rates", "He init", "clipping"])
def test_a_collapse_is_seen_with_one_seed(text):
    assert judged(text, (HIGH + CLIPPED, REPORTED, 10.0), seeds=1).word == FAILS


def test_the_numbers_are_told():
    why = judged("Learning rates", (HIGH[:1], REPORTED, (10.0, FALLEN, 86.0))).why
    assert "as-reported: r1-lr-0.1 55.33, r1-lr-0.01 85.00, r1-lr-0.005 85.00, r1-lr-0.001 85.00 (3 seeds each)" in why
    assert "collapsed: r1-lr-0.1 (2 of 3). corrected: r1-lr-0.1 85.00" in why
    why = judged("2048 use", (("r1-batch-512",), REPORTED, {"seconds": 0.5})).why
    assert "r1-batch-256 1.00, r1-batch-512 0.50" in why and "by more than noise: r1-batch-512." in why
    assert "-0.80 (noise up to" in judged("Deeper", (("r1-arch-8",), REPORTED, 84.2)).why
    assert "+0.50 points (another seed" in judged("settles", (tuple(RUNS), REPORTED, rising(85.0, 1.0))).why


def test_what_counts_as_collapsed():
    for accuracies, expected in (
        (level(49.9), True), (level(50.1), False), (FALLEN, True), ([85.0] * 29 + [76.0], False),
        (rising(53.0, 30.0), False),
    ):  # fmt: skip
        history = [{"test_accuracy": a} for a in accuracies]
        assert collapsed(Result(RUNS["r1-arch-3"], {}, history)) is expected


def test_the_error_that_the_verdicts_name():
    """Its parts do not add up to 0, and it is the true error times p (1 - p) / 5: 1/55 at p = 1/10."""
    import numpy as np

    import tinygrad_edu as tg

    one_hot = np.eye(10, dtype=np.float32)
    even = report1.reported_error(tg.zeros(10, 10), tg.tensor(one_hot)).numpy()
    np.testing.assert_allclose(even, (0.1 - one_hot) / 55.6, rtol=2e-3)
    uneven = report1.reported_error(tg.tensor([[3.0, 2.0, 1.0, *[0.0] * 7]]), tg.tensor(one_hot[2:3])).numpy()
    assert uneven.sum() > 0.3 * abs(uneven).max()
