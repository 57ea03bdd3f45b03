"""Winograd's convolution against the direct one: odd sizes and channels, its error, gradients, bits, the switch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import autograd, backends
from tinygrad_edu.autograd import gradcheck, gradgradcheck

pytestmark = pytest.mark.skipif("c" not in backends.available(), reason="the C core is not here")

# Largest difference over rms: float32 was seen to reach 2e-5 with 400 channels, and twice that would be a flaw.
BOUND = {tg.float32: 4e-5, tg.float64: 1e-12}


@pytest.fixture(autouse=True)
def as_before():
    on, threads, backend = tg.get_winograd(), tg.get_num_threads(), backends.current()
    backends.use("c")
    yield
    tg.set_winograd(on)
    tg.set_num_threads(threads)
    backends.use(backend)


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def all_three(x, w, b, padding, dtype):
    """The result, through ReLU, and the gradients of pictures and weights, as float64."""
    xs = [tg.tensor(v, dtype=dtype, requires_grad=True) for v in (x, w, b)]
    y = F.conv2d(*xs, padding=padding)
    u = tg.tensor(draw(*y.shape, seed=1), dtype=dtype)
    with tg.no_grad():
        z = F.relu(F.conv2d(*xs, padding=padding))
    return [t.detach().numpy().astype(np.float64) for t in (z, y, *autograd.grad(y, xs[:2], u))]


def compare(n, c, h, w, k, padding, dtype):
    arrays = draw(n, c, h, w), draw(k, c, 3, 3), draw(k)
    tg.set_winograd(False)
    want = all_three(*arrays, padding, tg.float64)
    tg.set_winograd(True)
    got = all_three(*arrays, padding, dtype)
    for a, b in zip(got, want, strict=True):
        assert np.abs(a - b).max() <= BOUND[dtype] * np.sqrt((b**2).mean())
    return got


SHAPES = [
    (1, 8, 3, 3, 8, 0), (2, 9, 1, 2, 10, 1), (1, 17, 5, 7, 33, 2), (3, 16, 6, 14, 50, (0, 2)),
    (2, 40, 13, 4, 20, (2, 1)), (1, 32, 30, 9, 48, 1), (70, 8, 2, 2, 9, 1), (1, 10, 20, 133, 9, 1),
    (20, 64, 14, 14, 70, 1), (2, 130, 9, 10, 140, 1), (1, 12, 1, 1, 12, 2),
    (2, 400, 7, 6, 11, 1), (5, 24, 28, 28, 32, 1),
]  # fmt: skip


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_direct_method(shape, dtype):
    compare(*shape, dtype)


SIZE = st.integers(1, 19)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(8, 40), SIZE, SIZE, st.integers(8, 40), st.tuples(*[st.integers(0, 2)] * 2))
def test_equals_the_direct_method_for_any_size(n, c, h, w, k, padding):
    if h + 2 * padding[0] >= 3 and w + 2 * padding[1] >= 3:
        compare(n, c, h, w, k, padding, tg.float64)


def test_it_is_used_and_can_be_turned_off():
    x, w = (tg.tensor(draw(*s), dtype=tg.float32) for s in ((4, 32, 14, 14), (32, 32, 3, 3)))
    bits = {}
    for on in (True, False, True):
        tg.set_winograd(on)
        assert tg.get_winograd() is on
        got = F.conv2d(x, w, padding=1).numpy().tobytes()
        assert bits.setdefault(on, got) == got
    assert bits[True] != bits[False]  # the error differs: so there are two methods
    with pytest.raises(TypeError, match="expected a bool"):
        tg.set_winograd(1)


@pytest.mark.parametrize("on", [True, False])
def test_gradients(on):
    tg.set_winograd(on)
    xs = [tg.tensor(draw(*s), dtype=tg.float64, requires_grad=True) for s in ((2, 8, 6, 5), (9, 8, 3, 3), (9,))]
    assert gradcheck(lambda *v: F.conv2d(*v, padding=1), xs, fast_mode=True, eps=1e-5, atol=1e-7, rtol=1e-5)
    assert gradgradcheck(lambda *v: F.conv2d(*v, padding=1), xs, fast_mode=True, eps=1e-5, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_bits_do_not_depend_on_threads(dtype):
    tg.set_winograd(True)
    cases = [(9, 33, 14, 14, 40, 1), (3, 16, 28, 28, 130, 0), (1, 140, 7, 10, 17, 2)]
    seen = []
    for threads in (1, 2, 3, 1):
        tg.set_num_threads(threads)
        seen.append(
            [
                part.tobytes()
                for n, c, h, w, k, p in cases
                for part in all_three(draw(n, c, h, w), draw(k, c, 3, 3), draw(k), p, dtype)
            ]
        )
    assert all(bits == seen[0] for bits in seen)


def test_not_a_number_stays_where_it_reaches():
    tg.set_winograd(True)
    x, w = draw(1, 16, 28, 28), draw(16, 16, 3, 3)
    x[0, 3, 10, 10] = np.nan
    y = F.relu(F.conv2d(tg.tensor(x, dtype=tg.float32), tg.tensor(w, dtype=tg.float32), padding=1)).numpy()
    assert np.isnan(y[0, :, 9:12, 9:12]).all()
    assert not np.isnan(y[0, :, :4, :4]).any()  # the tile is lost, not the picture
