"""What a report's page is made of: its words, the groups that its runs stand in, and whose confusion matrices it shows.

The one place that knows the reports apart; a report that is not here gets a group for each beginning of its run ids.
Read next: model.py, which fills a layout with results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..nn import Module
from ..reports.report3 import NETWORKS


@dataclass(frozen=True)
class Group:
    """Runs that share a table and figures: those whose ids begin so. Of two groups that fit, the longer beginning's."""

    title: str
    beginnings: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A report's page."""

    about: str
    data: str
    groups: tuple[Group, ...] = ()
    portraits: bool = False  # of every run; else of the best run on each data set
    network: tuple[Callable[[], Module], tuple[int, ...]] | None = None  # one to draw, and the shape of an image


FASHION = "Fashion-MNIST: 60,000 images of 28 by 28 pixels for training and 10,000 for testing, ten kinds of clothing."
KMNIST = "KMNIST: as many images of as many pixels, ten characters of old Japanese handwriting."
LAYOUTS = {
    "r1": Layout(
        "A network of fully connected layers, given as a list and written in NumPy. As reported: weights without "
        "biases, an output error that is the gradient of no loss, gradients summed over the mini-batch, one shuffle "
        "for all epochs. Corrected: biases, the gradient of the mean cross-entropy, a fresh shuffle every epoch.",
        FASHION,
        (
            Group("Learning rates", ("r1-lr",)),
            Group("Batch sizes", ("r1-batch",)),
            Group("Architectures", ("r1-arch",)),
        ),
    ),
    "r2": Layout(
        "A fully connected network, 3072-256-128-10, and what changes when one thing about it does. As reported: "
        "weight decay was passed where momentum is expected, and the run at learning rate 0.001 ran at 0.1. Corrected: "
        "what was meant.",
        "CIFAR-10: colour images of 32 by 32 pixels, ten classes; 45,000 for training, 5,000 for validation, 10,000 "
        "for testing.",
        (
            Group("The baseline", ("r2-baseline",)),
            Group("Dropout", ("r2-dropout",)),
            Group("Weight decay (L2)", ("r2-l2",)),
            Group("Epochs", ("r2-epochs",)),
            Group("Batch sizes", ("r2-batch",)),
            Group("Optimisers", ("r2-opt",)),
            Group("Learning rates", ("r2-lr",)),
            Group("Hidden layers", ("r2-hidden",)),
            Group("Nodes", ("r2-nodes",)),
            Group("Final models", ("r2-final",)),
        ),
    ),
    "r3": Layout(
        "A fully connected network, the same with batch normalisation and dropout, and a convolutional network, with "
        "and without augmented images; and optimisers compared on the first.",
        FASHION + " Of those for training, 10,000 drawn at random are for validation.",
        (Group("Networks", ("r3",)), Group("Optimisers", ("r3-opt",))),
        portraits=True,
        network=(partial(NETWORKS["cnn"], 28 * 28, 10), (1, 28, 28)),
    ),
    "r4": Layout(
        "Images cut into patches, and blocks of two small networks: one mixes patches, one mixes features.",
        f"{FASHION} {KMNIST}",
        (
            Group("Fashion-MNIST", ("r4f",)),
            Group("KMNIST", ("r4k",)),
            Group("KMNIST, patch sizes", ("r4k-patch",)),
        ),
    ),
}


def layout_of(page: str) -> Layout:
    """The layout of a page, such as r1."""
    return LAYOUTS.get(page, Layout("", ""))


def groups_of(layout: Layout, runs: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    """Titles, and the runs under each, in the order of the layout, then of the report. No run is left out."""
    groups: dict[str, list[Any]] = {group.title: [] for group in layout.groups}
    for run in runs.values():
        fits = [(len(b), g.title) for g in layout.groups for b in g.beginnings if begins(run.name, b)]
        title = max(fits)[1] if fits else "-".join(run.name.split("-")[:2])
        groups.setdefault(title, []).append(run)
    return [(title, some) for title, some in groups.items() if some]


def begins(name: str, beginning: str) -> bool:
    """Whether a run's id has that beginning: r1-lr-0.1 begins with r1-lr, r1-lrs does not."""
    return name == beginning or name.startswith(f"{beginning}-")
