"""Numba's kernels of images against the references, primitive by primitive, for any geometry, and on any threads."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import backends
from tinygrad_edu.ops import batch_norm, conv, pool

pytestmark = pytest.mark.skipif("numba" not in backends.available(), reason="numba is not installed")

DTYPES = st.sampled_from([tg.float32, tg.float64])


def draw(*shape, d=tg.float64, seed=0):
    return tg.tensor(np.random.default_rng([seed, *shape]).standard_normal(shape), dtype=d)


def compare(op, *inputs, also=(), **attrs):
    """Numba's output, and what it writes to inputs numbered in `also`, against the reference's, and the rest unchanged.

    Both add up in orders of their own: errors are counted in units of the largest element."""
    results = []
    for name in ("numba", "numpy"):
        given = [x.clone() for x in inputs]
        with backends.use(name):
            y = op.apply(*given, **attrs)
            if name == "numba":
                assert backends.has_kernel(op.spec(tuple(given), attrs)), f"{op.name} ran on the reference"
        for i, (a, b) in enumerate(zip(given, inputs, strict=True)):
            assert i in also or a.numpy().tobytes() == b.numpy().tobytes(), f"{op.name} changed input {i}"
        results.append([y.numpy(), *[given[i].numpy() for i in also]])
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        eps = 1e-6 if a.dtype == np.float32 else 1e-14
        tolerance = 40 * eps * max(1, np.nanmax(np.abs(b), initial=0)) if a.dtype.kind == "f" else 0
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    return y


@st.composite
def windows(draw):
    """Planes (N, C, H, W), a window on them, and the output's shape."""
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride, dilation = [(draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil_mode = draw(st.booleans())
    spans = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    plane = tuple(max(n, 1) + draw(st.integers(0, 9)) for n in spans)
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 4)), *plane
    window = {"kernel": kernel, "stride": stride, "padding": padding}
    return shape, window, dilation, ceil_mode


@given(windows(), DTYPES, st.integers(0, 1000), st.sampled_from([0, 0.2]))
@settings(max_examples=60, deadline=None)
def test_max_pooling(drawn, d, seed, share):
    """Ties (rounded values), NaN and windows that are partly padding."""
    shape, window, dilation, ceil_mode = drawn
    window = {**window, "dilation": dilation}
    x = draw(*shape, d=d, seed=seed).round()
    x = tg.where(tg.tensor(np.random.default_rng(seed).random(shape) < share), tg.tensor(math.nan, dtype=d), x)
    size = [pool.pooled_size(*of, ceil_mode) for of in zip(shape[2:], *window.values(), strict=True)]
    places = tg.zeros(*shape[:2], *size, dtype=tg.uint8)
    compare(pool.max_pool2d_op, x, places, also=(1,), **window, ceil_mode=ceil_mode)
    with backends.use("numpy"):
        pool.max_pool2d_op.apply(x, places, **window, ceil_mode=ceil_mode)
    g = draw(*places.shape, d=d, seed=seed)
    compare(pool.max_pool2d_grad, g, places, size=shape[2:], **window)
    compare(pool.max_pool2d_pick, x, places, **window)


@given(windows(), DTYPES, st.integers(0, 1000), st.booleans(), st.sampled_from([0, 3]))
@settings(max_examples=60, deadline=None)
def test_average_pooling(drawn, d, seed, padded, divisor):
    shape, window, _, ceil_mode = drawn
    attrs = {**window, "ceil_mode": ceil_mode, "count_include_pad": padded, "divisor": divisor}
    y = compare(pool.avg_pool2d_op, draw(*shape, d=d, seed=seed), **attrs)
    compare(pool.avg_pool2d_grad, draw(*y.shape, d=d, seed=seed), size=shape[2:], **attrs)


@given(
    st.lists(st.sampled_from([1, 2, 3, 5, 8, 17]), min_size=2, max_size=4), DTYPES, st.booleans(), st.integers(0, 1000)
)
@settings(max_examples=40, deadline=None)
def test_batch_norm(shape, d, training, seed):
    x, g = (draw(*shape, d=d, seed=seed + k) + 3 for k in range(2))
    weight, bias = (draw(shape[1], d=d, seed=seed + k) for k in range(2))
    moments = compare(batch_norm.batch_moments, x)
    compare(batch_norm.batch_norm_op, x, moments, weight, bias, eps=1e-2, training=training)
    sums = compare(batch_norm.batch_norm_grad_sums, g, x, moments, eps=1e-2, training=training)
    compare(batch_norm.batch_norm_grad_input, g, x, moments, sums, weight, eps=1e-2)


def test_variance_of_numbers_far_from_zero():
    """A mean of 10,000 and a deviation of 1, in float32: a sum of squares would have lost the variance."""
    x = draw(64, 3, 20, 20, d=tg.float32) + 10_000
    exact = x.numpy().astype(np.float64).var((0, 2, 3))
    with backends.use("numba"):
        np.testing.assert_allclose(batch_norm.batch_moments.apply(x).numpy()[1], exact, rtol=1e-6)


def test_bits_do_not_depend_on_threads():
    numba = pytest.importorskip("numba")
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread")
    x, w = draw(5, 4, 13, 14, d=tg.float32), draw(6, 4, 3, 3, d=tg.float32)
    attrs = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    before, seen = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            with backends.use("numba"):
                y = conv.conv2d_op(x, w, **attrs, activation=0)
                dx = conv.conv2d_grad_input(y, w, size=(13, 14), **attrs)
                m = batch_norm.batch_moments.apply(x)
                seen.append([t.numpy().tobytes() for t in (y, dx, m)])
    finally:
        numba.set_num_threads(before)
    assert seen[0] == seen[1]


def test_compiled_loops_are_cached_or_compiled_anew(monkeypatch):
    """Where no folder can be written, numba refuses cache=True: the loops work all the same."""
    from tinygrad_edu.backends import numba_kernels

    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba_kernels.numba, "njit", njit)
    assert numba_kernels.jit(lambda x: x + 1)(1) == 2
