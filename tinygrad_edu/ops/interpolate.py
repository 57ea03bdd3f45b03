"""Pictures of other sizes: nearest, linear and cubic interpolation, and channels that become pixels.

Every output element is one input element, or a mean of two weighted along each dimension: a linear map, whose gradient
is its transpose, so one op each way gives all orders of derivative. Where elements come from is PyTorch's choice.
Wider filters are matrix products (filters.py). Read next: csrc/resample.c.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import storage as memory
from ..dtypes import float32, float64, uint8
from ..storage import Layout
from ..tensor import Tensor
from .filters import antialiased_matrix, cubic_matrix
from .matmul import matmul
from .move import Array, Ints, copy_op
from .pool import PlaneOp
from .pooling import adaptive_avg_pool2d
from .views import permute, reshape, transpose

NEAREST, NEAREST_EXACT, LINEAR, ALIGNED = range(4)  # csrc/resample.c has the same numbers
Sources = tuple[Array, Array, Array]  # for each output position, two input positions and the second one's weight


def sources(n: int, count: int, mode: int, step: float) -> Sources:
    """Where `count` elements along a dimension of size n come from; step: the way in the input from one to the next.

    nearest: floor(i step), exact: floor((i + 1/2) step), in float32 as PyTorch does; linear: (i + 1/2) step - 1/2, that
    is from middle to middle, or i step where corners are aligned."""
    i = np.arange(count)
    if mode != NEAREST_EXACT and count == n:  # whatever the step
        return i, i, np.zeros(count)
    if mode == NEAREST and count == 2 * n:
        return i // 2, i // 2, np.zeros(count)
    if mode in (NEAREST, NEAREST_EXACT):
        at = i.astype(np.float32) + np.float32(0.5 if mode == NEAREST_EXACT else 0)
        first = np.minimum(np.floor(at * np.float32(step)).astype(np.int64), n - 1)
        return first, first, np.zeros(count)
    real = i * step if mode == ALIGNED else np.maximum((i + 0.5) * step - 0.5, 0)
    first = np.minimum(real.astype(np.int64), n - 1)
    return first, np.minimum(first + 1, n - 1), np.clip(real - first, 0, 1)


def _blend(x: Array, of: Sources, axis: int, mode: int) -> Array:
    first, second, weight = of
    if mode in (NEAREST, NEAREST_EXACT):
        return x.take(first, axis)
    w = weight.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    blended: Array = x.take(first, axis) * (1 - w) + x.take(second, axis) * w
    return blended


def _blend_back(g: Array, of: Sources, n: int, axis: int, mode: int) -> Array:
    """The transpose of _blend: every element added to where it came from."""
    first, second, weight = of
    along = np.moveaxis(g, axis, 0)
    x = np.zeros((n, *along.shape[1:]), g.dtype)
    w = weight.astype(g.dtype).reshape(-1, *[1] * (g.ndim - 1))
    if mode in (NEAREST, NEAREST_EXACT):
        np.add.at(x, first, along)
    else:
        np.add.at(x, first, along * (1 - w))
        np.add.at(x, second, along * w)
    return np.moveaxis(x, 0, axis)


def _resized(input: Layout, *, size: Ints, **_: Any) -> Ints:
    return (*input.shape[:2], *size)


def _resample2d(out, input, *, size, mode, down, across):
    """Planes of another size; down, across: the steps in the input from one row or column to the next."""
    rows, columns = sources(input.shape[2], size[0], mode, down), sources(input.shape[3], size[1], mode, across)
    out[...] = _blend(_blend(input, columns, 3, mode), rows, 2, mode)


def _resample2d_grad(out, grad, *, size, mode, down, across):
    """Planes of the old size: every element of grad added to what it was made of."""
    rows, columns = sources(size[0], grad.shape[2], mode, down), sources(size[1], grad.shape[3], mode, across)
    out[...] = _blend_back(_blend_back(grad, rows, size[0], 2, mode), columns, size[1], 3, mode)


resample2d = PlaneOp(_resample2d, _resized, name="resample2d")
resample2d_grad = PlaneOp(_resample2d_grad, _resized, name="resample2d_grad")

resample2d.vjps(
    input=lambda g, input_shape, mode, down, across: resample2d_grad.apply(
        g, size=input_shape[2:], mode=mode, down=down, across=across
    )
)
resample2d_grad.vjps(
    grad=lambda g, grad_shape, mode, down, across: resample2d.apply(
        g, size=grad_shape[2:], mode=mode, down=down, across=across
    )
)


# What users call

MODES = {  # and the numbers of dimensions that inputs may have
    "nearest": (NEAREST, (3, 4, 5)),
    "nearest-exact": (NEAREST_EXACT, (3, 4, 5)),
    "linear": (LINEAR, (3,)),
    "bilinear": (LINEAR, (4,)),
    "trilinear": (LINEAR, (5,)),
    "bicubic": (-1, (4,)),
    "area": (-1, (3, 4, 5)),
}
ALIGNABLE = ("linear", "bilinear", "trilinear", "bicubic")


def _per_dimension(what: str, value: Any, n: int) -> list[Any]:
    if not isinstance(value, (tuple, list)):
        return [value] * n
    if len(value) != n:
        raise ValueError(f"interpolate: {what} must be a number or {n} of them for such an input, got {value}")
    return list(value)


def _step(n: int, count: int, mode: int, scale: float | None) -> float:
    if mode == ALIGNED:
        return (n - 1) / (count - 1) if count > 1 else 0.0
    return 1.0 / scale if scale else n / count


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, L), (N, C, H, W) or (N, C, D, H, W) at another size: `size`, or the input's times scale_factor, rounded
    down.

    mode: nearest, nearest-exact, linear, bilinear and trilinear (for 1, 2 and 3 dimensions), bicubic (for 2), area
    (adaptive_avg_pool). align_corners, for all but the nearest and area: the outermost elements stay where they are;
    else an element is its middle, and what is beyond the outermost middles repeats them. recompute_scale_factor: take
    the scale from the sizes, not as it was given. antialias, for bilinear and bicubic: a smaller picture is made of all
    elements, by a wider filter.
    Raises ValueError for size and scale_factor both or neither, for numbers that do not fit, for align_corners or
    antialias with a mode that has none; NotImplementedError for a mode or dtype that is not there (nearest takes uint8,
    the others floating-point numbers); RuntimeError for an empty input or output."""
    shape = input.layout.shape
    dims = len(shape) - 2
    if align_corners is not None and mode in MODES and mode not in ALIGNABLE:
        raise ValueError(f"interpolate: align_corners can only be set with one of the modes {ALIGNABLE}")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: expected either size or scale_factor")
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor says nothing where size is given")
    scales: list[float | None] = [None] * dims
    if scale_factor is not None:
        scales = _per_dimension("scale_factor", scale_factor, dims)
        sizes = [int(n * s) for n, s in zip(shape[2:], scales, strict=True) if s is not None]
        if recompute_scale_factor or mode == "area":
            scales = [None] * dims
    else:
        sizes = _per_dimension("size", size, dims)
        if any(not isinstance(n, int) or isinstance(n, bool) for n in sizes):
            raise TypeError(f"interpolate: size must be an int or a tuple of ints, got {size!r}")
    if antialias and (mode not in ("bilinear", "bicubic") or dims != 2):
        raise ValueError(f"interpolate: antialias is for modes bilinear and bicubic of 4 dimensions, got {mode!r}")
    if mode not in MODES or len(shape) not in MODES[mode][1]:
        raise NotImplementedError(
            f"interpolate: mode {mode!r} for an input of shape {shape}; there are nearest, nearest-exact and area for "
            "3, 4 and 5 dimensions, linear for 3, bilinear and bicubic for 4, trilinear for 5"
        )
    if 0 in shape[1:] or min(sizes) < 1:
        raise RuntimeError(
            f"interpolate: sizes must be greater than 0, got an input of shape {shape} for {tuple(sizes)}"
        )
    kinds = (float32, float64, uint8) if "nearest" in mode else (float32, float64)
    if input.layout.dtype not in kinds:
        raise NotImplementedError(f"interpolate: mode {mode!r} is not implemented for {input.dtype}")
    if mode == "area":
        return _by_planes(input, sizes, lambda x, size, _: adaptive_avg_pool2d(x, size))
    kind = ALIGNED if mode in ALIGNABLE and align_corners else MODES[mode][0]
    steps = [_step(n, m, kind, s) for n, m, s in zip(shape[2:], sizes, scales, strict=True)]
    if mode == "bicubic" or antialias:
        return _filtered(input, sizes, steps, mode == "bicubic", bool(align_corners), antialias)

    def resampled(x: Tensor, size: Ints, which: Ints) -> Tensor:
        down, across = (1.0 if d < 0 else steps[d] for d in which)
        return resample2d.apply(x, size=size, mode=kind, down=down, across=across)

    return _by_planes(input, sizes, resampled)


