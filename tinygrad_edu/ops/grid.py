"""Pictures sampled at any points: grid_sample, and affine_grid, the points that a linear map gives.

Compositions: elements are gathered at whole positions, and weighted by where between them a point lies; the gradient of
the points comes from the weights. What lies outside is PyTorch's choice. Source: Jaderberg et al., Spatial transformer
networks, arXiv:1506.02025. Left out: volumes. Read next: interpolate.py, for regular points.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from .. import storage as memory
from ..dtypes import int64
from ..tensor import Tensor
from .compare import clamp, where
from .elementwise import abs, floor, round
from .filters import CUBIC
from .gather import gather
from .matmul import matmul
from .views import expand, reshape, transpose, unsqueeze

MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _warn(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "grid_sample and affine_grid take align_corners=False where it is not given", UserWarning, stacklevel=3
        )
    return bool(align_corners)


def _clipped(at: Tensor, n: int) -> Tensor:
    """Between 0 and n - 1; nothing flows through at the ends."""
    return where((at <= 0.0) | (at >= n - 1.0), clamp(at.detach(), 0.0, n - 1.0), at)


def _inside(at: Tensor, n: int, padding: str, aligned: bool) -> Tensor:
    """Positions along a dimension of size n as padding moves them."""
    if padding == "zeros":
        return at
    if padding == "reflection":  # at the outermost elements' middles, or at their outer edges
        low, span = (0.0, n - 1.0) if aligned else (-0.5, float(n))
        if span == 0:
            return at * 0.0
        way = abs(at - low)
        turns = floor(way.detach() / span)
        rest = way - turns * span
        at = where(turns % 2 == 0, rest, span - rest) + low
    return _clipped(at, n)


def _taps(at: Tensor, mode: str) -> list[tuple[Tensor, Tensor | None]]:
    """Along a dimension: the whole positions that make up each point, and their weights; None: 1."""
    if mode == "nearest":
        return [(round(at.detach()), None)]
    first = floor(at.detach())
    t = at - first
    if mode == "bilinear":
        return [(first, 1.0 - t), (first + 1.0, t)]
    a = CUBIC

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1.0

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
    return [(first + float(k - 1), w) for k, w in enumerate(weights)]


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """input (N, C, H, W) at the points of grid (N, P, Q, 2): (N, C, P, Q).

    A point is (x, y), -1 at the left and upper end, 1 at the other; with align_corners the ends are the outermost
    elements' middles, else their outer edges. mode: bilinear, nearest, bicubic. padding_mode, what is outside: zeros,
    border (the nearest element), reflection. Raises ValueError for another mode, RuntimeError for shapes and dtypes
    that do not fit, NotImplementedError for volumes."""
    if mode not in MODES or padding_mode not in PADDINGS:
        raise ValueError(
            f"grid_sample: expected a mode of {MODES} and a padding_mode of {PADDINGS}, got {mode!r}, {padding_mode!r}"
        )
    aligned = _warn(align_corners)
    shape, points = input.layout.shape, grid.layout.shape
    if len(shape) == 5:
        raise NotImplementedError(f"grid_sample: volumes are left out; expected (N, C, H, W), got shape {shape}")
    if len(shape) != 4 or len(points) != 4 or points[-1] != 2 or shape[0] != points[0] or 0 in shape[1:]:
        raise RuntimeError(
            f"grid_sample: expected an input (N, C, H, W), only the batch empty, and a grid (N, P, Q, 2), got shapes "
            f"{shape} and {points}"
        )
    if input.layout.dtype is not grid.layout.dtype or not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"grid_sample: expected one floating-point dtype, got {input.dtype} and {grid.dtype}")
    n, c, *sizes = shape
    across, down = (reshape(x, (n, -1)) for x in (grid.select(-1, 0), grid.select(-1, 1)))

    def located(at: Tensor, size: int) -> Tensor:
        at = (at + 1.0) * ((size - 1) / 2) if aligned else ((at + 1.0) * size - 1.0) / 2.0
        return at if mode == "bicubic" else _inside(at, size, padding_mode, aligned)

    flat = reshape(input, (n, c, -1))
    out: Tensor | None = None
    for row, row_weight in _taps(located(down, sizes[0]), mode):
        for column, column_weight in _taps(located(across, sizes[1]), mode):
            if mode == "bicubic":  # its taps reach over the border, not only its points
                y, x = _inside(row, sizes[0], padding_mode, aligned), _inside(column, sizes[1], padding_mode, aligned)
            else:
                y, x = row, column
            there = (y >= 0.0) & (y <= sizes[0] - 1.0) & (x >= 0.0) & (x <= sizes[1] - 1.0)
            index = where(there, y * sizes[1] + x, 0.0).to(int64)
            values = gather(flat, 2, expand(unsqueeze(index, 1), (n, c, index.layout.shape[1])))
            weight = there.to(input.dtype)
            if row_weight is not None and column_weight is not None:
                weight = where(there, row_weight * column_weight, 0.0)
            term = values * unsqueeze(weight, 1)
            out = term if out is None else out + term
    assert out is not None
    return reshape(out, (n, c, *points[1:3]))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points (N, H, W, 2) that matrices theta (N, 2, 3) give for the points of a picture, size being (N, C, H, W).

    Raises ValueError for other shapes and for integers, NotImplementedError for volumes."""
    aligned = _warn(align_corners)
    if not theta.layout.dtype.is_floating_point:
        raise ValueError(f"affine_grid: expected floating-point matrices, got {theta.dtype}")
    if len(size) != 4:
        raise NotImplementedError(f"affine_grid: expected a size (N, C, H, W), got {tuple(size)}")
    n, _, h, w = size
    if theta.layout.shape != (n, 2, 3) or min(size) < 1:
        raise ValueError(f"affine_grid: expected theta ({n}, 2, 3) for size {tuple(size)}, got {theta.layout.shape}")

    def places(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        ends = (1.0 if aligned else 1 - 1 / count) if count > 1 else 0.0
        return np.linspace(-ends, ends, count)

    points = np.ones((h, w, 3))
    points[..., 0], points[..., 1] = places(w), places(h)[:, None]
    base = Tensor.over(*memory.from_python(points.reshape(1, h * w, 3), theta.layout.dtype))
    return reshape(matmul(base, transpose(theta, 1, 2)), (n, h, w, 2))
