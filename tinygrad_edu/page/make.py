"""From run folders to a page's files: NAME.html, Markdown, and the figures as SVG.

Every file is there as a whole or not at all. Read next: model.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import viz
from ..reports.results import read_all
from ..train.folder import replace_file
from .html import as_html
from .markdown import as_markdown
from .model import page_of

FIGURES = "figures"  # the folder of the SVG files


@dataclass(frozen=True)
class Made:
    """The HTML and Markdown files that were written, and how many trainings they tell of."""

    files: list[Path]
    trainings: int


def make(name: str, out: Path, to: Path) -> Made:
    """Write the page of r1, r2, ... or all from the run folders in `out` into the folder `to`, made if need be.

    Raises KeyError for an unknown name, ImportError for a package that is missing, OSError when something can't be
    written.
    """
    page = page_of(name, read_all(out))
    drawings = {chart.name: viz.svg(chart.draw(), chart.name) for chart in page.charts}
    texts = {f"{name}.html": as_html(page, drawings), **as_markdown(page, FIGURES)}
    texts |= {f"{FIGURES}/{chart}.svg": viz.on_paper(svg) for chart, svg in drawings.items()}
    (to / FIGURES).mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        replace_file(to / file, text.encode(errors="replace"))  # folders may have names that are no text
    return Made([to / file for file in texts if not file.startswith(FIGURES)], sum(p.trainings for p in page.parts))
