"""Report 2's claims, judged: most are about differences of a point or two between runs that were made once.

Compared are validation accuracies after the last epoch, as in the report, of the runs as they were meant; where the
report's code ran something else, a verdict says so. Read next: claim.py, table2.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from .claim import (
    FAILS,
    HOLDS,
    NOISE,
    NOT_RUN,
    STANDARD_ERRORS,
    Claim,
    Difference,
    Value,
    Verdict,
    all_of,
    difference,
    missing,
)
from .report import Result
from .results import Results
from .table2 import RUNS

ACCURACY = "validation_accuracy"
MEANT, REPORTED = "corrected", "as-reported"
BASELINE = "r2-epochs-10"
# The baseline, seven times. The report fixed no seed: to it they were seven draws. With a seed they are one training.
BASELINES = (BASELINE, *(f"r2-{name}" for name in ("batch-128", "opt-sgd", "lr-0.1", "hidden-1", "nodes-256")))
SEVEN = ("r2-baseline", *BASELINES)
# What differs from it in one thing, and was trained for as long at the same rate.
ONE_CHANGE = "dropout-0.25 dropout-0.15 batch-64 batch-256 hidden-2 hidden-3 nodes-128 nodes-512"
CHANGED = tuple(f"r2-{name}" for name in ONE_CHANGE.split())
LAST = 5  # epochs whose mean tells of a long run's end: single ones scatter by points


def reported(name: str) -> float:
    """The report's validation accuracy, of the baseline's first leg."""
    validation = RUNS[name].validation
    assert validation is not None
    return validation[0]


def against(first: str, *others: str) -> str:
    """The report's figures: such as 45.13, against 44.13 (r2-dropout-0.25)."""
    return f"{reported(first):.2f}, against " + " and ".join(f"{reported(name):.2f} ({name})" for name in others)


def end(key: str) -> Callable[[Result], float | None]:
    """A value: the mean of a number over the last epochs of a run; None where it was no number, as a loss can be."""

    def value(result: Result) -> float | None:
        numbers = [record[key] for record in result.history[-LAST:]]
        return None if None in numbers else statistics.fmean(numbers)

    return value


def differences(
    results: Results, first: str, others: tuple[str, ...], value: Value, mode: str
) -> dict[str, Difference]:
    """How much more a run's number is than those of others, by name; without those that have no result."""
    found = {name: difference(results, first, name, value, mode) for name in others}
    return {name: d for name, d in found.items() if d is not None}


def listed(found: dict[str, Difference]) -> str:
    """Such as +1.00 (noise up to 2.10, 3 seeds each) against r2-dropout-0.25."""
    return "; ".join(f"{d} against {name}" for name, d in found.items())


def better(
    first: str,
    *others: str,
    value: Value = ACCURACY,
    what: str = "validation accuracy",
    mistake: Callable[[Results], str] = lambda results: "",
) -> Callable[[Results], Verdict]:
    """The judge of the claim that a run is better than each of the others. mistake(results) is told unless it holds."""

    def judge(results: Results) -> Verdict:
        if lacking := missing(results, (first, *others), MEANT):
            return lacking
        found = differences(results, first, others, value, MEANT)
        word = all_of(list(found.values())) if len(found) == len(others) else NOT_RUN
        why = f"{first}, {what} in points: {listed(found)}."
        return Verdict(word, why, "" if word == HOLDS else mistake(results))

    return judge


def no_weight_decay(results: Results) -> str:
    """What came of the report's weight decay, as its code ran it."""
    runs = ("r2-l2-1e-5", "r2-l2-1e-4")
    text = (
        "The report's code passed weight decay as SGD's third argument, which is momentum. Of that, 1e-5 and 1e-4 "
        "change next to nothing: its two runs are two more of the baseline"
    )
    found = differences(results, BASELINE, runs, ACCURACY, REPORTED)
    return f"{text} (here, as reported, {BASELINE}: {listed(found)})." if found else f"{text}."


def one_rate_for_both(results: Results) -> str:
    """What the report compared."""
    return "The report ran Adam at SGD's rate of 0.1 only, a hundred times Adam's default."


def not_the_rate(results: Results) -> str:
    """Which run the report took for one at 0.001."""
    return (
        f"The report's r2-lr-0.001 was run at 0.1: its {reported('r2-lr-0.001'):.2f} is one more run of the baseline."
    )


