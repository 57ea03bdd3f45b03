"""A report's claims, each judged by what its runs came to here: by differences between runs, and by their noise.

The noise of a run's number is its standard deviation over seeds; three seeds tell little of it, so no run counts with
less than what is typical of the report's runs, their median. A difference counts when it is more than two of its
standard errors. Where nothing really differs, that still happens by chance: in 4 of 100 comparisons with three seeds
of each of ten runs or more, in 10 of 100 with two seeds of two.
The claims: claims1.py to claims4.py. Read next: results.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .report import Result
from .results import Results

HOLDS, FAILS, NOISE, NOT_RUN = "holds", "does not hold", "within noise", "not run"
Value = str | Callable[[Result], float | None]  # a key of a result's metrics, or a function of the result
STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Verdict:
    """What was found: one of the four words above, the numbers and seeds behind it, and where a mistake in the report's
    own code explains what it claims, that."""

    word: str
    why: str
    mistake: str = ""


@dataclass(frozen=True)
class Claim:
    """What a report says, and the judge of it."""

    text: str
    judge: Callable[[Results], Verdict]


@dataclass(frozen=True)
class Difference:
    """The mean of one run's number minus that of another's."""

    value: float
    error: float | None  # its standard error; None where no run has several seeds
    seeds: tuple[int, int]

    @property
    def noise(self) -> float | None:
        """The largest difference that is put down to noise; None where noise is not known."""
        return None if self.error is None else STANDARD_ERRORS * self.error

    @property
    def sign(self) -> int:
        """1 or -1 where it is more than noise, 0 where it is not, or where noise is not known."""
        if self.noise is None or abs(self.value) <= self.noise:
            return 0
        return 1 if self.value > 0 else -1

    @property
    def short(self) -> str:
        """Without the seeds, such as +0.47 (noise up to 0.21)."""
        noise = "noise unknown without more seeds" if self.noise is None else f"noise up to {self.noise:.2f}"
        return f"{self.value:+.2f} ({noise})"

    def __str__(self) -> str:
        first, second = self.seeds
        seeds = f"{first} seed{'s' * (first != 1)} each" if first == second else f"{first} and {second} seeds"
        return f"{self.short[:-1]}, {seeds})"


def noise(results: Results, report: str, value: Value, mode: str | None = None) -> float | None:
    """The standard deviation over seeds that is typical of a number of a report's runs ("r2"; of report 4's "r4f" or
    "r4k", by data set) in a mode: the median, which a run that collapsed in one seed does not move. None where no run
    has two seeds."""
    variances = []
    for name in dict.fromkeys(name for name, _ in results.found if name.partition("-")[0] == report):
        values = results.values(name, value, mode)
        if len(values) > 1:
            # The median of a variance with k degrees of freedom is below its mean (Wilson and Hilferty, 1931).
            median = (1 - 2 / (9 * (len(values) - 1))) ** 3
            variances.append(variance(values) / median)
    return math.sqrt(statistics.median(variances)) if variances else None


def variance(values: Sequence[float]) -> float:
    """Of at least two numbers. The statistics module's is exact, and takes ten times as long: a page asks thousands."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def difference(
    results: Results, first: str, second: str, value: Value, mode: str | None = None, second_mode: str | None = None
) -> Difference | None:
    """How much more the first run's number is than the second's; None where one has no result. second_mode: the second
    run's mode, where it is another."""
    pairs = ((first, mode), (second, second_mode or mode))
    a, b = (results.values(name, value, its_mode) for name, its_mode in pairs)
    if not a or not b:
        return None
    typical = [noise(results, name.partition("-")[0], value, its_mode) for name, its_mode in pairs]
    errors = [standard_error(values, s) for values, s in zip((a, b), typical, strict=True) if s is not None]
    error = math.hypot(*errors) if len(errors) == 2 else None
    return Difference(statistics.fmean(a) - statistics.fmean(b), error, (len(a), len(b)))


def standard_error(values: Sequence[float], typical: float) -> float:
    """Of the mean of a run's values over seeds, where a standard deviation is typical of the report's runs."""
    own = math.sqrt(variance(values)) if len(values) > 1 else 0.0
    return max(own, typical) / math.sqrt(len(values))


def all_of(differences: Sequence[Difference]) -> str:
    """The word for a claim that all of some differences are above 0. It does not hold when one is below by more than
    noise, and holds when all are above by more than noise. Where noise is not known, seeds are not run."""
    if not differences or any(found.error is None for found in differences):
        return NOT_RUN
    signs = [found.sign for found in differences]
    return FAILS if min(signs) < 0 else HOLDS if min(signs) > 0 else NOISE


def missing(results: Results, names: Sequence[str], *modes: str | None) -> Verdict | None:
    """The verdict "not run", with the runs that have no result in one of the modes; None where all have one."""
    pairs = [(name, mode) for mode in modes or (None,) for name in names if not results.of(name, mode)]
    lacking = ", ".join(f"{name} ({mode})" if mode else name for name, mode in pairs)
    return Verdict(NOT_RUN, f"Not run here: {lacking}.") if lacking else None


def told(results: Results, names: Sequence[str], value: Value, mode: str | None = None, form: str = ".2f") -> str:
    """The means of a number of runs, such as r1-arch-7 86.37, r1-arch-8 85.51 (3 seeds each)."""
    found = [results.values(name, value, mode) for name in names]
    means = [format(statistics.fmean(values), form) if values else "no number" for values in found]
    if len({len(values) for values in found}) == 1:
        each = " each" if len(names) > 1 else ""
        return ", ".join(map(" ".join, zip(names, means, strict=True))) + f" ({seeds_of(found[0])}{each})"
    rows = zip(names, means, found, strict=True)
    return ", ".join(f"{name} {mean} ({seeds_of(values)})" for name, mean, values in rows)


def seeds_of(values: Sequence[object]) -> str:
    """How many there are, such as 3 seeds."""
    return f"{len(values)} seed{'s' * (len(values) != 1)}"
