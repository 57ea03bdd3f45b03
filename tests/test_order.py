"""Sorting in C against NumPy's: every dtype, few elements and many, equal ones, NaN, both zeros, any dimension.

Read next: test_index.py.
"""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import backends

SPECIAL = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40]


def keys(dtype, shape, rng):
    """Numbers of which many are equal, the extremes among them."""
    if dtype.startswith("float"):
        x = np.round(rng.standard_normal(shape) * 3) * 10.0 ** rng.integers(-3, 30, shape)
        chosen = rng.choice(SPECIAL, shape)
    else:
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        x, chosen = rng.integers(max(low, -5), min(high, 5), shape, endpoint=True), rng.choice([low, high], shape)
    return np.where(rng.random(shape) < 0.2, chosen, x).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize(
    "shape, dim", [((1,), 0), ((40,), 0), ((41,), 0), ((5000,), 0), ((7, 300), 0), ((3, 70, 2), 1)]
)
@pytest.mark.parametrize("descending", [False, True])
def test_positions_are_those_of_a_stable_sort(dtype, shape, dim, descending):
    array = keys(dtype, shape, np.random.default_rng([len(shape), *shape]))
    turned = tg.tensor(array.T.copy()).permute(*reversed(range(len(shape))))
    n = shape[dim]
    with backends.use("numpy"):
        expected = turned.argsort(dim, descending).numpy()
    if not descending:
        np.testing.assert_array_equal(expected, np.argsort(array, dim, kind="stable"))
    for x in (tg.tensor(array), turned):
        np.testing.assert_array_equal(x.argsort(dim, descending).numpy(), expected)
        for k in {0, 1, min(n, 20), min(n, 21), n}:
            found = x.topk(k, dim, largest=descending)
            first = expected.take(range(k), dim)
            np.testing.assert_array_equal(found.indices.numpy(), first)
            np.testing.assert_array_equal(found.values.numpy(), np.take_along_axis(array, first, dim))
