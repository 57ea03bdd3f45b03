"""A page as Markdown, a file for each report, with its figures as SVG files beside: tables and pictures only.

For docs/results and the like, where a code host shows them. Read next: html.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .charts import Chart
from .model import WORDS, Page, Part
from .tables import DASH, Table


def text(value: str) -> str:
    """With what Markdown would take as markup, or as the end of a cell, escaped."""
    for character in "\\|*_<>`[]":
        value = value.replace(character, f"\\{character}")
    return value


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table: its first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def table_lines(table: Table, described: bool) -> list[str]:
    """A table of runs; described: with what each run is."""
    head = ["run", *(f"{text(c.title)}: {name}" for c in table.columns for name in c.names)]
    rows = []
    for row in table.rows:
        cells = [c.text + c.marks + (f" ({c.small})" if c.small else "") for c in row.cells]
        rows.append([f"**{row.name}**" + (f"<br>{text(row.about)}" if described else ""), *cells])
    notes = [f"{mark} {note}" for mark, note in table.footnotes]
    return [f"{text(table.title)}", "", *grid(head, rows), *(line for note in notes for line in (note, ""))]


def chart_lines(charts: Iterable[Chart], folder: str) -> list[str]:
    """Pictures, with their text for who does not see them."""
    return [line for c in charts for line in (f"![{text(c.text)}]({folder}/{c.name}.svg)", "", text(c.caption), "")]


def part_lines(part: Part, notes: Sequence[str], folder: str) -> list[str]:
    """A report. folder: where the figures are, seen from the file."""
    lines = [f"# {part.title}", "", text(part.about), "", f"Data: {text(part.data)}", ""]
    lines += [*(f"- {name}: {text(value)}" for name, value in part.facts), "", "## Claims", ""]
    for judged in part.claims:
        verdict = judged.verdict
        mistake = f" The report's mistake: {text(verdict.mistake)}" if verdict.mistake else ""
        lines += [f"- **{verdict.word}**: {text(judged.text)}<br>{text(verdict.why)}{mistake}"]
    for section in part.sections:
        lines += ["", f"## {section.title}", "", *table_lines(section.tables[0], True)]
        lines += chart_lines(section.charts, folder)
        lines += [line for table in section.tables[1:] for line in table_lines(table, False)]
    if part.drawings:
        lines += ["## The network", "", *chart_lines(part.drawings, folder)]
    if part.portraits:
        lines += ["## Class by class", ""]
    for portrait in part.portraits:
        lines += [f"### {portrait.title}", ""]
        if portrait.classes:
            lines += grid(["class", "precision (%)", "recall (%)", "F1 (%)"], portrait.classes)
        lines += chart_lines(portrait.charts, folder)
    if notes:
        lines += ["## Notes", "", *(f"- {text(note)}" for note in notes)]
    return lines


def summary_lines(page: Page) -> list[str]:
    """The verdicts of all reports, counted and one by one."""
    rows = [[f"[{p.title}]({p.key}.md)", *(str(n or DASH) for n in p.counts), str(len(p.claims))] for p in page.parts]
    rows.append(["All reports", *(str(n or DASH) for n in page.counts), str(sum(page.counts))])
    lines = [f"# {page.title}", "", *grid(["claims of", *WORDS, "all"], rows)]
    for part in page.parts:
        lines += [f"## {part.title}", "", *(f"- **{c.verdict.word}**: {text(c.text)}" for c in part.claims), ""]
    if page.notes:
        lines += ["## Notes", "", *(f"- {text(note)}" for note in page.notes)]
    return lines


def as_markdown(page: Page, folder: str) -> dict[str, str]:
    """Files by name: one for each report and, where there are several, README.md with the verdicts of all."""
    files = {"README.md": summary_lines(page)} if len(page.parts) > 1 else {}
    for part in page.parts:
        files[f"{part.key}.md"] = part_lines(part, part.notes if len(page.parts) > 1 else page.notes, folder)
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in files.items()}
