"""What the transforms' arguments may be, and the errors for those that may not: torchvision's.

Read next: geometry.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from ..ops.augment import MODES

Numbers = float | Sequence[float]


class InterpolationMode(StrEnum):
    """How a pixel between others gets its value."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


def interpolation_of(mode: InterpolationMode | str | int, name: str) -> InterpolationMode:
    """The mode, also for its name or Pillow's number. Raises TypeError for what is none, ValueError for others."""
    if isinstance(mode, int) and not isinstance(mode, bool):
        mode = {0: "nearest", 2: "bilinear"}.get(mode, str(mode))
    if not isinstance(mode, str):
        raise TypeError(f"{name}: interpolation should be an InterpolationMode, got {mode!r}")
    try:
        return InterpolationMode(mode)
    except ValueError:
        raise ValueError(f"{name}: interpolation should be nearest or bilinear, got {mode!r}") from None


def is_number(value: Any) -> bool:
    """Whether it is an int or a float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def size_of(size: int | Sequence[int], name: str) -> tuple[int, int]:
    """(height, width) of one number or two. Raises ValueError for another number of them, or for negative ones."""
    if is_number(size):
        size = (int(size),)  # type: ignore[arg-type]
    if not isinstance(size, Sequence) or len(size) not in (1, 2):
        raise ValueError(f"{name}: please provide only two dimensions (h, w) for size, got {size!r}")
    if not all(map(is_number, size)):
        raise TypeError(f"{name}: size should be a number or two, got {size!r}")
    height, width = int(size[0]), int(size[-1])
    if height < 1 or width < 1:
        raise ValueError(f"{name}: size should be positive, got {size!r}")
    return height, width


def sequence_of(values: Any, what: str, lengths: tuple[int, ...]) -> tuple[float, ...]:
    """The numbers. Raises TypeError for no sequence, ValueError for one of another length."""
    expected = " or ".join(map(str, lengths))
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{what} should be a sequence of length {expected}, got {values!r}")
    if len(values) not in lengths:
        raise ValueError(f"{what} should be a sequence of length {expected}, got {values!r}")
    return tuple(float(v) for v in values)


def angles_of(values: Any, what: str, lengths: tuple[int, ...]) -> tuple[float, ...]:
    """Limits of an angle: a number x means -x to x. Raises ValueError for a negative one."""
    if not is_number(values):
        return sequence_of(values, what, lengths)
    if values < 0:
        raise ValueError(f"if {what} is a single number, it must be positive, got {values}")
    return -float(values), float(values)


def fill_of(fill: Any, name: str) -> float | tuple[float, ...]:
    """A colour: a number for all channels, or one for each; None is 0. Raises TypeError for anything else."""
    if fill is None:
        return 0
    if is_number(fill):
        return fill  # type: ignore[no-any-return]
    if isinstance(fill, Sequence) and not isinstance(fill, str) and all(map(is_number, fill)):
        return tuple(fill)
    raise TypeError(f"{name}: fill should be either a sequence or a number, got {fill!r}")


def padding_of(padding: Any, name: str) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of one number for all sides, two for left and right and for top and bottom, or four.

    Raises TypeError for what is no number and no sequence, ValueError for another number of them."""
    if is_number(padding):
        padding = [padding]
    if not isinstance(padding, (tuple, list)) or not all(map(is_number, padding)):
        raise TypeError(f"{name}: got inappropriate padding {padding!r}")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"{name}: padding must be an int or a 1, 2, or 4 element tuple, got {padding!r}")
    left, top, right, bottom = (int(p) for p in (list(padding) * 4)[:4])
    return left, top, right, bottom


def mode_of(padding_mode: str, name: str) -> int:
    """The mode's number. Raises ValueError for a name that is none."""
    if padding_mode not in MODES:
        raise ValueError(f"{name}: padding mode should be one of {', '.join(MODES)}, got {padding_mode!r}")
    return MODES.index(padding_mode)
