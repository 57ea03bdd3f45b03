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

    def __str__(self) -> str:
        noise = "noise unknown" if self.noise is None else f"noise up to {self.noise:.2f}"
        return f"{self.value:+.2f} ({noise}, {self.seeds[0]} and {self.seeds[1]} seeds)"


def noise(results: Results, report: str, value: Value, mode: str | None = None) -> float | None:
    """The standard deviation over seeds that is typical of a number of a report's runs ("r2") in a mode: the median,
    which a run that collapsed in one seed does not move. None where no run has two seeds."""
    variances = []
    for name in dict.fromkeys(name for name, _ in results.found if name.partition("-")[0] == report):
        values = results.values(name, value, mode)
        if len(values) > 1:
            # The median of a variance with k degrees of freedom is below its mean (Wilson and Hilferty, 1931).
            median = (1 - 2 / (9 * (len(values) - 1))) ** 3
            variances.append(statistics.variance(values) / median)
    return math.sqrt(statistics.median(variances)) if variances else None


def difference(results: Results, first: str, second: str, value: Value, mode: str | None = None) -> Difference | None:
    """How much more the first run's number is than the second's; None where one has no result."""
    a, b = (results.values(name, value, mode) for name in (first, second))
    if not a or not b:
        return None
    typical = noise(results, first.partition("-")[0], value, mode)
    error = None if typical is None else math.hypot(standard_error(a, typical), standard_error(b, typical))
    return Difference(statistics.fmean(a) - statistics.fmean(b), error, (len(a), len(b)))


def standard_error(values: list[float], typical: float) -> float:
    """Of the mean of a run's values over seeds, where a standard deviation is typical of the report's runs."""
    own = statistics.stdev(values) if len(values) > 1 else 0.0
    return max(own, typical) / math.sqrt(len(values))


def missing(results: Results, names: Sequence[str], *modes: str | None) -> Verdict | None:
    """The verdict "not run", with the runs that have no result in one of the modes; None where all have one."""
    pairs = [(name, mode) for mode in modes or (None,) for name in names if not results.of(name, mode)]
    lacking = ", ".join(f"{name} ({mode})" if mode else name for name, mode in pairs)
    return Verdict(NOT_RUN, f"Not run here: {lacking}.") if lacking else None
