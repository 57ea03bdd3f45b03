"""A network's layers drawn as boxes in space: as high and wide as its maps, as deep as it has channels.

`layers_of` asks the network itself, with hooks. Parallel (cabinet) projection: flat polygons, so that it is an SVG like
the others. Left out: branches. Read next: figure.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..modes import no_grad
from ..nn import Module
from ..ops.create import zeros
from .figure import COLORS, INK, SMALL, WIDTH, look, new_figure

Layer = tuple[str, int, int, int]  # name, channels, height, width

# In the drawing's unit, of which MOST fit into a figure of the usual width.
MOST = 370
THIN = 2.5  # so high and wide is a map of one pixel
SLANT = 0.35  # of a width seen from the side
CAPTION = "Below each layer: channels, height × width. Depth: the square root of the channels."


def layers_of(model: Module, input_shape: Sequence[int]) -> list[Layer]:
    """The layers of a network that change the shape or have a matrix of weights, in the order they run, after the
    input: (name, channels, height, width) of what each gives. Features count as channels of maps of one pixel.

    It runs once, on zeros, in evaluation mode, and is left as it was. input_shape: of one image, without the batch,
    such as (1, 28, 28).
    """
    found: list[Layer] = [("input", *map_shape(input_shape))]

    def note(module: Module, inputs: Any, output: Any) -> None:
        shape = map_shape(output.shape[1:])
        if shape != map_shape(inputs[0].shape[1:]) or any(p.ndim > 1 for p in module.parameters(recurse=False)):
            found.append((name_of(module), *shape))

    modes = [(module, module.training) for module in model.modules()]
    hooks = [module.register_forward_hook(note) for module, mode in modes if not list(module.children())]
    try:
        model.eval()
        with no_grad():
            model(zeros((1, *input_shape)))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return found


def name_of(module: Module) -> str:
    """Its class, and the kernel's size where it has one: Conv2d 3×3."""
    size = getattr(module, "kernel_size", None)
    sizes = (size, size) if isinstance(size, int) else size
    return type(module).__name__ + (f" {'×'.join(map(str, sizes))}" if sizes else "")


def map_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width of a shape without batch: features are channels, a matrix is one channel."""
    if len(shape) == 1:
        return shape[0], 1, 1
    channels, height, width = (1,) * (3 - len(shape)) + tuple(shape)
    return channels, height, width


def blocks(layers: Sequence[Layer], title: str = "") -> Any:
    """A figure of the layers (name, channels, height, width), from left to right; deep as the square root of their
    channels, which it tells. Returns matplotlib's Figure. Raises ImportError when matplotlib is not installed."""
    boxes = placed(layers)
    end = boxes[-1].right + 4 if boxes else 1.0
    figure = new_figure(2.7, title, "a network's layers as boxes", WIDTH * max(1.0, end / MOST))
    kinds = list(dict.fromkeys(name for name, *_ in layers))
    with look():
        from matplotlib.patches import Patch, Polygon

        axis = figure.subplots()
        axis.axis("off")
        axis.set_aspect("equal", anchor="W")
        for k, ((name, c, h, w), box) in enumerate(zip(layers, boxes, strict=True)):
            color = COLORS[kinds.index(name) % len(COLORS)]
            if k:
                axis.plot((boxes[k - 1].right + 1, box.x - 1), (0, 0), color=INK, alpha=0.5, linewidth=0.8)
            for face, alpha in zip(box.faces(), (0.35, 0.2, 0.55), strict=True):
                axis.add_patch(Polygon(face, facecolor=(color, alpha), edgecolor=color, linewidth=0.8))
            size = f"{c}\n{h}×{w}" if h * w > 1 else f"{c}"
            axis.text(box.x + box.depth / 2, -24, size, ha="center", va="top", fontsize=SMALL)
        axis.set_xlim(-4, end)
        axis.set_ylim(-38, 36)
        handles = [Patch(color=COLORS[k % len(COLORS)], alpha=0.6) for k in range(len(kinds))]
        caption = {"title": CAPTION, "title_fontsize": SMALL, "alignment": "left"}
        figure.legend(handles, kinds, loc="outside lower left", ncols=3, **caption)
    return figure


@dataclass(frozen=True)
class Box:
    """Where a layer is drawn: its front's left edge, the sizes of its front, and how far its width leads away."""

    x: float
    depth: float
    height: float
    slant: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.depth + self.slant

    def faces(self) -> list[list[tuple[float, float]]]:
        """The corners of front, top and right side."""
        low, high = -self.height / 2, self.height / 2
        a, b, back = self.x, self.x + self.depth, self.slant
        return [
            [(a, low), (b, low), (b, high), (a, high)],
            [(a, high), (b, high), (b + back, high + back), (a + back, high + back)],
            [(b, low), (b + back, low + back), (b + back, high + back), (b, high)],
        ]


def placed(layers: Sequence[Layer]) -> list[Box]:
    """A box for each layer: the largest map 40 high, the most channels 20 deep, room for the numbers below."""
    unit = 40 / max((max(h, w) for _, _, h, w in layers), default=1)
    deep = 20 / math.sqrt(max((c for _, c, _, _ in layers), default=1))
    boxes: list[Box] = []
    for _, c, h, w in layers:
        x = max(boxes[-1].right + 5, boxes[-1].x + 24) if boxes else 0.0
        boxes.append(Box(x, deep * math.sqrt(c), max(unit * h, THIN), SLANT * max(unit * w, THIN)))
    return boxes