def losses_part(results: Results) -> Verdict:
    """Whether the loss on validation rises from epoch 25 to 50 while that of training falls."""
    long, short = "r2-epochs-50", "r2-epochs-25"
    if lacking := missing(results, (long, short), MEANT):
        return lacking
    train, validation = (difference(results, long, short, end(f"{k}_loss"), MEANT) for k in ("train", "validation"))
    if train is None or validation is None or validation.error is None:
        return Verdict(NOT_RUN, "The losses need numbers, and several seeds.")
    word = HOLDS if (train.sign, validation.sign) == (-1, 1) else FAILS if validation.sign < 0 else NOISE
    best, last = (
        statistics.fmean(results.values(long, key, MEANT))
        for key in ("best_validation_accuracy", "validation_accuracy")
    )
    why = (
        f"From epoch 25 to 50 the losses change, in the mean of the last {LAST} epochs: training {train}, validation "
        f"{validation}. Validation accuracy is {last:.2f} at the end and {best:.2f} in the best epoch; but of 50 "
        "that scatter the best is always above the last."
    )
    return Verdict(word, why)


def noise_is_larger(results: Results) -> Verdict:
    """Whether the report's runs differ from its baselines by less than our seeds differ."""
    ours = {r.settings["seed"]: r.metrics[ACCURACY] for name in BASELINES for r in results.of(name, MEANT)}
    if len(ours) < 2:
        return Verdict(NOT_RUN, f"Not run here with two seeds: {BASELINE}.")
    theirs = [reported(name) for name in SEVEN]
    spread, mean = statistics.stdev(ours.values()), statistics.fmean(theirs)
    limit = STANDARD_ERRORS * spread * math.sqrt(1 + 1 / len(theirs))  # of one run less the mean of seven
    apart = [name for name in CHANGED if abs(reported(name) - mean) > limit]
    why = (
        f"{len(ours)} seeds of the baseline give {min(ours.values()):.2f} to {max(ours.values()):.2f} here, standard "
        f"deviation {spread:.2f}; the report's seven {min(theirs):.2f} to {max(theirs):.2f}, standard deviation "
        f"{statistics.stdev(theirs):.2f}. By our noise an eighth would be less than {limit:.2f} from their mean; of "
        f"the {len(CHANGED)} runs that change one thing, these are farther off: {', '.join(apart) or 'none'}."
    )
    return Verdict(HOLDS if 2 * len(apart) < len(CHANGED) else FAILS, why)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        f"Dropout 0.15 beats 0.25 ({against('r2-dropout-0.15', 'r2-dropout-0.25')}).",
        better("r2-dropout-0.15", "r2-dropout-0.25"),
    ),
    Claim(
        f"L2 disrupts accuracy ({against(BASELINE, 'r2-l2-1e-5', 'r2-l2-1e-4')}).",
        better(BASELINE, "r2-l2-1e-5", "r2-l2-1e-4", mistake=no_weight_decay),
    ),
    Claim(
        "One hidden layer, as the report counts the baseline's 256-128, is best "
        f"({against('r2-hidden-1', 'r2-hidden-2', 'r2-hidden-3')}).",
        better("r2-hidden-1", "r2-hidden-2", "r2-hidden-3"),
    ),
    Claim(
        f"256 nodes are best ({against('r2-nodes-256', 'r2-nodes-128', 'r2-nodes-512')}).",
        better("r2-nodes-256", "r2-nodes-128", "r2-nodes-512"),
    ),
    Claim(
        f"Batch 128 is best ({against('r2-batch-128', 'r2-batch-64', 'r2-batch-256')}).",
        better("r2-batch-128", "r2-batch-64", "r2-batch-256"),
    ),
    Claim(
        f"SGD beats Adam, both at a learning rate of 0.1 ({against('r2-opt-sgd', 'r2-opt-adam')}).",
        better("r2-opt-sgd", "r2-opt-adam"),
    ),
    Claim(
        "SGD at 0.1 beats Adam also at Adam's own rate, 0.001 (not tried).",
        better("r2-opt-sgd", "r2-opt-adam-0.001", mistake=one_rate_for_both),
    ),
    Claim(
        f"A learning rate of 0.001 does better than 0.01 ({against('r2-lr-0.001', 'r2-lr-0.01')}).",
        better("r2-lr-0.001", "r2-lr-0.01", mistake=not_the_rate),
    ),
    Claim("50 epochs overfit: the loss on validation rises while that of training falls.", losses_part),
    Claim(
        f"50 epochs overfit: 25 do better on validation ({against('r2-epochs-25', 'r2-epochs-50')}).",
        better(
            "r2-epochs-25",
            "r2-epochs-50",
            value=end(ACCURACY),
            what=f"validation accuracy, mean of the last {LAST} epochs",
        ),
    ),
    Claim(
        "Not the report's: most of its differences are smaller than the noise of its own baseline, which it ran seven "
        f"times without a fixed seed ({min(map(reported, SEVEN)):.2f} to {max(map(reported, SEVEN)):.2f}).",
        noise_is_larger,
    ),
)
