"""The judges of report 3's claims, on made-up results: each word can be reached, and only by what it stands for."""

from __future__ import annotations

import random

import pytest

from tinygrad_edu.reports import RUNS as ALL
from tinygrad_edu.reports import claims1, claims3, report_of
from tinygrad_edu.reports.claim import FAILS, HOLDS, NOISE, NOT_RUN
from tinygrad_edu.reports.claims3 import CLAIMS, OTHERS, overfitting
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.report3 import RUNS, settings
from tinygrad_edu.reports.results import Results


def losses(epochs, up):
    """Validation losses that fall to 0.3 and then rise by so many percent of it, flat at the end."""
    return [0.5, 0.4, *[0.3] * 6, *[0.3 * (1 + up / 100)] * (epochs - 8)]


def made(changes=(), seeds=3, scatter=0.1, lacking=()):
    """Results of all runs at 89 percent with a validation loss that ends 20 percent above its lowest, but for changes:
    a test accuracy or a dict of accuracy and up."""
    results = Results()
    for name, run in RUNS.items():
        change = dict(changes).get(name, {})
        change = {"accuracy": 89.0, "up": 20.0, **(change if isinstance(change, dict) else {"accuracy": change})}
        for seed in range(seeds if name not in lacking else 0):
            moved, epochs = scatter * (seed - 1), run.epochs
            lines = enumerate(losses(epochs, change["up"] + 10 * moved), 1)
            history = [{"epoch": k, "train_loss": 0.1, "validation_loss": loss} for k, loss in lines]
            metrics = {**history[-1], "test_accuracy": change["accuracy"] + moved, "epochs": epochs}
            result = Result(run, settings(run, Options(seed=seed)), history, metrics=metrics)
            results.found.setdefault((name, None), []).append(result)
    return results


def judged(text, *args, **kwargs):
    (claim,) = (claim for claim in CLAIMS if text in claim.text)
    return claim.judge(made(*args, **kwargs))


AHEAD = dict.fromkeys(OTHERS, 80.0)
HURT = {"r3-ann-modified-aug": 87.0, "r3-cnn-aug": 88.0}
JUDGED = [
    ("Dropout", {}, NOISE),
    ("Dropout", {"r3-ann-modified": {"up": 1.0}}, HOLDS),
    ("Dropout", {"r3-ann-modified": {"up": 5.0}}, FAILS),  # less, but not cured
    ("Dropout", {"r3-ann-modified": {"up": 30.0}}, FAILS),
    ("Adam", {}, NOISE),
    ("Adam", AHEAD, HOLDS),
    ("Adam", {**AHEAD, "r3-opt-adagrad-0.01": 89.0}, NOISE),
    ("Adam", {**AHEAD, "r3-opt-adagrad-0.01": 90.0}, FAILS),
    ("hurts", {}, NOISE),
    ("hurts", HURT, HOLDS),
    ("hurts", {**HURT, "r3-ann-modified-60": 86.0}, FAILS),
    ("hurts", {**HURT, "r3-cnn-aug": 90.0}, FAILS),
    ("prevents", {}, NOISE),
    ("prevents", {"r3-ann-modified-aug": {"up": 0.5}}, HOLDS),
    ("prevents", {"r3-ann-modified-aug": {"up": 15.0}}, FAILS),
    ("prevents", {"r3-ann-modified-aug": {"up": 2.0}, "r3-ann-modified-60": {"up": 2.0}}, NOISE),
    ("CNN", {}, NOISE),
    ("CNN", {"r3-cnn": 92.0}, HOLDS),
    ("CNN", {"r3-cnn": 90.0}, FAILS),  # better, but not far
    ("CNN", {"r3-cnn": 92.0, "r3-ann-modified": 93.0}, FAILS),
    ("CNN", {"r3-cnn": 92.0, "r3-ann-modified": 92.0}, NOISE),
]


@pytest.mark.parametrize(("text", "changes", "word"), JUDGED)
def test_verdicts(text, changes, word):
    verdict = judged(text, changes)
    assert verdict.word == word and "3 seeds" in verdict.why and verdict.why.endswith(".") and not verdict.mistake
    alone = judged(text, changes, seeds=1)
    assert alone.word == NOT_RUN and "more seeds" in alone.why


def test_every_claim_can_get_several_words_and_tells_what_is_missing():
    for claim in CLAIMS:
        assert len({word for text, _, word in JUDGED if text in claim.text}) == 3
        assert claim.judge(Results()).why.startswith("Not run here: r3-")
    assert judged("Adam", lacking=["r3-opt-sgd-0.1"]).why == "Not run here: r3-opt-sgd-0.1."
    without = judged("hurts", HURT, lacking=["r3-cnn-aug"])
    assert without.word == HOLDS and "cnn" not in without.why


def test_the_numbers_are_told():
    why = judged("Dropout", {"r3-ann-modified": {"up": 1.0}}).why
    assert "r3-ann 20.00, r3-ann-modified 1.00, r3-ann-modified-60 20.00 (3 seeds each)" in why
    assert "counted as cured up to 1." in why and "The difference of the first two is +19.00 (noise up to" in why
    why = judged("CNN", {"r3-cnn": 92.0}).why
    assert "r3-cnn 92.00, r3-ann 89.00" in why and "lead over r3-ann +3.00 (noise" in why and "30 epochs here" in why
    assert "r3-opt-sgd +9.00 (noise" in judged("Adam", AHEAD).why


def test_overfitting_is_a_rise_of_the_validation_loss_that_lasts():
    def of(values):
        return overfitting(Result(RUNS["r3-ann"], {}, [{"validation_loss": value} for value in values]))

    assert of(losses(30, 20.0)) == pytest.approx(20) and of(losses(60, 0.0)) == 0
    assert of([0.3] * 29 + [0.45]) == pytest.approx(10)  # one epoch is a fifth of it
    assert of([1.0, 0.9, 0.8, 0.7, 0.6, 0.5]) == of([0.3, 0.2, 0.4]) == 0
    assert of([0.3, None, 0.3]) is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_run_every_claim_gets_a_verdict(seed):
    """Runs missing, seeds missing, collapsed and diverged runs: a word and whole sentences, never an error."""
    rng, results = random.Random(seed), Results()
    present = rng.choice([0.95, 1.0])
    for name, run in ALL.items():
        for mode in report_of(name).MODES or (None,):
            for k in range(rng.randint(1, 3) if name[:2] in ("r1", "r3") and rng.random() < present else 0):
                middle, end, loss = rng.uniform(0, 100), rng.uniform(0, 100), rng.choice([None, rng.uniform(1e-6, 40)])
                values = {"test_loss": loss, "train_loss": loss, "validation_loss": loss}
                history = [{"test_accuracy": middle, "seconds": s + 1.0, **values} for s in range(run.epochs)]
                history[-1] |= {"test_accuracy": end, "validation_loss": rng.choice([loss, None, 0.5])}
                metrics = {**history[-1], "epochs": run.epochs, "threads": 1}
                results.found.setdefault((name, mode), []).append(Result(run, {"seed": k}, history, metrics=metrics))
    words = set()
    for claim in (*claims1.CLAIMS, *claims3.CLAIMS):
        verdict = claim.judge(results)
        words.add(verdict.word)
        assert verdict.why.endswith(".") and (verdict.word == NOT_RUN) >= ("Not run here" in verdict.why)
    assert words <= {HOLDS, FAILS, NOISE, NOT_RUN} and (len(words) > 1 or present < 1)
