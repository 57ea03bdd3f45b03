"""The claims of report 1, and their judges: learning rates, clipping, batch sizes, sigmoid, architectures, stopping.

Where a claim is about networks rather than about the report's code, both modes must bear it out. Read next: claim.py;
report1.py, whose reported_error explains most of what is found here.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from . import report1
from .claim import FAILS, HOLDS, NOISE, NOT_RUN, Claim, Difference, Verdict, all_of, difference, missing, noise, told
from .report import Result
from .results import Results
from .table1 import RUNS

MODES = AS_REPORTED, CORRECTED = report1.MODES
ACCURACY = "test_accuracy"
THEIRS = tuple(name for name, run in RUNS.items() if run.accuracy is not None)
HIGH, LOW = ("r1-lr-0.1", "r1-lr-0.01", "r1-lr-0.005"), "r1-lr-0.001"
CLIPPED = tuple(f"{name}-clip" for name in HIGH)
BATCHES = tuple(f"r1-batch-{2**k}" for k in range(3, 13))
ARCHITECTURES = tuple(f"r1-arch-{k}" for k in range(1, 9))
WIDER = (("r1-arch-4", "r1-arch-5"), ("r1-arch-5", "r1-arch-6"))  # the first hidden layer has 64, 128, 512 nodes
DEEPER = (("r1-arch-1", "r1-arch-4"), ("r1-arch-6", "r1-arch-7"), ("r1-arch-7", "r1-arch-8"))  # a layer more each time
WITH_RELU = {"r1-arch-2": "r1-arch-1", "r1-arch-3": "r1-arch-5"}  # the sigmoid networks' likes
DRIFT = (
    "What the report's code sends back from its output is no gradient of a loss: its ten numbers do not add up to 0, "
    "so training also pushes all ten outputs the same way. At these rates they run away together, until every image "
    "gets the same class for certain; then the factor p(1 - p) is 0, and nothing more is learned."
)
CLIPPED_DRIFT = " Clipping makes the steps shorter, not their direction right, so it only delays this."
SMALL_STEPS = (
    "The report's code multiplies the true error of each output by p(1 - p)/5. That is 1/55 at the start, where each "
    "of the ten classes has p = 1/10, so it learns that much more slowly at the same rate."
)


def collapsed(result: Result) -> bool:
    """Whether a run ended with fewer than half of the test images right, or 10 points below its best epoch."""
    accuracies = [record["test_accuracy"] for record in result.history]
    return bool(accuracies[-1] < max(50.0, max(accuracies) - 10.0))


def collapses(results: Results, names: Sequence[str], mode: str) -> dict[str, int]:
    """With how many seeds each run collapsed."""
    return {name: sum(map(collapsed, results.of(name, mode))) for name in names}


def ends(results: Results, names: Sequence[str]) -> str:
    """What runs end with in each mode, and which of them collapsed."""
    parts = []
    for mode in MODES:
        counts = collapses(results, names, mode).items()
        ill = ", ".join(f"{name} ({count} of {len(results.of(name, mode))})" for name, count in counts if count)
        parts.append(f"{mode}: {told(results, names, ACCURACY, mode)}" + (f"; collapsed: {ill}" if ill else ""))
    return f"Test accuracy at the end in percent, {'. '.join(parts)}."


def high_rates(results: Results) -> Verdict:
    """Do the rates above 0.001 fail, whatever the code?"""
    if verdict := missing(results, (*HIGH, LOW), *MODES):
        return verdict
    reported, corrected = (collapses(results, HIGH, mode) for mode in MODES)
    trains = [name for name in HIGH if corrected[name] == 0]
    every = all(collapsed(result) for mode in MODES for name in HIGH for result in results.of(name, mode))
    word = FAILS if trains else HOLDS if every else NOISE
    return Verdict(word, ends(results, (*HIGH, LOW)), DRIFT if any(reported[name] for name in trains) else "")


def he_cures(results: Results) -> Verdict:
    """All runs start from He's weights, so none should collapse."""
    if verdict := missing(results, HIGH, *MODES):
        return verdict
    some = any(count for mode in MODES for count in collapses(results, HIGH, mode).values())
    these = "those that collapse too" if some else "and none of these collapsed"
    start = f"The report's code draws all its weights as He proposed, and so do all runs here, {these}."
    return Verdict(FAILS if some else HOLDS, f"{start} {ends(results, HIGH)}")


