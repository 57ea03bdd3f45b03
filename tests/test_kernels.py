"""What the C kernels promise beyond right values: accuracy in ulps, and bits that depend on nothing but the numbers.

An element's result must not depend on where it lies in an array, on strides or on the number of threads. Values of all
ops over many shapes are compared elsewhere (test_ops.py, test_move.py). Read next: csrc/vecmath.h.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_edu as tg

pytestmark = pytest.mark.skipif(tg.backends.why_not("c") is not None, reason="the C core was not built")

# The error that csrc/vecmath.h states, in ulps; of sin, cos and tan it is that of libm, which serves beyond a million
ULPS = {"exp": 1.0, "expm1": 1.5, "log": 0.9, "log1p": 1.5, "tanh": 2.5, "sigmoid": 2.4, "erf": 1.4, "sin": 0.57,
        "cos": 0.57, "tan": 0.9, "sqrt": 0.5}  # fmt: skip


@pytest.fixture(autouse=True)
def c_backend():
    with tg.backends.use("c"):
        yield


def floats(count: int = 200_000) -> np.ndarray:
    """Floats of all magnitudes, both signs, and the special ones."""
    bits = np.random.default_rng(0).integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32)
    special = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1000, -1000, 88.7, -103.9, 1e-45, -1e-45, 1e6]
    ordinary = np.random.default_rng(1).standard_normal(count).astype(np.float32)
    return np.concatenate([bits.view(np.float32), ordinary, 10 * ordinary, np.array(special, np.float32)])


@pytest.mark.parametrize("name", ULPS)
def test_error_in_ulps(name):
    x = floats()
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        if name == "erf":
            exact = np.vectorize(math.erf)(wide)
        elif name == "sigmoid":
            exact = np.where(wide < 0, np.exp(-np.abs(wide)), 1) / (1 + np.exp(-np.abs(wide)))
        else:
            exact = getattr(np, name)(wide)
        got, rounded = getattr(tg, name)(tg.tensor(x)).numpy(), exact.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
        ends = np.isinf(rounded) | np.isinf(got)
        np.testing.assert_array_equal(got[ends], rounded[ends])
        inside = np.isfinite(rounded) & ~ends
        ulp = np.maximum(np.exp2(np.floor(np.log2(np.abs(exact[inside]))) - 23), 2.0**-149)
        error = np.abs(got[inside].astype(np.float64) - exact[inside]) / ulp
    assert error.max() <= ULPS[name] + 1e-3, x[inside][error.argmax()]


@pytest.mark.parametrize("name", [*ULPS, "gelu", "silu", "softplus", "square", "rsqrt", "relu"])
@pytest.mark.parametrize("d", [tg.float32, tg.float64], ids=str)
def test_result_does_not_depend_on_position(name, d):
    function = getattr(tg, name, None) or getattr(tg.nn.functional, name)
    x = tg.tensor(floats(100), dtype=d)
    whole = function(x).numpy()
    strided = tg.stack([x, x], 1)[:, 1]
    assert function(strided).numpy().tobytes() == whole.tobytes()
    for start in range(0, 40, 3):
        for n in (1, 2, 7, 15, 16, 17, 33):
            assert function(x[start : start + n].clone()).numpy().tobytes() == whole[start : start + n].tobytes()


@pytest.mark.parametrize("shape", [(1 << 18,), (128, 512), (700, 300), (5, 40_000)])
def test_bits_do_not_depend_on_the_number_of_threads(shape):
    generator = np.random.default_rng(0)
    x = tg.tensor(generator.standard_normal(shape).astype(np.float32))
    rows = tg.tensor(generator.integers(0, shape[0], 2 * shape[0]))
    before = tg.get_num_threads()

    def results():
        yield x.sum(), x.mean(0), x.amax(-1), x.argmax(), x.cumsum(0), x.T + x.T, x.T.contiguous(), x.exp()
        yield x.index_select(0, rows), tg.zeros(shape).index_add(0, rows, x.index_select(0, rows)), x.flip(0)

    try:
        seen = []
        for threads in (1, 2, 5):
            tg.set_num_threads(threads)
            seen.append([y.numpy().tobytes() for ys in results() for y in ys])
    finally:
        tg.set_num_threads(before)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("m, n, k", [(20, 35, 4400), (3, 17, 8192), (700, 5, 6272), (20, 35, 4099)])
def test_long_sums_are_cut_alike_for_any_number_of_threads(m, n, k):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((k, m)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    before, results = tg.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            tg.set_num_threads(threads)
            results.append((tg.tensor(a).T @ tg.tensor(b)).numpy())
    finally:
        tg.set_num_threads(before)
    assert all(np.array_equal(results[0], r) for r in results)
    exact = a.T.astype(np.float64) @ b
    assert np.abs(results[0] - exact).max() < 2e-6 * np.sqrt(k) * np.abs(exact).std()


@pytest.mark.parametrize("n", [1000, 100_000, 1_000_000])
def test_sums_are_as_accurate_as_pairwise_ones(n):
    x = np.random.default_rng(0).random(n, np.float32)
    exact = x.sum(dtype=np.float64)
    assert abs(tg.tensor(x).sum().item() - exact) <= 2 * 2.0**-24 * exact
    columns = tg.tensor(np.repeat(x[:, None], 3, 1)).sum(0).numpy()
    assert np.abs(columns - exact).max() <= 8 * 2.0**-24 * exact


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_rows_of_any_length_are_reduced_to_their_last_element(dtype):
    for n in (*range(1, 19), 31, 32, 33, 63, 64, 65, 79, 80, 81, 129, 2049):  # about whole vectors, and sets of them
        x = np.random.default_rng(n).integers(1, 4, (4, n))
        x[1] *= 1 if dtype == "uint8" else -1
        x[2, :-1], x[3, :-1], x[3, -1] = 0, 5, 0  # the last element decides
        rows = tg.tensor(x, dtype=getattr(tg, dtype))
        for name in ("sum", "max", "min", "any", "all"):
            ours = getattr(rows, {"max": "amax", "min": "amin"}.get(name, name))(1)
            assert np.array_equal(ours.numpy(), getattr(x, name)(1)), (name, n)
        if "float" in dtype and n > 1:
            assert np.allclose(rows.mean(1).numpy(), x.mean(1)), n
            assert np.allclose(rows.var(1).numpy(), x.var(1, ddof=1)), n


def test_integer_division_never_traps():
    for d in (tg.int32, tg.int64):
        low = np.iinfo(d.name).min
        x = tg.tensor([low, 7, -7, 0, low], dtype=d)
        y = tg.tensor([-1, 0, 0, 0, 0], dtype=d)
        assert (x // y).tolist() == [low, 0, 0, 0, 0]
        assert (x % y).tolist() == [0, 0, 0, 0, 0]
