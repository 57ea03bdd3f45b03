"""The judges of report 2's claims, on made-up results: each word can be reached, and only by what it stands for."""

from __future__ import annotations

import pytest

from tinygrad_edu.reports import claims2
from tinygrad_edu.reports.claim import FAILS, HOLDS, NOISE, NOT_RUN
from tinygrad_edu.reports.claims2 import BASELINES, CHANGED, CLAIMS, SEVEN
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.report2 import RUNS, settings
from tinygrad_edu.reports.results import Results

QUIET = {f"r2-lr-{rate}": 44.0 for rate in ("0.05", "0.1")}  # what sets the noise: three seeds a point apart


def made(numbers, mode="corrected", scatter=1.0, seeds=3):
    """Results with each run's numbers, which vary by `scatter` from seed to seed."""
    results = Results()
    for name, given in {**QUIET, **numbers}.items():
        given = given if isinstance(given, dict) else {"validation_accuracy": given}
        for seed in range(seeds):
            moved = {k: v + scatter * (seed - 1) * (0.01 if "loss" in k else 1) for k, v in given.items()}
            last = {"validation_accuracy": 44.0, "train_loss": 1.5, "validation_loss": 1.6, **moved}
            history = [dict.fromkeys(last, 9.0 * seed)] * 5 + [last] * 5  # the first five tell nothing
            metrics = {"best_validation_accuracy": 60.0, **history[-1]}
            chosen = settings(RUNS[name], Options(mode=mode, seed=seed))
            results.found.setdefault((name, mode), []).append(Result(RUNS[name], chosen, history, metrics=metrics))
    return results


def claim(text):
    (found,) = (claim for claim in CLAIMS if text in claim.text)
    return found


COMPARED = {
    "Dropout": ("r2-dropout-0.15", "r2-dropout-0.25"),
    "L2": ("r2-epochs-10", "r2-l2-1e-5", "r2-l2-1e-4"),
    "One hidden": ("r2-hidden-1", "r2-hidden-2", "r2-hidden-3"),
    "256 nodes": ("r2-nodes-256", "r2-nodes-128", "r2-nodes-512"),
    "Batch 128": ("r2-batch-128", "r2-batch-64", "r2-batch-256"),
    "both at a learning rate": ("r2-opt-sgd", "r2-opt-adam"),
    "own rate": ("r2-opt-sgd", "r2-opt-adam-0.001"),
    "0.001 does better": ("r2-lr-0.001", "r2-lr-0.01"),
    "25 do better": ("r2-epochs-25", "r2-epochs-50"),
}


def test_every_claim_of_the_list_is_there():
    assert len(CLAIMS) == len(COMPARED) + 2 == len({claim.text for claim in CLAIMS})
    texts = " ".join(claim.text for claim in CLAIMS)
    for figures in (
        "45.13, against 44.13 (r2-dropout-0.25)",
        "39.82, against 45.03",
        "44.24, against 10.08",
        "39.82 to 44.97",
    ):
        assert figures in texts
    for found in CLAIMS:
        assert found.judge(Results()).word == NOT_RUN and "Not run here" in found.judge(Results()).why


@pytest.mark.parametrize("text", COMPARED)
def test_comparisons(text):
    first, *others = COMPARED[text]

    def verdict(*points, **kwargs):
        """The first run at 44, the others at so many points less."""
        return claim(text).judge(
            made({first: 44.0, **{o: 44.0 - p for o, p in zip(others, points, strict=True)}}, **kwargs)
        )

    # The noise of a difference here: a standard deviation of 1.2 (of three seeds; see claim.noise), twice sqrt(2 / 3).
    clear, small = [5.0] * len(others), [0.5] * len(others)
    assert verdict(*clear).word == HOLDS
    assert verdict(*[-x for x in clear]).word == FAILS
    assert verdict(*small).word == verdict(*[-x for x in small]).word == NOISE
    assert verdict(*clear, seeds=1).word == NOT_RUN and "noise unknown" in verdict(*clear, seeds=1).why
    assert verdict(*clear, mode="as-reported").word == NOT_RUN
    if len(others) > 1:
        assert verdict(5.0, 0.5).word == NOISE and verdict(5.0, -5.0).word == FAILS
    why = verdict(*clear).why
    assert why.startswith(first) and why.count("+5.00 (noise up to 1.95, 3 ") == len(others)
    assert all(f") against {other}" in why for other in others)
    assert (
        claim(text).judge(made(dict.fromkeys((first, *others[:-1]), 44.0))).why
        == f"Not run here: {others[-1]} (corrected)."
    )


