"""The judges of report 4's claims, on made-up results: each word can be reached, and only by what it stands for."""

from __future__ import annotations

import pytest

from tinygrad_edu.reports.claim import FAILS, HOLDS, NOISE, NOT_RUN
from tinygrad_edu.reports.claims4 import CLAIMS, RATES, SMALLER
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.report4 import RUNS, settings
from tinygrad_edu.reports.results import Results


def made(curves, seeds=3, scatter=0.5, reduced=()):
    """Results with each run's test accuracies: one for all epochs, or pairs of an epoch and the accuracy from there on.
    From seed to seed they move by `scatter`, and the later half of epochs by half as much again."""
    results = Results()
    for name, curve in curves.items():
        steps = curve if isinstance(curve, dict) else {1: curve}
        for seed in range(seeds):
            history, accuracy, lr = [], 0.0, RUNS[name].lr
            for epoch in range(1, RUNS[name].epochs + 1):
                accuracy = steps.get(epoch, accuracy)
                moved = scatter * (seed - 1) * (1.5 if epoch > 12 else 1.0)
                history.append({"epoch": epoch, "test_accuracy": accuracy + moved, "lr": lr})
                lr *= 0.1 if epoch in reduced else 1.0
            chosen = settings(RUNS[name], Options(seed=seed))
            metrics = {"test_accuracy": history[-1]["test_accuracy"]}
            results.found.setdefault((name, None), []).append(Result(RUNS[name], chosen, history, metrics=metrics))
    return results


def judged(text, *args, **kwargs):
    (claim,) = (claim for claim in CLAIMS if text in claim.text)
    return claim.judge(made(*args, **kwargs))


def test_every_claim_of_the_list_is_there():
    for text in ("Adam beats SGD", "0.001", "Three epochs", "first 10 epochs", "Smaller batches", "plateau"):
        verdict = judged(text, {})
        assert verdict.word == NOT_RUN and verdict.why.startswith("Not run here: r4")
    assert len(CLAIMS) == 6


# With three seeds that move by 0.5 the noise of a difference is about 1.5 at the end.
@pytest.mark.parametrize(
    ("tuned", "word"),
    [(85.0, HOLDS), (83.0, HOLDS), (81.0, FAILS), (87.5, NOISE), (90.5, FAILS), (92.0, FAILS)],
)
def test_adam_against_sgd(tuned, word):
    verdict = judged("Adam", {"r4f-adam-0.001": 88.0, "r4f-sgd": 83.0, "r4f-sgd-tuned": tuned}, scatter=0.7)
    assert verdict.word == word and f"{88 - tuned:+.2f} (noise up to 2." in verdict.why and "+5.00" in verdict.why
    assert judged("Adam", {"r4f-adam-0.001": 88.0, "r4f-sgd": 83.0, "r4f-sgd-tuned": tuned}, seeds=1).word == NOT_RUN


@pytest.mark.parametrize(
    ("others", "word"), [(80.0, HOLDS), (87.9, NOISE), (92.0, FAILS), ({1: 80.0, 21: 99.0}, HOLDS)]
)
def test_the_best_rate(others, word):
    """On both data sets; of a run with more epochs those count that the other has too."""
    for best, rivals in RATES.items():
        curves = {name: 80.0 for names in RATES.values() for name in names} | dict.fromkeys(RATES, 88.0)
        late = isinstance(others, dict)
        curves |= {rival: others for rival in rivals if not late or RUNS[rival].epochs > RUNS[best].epochs}
        verdict = judged("best learning rate", curves)
        assert verdict.word == word and all(name in verdict.why for name in curves)
    assert judged("best learning rate", {**curves, rivals[0]: 92.0}).word == FAILS


@pytest.mark.parametrize(("last", "word"), [(93.0, HOLDS), (80.2, NOISE), (75.0, FAILS)])
def test_three_epochs(last, word):
    curves = {name: {1: 80.0, 12: 93.0} for name in RATES}
    assert judged("Three", {**curves, "r4k-final": {1: 80.0, 20: last}}).word == word
    assert judged("Three", {**curves, "r4f-adam-0.001": {1: 80.0, 30: last}}).word == word
    assert judged("Three", curves, seeds=1).word == NOT_RUN


@pytest.mark.parametrize(("tenth", "word"), [(88.0, HOLDS), (85.1, NOISE), (82.0, FAILS)])
def test_most_of_the_gain(tenth, word):
    for name in RATES:
        curves = {each: {1: 80.0, 9: 90.0} for each in RATES} | {name: {1: 80.0, 10: tenth, 11: 90.0}}
        assert judged("Most", curves).word == word


@pytest.mark.parametrize(("gain", "word"), [(3.0, HOLDS), (0.2, NOISE), (-3.0, FAILS)])
def test_smaller_batches(gain, word):
    """After 20 epochs: what the runs of 30 came to later does not count."""
    equal = {name: {1: 88.0, 21: 99.0} for pair in SMALLER for name in pair}
    clear = {**equal, "r4k-64": 91.0, "r4k-batch-64": 94.0, "r4k-final": 91.0}
    assert judged("Smaller", clear).word == HOLDS
    verdict = judged("Smaller", {**clear, "r4k-batch-64": 91.0 + gain})
    assert verdict.word == word and f"64 of 128 at 0.001 {gain:+.2f}" in verdict.why and "89.26" in verdict.why


@pytest.mark.parametrize(("gain", "word"), [(3.0, HOLDS), (0.2, NOISE), (-3.0, FAILS)])
def test_the_scheduler(gain, word):
    curves = {"r4k-final": 90.0 + gain, "r4k-constant": 90.0}
    acted, idle = judged("plateau", curves, reduced=(17,)), judged("plateau", curves)
    assert acted.word == idle.word == word and f"{gain:+.2f}" in acted.why
    assert "after epoch 17." in acted.why and acted.mistake
    assert "never reduced the rate" in idle.why and not idle.mistake
