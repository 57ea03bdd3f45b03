"""The claims of report 4, and their judges: optimisers, learning rates, epochs, batch sizes, the plateau scheduler.

All are judged by test accuracy: the report has no validation set. What is not about one of its two data sets must hold
on both. Read next: claim.py; table4.py, what the runs are.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence

from .claim import (
    FAILS,
    HOLDS,
    NOISE,
    NOT_RUN,
    Claim,
    Difference,
    Verdict,
    all_of,
    difference,
    missing,
    noise,
    standard_error,
    told,
)
from .report import Result
from .results import Results
from .table4 import RUNS

ACCURACY = "test_accuracy"
ADAM, SGD, SGD_TUNED = "r4f-adam-0.001", "r4f-sgd", "r4f-sgd-tuned"
FINAL, CONSTANT = "r4k-final", "r4k-constant"
MARGIN = (2.0, 4.0)  # the points that the first claim names
RATES = {  # the runs at other learning rates, by the run at 0.001
    ADAM: ("r4f-adam-0.0003", "r4f-adam-0.003", "r4f-adam-0.01"),
    FINAL: ("r4k-lr-0.0003", "r4k-lr-0.003", "r4k-128"),
}
SMALLER = (("r4k-64", "r4k-128"), ("r4k-batch-64", FINAL), (FINAL, "r4k-256"))  # a batch, and one twice as large
SAME_EPOCHS = 20  # r4k-128 and r4k-256 had 30
NO_PLATEAU = (
    "That was no plateau: the scheduler waits for its number to fall, and an accuracy, which it seems to have been "
    "told, does not. Told the train loss, it did not act here in 20 epochs at 0.001."
)


def at(epoch: int) -> Callable[[Result], float | None]:
    """The value that is a run's test accuracy after an epoch."""
    return lambda result: float(result.history[epoch - 1][ACCURACY])


def gain(result: Result, first: int, last: int) -> float:
    """The change of a run's test accuracy from an epoch to a later one."""
    return float(result.history[last - 1][ACCURACY]) - float(result.history[first - 1][ACCURACY])


def differences(results: Results, pairs: Sequence[tuple[str, str]], epoch: int | None = None) -> list[Difference]:
    """How many points of test accuracy the first run of each pair is ahead of the second, at the end or after an
    epoch."""
    value = ACCURACY if epoch is None else at(epoch)
    found = [difference(results, first, second, value) for first, second in pairs]
    return [one for one in found if one is not None]


def change(results: Results, name: str, value: Callable[[Result], float]) -> Difference:
    """The mean of a value that is itself a difference, within a run that has results."""
    values, typical = results.values(name, value), noise(results, name.partition("-")[0], value)
    error = None if typical is None else standard_error(values, typical)
    return Difference(statistics.fmean(values), error, (len(values), len(values)))


def listed(what: Sequence[str], found: Sequence[Difference]) -> str:
    """Differences, each after what it is of."""
    return ", ".join(f"{each} {one.short}" for each, one in zip(what, found, strict=True))


def adam_beats_sgd(results: Results) -> Verdict:
    """Is it ahead of SGD at a rate that suits it, by two to four points or what noise leaves of them?"""
    names = (ADAM, SGD, SGD_TUNED)
    if verdict := missing(results, names):
        return verdict
    found, chosen = differences(results, [(ADAM, SGD_TUNED), (ADAM, SGD)])
    if found.noise is None:
        word = NOT_RUN
    else:
        low, high = found.value - found.noise, found.value + found.noise
        within = low <= MARGIN[1] and high >= MARGIN[0]
        word = FAILS if not within else HOLDS if found.sign > 0 else NOISE
    why = (
        f"Test accuracy in percent: {told(results, names, ACCURACY)}. Adam is ahead of SGD by {found.short} at "
        f"{RUNS[SGD_TUNED].lr:g}, which suits SGD, and by {chosen.short} at {RUNS[SGD].lr:g}. The second is no test of "
        f"the claim: the report tells no rate, and this one was chosen because it comes to about the report's "
        f"{RUNS[SGD].accuracy:g}."
    )
    return Verdict(word, why)


