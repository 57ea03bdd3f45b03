"""Interpolation by more than two elements a dimension, as matrices: cubic, and filters that widen as a picture shrinks.

Row i of a matrix has the weights of what output element i is made of; a picture is multiplied by one for its rows and
one for its columns, so derivatives are those of matmul. Read next: interpolate.py.
"""

from __future__ import annotations

import numpy as np

from .move import Array

CUBIC, SMOOTH_CUBIC = -0.75, -0.5  # Keys's parameter: PyTorch's for bicubic, and with antialias


def _cubic(x: Array, a: float) -> Array:
    """The convolution kernel of Keys, Cubic convolution interpolation, 1981, equation 15 with -1/2 replaced by a."""
    x = abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def cubic_matrix(n: int, count: int, step: float, aligned: bool) -> Array:
    """(count, n): the four elements round each position; beyond the ends the last element is repeated."""
    i = np.arange(count)
    at = i * step if aligned else (i + 0.5) * step - 0.5
    first = np.floor(at)
    matrix = np.zeros((count, n))
    for tap in range(-1, 3):
        np.add.at(matrix, (i, np.clip(first + tap, 0, n - 1).astype(int)), _cubic(at - (first + tap), CUBIC))
    return matrix


def antialiased_matrix(n: int, count: int, step: float, cubic: bool) -> Array:
    """(count, n): a triangle or Keys's kernel, `step` elements to its unit where that is more than one; the weights of
    what it covers add up to 1."""
    wide = max(step, 1.0)
    reach = (2 if cubic else 1) * wide
    middle = (np.arange(count)[:, None] + 0.5) * step
    j = np.arange(n)
    covered = (j >= np.floor(middle - reach + 0.5)) & (j < np.floor(middle + reach + 0.5))
    x = (j - middle + 0.5) / wide
    weights = np.where(covered, _cubic(x, SMOOTH_CUBIC) if cubic else np.maximum(1 - abs(x), 0), 0.0)
    normal: Array = weights / weights.sum(1, keepdims=True)
    return normal
