"""The page of a report: that it tells every run, figure and claim, what its numbers are, and what it makes of damage.

How it looks in a browser: test_page_in_chromium.py.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import statistics
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from small_runs import small_runs

from tinygrad_edu import cli
from tinygrad_edu.page import html, layout, model
from tinygrad_edu.reports import REPORTS, RUNS
from tinygrad_edu.reports.claim import NOT_RUN, Claim, Verdict
from tinygrad_edu.reports.claims import CLAIMS

for package in ("jinja2", "matplotlib", "sklearn"):
    pytest.importorskip(package)

VOID = {"meta", "link", "br", "hr", "img", "input"}
WORDS = ["holds", "does not hold", "within noise", "not run"]


class Reader(HTMLParser):
    """An HTML page as a list of elements: tag, attributes, and the text within."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == [], "elements that are not closed"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        for _, _, within in self.open:
            within.append(text)

    def all(self, *tags):
        return [(attributes, " ".join("".join(text).split())) for tag, attributes, text in self.elements if tag in tags]

    def of(self, anchor):
        """The text of the element with that id."""
        (text,) = ("".join(text) for _, attributes, text in self.elements if attributes.get("id") == anchor)
        return " ".join(text.split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return small_runs(tmp_path_factory.mktemp("small") / "runs")


@pytest.fixture(scope="module")
def made(runs):
    """The folder of the page of all reports."""
    assert cli.main(["report", "all", "--out", str(runs)]) == 0
    return runs / "report"


@pytest.fixture(scope="module")
def page(made):
    return Reader((made / "all.html").read_text())


def ids(page):
    return [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]


def test_every_run_claim_and_figure_is_there(page, made):
    found = ids(page)
    assert len(found) == len(set(found)) and set(RUNS) <= set(found)
    for key in REPORTS:
        for k, claim in enumerate(CLAIMS.get(key, ()), 1):
            assert " ".join(claim.text.split()) in page.of(f"{key}-claim-{k}")
    figures = [attributes["id"] for attributes, _ in page.all("figure")]
    assert len(page.all("svg")) == len(figures) >= 20
    assert {"r3-network", "r3-networks-curves", "r3-networks-bars", "r1-batch-sizes-curves-corrected"} <= set(figures)
    for name in ("r3-ann", "r3-cnn", "r4k-patch-2"):
        assert {f"{name}-closely-{kind}" for kind in ("confusion", "pictures", "mistakes")} <= set(figures)
    assert {"r2-dropout-curves", "r2-learning-rates-curves-corrected"} <= set(figures)  # all alike, and not all
    assert sorted(f"{name}.svg" for name in figures) == sorted(file.name for file in (made / "figures").iterdir())


def test_it_needs_nothing_else_and_can_be_read_by_all(page):
    for tag, attributes, text in page.elements:
        assert tag != "script"
        for name, value in attributes.items():
            if name in ("href", "src", "xlink:href"):
                assert value.startswith(("#", "data:")), value
        assert tag != "style" or not re.search(r"@import|url\((?!#)", "".join(text))
    anchors = {attributes["href"][1:] for attributes, _ in page.all("a")}
    assert anchors <= set(ids(page)) and {"top", "verdicts", *REPORTS} <= anchors
    assert next(attributes for attributes, _ in page.all("html")) == {"lang": "en"}
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row", "colgroup") for attributes, _ in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 20
    drawings = [attributes for attributes, _ in page.all("div") if attributes.get("role") == "img"]
    assert len(drawings) == len(page.all("figure")) and all(len(d["aria-label"]) > 20 for d in drawings)
    assert all(text for _, text in page.all("figcaption", "h1", "h2", "h3", "h4", "title"))


def luminance(color):
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast(page):
    """At least 4.5 : 1, as WCAG's level AA asks, on a light and on a dark page."""
    style = page.all("style")[0][1]
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6});", text)) for text in style.split("@media", 2)[:2])
    assert len(light) == len(dark) > 10 and luminance(light["paper"]) > 0.9 > 0.1 > luminance(dark["paper"])
    pairs = [(ink, paper) for ink in ("ink", "muted", "link", "ours") for paper in ("paper", "soft")]
    pairs += [(kind, f"{kind}-soft") for kind in ("good", "bad", "noise", "none")]
    for colors in (light, dark):
        for ink, paper in pairs:
            low, high = sorted(luminance(colors[name]) for name in (ink, paper))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper, colors[ink], colors[paper])


def cells(page, name):
    """The cells of a run in its table of results, under the titles of their columns."""
    at = next(k for k, (tag, attributes, _) in enumerate(page.elements) if (tag, attributes.get("id")) == ("tr", name))
    start = max(k for k in range(at) if page.elements[k][0] == "table")
    heads = [element for element in page.elements[start:at] if element[0] == "th"]
    groups = [("".join(text), int(a["colspan"])) for _, a, text in heads if a["scope"] == "colgroup"]
    titles = [title for title, count in groups for _ in range(count)]
    names = ["".join(text) for _, a, text in heads if a["scope"] == "col"][1:]
    found = []
    for tag, _, text in page.elements[at + 1 :]:
        if tag == "tr":
            break
        if tag == "td":
            found.append("".join(text))
    return dict(zip(zip(titles, names, strict=True), found, strict=True))


