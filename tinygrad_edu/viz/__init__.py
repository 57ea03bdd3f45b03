"""The figures: curves, bars, confusion matrices, networks as boxes, pictures; as SVG for a page, or SVG and PNG files.

Read next: figure.py, what they share; curves.py.
"""

from .bars import bars
from .blocks import Layer, blocks, layers_of
from .confusion import confusion
from .curves import Panel, curves
from .figure import on_paper, svg, write
from .pictures import pictures

__all__ = [
    "Layer",
    "Panel",
    "bars",
    "blocks",
    "confusion",
    "curves",
    "layers_of",
    "on_paper",
    "pictures",
    "svg",
    "write",
]