def clipping_cures(results: Results) -> Verdict:
    """Do the rates that collapse train when gradients are clipped?"""
    if verdict := missing(results, HIGH + CLIPPED, *MODES):
        return verdict
    left = {}  # those that collapse and, clipped, still do
    for mode in MODES:
        plain, clipped = (collapses(results, names, mode) for names in (HIGH, CLIPPED))
        left[mode] = [name for name in HIGH if plain[name] and clipped[f"{name}-clip"]]
    ill = any(count for mode in MODES for count in collapses(results, HIGH, mode).values())
    word = NOISE if not ill else FAILS if any(left.values()) else HOLDS
    why = f"With gradients clipped to norm 1, and without. {ends(results, [*CLIPPED, *HIGH])}"
    return Verdict(word, why, DRIFT + CLIPPED_DRIFT if left[AS_REPORTED] and not left[CORRECTED] else "")


def epoch_time(result: Result) -> float:
    """The logarithm of the seconds that an epoch took with its test, as their noise is a share of them; of all epochs
    the median, which leaves out those in which the machine did something else."""
    seconds = [0.0, *(record["seconds"] for record in result.history)]
    return math.log(statistics.median(b - a for a, b in itertools.pairwise(seconds)))


def batch_2048_is_fastest(results: Results) -> Verdict:
    """Does it take the least time?"""
    if verdict := missing(results, BATCHES, AS_REPORTED):
        return verdict
    ours = "r1-batch-2048"
    saved = {name: difference(results, name, ours, epoch_time, AS_REPORTED) for name in BATCHES if name != ours}
    word = all_of([found for found in saved.values() if found])
    none = "unknown without more seeds" if word == NOT_RUN else "none"
    faster = ", ".join(name for name, found in saved.items() if found and found.sign < 0) or none
    times = told(results, BATCHES, lambda result: math.exp(epoch_time(result)), AS_REPORTED)
    told_seconds = ", ".join(f"{name} {RUNS[name].seconds:g}" for name in BATCHES[-3:])
    threads = sorted({result.metrics["threads"] for result in results.of(ours, AS_REPORTED)})
    why = (
        f"Seconds an epoch with its test (median), {AS_REPORTED}, threads: {', '.join(map(str, threads))}: {times}. "
        f"Faster than {ours} by more than noise: {faster}. It depends on code and machine; the report's seconds for "
        f"30 epochs: {told_seconds}."
    )
    return Verdict(word, why)


def worst_fall(result: Result) -> float:
    """The most points of test accuracy lost from one epoch to the next."""
    accuracies: list[float] = [record["test_accuracy"] for record in result.history]
    return max([0.0, *(a - b for a, b in itertools.pairwise(accuracies))])


def batch_4096_overshoots(results: Results) -> Verdict:
    """Does it end below 2048, at the report's rate, which acts on the sum over a mini-batch?"""
    pair = BATCHES[-2:]
    if verdict := missing(results, pair, AS_REPORTED):
        return verdict
    found = differences(results, [(pair[0], pair[1])], AS_REPORTED)
    falls = told(results, pair, worst_fall, AS_REPORTED)
    why = (
        f"Test accuracy at the end in percent, {AS_REPORTED}: {told(results, pair, ACCURACY, AS_REPORTED)}; 2048 is "
        f"ahead by {joined(found)} points. Largest fall from an epoch to the next: {falls}."
    )
    return Verdict(all_of(found), why)


def joined(differences: Sequence[Difference]) -> str:
    """A list of them."""
    return " and ".join(found.short for found in differences)


def differences(
    results: Results, pairs: Iterable[tuple[str, str]], mode: str, second_mode: str | None = None
) -> list[Difference]:
    """How much more accurate the first run of each pair is than the second."""
    found = [difference(results, first, second, ACCURACY, mode, second_mode) for first, second in pairs]
    return [one for one in found if one is not None]


def sigmoid_unsuitable(results: Results) -> Verdict:
    """Does it, even with the true gradient, fall short of what ReLU reached with the report's?"""
    pairs = [(relu, sigmoid) for sigmoid, relu in WITH_RELU.items()]
    names = [name for pair in pairs for name in pair]
    if verdict := missing(results, names, *MODES):
        return verdict
    behind = differences(results, pairs, CORRECTED)
    short = differences(results, pairs, AS_REPORTED, CORRECTED)
    word = all_of(short)
    if word == NOISE and all(found.sign == 0 for found in short):
        word = FAILS  # it is as good
    why = (
        f"{ends(results, names)} With the true gradient sigmoid is {joined(behind)} points behind ReLU. To what ReLU "
        f"reached with the report's it lacks {joined(short)}."
    )
    return Verdict(word, why, SMALL_STEPS if word == FAILS else "")