def numbers(runs, folder):
    return json.loads((runs / folder / "metrics.json").read_text())


def test_the_numbers(page, runs):
    both = [numbers(runs, f"r3-ann{end}")["test_accuracy"] for end in ("", "-seed43")]
    mean = statistics.fmean(both)
    found = cells(page, "r3-ann")
    key = "test accuracy, best model (%)"
    assert found[key, "report"] == "88.43"
    difference = f"{mean - 88.43:+.2f}".replace("-", "−")
    assert found[key, "here"] == f"{mean:.2f} ± {statistics.stdev(both):.2f}{difference}"
    assert found["seeds", "here"] == "2"
    cnn = cells(page, "r3-cnn")
    assert cnn["train loss, last epoch", "here"].endswith("†")  # after five epochs, so no difference
    assert re.fullmatch(r"\d+\.\d\d†[+−]\d+\.\d\d", cnn[key, "here"])
    assert set(cells(page, "r3-opt-sgd").values()) - {"–"} == {"not run"}


def test_both_modes_stand_beside_each_other(page, runs):
    title = "test accuracy, last epoch (%)"
    found = cells(page, "r1-batch-4096")
    for mode in ("as-reported", "corrected"):
        ours = numbers(runs, f"r1-batch-4096-{mode}")["test_accuracy"]
        assert found[title, mode].startswith(f"{ours:.2f}") and found[title, "report"] == "83.15"
    one = cells(page, "r1-arch-1")
    assert one[title, "corrected"] == "not run" and one["seeds", "here"] == "1, not run"
    alike = {key: text for key, text in cells(page, "r2-lr-0.01").items() if key[1] == "corrected"}
    assert alike and all("‡" in text for text in alike.values())
    assert "not run" in cells(page, "r2-l2-1e-4").values()
    assert {mode for _, mode in cells(page, "r2-dropout-0.15")} == {"report", "here"}


def test_the_speed_up_is_of_the_median_time(page, runs):
    seconds = numbers(runs, "r1-arch-1-as-reported")["train_seconds"]
    (text,) = (t for a, t in page.all("section") if a.get("id") == "r1-architectures")
    assert f"{seconds:.1f}" in text and f"{134 / seconds:.3g}×" in text
    assert "on its authors' machine" in text


def test_verdicts_are_counted(page, monkeypatch, runs, tmp_path):
    table = next(k for k, (tag, a, _) in enumerate(page.elements) if tag == "table" and a.get("class") == "counts")
    rows = [k for k, (tag, _, _) in enumerate(page.elements) if k > table and tag == "tr"][1 : len(REPORTS) + 2]
    counts = []
    for row in rows:
        some = page.elements[row + 1 :]
        end = next((k for k, (tag, _, _) in enumerate(some) if tag != "td" and k > 1), len(some))
        counts.append([int("".join(t).replace("–", "0")) for tag, _, t in some[:end] if tag == "td"])
    for key, row in zip(REPORTS, counts, strict=False):
        badges = [page.of(f"{key}-claim-{k}") for k in range(1, len(CLAIMS.get(key, ())) + 1)]
        assert row == [*(sum(b[2:].startswith(word) for b in badges) for word in WORDS), len(badges)]
    assert counts[-1] == [sum(column) for column in zip(*counts[:-1], strict=True)]

    claim = Claim("<b>A & B</b>", lambda results: Verdict("does not hold", "1 < 2, 3 seeds", "a slip | of <i>"))
    monkeypatch.setitem(CLAIMS, "r3", (claim,))
    assert cli.main(["report", "r3", "--out", str(runs), "--to", str(tmp_path)]) == 0
    text = Reader((tmp_path / "r3.html").read_text()).of("r3-claim-1")
    assert text == "✗ does not hold <b>A & B</b> 1 < 2, 3 seeds The report’s mistake: a slip | of <i>"
    assert "- **does not hold**: \\<b\\>A & B" in (tmp_path / "r3.md").read_text()


def test_markdown_says_the_same(made, page):
    texts = {key: (made / f"{key}.md").read_text() for key in REPORTS}
    for key, report in REPORTS.items():
        assert all(f"**{name}**" in texts[key] for name in report.RUNS)
        shown = re.findall(r"\]\((figures/[^)]+\.svg)\)", texts[key])
        assert len(shown) == texts[key].count("![")
        for file in shown:
            root = ElementTree.fromstring((made / file).read_text())
            assert root.tag.endswith("svg") and float(root.attrib["width"].removesuffix("pt")) > 100
        widths = [len(re.split(r"(?<!\\)\|", line)) for line in texts[key].splitlines() if line.startswith("|")]
        starts = [k for k, line in enumerate(texts[key].splitlines()) if line.startswith("|---")]
        assert len(starts) >= 2 and min(widths) >= 4
    tables = re.findall(r"(?:^\|.*\n)+", "\n".join(texts.values()), re.M)
    assert all(len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1 for table in tables)
    cell = cells(page, "r3-ann")["test accuracy, best model (%)", "here"]
    assert re.sub(r"([+−].*)", r" (\1)", cell) in texts["r3"]
    assert re.search(r"\| All reports \| .*\|", (made / "README.md").read_text())


