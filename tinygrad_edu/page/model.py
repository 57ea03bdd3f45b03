"""What a page says, as plain data: tables, claims with their verdicts, charts yet to be drawn, facts and notes.

No HTML and no Markdown here, and nothing is drawn; see html.py, markdown.py and make.py. What the reports differ in is
layout.py's. Read next: tables.py.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..reports import REPORTS
from ..reports.claim import FAILS, HOLDS, NOISE, NOT_RUN, Verdict
from ..reports.claims import CLAIMS
from ..reports.report import Report, Result
from ..reports.results import Results
from .charts import Chart, bars, confusion, curves, network, pictures, read_pictures
from .facts import facts_of
from .layout import Layout, groups_of, layout_of
from .tables import Table, modes_of, ours_of, tables_of

WORDS = (HOLDS, FAILS, NOISE, NOT_RUN)


@dataclass(frozen=True)
class Judged:
    """A claim and its verdict."""

    anchor: str
    text: str
    verdict: Verdict


@dataclass(frozen=True)
class Section:
    """A group of runs."""

    anchor: str
    title: str
    tables: list[Table]
    charts: list[Chart]


@dataclass(frozen=True)
class Portrait:
    """One result class by class: rows of class, precision, recall, F1 and images; its charts."""

    anchor: str
    title: str
    classes: list[tuple[str, ...]]
    charts: list[Chart]


@dataclass(frozen=True)
class Part:
    """A report."""

    key: str
    title: str
    about: str
    data: str
    facts: list[tuple[str, str]]
    claims: list[Judged]
    sections: list[Section]
    drawings: list[Chart]
    portraits: list[Portrait]
    notes: list[str]
    trainings: int  # how many were found

    @property
    def counts(self) -> list[int]:
        """How many claims got each of WORDS."""
        return [sum(claim.verdict.word == word for claim in self.claims) for word in WORDS]

    @property
    def charts(self) -> list[Chart]:
        """All, in the page's order."""
        own = [chart for section in self.sections for chart in section.charts]
        return own + self.drawings + [chart for portrait in self.portraits for chart in portrait.charts]


@dataclass(frozen=True)
class Page:
    """One report, or all."""

    name: str
    title: str
    parts: list[Part]
    notes: list[str]

    @property
    def counts(self) -> list[int]:
        """How many claims of all reports got each of WORDS."""
        return [sum(counts) for counts in zip(*(part.counts for part in self.parts), strict=True)]

    @property
    def charts(self) -> list[Chart]:
        """All, in the page's order."""
        return [chart for part in self.parts for chart in part.charts]


def page_of(name: str, results: Results) -> Page:
    """The page of that name, a key of REPORTS or all. Raises KeyError when there is none."""
    parts = [part_of(key, results) for key in (REPORTS if name == "all" else [name])]
    title = "The reports, retrained" if name == "all" else parts[0].title
    notes = [note for note in results.notes if name == "all" or concerns(note, name)]
    return Page(name, title, parts, notes + [note for part in parts for note in part.notes])


def concerns(note: str, key: str) -> bool:
    """Whether a note, which begins with a run's folder, is for a report's page; one of no known report is for all."""
    other = Path(note.partition(":")[0]).name.partition("-")[0]
    return not any(name != key and other.startswith(name) for name in REPORTS)


def part_of(key: str, results: Results) -> Part:
    """A report's part of a page."""
    report, layout = REPORTS[key], layout_of(key)
    portraits, notes = [], []
    for result in shown_closely(layout, report, results):
        portrait, missing = portrait_of(result)
        portraits.append(portrait)
        notes += missing
    found = [result for (name, _), some in results.found.items() if name in report.RUNS for result in some]
    return Part(
        key,
        report.TITLE,
        layout.about,
        layout.data,
        facts_of(len(report.RUNS), found),
        [
            Judged(f"{key}-claim-{k}", claim.text, claim.judge(results))
            for k, claim in enumerate(CLAIMS.get(key, ()), 1)
        ],
        sections_of(key, layout, report, results),
        [network(f"{key}-network", *layout.network)] if layout.network else [],
        portraits,
        notes,
        len({result.folder for result in found}),
    )


def sections_of(key: str, layout: Layout, report: Report, results: Results) -> list[Section]:
    """The groups of a report's runs, with tables and charts, which modes share that train all of a group alike."""
    sections = []
    for title, runs in groups_of(layout, report.RUNS):
        anchor = f"{key}-{slug(title)}"
        modes = modes_of(report, runs)
        several = len(modes) > 1
        lines = {mode if several else None: [ours_of(report, run, mode, results) for run in runs] for mode in modes}
        titles = {mode: f"{title}, {mode}" if mode else title for mode in lines}
        charts = [curves(f"{anchor}-curves{ending(m)}", titles[m], line, report) for m, line in lines.items()]
        charts += [bars(f"{anchor}-bars{ending(m)}", titles[m], line, report.FIGURES[0]) for m, line in lines.items()]
        tables = tables_of(title, report, runs, results)
        sections.append(Section(anchor, title, tables, [chart for chart in charts if chart is not None]))
    return sections


def ending(mode: str | None) -> str:
    """What a mode adds to a name."""
    return f"-{mode}" if mode else ""


def slug(text: str) -> str:
    """A text as part of a file's name or an anchor."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def shown_closely(layout: Layout, report: Report, results: Results) -> list[Result]:
    """The results whose confusion matrices and pictures a page shows: the first seed of every run, or of the run with
    the best mean test accuracy on each data set."""
    runs = report.RUNS.values()
    lines = [ours_of(report, run, mode, results) for run in runs for mode in modes_of(report, runs)]
    found = [ours.results for ours in lines if ours.results and not ours.same]
    if layout.portraits:
        return [some[0] for some in found]
    best: dict[str, list[Result]] = {}
    for some in found:
        data = some[0].run.data
        best[data] = max(best.get(data, some), some, key=test_accuracy)
    return [some[0] for some in best.values()]


def test_accuracy(some: Sequence[Result]) -> float:
    """The mean of several results."""
    return statistics.fmean(float(result.metrics.get("test_accuracy") or 0) for result in some)


def portrait_of(result: Result) -> tuple[Portrait, list[str]]:
    """A result class by class, and notes on what could not be shown."""
    anchor = f"{result.run.name}{ending(result.settings.get('mode'))}-closely"
    title = f"{result.title}, seed {result.settings['seed']}"
    rows: list[tuple[str, ...]] = []
    charts: list[Chart | None] = []
    notes: list[str] = []
    if "confusion" not in result.metrics:
        notes.append(f"{result.folder}: {result.metrics.get('note', 'no metrics by class')}")
        return Portrait(anchor, title, [], []), notes
    try:
        for name, numbers in result.metrics["classes"].items():
            rows.append((name, *(f"{100 * numbers[key]:.1f}" for key in ("precision", "recall", "f1"))))
        charts.append(confusion(f"{anchor}-confusion", result))
        tensors = read_pictures(result.folder)
        charts += [pictures(f"{anchor}-{k}", result, tensors, k == "mistakes") for k in ("pictures", "mistakes")]
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        notes.append(f"{result.folder}: its metrics by class or its pictures are damaged: {error}")
    return Portrait(anchor, title, rows, [chart for chart in charts if chart is not None]), notes
