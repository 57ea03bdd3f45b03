"""A network's layers drawn as boxes in space: as high and wide as its maps, as deep as it has channels.

`layers_of` asks the network itself, with hooks. Parallel (cabinet) projection: flat polygons, so that it is an SVG like
the others. Left out: branches. Read next: figure.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..modes import no_grad
from ..nn import Module
from ..ops.create import zeros
from .figure import COLORS, INK, SMALL, look, new_figure

Layer = tuple[str, int, int, int]  # name, channels, height, width


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
    figure = new_figure(2.5, title, "a network's layers as boxes")
    kinds = list(dict.fromkeys(name for name, *_ in layers))
    with look():
        from matplotlib.patches import Patch, Polygon

        axis = figure.subplots()
        axis.axis("off")
        axis.set_aspect("equal", anchor="W")
        unit = 40 / max((max(h, w) for _, _, h, w in layers), default=1)
        deep = 20 / math.sqrt(max((c for _, c, _, _ in layers), default=1))
        x = end = 0.0
        for name, c, h, w in layers:
            color = COLORS[kinds.index(name) % len(COLORS)]
            depth, height, slant = deep * math.sqrt(c), max(unit * h, 2.5), max(unit * w, 2.5) * 0.35
            base = -height / 2
            if x:
                axis.plot((end + 1, x - 1), (0, 0), color=INK, alpha=0.5, linewidth=0.8)
            front = [(x, base), (x + depth, base), (x + depth, base + height), (x, base + height)]
            top = [front[3], front[2], (x + depth + slant, base + height + slant), (x + slant, base + height + slant)]
            side = [front[1], (x + depth + slant, base + slant), top[2], front[2]]
            for face, alpha in ((front, 0.35), (top, 0.2), (side, 0.55)):
                axis.add_patch(Polygon(face, facecolor=(color, alpha), edgecolor=color, linewidth=0.8))
            size = f"{c}\n{h}×{w}" if h * w > 1 else f"{c}"
            axis.text(x + depth / 2, -24, size, ha="center", va="top", fontsize=SMALL)
            end = x + depth + slant
            x = max(end + 5, x + 22)
        axis.set_xlim(-3, x)
        axis.set_ylim(-38, 36)
        told = "Below each layer: channels, height × width. Depth: the square root of the channels."
        figure.supxlabel(told, x=0.01, ha="left", fontsize=SMALL)
        handles = [Patch(color=COLORS[k % len(COLORS)], alpha=0.6) for k in range(len(kinds))]
        figure.legend(handles, kinds, loc="outside lower left", ncols=3)
    return figure