def rate_is_best(results: Results) -> Verdict:
    """Is 0.001 ahead of each other rate, after as many epochs?"""
    if verdict := missing(results, [name for best, others in RATES.items() for name in (best, *others)]):
        return verdict
    parts, every = [], []
    for best, others in RATES.items():
        epochs = RUNS[best].epochs
        rates = [f"{RUNS[other].lr:g}" for other in others]
        found = differences(results, [(best, other) for other in others], epochs)
        every += found
        accuracy = told(results, (best, *others), at(epochs))
        parts.append(f"{RUNS[best].data}, epoch {epochs}: {accuracy}; {best} is ahead of {listed(rates, found)}")
    return Verdict(all_of(every), f"Test accuracy in percent. {'. '.join(parts)}.")


def in_both(results: Results, value: Callable[[Result], float], what: str) -> Verdict:
    """Is a change of test accuracy above 0 on both data sets?"""
    names = tuple(RATES)
    if verdict := missing(results, names):
        return verdict
    found = [change(results, name, value) for name in names]
    return Verdict(all_of(found), f"{what}, in points of test accuracy: {listed(names, found)}.")


def three_are_too_few(results: Results) -> Verdict:
    """Is more learnt after the third epoch than another seed would change?"""
    return in_both(results, lambda result: gain(result, 3, len(result.history)), "From epoch 3 to the last")


def most_is_early(results: Results) -> Verdict:
    """Is more gained from the first epoch to the tenth than from there to the last?"""

    def lead(result: Result) -> float:
        return gain(result, 1, 10) - gain(result, 10, len(result.history))

    return in_both(results, lead, "The gain from epoch 1 to 10 less that from 10 to the last")


def smaller_batches_are_better(results: Results) -> Verdict:
    """Is each batch ahead of the next larger one, at the same rate and after as many epochs?"""
    if verdict := missing(results, list(dict.fromkeys(name for pair in SMALLER for name in pair))):
        return verdict
    found = differences(results, SMALLER, SAME_EPOCHS)
    pairs = [f"{RUNS[a].batch} of {RUNS[b].batch} at {RUNS[a].lr:g}" for a, b in SMALLER]
    why = (
        f"Finer detail is taken to show in test accuracy. After {SAME_EPOCHS} epochs, points ahead: batch "
        f"{listed(pairs, found)}. The report's own runs change the learning rate, the epochs or both with the batch; "
        f"in its table batch 64 comes to {RUNS['r4k-64'].accuracy:g} and 128 at the same rate to "
        f"{RUNS['r4k-128'].accuracy:g}."
    )
    return Verdict(all_of(found), why)


def scheduler_helps(results: Results) -> Verdict:
    """Does the run end higher with it than at a constant rate?"""
    if verdict := missing(results, (FINAL, CONSTANT)):
        return verdict
    found = differences(results, [(FINAL, CONSTANT)])
    epochs = sorted({epoch for result in results.of(FINAL) for epoch in reductions(result)})
    acted = f"reduced the rate after epoch {' and '.join(map(str, epochs))}" if epochs else "never reduced the rate"
    why = (
        f"Test accuracy in percent: {told(results, (FINAL, CONSTANT), ACCURACY)}; with the scheduler "
        f"{listed(['more:'], found)}. It {acted}."
    )
    return Verdict(all_of(found), why, NO_PLATEAU if epochs else "")


def reductions(result: Result) -> list[int]:
    """The epochs after which the learning rate was lower."""
    rates = [record["lr"] for record in result.history]
    return [k for k, (now, then) in enumerate(itertools.pairwise(rates), 1) if then < now]


CLAIMS = (
    Claim("Adam beats SGD by two to four points.", adam_beats_sgd),
    Claim("0.001 is the best learning rate.", rate_is_best),
    Claim("Three epochs are too few.", three_are_too_few),
    Claim("Most of the gain is in the first 10 epochs.", most_is_early),
    Claim("Smaller batches learn finer detail.", smaller_batches_are_better),
    Claim("The plateau scheduler helps.", scheduler_helps),
)
