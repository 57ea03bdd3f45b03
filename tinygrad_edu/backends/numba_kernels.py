"""The Numba backend's own loops: a blocked matrix product and reductions of the middle of three dimensions.

Sums are kept in double precision. Compiled code is kept beside this file or in the user's cache folder; where neither
can be written it is compiled anew in each process.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]
ROWS = 4  # rows of the output computed together: each loaded element of b is used four times


def jit(function: Any, **options: Any) -> Any:
    """The function, compiled when it is first called, and kept on disk where a folder for that can be written."""
    try:
        return numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # no folder for the cache
        return numba.njit(nogil=True, **options)(function)


def matmul(out: Array, a: Array, b: Array) -> None:
    """out (m, n) = a (m, k) @ b (k, n), any strides."""
    _matmul(out, np.ascontiguousarray(a), np.ascontiguousarray(b))


def _matmul_loops(out: Any, a: Any, b: Any) -> None:
    m, k = a.shape
    n = b.shape[1]
    blocks = (m + ROWS - 1) // ROWS
    for block in numba.prange(blocks):
        first = block * ROWS
        rows = min(ROWS, m - first)
        sums = np.zeros((ROWS, n), out.dtype)
        if rows == ROWS:
            for p in range(k):
                a0, a1, a2, a3 = a[first, p], a[first + 1, p], a[first + 2, p], a[first + 3, p]
                for j in range(n):
                    sums[0, j] += a0 * b[p, j]
                    sums[1, j] += a1 * b[p, j]
                    sums[2, j] += a2 * b[p, j]
                    sums[3, j] += a3 * b[p, j]
        else:
            for i in range(rows):
                for p in range(k):
                    for j in range(n):
                        sums[i, j] += a[first + i, p] * b[p, j]
        out[first : first + rows] = sums[:rows]


_matmul = jit(_matmul_loops, parallel=True)


@jit
def sum(out: Any, x: Any) -> None:
    """out (o, i) = the sum of x (o, n, i) over n."""
    for o in range(x.shape[0]):
        if x.shape[2] == 1:
            total = 0.0
            for k in range(x.shape[1]):
                total += x[o, k, 0]
            out[o, 0] = total
        else:
            sums = np.zeros(x.shape[2], np.float64)
            for k in range(x.shape[1]):
                for i in range(x.shape[2]):
                    sums[i] += x[o, k, i]
            for i in range(x.shape[2]):
                out[o, i] = sums[i]


@jit
def mean(out: Any, x: Any) -> None:
    """out (o, i) = the mean of x (o, n, i) over n."""
    for o in range(x.shape[0]):
        sums = np.zeros(x.shape[2], np.float64)
        for k in range(x.shape[1]):
            for i in range(x.shape[2]):
                sums[i] += x[o, k, i]
        for i in range(x.shape[2]):
            out[o, i] = sums[i] / x.shape[1]


@jit
def prod(out: Any, x: Any) -> None:
    """out (o, i) = the product of x (o, n, i) over n."""
    for o in range(x.shape[0]):
        for i in range(x.shape[2]):
            total = 1.0
            for k in range(x.shape[1]):
                total *= x[o, k, i]
            out[o, i] = total


@jit
def amax(out: Any, x: Any) -> None:
    """out (o, i) = the largest of x (o, n, i) over n; NaN wins."""
    for o in range(x.shape[0]):
        for i in range(x.shape[2]):
            best = x[o, 0, i]
            for k in range(1, x.shape[1]):
                if x[o, k, i] > best or x[o, k, i] != x[o, k, i]:
                    best = x[o, k, i]
            out[o, i] = best


@jit
def amin(out: Any, x: Any) -> None:
    """out (o, i) = the smallest of x (o, n, i) over n; NaN wins."""
    for o in range(x.shape[0]):
        for i in range(x.shape[2]):
            best = x[o, 0, i]
            for k in range(1, x.shape[1]):
                if x[o, k, i] < best or x[o, k, i] != x[o, k, i]:
                    best = x[o, k, i]
            out[o, i] = best