def bigger(results: Results, pairs: Sequence[tuple[str, str]]) -> Verdict:
    """Is the second network of each pair better than the first?"""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    if verdict := missing(results, names, *MODES):
        return verdict
    every, parts = [], []
    for mode in MODES:
        found = differences(results, [(second, first) for first, second in pairs], mode)
        each = [f"from {a[3:]} to {b[3:]} {one.short}" for (a, b), one in zip(pairs, found, strict=True)]
        parts.append(f"{mode} {', '.join(each)}")
        every += found
    return Verdict(all_of(every), f"Points of test accuracy gained, {'; '.join(parts)}. {ends(results, names)}")


def architecture_8_is_best(results: Results) -> Verdict:
    """Is it ahead of each other?"""
    if verdict := missing(results, ARCHITECTURES, *MODES):
        return verdict
    *others, runner_up, best = ARCHITECTURES
    ahead = [one for mode in MODES for one in differences(results, [(best, other) for other in others], mode)]
    of_7 = [one for mode in MODES for one in differences(results, [(best, runner_up)], mode)]
    why = f"{ends(results, ARCHITECTURES)} {best} is ahead of {runner_up} by {joined(of_7)} points."
    return Verdict(all_of(ahead + of_7), why)


def gain(key: str, epoch: int) -> Callable[[Result], float | None]:
    """How much a number changes from an epoch to the last; None where the run collapsed."""

    def of(result: Result) -> float | None:
        earlier, last = (result.history[k][key] for k in (epoch - 1, -1))
        return None if collapsed(result) or last is None or earlier is None else last - earlier

    return of


def still_rising(results: Results, epoch: int) -> Verdict:
    """Does accuracy, over all runs, rise after that epoch by more than another seed changes it?"""
    if verdict := missing(results, THEIRS, *MODES):
        return verdict
    rising, parts = {}, []
    for mode in MODES:
        changes = []
        for key in (ACCURACY, "test_loss"):
            each = [results.values(name, gain(key, epoch), mode) for name in THEIRS]
            changes.append(statistics.fmean([statistics.fmean(values) for values in each if values] or [math.nan]))
        seed = noise(results, "r1", ACCURACY, mode)
        rising[mode] = None if seed is None else changes[0] > seed
        told_seed = "an unknown number of points (run more seeds)" if seed is None else f"{seed:.2f} points"
        parts.append(f"{mode} {changes[0]:+.2f} points (another seed: {told_seed}; test loss {changes[1]:+.3f})")
    word = NOT_RUN if None in rising.values() else FAILS if any(rising.values()) else HOLDS
    why = (
        f"Mean change of test accuracy from epoch {epoch} to the last, over the report's {len(THEIRS)} runs without "
        f"those that collapsed, beside what another seed changes it by: {'; '.join(parts)}."
    )
    return Verdict(word, why, SMALL_STEPS if rising[AS_REPORTED] and rising[CORRECTED] is False else "")


def theirs(*names: str) -> str:
    """The report's test accuracies."""
    return ", ".join(f"{name} {RUNS[name].accuracy:.2f}" for name in names)


CLAIMS = (
    Claim(f"Learning rates above 0.001 make gradients explode or vanish ({theirs(*HIGH, LOW)}).", high_rates),
    Claim("He initialisation cures exploding and vanishing gradients.", he_cures),
    Claim("Gradient clipping would cure the exploding gradients (proposed, never tried).", clipping_cures),
    Claim("Batches of 2048 use the hardware best.", batch_2048_is_fastest),
    Claim(f"Batches of 4096 overshoot ({theirs(*BATCHES[-2:])}).", batch_4096_overshoots),
    Claim(
        f"Sigmoid is unsuitable for this data ({theirs(*WITH_RELU)}; with ReLU {theirs(*WITH_RELU.values())}).",
        sigmoid_unsuitable,
    ),
    Claim("Wider networks are better.", lambda results: bigger(results, WIDER)),
    Claim("Deeper networks are better.", lambda results: bigger(results, DEEPER)),
    Claim(f"Architecture 8 is the best ({theirs(*ARCHITECTURES[-2:])}).", architecture_8_is_best),
    Claim("Accuracy settles after 20 to 25 epochs.", lambda results: still_rising(results, 25)),
    Claim("Early stopping after 20 epochs is right.", lambda results: still_rising(results, 20)),
)
