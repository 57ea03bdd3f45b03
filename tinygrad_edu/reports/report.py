"""What the runner, the command line and the page ask of a report; each report is a module that answers.

Read next: report1.py, then runner.py, which carries a run out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..datasets import ImageDataset
from ..train import Training
from ..viz import Panel

SEED = 42


@dataclass(frozen=True)
class Options:
    """What can be chosen about a run; None: what the report chose, or where it chose nothing this project.

    mode, lr, clip_grad_norm, schedule and patience are not for every report: see Report.TAKES.
    """

    mode: str | None = None
    seed: int = SEED
    epochs: int | None = None
    lr: float | None = None
    clip_grad_norm: float | None = None
    schedule: str | None = None
    patience: int | None = None
    data: str | None = None
    out: str = "runs"
    resume: bool = False
    checkpoint_steps: int | None = None
    checkpoint_seconds: float | None = 30.0  # a checkpoint of r3-cnn takes 0.1 s, so this costs a third of a percent


class Run(Protocol):
    """One line of a report's tables; a report's own class says more of it."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str:
        """What is trained, in a few words: such as 784-64-10 relu, batch 128, learning rate 0.001."""

    @property
    def data(self) -> str:
        """The data set: a name in runner.SETS."""

    @property
    def epochs(self) -> int:
        """The report's."""

    @property
    def alike(self) -> bool:
        """Whether the report's modes train it alike."""

    @property
    def accuracy(self) -> float | None:
        """The report's test accuracy in percent, if it tells one."""


@dataclass
class Result:
    """What came of a run."""

    run: Any  # the report's own kind of Run
    settings: Mapping[str, Any]  # all that was chosen, as config.json has it
    history: list[dict[str, Any]] = field(default_factory=list)  # a record for each epoch
    folder: Path = Path()
    metrics: dict[str, Any] = field(default_factory=dict)  # as metrics.json has it

    @property
    def title(self) -> str:
        """Such as r1-arch-8 (as-reported)."""
        mode = self.settings.get("mode")
        return f"{self.run.name} ({mode})" if mode else str(self.run.name)


@dataclass(frozen=True)
class Figure:
    """A number that a report tells of its runs, and where ours stands."""

    label: str
    theirs: Callable[[Any], float | None]  # of a run; None: the report does not tell it
    ours: Callable[[Result], float | None]
    form: str = ".2f"  # how both are written
    whole: bool = True  # ours compares only after as many epochs as the report's
    time: bool = False  # of training: of several seeds the median counts, and how many times less it is


class Report(Protocol):
    """A report's module."""

    @property
    def TITLE(self) -> str:
        """What it is about."""

    @property
    def RUNS(self) -> Mapping[str, Any]:
        """Its runs by id."""

    @property
    def MODES(self) -> Sequence[str]:
        """How its runs can be carried out, the default first; empty where there is but one way."""

    @property
    def TAKES(self) -> Collection[str]:
        """Those of the options named at Options that its runs can be given."""

    @property
    def FIGURES(self) -> Sequence[Figure]:
        """What its tables tell. First what it judges its runs by."""

    @property
    def PANELS(self) -> Sequence[Panel]:
        """What its figure shows."""

    def settings(self, run: Any, options: Options) -> dict[str, Any]:
        """All that determines the run but the data, for config.json: epochs, seed, and what `start` needs."""

    def start(self, settings: Mapping[str, Any], train: ImageDataset, test: ImageDataset) -> Training:
        """The training, before its first step."""
