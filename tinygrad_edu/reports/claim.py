"""A report's claims, each judged by what its runs came to here: by differences between runs, and by their noise.

The noise of a number is its standard deviation over seeds, pooled over all runs of the report that have several: three
seeds of one run alone would tell little of it. A difference counts when it is more than two of its standard errors.
The claims: claims1.py to claims4.py. Read next: results.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
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
    def sign(self) -> int:
        """1 or -1 where it is more than noise, 0 where it is not, or where noise is not known."""
        if self.error is None or abs(self.value) <= STANDARD_ERRORS * self.error:
            return 0
        return 1 if self.value > 0 else -1

    def __str__(self) -> str:
        error = "noise unknown" if self.error is None else f"standard error {self.error:.2f}"
        return f"{self.value:+.2f} ({error}, {self.seeds[0]} and {self.seeds[1]} seeds)"


def noise(results: Results, report: str, value: Value, mode: str | None = None) -> float | None:
    """The pooled standard deviation over seeds of a number of a report's runs ("r2") in a mode; None where no run has
    two seeds."""
    squares, degrees = 0.0, 0
    for name in dict.fromkeys(name for name, _ in results.found if name.partition("-")[0] == report):
        values = results.values(name, value, mode)
        if len(values) > 1:
            squares += statistics.variance(values) * (len(values) - 1)
            degrees += len(values) - 1
    return math.sqrt(squares / degrees) if degrees else None


def difference(results: Results, first: str, second: str, value: Value, mode: str | None = None) -> Difference | None:
    """How much more the first run's number is than the second's; None where one has no result."""
    a, b = (results.values(name, value, mode) for name in (first, second))
    if not a or not b:
        return None
    deviation = noise(results, first.partition("-")[0], value, mode)
    error = None if deviation is None else deviation * math.sqrt(1 / len(a) + 1 / len(b))
    return Difference(statistics.fmean(a) - statistics.fmean(b), error, (len(a), len(b)))