def _by_planes(input: Tensor, sizes: Sequence[int], change: Callable[[Tensor, Ints, Ints], Tensor]) -> Tensor:
    """change(planes, size, dimensions) of a row seen as a plane, of planes, or of a volume's planes and then of its
    depth beside all else. dimensions: which of the input's the plane's two are, counted from the batch's; -1: none."""
    n, c, *shape = input.layout.shape
    if len(shape) == 1:
        y = change(reshape(input, (n, c, 1, *shape)), (1, sizes[0]), (-1, 0))
    elif len(shape) == 2:
        y = change(input, (sizes[0], sizes[1]), (0, 1))
    else:
        y = change(reshape(input, (n, c * shape[0], *shape[1:])), (sizes[1], sizes[2]), (1, 2))
        area = sizes[1] * sizes[2]
        y = change(reshape(y, (n, c, shape[0], area)), (sizes[0], area), (0, -1))
    return reshape(y, (n, c, *sizes))


def _filtered(
    input: Tensor, sizes: Sequence[int], steps: Sequence[float], cubic: bool, aligned: bool, antialias: bool
) -> Tensor:
    """The input times a matrix for its rows and one for its columns."""

    def matrix(n: int, count: int, step: float) -> Tensor:
        weights = antialiased_matrix(n, count, step, cubic) if antialias else cubic_matrix(n, count, step, aligned)
        return Tensor.over(*memory.from_python(weights, input.layout.dtype))

    rows, columns = (matrix(*of) for of in zip(input.layout.shape[2:], sizes, steps, strict=True))
    return matmul(rows, matmul(input, transpose(columns, 0, 1)))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r r, H, W) as (..., C, H r, W r): r r channels become the pixels of a square.

    Source: Shi et al., arXiv:1609.05158. Raises RuntimeError for fewer than 3 dimensions or channels that r r does not
    divide."""
    r, shape = upscale_factor, input.layout.shape
    if len(shape) < 3 or r < 1 or shape[-3] % (r * r):
        raise RuntimeError(f"pixel_shuffle: upscale_factor {r} does not fit the channels of an input of shape {shape}")
    if r == 1:
        return copy_op(input)
    *lead, c, h, w = shape
    n = len(lead)
    x = reshape(input, (*lead, c // (r * r), r, r, h, w))
    x = permute(x, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(x, (*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) as (..., C r r, H, W): inverts pixel_shuffle.

    Raises RuntimeError for fewer than 3 dimensions or sizes that r does not divide."""
    r, shape = downscale_factor, input.layout.shape
    if len(shape) < 3 or r < 1 or shape[-2] % r or shape[-1] % r:
        raise RuntimeError(
            f"pixel_unshuffle: downscale_factor {r} does not divide the planes of an input of shape {shape}"
        )
    if r == 1:
        return copy_op(input)
    *lead, c, h, w = shape
    n = len(lead)
    x = reshape(input, (*lead, c, h // r, r, w // r, r))
    x = permute(x, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(x, (*lead, c * r * r, h // r, w // r))


# PyTorch's old names


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """interpolate, under a deprecated name."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """interpolate with mode nearest, under a deprecated name."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor)


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """interpolate with mode bilinear and align_corners, under a deprecated name."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, "bilinear", True)
