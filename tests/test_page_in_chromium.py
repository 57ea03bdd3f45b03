"""The page in a browser: nothing is fetched, nothing complains, nothing hangs over a phone's edge, in dark and light.

Chromium is the system's, never one that a package downloads; without it, or without Playwright, which drives it, these
tests are skipped. What the page says: test_page.py.
"""

from __future__ import annotations

import shutil

import pytest
from small_runs import small_runs

for package in ("jinja2", "matplotlib", "sklearn"):
    pytest.importorskip(package)
playwright = pytest.importorskip("playwright.sync_api")

from tinygrad_edu.page import make  # noqa: E402
from tinygrad_edu.reports import REPORTS, RUNS  # noqa: E402
from tinygrad_edu.reports.claims import CLAIMS  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")
PHONE, DESK = 390, 1280  # pixels across


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of all reports, of one run each."""
    folder = tmp_path_factory.mktemp("chromium")
    one_of_each = [(name, None, 42) for name in ("r1-batch-4096", "r2-dropout-0.15", "r3-ann", "r4k-patch-2")]
    make("all", small_runs(folder / "runs", one_of_each), folder)
    return folder / "all.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, timeout=120_000)
        yield browser
        browser.close()


def faults(browser, file, scheme, width):
    """What is wrong with a page in a window of that width, on a dark or light system."""
    found = []
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    try:
        view = context.new_page()
        view.set_default_timeout(120_000)  # ms; a machine may be busy
        view.on("console", lambda message: found.append(f"console: {message.text}"))
        view.on("pageerror", lambda error: found.append(f"error: {error}"))
        view.on("request", lambda request: found.append(f"request: {request.url}") if asks(request, file) else None)
        view.goto(file.as_uri())
        across = view.evaluate("document.documentElement.scrollWidth")
        if across > width:
            found.append(f"{across} pixels across a window of {width}")
        seen = set(
            view.evaluate("[...document.querySelectorAll('[id]')].filter(e => e.checkVisibility()).map(e => e.id)")
        )
        claims = [f"{key}-claim-{k}" for key in REPORTS for k in range(1, len(CLAIMS.get(key, ())) + 1)]
        found += [f"no {anchor}" for anchor in [*RUNS, *claims] if anchor not in seen]
        flat = "[...document.querySelectorAll('figure svg')].filter(e => e.getBoundingClientRect().height < 40).length"
        if view.evaluate(flat):
            found.append("a figure that has no height")
        if view.evaluate("document.querySelectorAll('figure svg').length") < len(REPORTS):
            found.append("too few figures")
        paper = view.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        if (sum(paper[:3]) < 384) != (scheme == "dark"):
            found.append(f"the paper is {paper}")
    finally:
        context.close()
    return found


def asks(request, file):
    return request.url != file.as_uri() and not request.url.startswith("data:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_opens_without_a_fault(browser, page, scheme, width):
    assert faults(browser, page, scheme, width) == []


END = "</main>"
FAULTS = {  # what is replaced by what, and what is then found
    "a run is missing": ('id="r3-cnn"', 'id="r3-dnn"', "no r3-cnn"),
    "a run is hidden": ('id="r3-ann"', 'id="r3-ann" hidden', "no r3-ann"),
    "a claim is missing": ('id="r1-claim-1"', "", "no r1-claim-1"),
    "something is wide": (END, f'<div style="width: 500px">wide</div>{END}', "pixels across"),
    "a script fails": (END, f"<script>nothing.there</script>{END}", "error: "),
    "the console is told": (END, f"<script>console.error('oh')</script>{END}", "console: oh"),
    "a font is fetched": ("<style>", "<style>@import url(http://localhost:9/font.css);", "request: http://localhost:9"),
    "a picture is fetched": (END, f'<img src="missing.png" alt="">{END}', "request: file"),
    "it is always light": ("prefers-color-scheme: dark", "prefers-color-scheme: never", "the paper is"),
    "figures are flat": ("height: auto; }", "height: 5px !important; }", "no height"),
}


def test_faults_that_are_planted_are_found(browser, page, tmp_path):
    text = page.read_text()
    for before, after, _ in FAULTS.values():
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "faulty.html").write_text(text)
    found = faults(browser, tmp_path / "faulty.html", "dark", PHONE)
    for name, (_, _, expected) in FAULTS.items():
        assert any(expected in fault for fault in found), (name, found)
