"""The charts of a page: what each shows, in words and as a drawing that is made when it is needed.

The drawing itself is ../viz's. Read next: ../viz; model.py, which chooses the charts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import viz
from ..nn import Module
from ..reports.report import Figure, Report, Result
from .tables import Ours


@dataclass(frozen=True)
class Chart:
    """name: of its file, unlike any other's on the page. text: what it shows, for who does not see it."""

    name: str
    caption: str
    text: str
    draw: partial[Any]  # gives matplotlib's figure


def curves(name: str, title: str, line: Sequence[Ours], report: Report) -> Chart | None:
    """The report's panels against the epoch, a line for each run, the mean of its seeds; None where nothing was run."""
    histories = {ours.run.name: [result.history for result in ours.results] for ours in line if ours.results}
    if not histories:
        return None
    caption = f"{title}: {' and '.join(label for label, _ in report.PANELS)} against the epoch"
    key = report.PANELS[0][1][0]
    ends = {run: [some[-1][key] for some in seeds if some[-1].get(key)] for run, seeds in histories.items()}
    told = [f"{run} {statistics.fmean(values):.2f}" for run, values in ends.items() if values]
    text = f"{caption}. {key.replace('_', ' ')} after the last epoch: {', '.join(told)}."
    return Chart(name, caption, text, partial(viz.curves, histories, report.PANELS))


def bars(name: str, title: str, line: Sequence[Ours], figure: Figure) -> Chart | None:
    """The first of the report's figures beside ours; None where nothing was run."""
    shown = [(ours, values) for ours in line if (values := ours.numbers(figure))]
    if not shown:
        return None
    labels = [ours.run.name for ours, _ in shown]
    means = [statistics.fmean(values) for _, values in shown]
    errors = [statistics.stdev(values) if len(values) > 1 else None for _, values in shown]
    theirs = [figure.theirs(ours.run) for ours, _ in shown]
    told = any(value is not None for value in theirs)
    caption = f"{title}: {figure.label}" + (", ours and the report's" if told else "")
    pairs = [
        f"{label} {value:{figure.form}}" + ("" if other is None else f" (report {other:{figure.form}})")
        for label, value, other in zip(labels, means, theirs, strict=True)
    ]
    draw = partial(viz.bars, labels, means, errors, theirs, figure.label)
    return Chart(name, caption, f"{caption}: {', '.join(pairs)}.", draw)


def confusion(name: str, result: Result) -> Chart:
    """Its confusion matrix on the test set."""
    matrix, classes = result.metrics["confusion"], list(result.metrics["classes"])
    right = 100 * sum(matrix[k][k] for k in range(len(classes))) / max(sum(map(sum, matrix)), 1)
    mistakes = [(matrix[i][j], i, j) for i in range(len(classes)) for j in range(len(classes)) if i != j]
    count, i, j = max(mistakes)
    caption = f"{result.title}: confusion matrix on the test set"
    text = (
        f"{caption}: {right:.2f}% right; the commonest mistake is {classes[i]} taken for {classes[j]}, {count} times."
    )
    return Chart(name, caption, text, partial(viz.confusion, matrix, classes))


def pictures(name: str, result: Result, tensors: Mapping[str, Any], worst: bool) -> Chart | None:
    """Pictures of the test set with what was predicted; worst: mistakes that the model was surest of, None if there are
    none."""
    classes, samples = list(result.metrics["classes"]), int(tensors["samples"])
    chosen = slice(samples, None) if worst else slice(samples)
    true, predicted = tensors["targets"][chosen], tensors["predicted"][chosen]
    if not len(true):
        return None
    kind = "the worst mistakes, the surest first" if worst else "the first pictures of the test set"
    caption = f"{result.title}: {kind}"
    told = [f"{classes[t]} as {classes[p]}" for t, p in zip(true, predicted, strict=True)]
    return Chart(name, caption, f"{caption}: {', '.join(told)}.", partial(viz.pictures, tensors, classes, worst=worst))


def network(name: str, make: Callable[[], Module], shape: tuple[int, ...]) -> Chart:
    """The layers of a network that `make` makes, for images of that shape."""
    layers = viz.layers_of(make(), shape)
    told = ", ".join(f"{layer} {'x'.join(map(str, sizes))}" for layer, *sizes in layers)
    caption = "The layers of the CNN, each as high and wide as its maps and the deeper the more of them there are"
    return Chart(name, caption, f"{caption}: {told}.", partial(viz.blocks, layers))


def read_pictures(folder: Path) -> dict[str, Any]:
    """pictures.safetensors of a run's folder. Raises ValueError when it can't be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / "pictures.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name}: {error}") from None
    missing = {"images", "targets", "predicted", "sure", "samples"} - tensors.keys()
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(sorted(missing))}")
    return tensors
