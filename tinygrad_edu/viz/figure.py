"""Every figure's frame: a matplotlib Figure without a display, the look they share, and the ways out, SVG and PNG.

matplotlib is imported in this folder only, and only when something is drawn. Ink (text, axes, grid) is one colour,
which an SVG leaves to the page: currentColor. Left out: pyplot, and figures that move. Read next: curves.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..train.folder import replace_file

WIDTH = 6.4  # inches; on a phone's 390 pixels its text of 10 points is 8 pixels high
INK = "#1f2328"  # in a PNG; no line has this colour
SMALL = 8.5
# After Okabe and Ito, for colour-blind readers, on white and on dark pages: each has a contrast of 3 : 1 at least with
# white and with #1b1b1b, and is at least 16 in CIELAB from each other as protanopes and deuteranopes see them (Machado
# and others, 2009). Orange and yellow are not light and dark enough for both; more than six can't be told apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#c46fa0", "#7f4fe0", "#3a9bd0")
BLUE, ORANGE, GREEN = COLORS[:3]
LOOK = {
    "font.size": 10,
    "figure.facecolor": "none",
    "figure.titlesize": 11,
    "figure.constrained_layout.h_pad": 0.06,
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.unicode_minus": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.color": INK,
    "text.parse_math": False,  # a name's $ is a $
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "ytick.minor.size": 0,
    "svg.fonttype": "none",
    "svg.hashsalt": "tinygrad_edu",
}
NAMESPACE = "{http://www.w3.org/2000/svg}"
FITTING = 'style="width:100%;height:auto"'
HREF = "{http://www.w3.org/1999/xlink}href"


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Within: figures are made and written with the look above, whatever the user's matplotlib is set to.

    Raises ImportError when matplotlib is not installed.
    """
    try:
        from matplotlib import style
    except ImportError:
        raise ImportError("no figure: drawing needs matplotlib: pip install 'tinygrad_edu[examples]'") from None
    with style.context(["default", LOOK]):
        yield


def new_figure(height: float, title: str, about: str, width: float = WIDTH) -> Any:
    """An empty figure, sizes in inches, the title on top. about: what it shows, for who can't see it.

    Raises ImportError when matplotlib is not installed.
    """
    with look():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained", label=": ".join(filter(None, (title, about))))
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def svg(figure: Any, name: str = "") -> str:
    """The figure as an SVG element for an HTML page: as wide as its place, its ink the page's, its text text, its name
    in <title>, no id that another figure has; the same bytes for the same figure. name: tells apart two figures on a
    page that are alike."""
    return cleaned(figure, name).replace("<svg ", f"<svg {FITTING} ", 1)


def on_paper(text: str) -> str:
    """What `svg` gives, for a file of its own: dark on white, in points."""
    found = re.search(r'viewBox="0 0 (\S+) (\S+)"', text)
    assert found, "matplotlib's SVG has a viewBox"
    sized = text.replace(FITTING, f'width="{found[1]}pt" height="{found[2]}pt" color="{INK}"', 1)
    return sized.replace("</title>", '</title><rect width="100%" height="100%" fill="#fff" />', 1)


def write(figure: Any, path: Path) -> list[Path]:
    """Write PATH.svg and PATH.png, dark on white, each as a whole or not at all. Raises OSError when they can't be."""
    files = {
        path.with_name(path.name + ".svg"): on_paper(svg(figure)).encode(),
        path.with_name(path.name + ".png"): saved(
            figure, "png", dpi=150, facecolor="white", metadata={"Software": None}
        ),
    }
    for file, data in files.items():
        replace_file(file, data)
    return list(files)


def saved(figure: Any, kind: str, **options: Any) -> bytes:
    """matplotlib's file of that kind."""
    file = io.BytesIO()
    with look():
        if figure.get_constrained_layout():  # once: places would move by a thousandth each time
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(file, format=kind, **options)
    return file.getvalue()


def cleaned(figure: Any, name: str) -> str:
    """matplotlib's SVG without what a page has no use for: header, metadata, sizes, groups, ids, fonts, far digits."""
    drawn = saved(figure, "svg", metadata={"Date": None}).decode()
    root = ElementTree.fromstring(drawn)
    used = set(re.findall(r'(?:url\(|href=")#(\w+)', drawn))
    for element in root.iter():
        tidy(element, used)
    flatten(root)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"role": "img", "font-family": "system-ui, sans-serif", "stroke-linejoin": "round"}
    title = ElementTree.Element("title")
    title.text = figure.get_label()
    root.insert(0, title)
    ElementTree.register_namespace("", NAMESPACE.strip("{}"))
    text = ElementTree.tostring(root, encoding="unicode")
    own = (
        "f" + hashlib.sha256((name + text).encode()).hexdigest()[:8]
    )  # of two figures on a page none has the other's ids
    for number, old in enumerate(sorted(used)):
        text = text.replace(f'"{old}"', f'"{own}-{number}"').replace(f"#{old}", f"#{own}-{number}")
    return text


def rounded(text: str, digits: int) -> str:
    """The same with numbers of so many decimals at most."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), digits) + 0:g}", text)


def tidy(element: Any, used: set[str]) -> None:
    """Shorten an element's attributes, drop its children that are not drawn; ink becomes currentColor."""
    element[:] = [child for child in element if child.tag.removeprefix(NAMESPACE) not in ("metadata", "style")]
    attributes = element.attrib
    if attributes.get("id") not in used:
        attributes.pop("id", None)
    if HREF in attributes:
        attributes["href"] = attributes.pop(HREF).replace("\n", "")
    for name, digits in {"d": 1, "x": 1, "y": 1, "width": 1, "height": 1, "transform": 3}.items():
        if name in attributes:
            attributes[name] = rounded(" ".join(attributes[name].split()), digits)
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    if "style" in attributes:
        kept = [part for part in attributes["style"].split("; ") if not part.startswith("font-family")]
        attributes["style"] = rounded("; ".join(kept).replace(INK, "currentColor"), 3)
    element.text = element.text if (element.text or "").strip() else None
    element.tail = None


def flatten(element: Any) -> None:
    """Put the children of groups that say nothing in their groups' places."""
    children: list[Any] = []
    for child in element:
        flatten(child)
        children.extend(child if child.tag == f"{NAMESPACE}g" and not child.attrib else [child])
    element[:] = children
