"""A page as one HTML file that needs nothing else: style and figures within, no script, no font, no network.

What it says is model.py's, how it looks templates/page.html's and templates/style.css's. Read next: those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .model import WORDS, Page
from .tables import DASH

SYMBOLS = dict(zip(WORDS, "✓✗≈○", strict=True))  # so that a verdict does not hang on its colour


def as_html(page: Page, drawings: Mapping[str, str]) -> str:
    """drawings: each chart's SVG, by the chart's name. Raises ImportError when Jinja2 is not installed."""
    try:
        import jinja2
    except ImportError:
        raise ImportError("no page: it needs Jinja2: pip install 'tinygrad_edu[examples]'") from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinygrad_edu.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = [row.name for part in page.parts for section in part.sections for row in section.tables[0].rows]
    environment.filters["pieces"] = lambda text: pieces(text, runs)
    classes = {word: word.replace(" ", "-") for word in WORDS}
    template = environment.get_template("page.html")
    return template.render(page=page, drawings=drawings, words=WORDS, symbols=SYMBOLS, classes=classes, dash=DASH)


def pieces(text: str, runs: Sequence[str]) -> list[tuple[str, bool]]:
    """A text cut where it names runs: each piece, and whether it is a run's id."""
    names = "|".join(re.escape(name) for name in sorted(runs, key=len, reverse=True))
    cut = re.split(rf"(?<![\w.-])({names})(?![\w-]|\.\w)", text)
    return [(piece, bool(k % 2)) for k, piece in enumerate(cut) if piece]