def test_damage_is_noted_and_the_rest_is_shown(runs, tmp_path):
    out = tmp_path / "runs"
    for name in ("r3-ann", "r3-ann-seed43", "r3-cnn", "r4k-patch-2"):
        shutil.copytree(runs / name, out / name)
    (out / "r3-ann" / "log.jsonl").write_text("{")
    (out / "r3-cnn" / "pictures.safetensors").write_bytes(b"nonsense")
    metrics = numbers(out, "r3-ann-seed43")
    del metrics["confusion"], metrics["classes"]
    metrics["note"] = "no metrics by class: <they need> scikit-learn"
    (out / "r3-ann-seed43" / "metrics.json").write_text(json.dumps(metrics))
    (out / "r4k-patch-2" / "metrics.json").unlink()
    assert cli.main(["report", "r3", "--out", str(out)]) == 0
    page = Reader((out / "report" / "r3.html").read_text())
    notes = page.of("notes")
    assert "r3-ann: damaged" in notes and "<they need> scikit-learn" in notes and "pictures.safetensors" in notes
    assert "r4k" not in notes  # is another report's
    assert cells(page, "r3-ann")["seeds", "here"] == "1" and "r3-cnn-closely-confusion" in ids(page)


def test_no_runs_at_all(tmp_path, capsys):
    assert cli.main(["report", "r1", "--out", str(tmp_path / "none"), "--to", str(tmp_path / "to")]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "no finished run of r1" in message and "tinygrad-edu run r1" in message
    page = Reader((tmp_path / "to" / "r1.html").read_text())
    assert set(REPORTS["r1"].RUNS) <= set(ids(page)) and page.all("svg") == []
    assert all("not run" in cells(page, name).values() for name in REPORTS["r1"].RUNS)
    assert all(page.of(f"r1-claim-{k}")[2:].startswith(NOT_RUN) for k in range(1, len(CLAIMS["r1"]) + 1))


def test_a_folder_whose_name_is_no_text(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "config.json").write_text("damaged")
    assert cli.main(["report", "r1", "--out", str(tmp_path)]) == 1
    assert "there is no finished run of r1" in capsys.readouterr().err
    assert "/?: damaged" in (tmp_path / "report/r1.md").read_text()


def test_an_unknown_report(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["report", "r9"])
    assert caught.value.code == 2 and "r1, r2, r3, r4, and all of them: all" in capsys.readouterr().err


def test_what_cannot_be_written(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["report", "r4", "--out", str(runs), "--to", str(tmp_path / "file")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("tinygrad-edu: ") and "file" in message and message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package(package, runs, tmp_path, monkeypatch, capsys):
    (tmp_path / "r4.html").write_text("the page before")
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["report", "r4", "--out", str(runs), "--to", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "pip install 'tinygrad_edu[examples]'" in message and message.count("\n") == 1
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the page before"]


def test_groups_leave_no_run_out():
    for key, report in REPORTS.items():
        groups = layout.groups_of(layout.LAYOUTS[key], report.RUNS)
        assert {title for title, _ in groups} <= {group.title for group in layout.LAYOUTS[key].groups}
        assert sorted(run.name for _, some in groups for run in some) == sorted(report.RUNS)
    patches = dict(layout.groups_of(layout.LAYOUTS["r4"], REPORTS["r4"].RUNS))["KMNIST, patch sizes"]
    assert {run.name for run in patches} >= {"r4k-patch-2", "r4k-patch-7", "r4k-patch-14"}  # and not in KMNIST
    other = layout.groups_of(
        layout.layout_of("r9"), {name: RUNS[name] for name in ("r1-lr-0.1", "r3-ann", "r1-lr-0.01")}
    )
    assert [(title, [run.name for run in some]) for title, some in other] == [
        ("r1-lr", ["r1-lr-0.1", "r1-lr-0.01"]),
        ("r3-ann", ["r3-ann"]),
    ]
    assert not layout.begins("r1-lrs", "r1-lr")


def test_runs_that_a_text_names_are_links(page):
    assert html.pieces("r3-ann, r3-ann-modified-60 (r1-lr-0.1). r1-lr-0.15 r3-anns", ["r3-ann", "r1-lr-0.1"]) == [
        ("r3-ann", True),
        (", r3-ann-modified-60 (", False),
        ("r1-lr-0.1", True),
        ("). r1-lr-0.15 r3-anns", False),
    ]
    assert any(attributes["href"][1:] in RUNS for attributes, _ in page.all("a"))


def test_notes_of_no_known_report_are_for_every_page():
    assert model.concerns("runs/r3-ann: damaged", "r3") and not model.concerns("runs/r3-ann: damaged", "r1")
    assert model.concerns("runs/other: of no run", "r1")
