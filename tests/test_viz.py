"""The figures: what a page can count on of each SVG, and what odd or missing numbers come to."""

from __future__ import annotations

import math
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from small_images import small_images

import tinygrad_edu as tg
from tinygrad_edu import nn, train, viz
from tinygrad_edu.reports import report1
from tinygrad_edu.reports.report3 import NETWORKS

pytest.importorskip("matplotlib")

PANELS = (("accuracy (%)", ("validation_accuracy", "train_accuracy")), ("loss", ("validation_loss", "train_loss")))
ODD = "<T-shirt> & 'top' $x_1$"
SVG = "{http://www.w3.org/2000/svg}"


def records(epochs, accuracy=80.0, loss=0.5, **changes):
    """Made-up records; changes: key=(epoch, value) puts another number there."""
    found = []
    for epoch in range(1, epochs + 1):
        record = {"epoch": epoch, "seconds": 1.0 * epoch}
        for kind, more in (("test", 0), ("validation", 1), ("train", 2)):
            record |= {f"{kind}_accuracy": accuracy + more + epoch / 7, f"{kind}_loss": loss + 1 / epoch - more / 50}
        found.append(record | {key: value for key, (at, value) in changes.items() if at == epoch})
    return found


def picked(right=3, wrong=2, colour=False):
    """As train.pick gives them, for three classes."""
    shape = (right + wrong, 3, 5, 5) if colour else (right + wrong, 5, 5)
    images = tg.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    probabilities = np.eye(3, dtype=np.float32)[[0] * right + [1] * wrong] * 0.9
    return train.pick(images, tg.zeros(right + wrong, dtype=tg.int64), probabilities, count=3)


CLASSES = ("bag", ODD, "coat")
MAKE = {
    "curves": lambda: viz.curves({"a": records(30), ODD: records(30, 70)}, PANELS, "Title & more"),
    "seeds": lambda: viz.curves({"a": [records(4), records(4, 82)], "b": [records(4, 60)]}, PANELS),
    "bars": lambda: viz.bars(["a", ODD, "c"], [88.1, 89, None], [0.2, None, None], [88, None, 90.5], "accuracy (%)"),
    "confusion": lambda: viz.confusion([[90, 10, 0], [4, 96, 0], [0, 0, 0]], CLASSES, "a confusion"),
    "blocks": lambda: viz.blocks(viz.layers_of(NETWORKS["cnn"](784, 10), (1, 28, 28)), "a network"),
    "pictures": lambda: viz.pictures(picked(), CLASSES, worst=False),
    "worst": lambda: viz.pictures(picked(colour=True), CLASSES, worst=True),
}
LARGE = {
    "22 bars": lambda: viz.bars([f"r1-batch-{k}" for k in range(22)], [84.0] * 22, [1.0] * 22, [500.0] * 22, "points"),
    "18 curves": lambda: viz.curves({f"r3-ann-{k}-augmented": records(60, k) for k in range(18)}, PANELS, "Long"),
    "7 means": lambda: viz.curves({f"r2-dropout-{k}5": [records(9), records(9, 70)] for k in range(7)}, PANELS),
    "layers": lambda: viz.blocks([(f"Layer{k}", 4**k, 28 >> k, 28 >> k) for k in range(5)] * 5, "deep"),
    "thin layers": lambda: viz.blocks([("input", 1, 28, 28), *[("Linear", 1, 1, 1)] * 9]),
}


@pytest.fixture(scope="module")
def figures():
    return {name: make() for name, make in {**MAKE, **LARGE}.items()}


@pytest.fixture(scope="module")
def svgs(figures):
    return {name: viz.svg(figure) for name, figure in figures.items()}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def path_styles(svg):
    """The styles of the lines in it."""
    return [path.get("style", "") for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]


@pytest.mark.parametrize("name", MAKE)
def test_an_svg_fits_into_any_page(svgs, name):
    text = svgs[name]
    root = ElementTree.fromstring(text)
    assert text.startswith("<svg ") and root.get("role") == "img" and not {"width", "height"} & {*root.keys()}
    assert re.fullmatch(r"0 0 [\d.]+ [\d.]+", root.get("viewBox")) and len(text) < 50_000
    assert root[0].tag == f"{SVG}title" and root[0].text.strip()
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "g", "path", "text", "defs", "use", "clipPath", "rect", "image"
    }  # fmt: skip
    assert "sans-serif" in root.get("font-family") and text.count("font-family") == 1
    assert not re.search(r"#000|#fff|black|white|1f2328", text), "ink and paper are the page's"
    assert all("fill: currentColor" in element.get("style") for element in root.iter(f"{SVG}text"))
    assert not re.search(r"\d\.\d{4}", text.replace("base64", "")), "coordinates are rounded"
    references = re.findall(r'(?:href="|url\()([^")]*)', text)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in references)
    assert {reference[1:] for reference in references if reference[0] == "#"} == set(ids) and len(ids) == len(set(ids))
    assert "http" not in text.replace(SVG.strip("{}"), "")