def test_where_the_reports_mistakes_explain_a_claim():
    l2 = {"r2-epochs-10": 44.0, "r2-l2-1e-5": 44.0, "r2-l2-1e-4": 44.0}
    results = made(l2)
    assert claim("L2").judge(results).mistake.endswith("two more of the baseline.")
    results.found |= made({**l2, "r2-l2-1e-4": 43.75}, "as-reported").found
    assert "r2-epochs-10: +0.00" in claim("L2").judge(results).mistake
    assert "+0.25 (noise up to 1.95, 3 " in claim("L2").judge(results).mistake
    assert claim("L2").judge(made({**l2, "r2-epochs-10": 50.0})).mistake == ""
    slow = made({"r2-lr-0.001": 30.0, "r2-lr-0.01": 40.0})
    assert claim("0.001 does better").judge(slow).mistake == (
        "The report's r2-lr-0.001 was run at 0.1: its 41.40 is one more run of the baseline."
    )
    adam = made({"r2-opt-sgd": 44.0, "r2-opt-adam-0.001": 50.0})
    assert "a hundred times" in claim("own rate").judge(adam).mistake


@pytest.mark.parametrize(
    ("train", "validation", "word"),
    [(-0.3, 0.3, HOLDS), (-0.3, -0.3, FAILS), (-0.3, 0.001, NOISE), (0.3, 0.3, NOISE), (0.3, -0.3, FAILS)],
)
def test_overfitting_is_told_by_the_losses(train, validation, word):
    long = {"train_loss": 1.5 + train, "validation_loss": 1.6 + validation, "validation_accuracy": 50.0}
    results = made({"r2-epochs-25": {"train_loss": 1.5, "validation_loss": 1.6}, "r2-epochs-50": long})
    verdict = claim("the loss on validation").judge(results)
    assert (
        verdict.word == word
        and f"training {train:+.2f}" in verdict.why
        and f"validation {validation:+.2f}" in verdict.why
    )
    assert "50.00 at the end and 60.00 in the best" in verdict.why
    single = {"r2-epochs-25": 44.0, "r2-epochs-50": 44.0}
    assert claim("the loss on validation").judge(made(single, seeds=1)).word == NOT_RUN
    for result in results.of("r2-epochs-50", "corrected"):
        result.history = [{**result.history[-1], "train_loss": None}]
    assert claim("the loss on validation").judge(results).word == NOT_RUN


def test_the_noise_of_the_baseline():
    judge = claim("Not the report's").judge
    assert judge(made({"r2-epochs-10": 44.0}, scatter=0.1)).word == FAILS
    verdict = judge(made({"r2-epochs-10": 44.0}, scatter=2.0))
    assert (
        verdict.word == HOLDS
        and "3 seeds of the baseline give 42.00 to 46.00 here, standard deviation 2.00" in verdict.why
    )
    assert "39.82 to 44.97, standard deviation 1.78" in verdict.why and verdict.why.endswith(": r2-hidden-3.")
    assert judge(made({"r2-epochs-10": 44.0}, seeds=1)).word == NOT_RUN
    results = made(dict.fromkeys(BASELINES, 44.0), scatter=2.0)  # one training: no more seeds than three
    assert judge(results).why == verdict.why


def test_what_is_compared_in_them_is_what_the_table_has():
    same = {name: settings(RUNS[name], Options()) for name in BASELINES}
    assert all({**s, "run": ""} == {**same[BASELINES[0]], "run": ""} for s in same.values())
    assert {name for name, run in RUNS.items() if run.validation and run.alike} == {
        *SEVEN, *CHANGED, "r2-epochs-25", "r2-epochs-50", "r2-opt-adam", "r2-lr-0.01", "r2-final-b"
    }  # fmt: skip
    for name in CHANGED:
        changed = {k: v for k, v in settings(RUNS[name], Options()).items() if v != same[BASELINES[0]][k]}
        assert len(changed) == 2 and "run" in changed, name
    assert claims2.reported("r2-baseline") == 44.14
