"""What finished runs left in their folders, read back: for the list, the page and the verdicts.

A run that was given other settings than its own (fewer epochs, another rate, other data) is no result of that run; it
is left out, with a note that says so, as are unfinished and damaged folders, and copies, which would count a seed
twice. Where two modes train alike, a result of one is a result of the other. Read next: runner.py, which writes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..train.folder import as_json
from . import RUNS, report_of
from .report import Options, Result


@dataclass
class Results:
    """The results of runs, by run id and mode, each for some seeds; and notes on what was left out."""

    found: dict[tuple[str, str | None], list[Result]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, name: str, mode: str | None = None) -> list[Result]:
        """The results of a run, in the order of their seeds. mode None: the report's first, where it has modes."""
        modes = report_of(name).MODES
        return self.found.get((name, mode or (modes[0] if modes else None)), [])

    def values(self, name: str, value: str | Callable[[Result], float | None], mode: str | None = None) -> list[float]:
        """A number of each result: a key of its metrics, or a function of it. None, NaN and infinities are left out."""
        function = value if callable(value) else lambda result: result.metrics.get(value)
        numbers = [function(result) for result in self.of(name, mode)]
        return [number for number in numbers if number is not None and math.isfinite(number)]


def read(folder: Path) -> Result:
    """The result in a run's folder. Raises ValueError, naming it, when it holds none or a damaged one."""
    try:
        settings, metrics = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "metrics"))
        history = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    except FileNotFoundError as error:
        raise ValueError(f"{folder}: not finished, there is no {Path(error.filename).name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{folder}: damaged: {type(error).__name__}: {error}") from None
    name = settings.get("run") if isinstance(settings, dict) else None
    if not isinstance(name, str) or name not in RUNS:
        raise ValueError(f"{folder}: of no run of these reports")
    result = Result(RUNS[name], settings, history, folder, metrics)
    try:
        why = inconsistent(result)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        raise ValueError(f"{folder}: damaged: {why}")
    return result


def inconsistent(result: Result) -> str:
    """What of a run's files does not fit together; empty where all does."""
    settings, metrics, epochs = result.settings, result.metrics, [record["epoch"] for record in result.history]
    for key in ("run", "mode", "seed"):
        if metrics.get(key) != settings.get(key):
            return f"{key} is {settings.get(key)!r} in config.json and {metrics.get(key)!r} in metrics.json"
    if type(settings["seed"]) is not int:
        return f"the seed is {settings['seed']!r}"
    if settings.get("mode") not in (report_of(result.run.name).MODES or (None,)):
        return f"there is no mode {settings.get('mode')!r}"
    if not epochs or epochs != list(range(1, metrics["epochs"] + 1)):
        return f"log.jsonl has {len(epochs)} lines, metrics.json {metrics['epochs']} epochs"
    if len(epochs) != settings["epochs"] and not settings.get("patience"):
        return f"{len(epochs)} epochs, of {settings['epochs']}"
    for figure in report_of(result.run.name).FIGURES:
        figure.ours(result)  # raises something where a number is missing
    return ""


def differing(result: Result) -> list[str]:
    """The settings that are not the run's own."""
    settings = result.settings
    options = Options(mode=settings.get("mode"), seed=settings["seed"])
    own = json.loads(json.dumps(as_json(report_of(result.run.name).settings(result.run, options))))
    own |= {"data": result.run.data, "images": settings.get("images")}  # of a name's data there is but one version
    return sorted(key for key in own.keys() | settings.keys() if own.get(key) != settings.get(key))


def read_all(out: Path) -> Results:
    """The results in the folders under `out`, none where it does not exist."""
    results = Results()
    for config in sorted(out.glob("*/config.json")):
        try:
            result = read(config.parent)
        except ValueError as error:
            results.notes.append(str(error))
            continue
        if keys := differing(result):
            results.notes.append(f"{result.folder}: left out, for it was run with other settings: {', '.join(keys)}")
            continue
        some = results.found.setdefault((result.run.name, result.settings.get("mode")), [])
        if same := [other.folder for other in some if other.settings["seed"] == result.settings["seed"]]:
            results.notes.append(f"{result.folder}: left out, for {same[0]} is of the same run and seed")
            continue
        some.append(result)
    for (name, mode), some in list(results.found.items()):
        for other in report_of(name).MODES if RUNS[name].alike else ():
            there = {result.settings["seed"] for result in results.of(name, other)}
            new = [result for result in some if result.settings["seed"] not in there]
            if other != mode and new:
                results.found.setdefault((name, other), []).extend(new)
    for some in results.found.values():
        some.sort(key=lambda result: int(result.settings["seed"]))
    return results