@pytest.mark.parametrize("name", [*MAKE, *LARGE])
def test_no_text_lies_over_another_or_outside(figures, svgs, name):
    figure = figures[name]  # laid out when its SVG was made
    frame, found = figure.bbox, [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    found += [legend.get_title() for legend in figure.legends]
    for axis in figure.axes:
        found += [*axis.texts, axis.title, axis._left_title]
        for k, side in enumerate((axis.xaxis, axis.yaxis) if axis.axison else ()):
            low, high = sorted(side.get_view_interval())
            found += [side.label, *(t for t in side.get_majorticklabels() if low <= t.get_position()[k] <= high)]
    upright = [text for text in found if text.get_visible() and text.get_text() and text.get_rotation() % 90 == 0]
    boxes = [(text.get_text(), text.get_window_extent()) for text in upright]
    for k, (text, box) in enumerate(boxes):
        assert frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 and frame.y0 <= box.y0 and box.y1 <= frame.y1, text
        for other, place in boxes[:k]:
            apart = box.x0 >= place.x1 - 1 or place.x0 >= box.x1 - 1 or box.y0 >= place.y1 - 1 or place.y0 >= box.y1 - 1
            assert apart, (text, other)


def test_no_two_figures_share_an_id(svgs):
    almost = viz.svg(viz.curves({"a": [records(4), records(4, 82)], "b": [records(4, 60.1)]}, PANELS))
    found = [re.findall(r' id="(\w[^"]*)"', text) for text in (*svgs.values(), almost)]
    every = [name for names in found for name in names]
    assert len(every) == len(set(every)) > 10


@pytest.mark.parametrize("name", MAKE)
def test_the_same_bytes_again(svgs, name):
    """Whatever the user's settings are; and drawn a second time."""
    import matplotlib

    with matplotlib.rc_context({"font.size": 20, "xtick.major.size": 9, "svg.fonttype": "path", "axes.grid": False}):
        figure = MAKE[name]()
        assert viz.svg(figure) == svgs[name] == viz.svg(figure)
    assert "matplotlib.pyplot" not in sys.modules


def test_the_same_files_again(tmp_path):
    first, again = ([file.read_bytes() for file in viz.write(MAKE["bars"](), tmp_path / name)] for name in "ab")
    assert first == again


def test_files_are_dark_on_white_and_whole(tmp_path):
    files = viz.write(MAKE["curves"](), tmp_path / "run-0.1")
    assert [file.name for file in files] == ["run-0.1.svg", "run-0.1.png"] == [p.name for p in sorted(files)[::-1]]
    root = ElementTree.fromstring(files[0].read_text())
    assert root.get("color") == "#1f2328" and root.get("width").endswith("pt") and root[1].get("fill") == "#fff"
    from matplotlib.image import imread

    pixels = imread(files[1])
    assert pixels.shape[1] == 960 and (pixels[..., :3] == 1).all(-1).mean() > 0.7 and (pixels[..., 3] == 1).all()
    with pytest.raises(OSError, match="cannot write"):
        viz.write(MAKE["worst"](), tmp_path / "absent" / "x")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_curves_tell_what_they_are(svgs):
    assert ElementTree.fromstring(svgs["curves"])[0].text.startswith("Title & more: accuracy (%) and loss")
    told = texts(svgs["curves"])
    assert {"a", ODD, "validation", "train", "accuracy (%)", "loss", "epoch", "Title & more"} <= set(told)
    assert not any("seeds" in text for text in told)
    assert "lowest to highest of 2 seeds" in texts(svgs["seeds"]) and "a" in texts(svgs["seeds"])


def test_many_lines_differ_in_colour_or_dashes():
    runs = {f"run-{k}": records(30, 60 + k) for k in range(18)}
    svg = viz.svg(viz.curves(runs, report1.PANELS))
    assert set(runs) <= set(texts(svg))
    lines = [s for s in path_styles(svg) if "stroke-width: 1.3" in s]
    styles = [(re.search(r"stroke: (#\w+)", s)[1], re.search(r"stroke-dasharray: ([^;]+)|$", s)[1]) for s in lines]
    assert len(styles) == 3 * 18 and len(set(styles)) == 18


@pytest.mark.parametrize(
    ("histories", "missing"),
    [
        ({}, ()),
        ({"none": []}, ("none",)),
        ({"none": [[], []], "one": records(1)}, ("none",)),
        ({"nan": [{"epoch": 1, "test_loss": math.nan, "test_accuracy": None}], "a": records(3)}, ("nan",)),
        ({"inf": records(3, test_loss=(2, math.inf), test_accuracy=(2, None))}, ()),
        ({"other": [{"epoch": 1, "seconds": 3.0}]}, ("other",)),
        ({"_hidden": records(2)}, ()),
    ],
)
def test_odd_histories(histories, missing):
    svg = viz.svg(viz.curves(histories, report1.PANELS))
    told = [text or "" for text in texts(svg)]
    for name in histories:
        assert (f"{name} (no numbers)" if name in missing else name) in told


def curve(figure, panel=0, line=0):
    return figure.axes[panel].lines[line].get_xydata().tolist()


def test_what_is_not_finite_is_a_gap():
    figure = viz.curves({"a": records(3, test_accuracy=(2, None), test_loss=(3, math.inf))}, report1.PANELS)
    (x, y), gap, _ = curve(figure)
    assert (x, y) == (1, pytest.approx(80 + 1 / 7)) and math.isnan(gap[1])
    assert [math.isnan(y) for _, y in curve(figure, 1)] == [False, False, True]


def test_seeds_are_drawn_as_their_mean_and_range():
    runs = [records(5, 80), records(3, 86, test_accuracy=(2, math.nan)), records(4, 83)]
    figure = viz.curves({"a": runs}, report1.PANELS)
    ends, gap = [(1, 83 + 1 / 7), (3, 83 + 3 / 7)], [x for x, y in curve(figure) if math.isnan(y)]
    assert [(x, pytest.approx(y)) for x, y in curve(figure) if y == y] == ends and gap == [2]
    band = figure.axes[0].collections[0].get_datalim(figure.axes[0].transData)
    assert (band.ymin, band.ymax) == (pytest.approx(80 + 1 / 7), pytest.approx(86 + 3 / 7))


def test_a_collapse_does_not_flatten_the_others():
    """Nor does it look like a linear axis; and a run at chance is no collapse of the accuracies' axis."""
    collapsed = [
        *records(9, loss=0.5),
        *({"epoch": e, "test_accuracy": 10.0, "test_loss": 31.0} for e in range(10, 31)),
    ]
    figure = viz.curves({"a": collapsed, "b": records(30)}, report1.PANELS)
    assert [axis.get_yscale() for axis in figure.axes] == ["linear", "log"]
    told = texts(viz.svg(figure))
    assert "test loss (cross-entropy), on a logarithmic scale" in told and {"0.5", "1", "20"} <= set(told)
    figure = viz.curves({"a": records(30, 5, 2.0), "b": records(30, 95)}, report1.PANELS)
    assert [axis.get_yscale() for axis in figure.axes] == ["linear", "linear"]


@pytest.mark.parametrize(
    ("ours", "errors", "theirs", "start"),
    [
        ([88.2, 89.7, 91.9], [0.2, 0.1, 0.0], [88.43, None, 91.79], 80),
        ([0.5, 580.0, 3.0], None, [540.0, 600.0, 2160.0], 0),
        ([None, math.nan, None], [None, math.nan, 1.0], None, 0),
        ([-1.0, 2.0, 0.0], None, None, -2),
    ],
)
def test_bars(ours, errors, theirs, start):
    figure = viz.bars(["a", "b", "c"], ours, errors, theirs, "points")
    axis, told = figure.axes[0], texts(viz.svg(figure))
    left = axis.get_xlim()[0]
    assert (start == 80 and 80 < left < 88.2) or left == pytest.approx(start, abs=1)
    assert any(text.startswith("points, axis from") for text in told) == (left > 0)
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert ends == pytest.approx([max(left, 0) if v is None or v != v else v for v in ours])
    assert ("standard deviation over seeds" in told) == (start == 80) and ("in the report" in told) == bool(theirs)
    assert told.count("-") == sum(v is None or v != v for v in ours)


def test_bars_of_unequal_lists():
    with pytest.raises(ValueError, match="2 theirs for 1 labels"):
        viz.bars(["a"], [1.0], None, [1.0, 2.0], "x")


def test_confusion(svgs):
    assert {"90", "10", "4", "96", *CLASSES} <= set(texts(svgs["confusion"])) and "0" not in texts(svgs["confusion"])
    axis = MAKE["confusion"]().axes[0]
    shades = {(round(p.get_x()), round(p.get_y())): p.get_facecolor() for p in axis.patches}
    assert shades[1, 0][3] > shades[0, 1][3] and shades[0, 0][:3] == shades[1, 1][:3] != shades[1, 0][:3]
    with pytest.raises(ValueError, match=r"2 rows of \[2\] numbers for 3 classes"):
        viz.confusion([[1, 0], [0, 1]], CLASSES)
    assert viz.svg(viz.confusion([[3, 0], [0, 0]], ["right", "never"]))


def test_the_layers_of_report_3s_cnn(svgs):
    model = NETWORKS["cnn"](784, 10)
    model[3].eval()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    assert viz.layers_of(model, (1, 28, 28)) == [
        ("input", 1, 28, 28),
        ("Conv2d 3×3", 128, 28, 28),
        ("Conv2d 3×3", 128, 28, 28),
        ("MaxPool2d 2×2", 128, 14, 14),
        ("Conv2d 3×3", 256, 14, 14),
        ("Conv2d 3×3", 256, 14, 14),
        ("MaxPool2d 2×2", 256, 7, 7),
        ("AdaptiveAvgPool2d", 256, 1, 1),
        ("Linear", 128, 1, 1),
        ("Linear", 64, 1, 1),
        ("Linear", 10, 1, 1),
    ]
    assert [module.training for module in model] == [k != 3 for k in range(len(model))] and model.training
    assert all(np.array_equal(before[name], value.numpy()) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    told = texts(svgs["blocks"])
    assert [told.count(size) for size in ("28×28", "14×14", "7×7", "256", "10")] == [3, 3, 1, 4, 1]
    assert {"Conv2d 3×3", "Linear"} <= set(told) and any("square root" in text for text in told)


def test_a_network_that_fails_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(5, 5))
    with pytest.raises(RuntimeError):
        viz.layers_of(model, (1, 28, 28))
    assert model.training and model[1].training and not any(module._forward_hooks for module in model)


def test_boxes_grow_with_maps_and_channels():
    figure = viz.blocks([("a", 4, 8, 8), ("b", 16, 4, 8), ("c", 1, 1, 1)])
    front = [box.get_xy() for box in figure.axes[0].patches[::3]]
    width, height = ([np.ptp(points[:, k]) for points in front] for k in (0, 1))
    assert width[1] == pytest.approx(2 * width[0]) and width[2] == pytest.approx(width[0] / 2)
    assert height[0] == pytest.approx(2 * height[1]) and height[1] > height[2] > 0
    assert viz.svg(viz.blocks([])) and viz.svg(viz.blocks([("only", 3, 1, 1)]))


def test_pictures(svgs):
    right, wrong = (ElementTree.fromstring(svgs[name]) for name in ("pictures", "worst"))
    assert len(list(right.iter(f"{SVG}image"))) == 3 and len(list(wrong.iter(f"{SVG}image"))) == 2
    assert all("pixelated" in image.get("style") for image in wrong.iter(f"{SVG}image"))
    assert texts(svgs["pictures"]).count("bag, 90 %") == 3
    assert texts(svgs["worst"]).count(f"{ODD}, 90 %") == texts(svgs["worst"]).count("is: bag") == 2
    assert texts(viz.svg(viz.pictures(picked(wrong=0), CLASSES, worst=True))) == ["none"]


def test_pictures_of_a_real_test_set(tmp_path):
    """As they come from a run's folder."""
    from safetensors.numpy import load_file

    data = small_images()[1]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), len(data.targets))
    train.RunFolder(tmp_path).save_tensors("pictures", train.pick(data.data, data.targets, probabilities))
    tensors = load_file(tmp_path / "pictures.safetensors")
    for worst in (False, True):
        root = ElementTree.fromstring(viz.svg(viz.pictures(tensors, data.classes, worst, "title")))
        assert len(list(root.iter(f"{SVG}image"))) == 12


def test_without_matplotlib(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for make in MAKE.values():
        with pytest.raises(ImportError, match=r"no figure: drawing needs matplotlib: pip install 'tinygrad_edu\[.*\]'"):
            make()
