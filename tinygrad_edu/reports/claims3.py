"""The claims of report 3, and their judges: overfitting and its cures, optimisers, augmentation, CNN against ANN.

Test accuracy is that of the best model, chosen by validation accuracy. Overfitting is judged by the validation loss,
which rises again when a network overfits; its gap to the train loss would not do, for that is measured with dropout and
augmentation on, which raise it. Read next: claim.py; table3.py, what the runs are.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from .claim import (
    FAILS,
    HOLDS,
    NOISE,
    NOT_RUN,
    STANDARD_ERRORS,
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
from .table3 import RUNS

ACCURACY = "test_accuracy"
SMOOTH = 5  # epochs in a row that a loss is averaged over, as single ones scatter
HARDLY = 1.0  # percent of the lowest validation loss: less is no overfitting worth the name
FAR = 2.0  # points of test accuracy; the report's CNN is 3.36 ahead of its ANN
ADAM, CNN, ANNS = "r3-opt-adam", "r3-cnn", ("r3-ann", "r3-ann-modified")
OTHERS = tuple(name for name in RUNS if name.startswith("r3-opt-") and name != ADAM)
AUGMENTED = (
    ("r3-ann-modified", "r3-ann-modified-aug"),
    ("r3-ann-modified-60", "r3-ann-modified-aug"),
    (CNN, "r3-cnn-aug"),
)


def overfitting(result: Result) -> float | None:
    """By how many percent validation loss ends above its lowest; None where it is not a number."""
    losses = [record["validation_loss"] for record in result.history]
    if None in losses:
        return None
    smooth = [statistics.fmean(losses[k : k + SMOOTH]) for k in range(max(1, len(losses) - SMOOTH + 1))]
    return 100 * (smooth[-1] / min(smooth) - 1)


def cured(results: Results, without: str, with_it: str, *more: str) -> Verdict:
    """Does the second run not overfit, where the first does? more: runs to tell of, where they were run."""
    if verdict := missing(results, (without, with_it)):
        return verdict
    names = [without, with_it, *filter(results.of, more)]
    found, typical = difference(results, without, with_it, overfitting), noise(results, "r3", overfitting)
    why = f"Validation loss ends above its lowest by this many percent: {told(results, names, overfitting)}"
    word = NOT_RUN
    if found is not None and typical is not None:
        after = results.values(with_it, overfitting)
        most = max(HARDLY, STANDARD_ERRORS * standard_error(after, typical))
        word = NOISE if found.sign == 0 else HOLDS if found.sign > 0 and statistics.fmean(after) <= most else FAILS
        why += f"; {with_it} is counted as cured up to {most:.2f}"
    if found is not None:
        why += f". The difference of the first two is {found.short}"
    losses = [told(results, names, key) for key in ("validation_loss", "train_loss")]
    return Verdict(word, f"{why}. Losses in the last epoch, validation: {losses[0]}; train: {losses[1]}.")


def ahead(results: Results, pairs: Iterable[tuple[str, str]]) -> list[Difference]:
    """How many points of test accuracy the first run of each pair is ahead of the second."""
    found = [difference(results, first, second, ACCURACY) for first, second in pairs]
    return [one for one in found if one is not None]


def joined(names: Sequence[str], found: Sequence[Difference]) -> str:
    """Differences, each with a name."""
    return ", ".join(f"{name} {one.short}" for name, one in zip(names, found, strict=True))


def adam_is_best(results: Results) -> Verdict:
    """Is it ahead of each other optimiser, at Adam's rate and at one that suits the other?"""
    if verdict := missing(results, (ADAM, *OTHERS)):
        return verdict
    found = ahead(results, [(ADAM, other) for other in OTHERS])
    why = (
        f"Test accuracy in percent, all at a learning rate of 0.001 but where another is named: "
        f"{told(results, (ADAM, *OTHERS), ACCURACY)}. Adam's lead over {joined(OTHERS, found)}."
    )
    return Verdict(all_of(found), why)


def augmentation_hurts(results: Results) -> Verdict:
    """Is the test accuracy lower with it?"""
    if verdict := missing(results, [name for pair in AUGMENTED[:2] for name in pair]):
        return verdict
    pairs = [
        pair for pair in AUGMENTED if all(map(results.of, pair))
    ]  # the CNN's may be left out: it takes half an hour
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    found = ahead(results, pairs)
    each = joined([f"{plain} over {augmented}" for plain, augmented in pairs], found)
    epochs = ", ".join(f"{name} {results.of(name)[0].metrics['epochs']}" for name in names)
    why = f"Test accuracy in percent: {told(results, names, ACCURACY)}. Lead of {each}. Epochs here: {epochs}."
    return Verdict(all_of(found), why)


def cnn_is_far_better(results: Results) -> Verdict:
    """Is it ahead of both ANNs by more than noise, and far ahead of the plain one?"""
    if verdict := missing(results, (CNN, *ANNS)):
        return verdict
    found = ahead(results, [(CNN, ann) for ann in ANNS])
    word = all_of(found)
    if word == HOLDS and found[0].value < FAR:
        word = FAILS
    why = (
        f"Test accuracy in percent: {told(results, (CNN, *ANNS), ACCURACY)}. The CNN's lead over "
        f"{joined(ANNS, found)}; far is taken to be {FAR:g} points ahead of r3-ann. It had "
        f"{results.of(CNN)[0].metrics['epochs']} epochs here, {RUNS[CNN].epochs} in the report."
    )
    return Verdict(word, why)


CLAIMS = (
    Claim(
        "Dropout and batch normalisation cure the ANN's overfitting.",
        lambda results: cured(results, "r3-ann", "r3-ann-modified", "r3-ann-modified-60"),
    ),
    Claim("Adam is the best optimiser.", adam_is_best),
    Claim("Augmentation hurts test accuracy.", augmentation_hurts),
    Claim(
        "Augmentation prevents overfitting even at 60 epochs.",
        lambda results: cured(results, "r3-ann-modified-60", "r3-ann-modified-aug"),
    ),
    Claim("The CNN is far better than the ANN.", cnn_is_far_better),
)
