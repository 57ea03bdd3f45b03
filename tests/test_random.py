"""Random numbers: Philox's published vectors, the same bits everywhere, distributions, generators, dropout."""

import math
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import backends
from tinygrad_edu.ops import philox

BACKENDS = backends.available()

# Random123 1.14, tests/kat_vectors, philox4x32 10: counter, key, result
KNOWN = """
00000000 00000000 00000000 00000000  00000000 00000000  6627e8d5 e169c58d bc57ac4c 9b00dbd8
ffffffff ffffffff ffffffff ffffffff  ffffffff ffffffff  408f276d 41c83b0e a20bc7c6 6d5451fd
243f6a88 85a308d3 13198a2e 03707344  a4093822 299f31d0  d16cfe09 94fdcceb 5001e420 24126ea1
"""


def key(seed=1, stream=0):
    return tg.tensor(np.array([seed, stream]))


@pytest.mark.parametrize("line", KNOWN.strip().splitlines())
def test_known_answers(line):
    numbers = [int(word, 16) for word in line.split()]
    words = philox.philox(np.array(numbers[:4], np.uint64)[:, None], (numbers[4], numbers[5]))
    assert words[:, 0].tolist() == numbers[6:]


@pytest.mark.parametrize("backend", BACKENDS)
def test_known_answers_through_the_op(backend):
    """Block 0 of seed 0, stream 0 is the first vector: elements 0 and 16 are its words, joined to 64 bits."""
    with backends.use(backend):
        x = philox.random_integers.apply(key(0, 0), shape=(32,), low=0, high=2**63 - 1).tolist()
    expected = [0xE169C58D6627E8D5, 0x9B00DBD8BC57AC4C]
    assert [x[0], x[16]] == [w % (2**63 - 1) for w in expected]


def draws(k, n, dtype=tg.float32):
    x = tg.tensor(np.linspace(-1, 1, n), dtype=dtype)
    return {
        "uniform": philox.random_uniform.apply(k, shape=(n,), low=-0.3, high=1.7, dtype=dtype),
        "normal": philox.random_normal.apply(k, shape=(n,), mean=0.1, std=1.3, dtype=dtype),
        "integers": philox.random_integers.apply(k, shape=(n,), low=-5, high=1000),
        "wide": philox.random_integers.apply(k, shape=(n,), low=-(2**63), high=2**63 - 1),
        "permutation": philox.random_permutation.apply(k, shape=(n,)),
        "bernoulli": philox.random_bernoulli.apply(k, x.abs(), shape=(n,), dtype=dtype),
        "chance": philox.random_bernoulli.apply(k, tg.tensor(0.3, dtype=dtype), shape=(n,), dtype=dtype),
        "dropout": philox.dropout_op.apply(x, k, p=0.3),
    }


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("n", [0, 1, 2, 15, 31, 32, 33, 63, 65, 127, 128, 129, 1000, 30001])
def test_the_same_bits_on_every_backend(n, dtype):
    for seed, stream in [(0, 0), (-1, 2**40 + 3), (2**33 + 7, 5)]:
        with backends.use("numpy"):
            expected = draws(key(seed, stream), n, dtype)
        for backend in BACKENDS:
            with backends.use(backend):
                for name, x in draws(key(seed, stream), n, dtype).items():
                    np.testing.assert_array_equal(x.numpy(), expected[name].numpy(), err_msg=f"{name} on {backend}")


def test_the_same_bits_for_any_number_of_threads():
    before = tg.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        tg.set_num_threads(threads)
        results.append({name: x.numpy() for name, x in draws(key(7), 100_001).items()})
    tg.set_num_threads(before)
    for other in results[1:]:
        for name, x in other.items():
            np.testing.assert_array_equal(x, results[0][name])


def test_a_prefix_is_the_same_for_any_size():
    a, b = draws(key(3), 1000), draws(key(3), 77)
    for name in ("uniform", "normal", "integers", "wide"):
        np.testing.assert_array_equal(a[name].numpy()[:77], b[name].numpy())


def kolmogorov(sample, distribution):
    """The largest distance of the sample's distribution from `distribution`, in units of 1 / sqrt(n)."""
    x = np.sort(sample.astype(np.float64))
    expected = distribution(x)
    steps = np.arange(len(x) + 1) / len(x)
    return math.sqrt(len(x)) * max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_distributions(dtype):
    tg.manual_seed(5)
    n = 200_000
    u = tg.rand(n, dtype=dtype).numpy()
    assert 0 <= u.min() < 1e-4 and 1 - 1e-4 < u.max() < 1
    assert kolmogorov(u, lambda x: x) < 2  # 2 is exceeded once in 1,500 samples
    z = tg.randn(n, dtype=dtype).numpy()
    assert kolmogorov(z, np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))) < 2
    for x in (u - 0.5, z):
        assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / math.sqrt(n)
        assert abs(np.corrcoef(x[:-16], x[16:])[0, 1]) < 5 / math.sqrt(n)
    assert z.min() < -4 and z.max() > 4


def test_log_and_sine_are_right():
    u = np.concatenate([2.0 ** -np.arange(0, 54.0), np.random.default_rng(0).uniform(size=10_000), [1 - 2.0**-53]])
    np.testing.assert_allclose(philox.log_of_unit(u), np.log(u), rtol=1e-15)
    t = np.linspace(-0.5, 0.5, 10_001)
    sine, cosine = philox.sin_cos_of_quarter(t)
    np.testing.assert_allclose(sine, np.sin(t * np.pi / 2), rtol=0, atol=3e-16)
    np.testing.assert_allclose(cosine, np.cos(t * np.pi / 2), rtol=0, atol=3e-16)


def test_permutations_and_integers():
    tg.manual_seed(0)
    for n in (0, 1, 2, 7, 1000, 70_000):
        p = tg.randperm(n)
        assert p.dtype is tg.int64
        assert sorted(p.tolist()) == list(range(n))
    assert tg.randperm(100).tolist() != tg.randperm(100).tolist()
    x = tg.randint(3, 13, (50_000,)).numpy()
    counts = np.bincount(x, minlength=13)
    assert counts[:3].sum() == 0 and len(counts) == 13
    assert np.all(np.abs(counts[3:] - 5000) < 5 * math.sqrt(5000))
    assert tg.randint(4, (2, 3), dtype=tg.uint8).dtype is tg.uint8


def test_seeds_and_streams():
    tg.manual_seed(11)
    assert tg.initial_seed() == 11
    a, b = tg.rand(5).tolist(), tg.rand(5).tolist()
    assert a != b
    tg.manual_seed(11)
    assert [tg.rand(5).tolist(), tg.rand(5).tolist()] == [a, b]
    tg.manual_seed(12)
    assert tg.rand(5).tolist() != a
    tg.manual_seed(-1)
    assert tg.initial_seed() == 2**64 - 1
    with pytest.raises(RuntimeError, match="out of range"):
        tg.manual_seed(2**64)
    with pytest.raises(TypeError, match="expected an int"):
        tg.manual_seed(1.5)


def test_state_resumes():
    tg.manual_seed(1)
    tg.rand(3)
    state = tg.get_rng_state()
    expected = tg.randn(4).tolist()
    tg.rand(100)
    tg.set_rng_state(state)
    assert tg.randn(4).tolist() == expected
    with pytest.raises(TypeError, match="set_state"):
        tg.set_rng_state(tg.tensor([1.0, 2.0]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(4, 3), (0,)])
def test_every_call_takes_one_stream(backend, shape):
    x, p = tg.ones(shape), tg.full(shape, 0.3)
    calls = [
        lambda: tg.rand(shape),
        lambda: tg.randn(*shape),
        lambda: tg.randint(3, 9, shape),
        lambda: tg.randperm(shape[0]),
        lambda: tg.bernoulli(p),
        lambda: tg.bernoulli(p.t() if p.ndim == 2 else p),
        lambda: tg.bernoulli(p, 0.3),
        lambda: x.uniform_(-1, 1),
        lambda: x.normal_(),
        lambda: x.bernoulli_(0.5),
        lambda: x.bernoulli_(p),
        lambda: x.exponential_(),
        lambda: tg.Generator.take_key(tg.ops.random.default_generator),
    ]
    with backends.use(backend):
        for call in calls:
            for _ in range(2):  # the second time what to run is known
                before, version = tg.get_rng_state().tolist()[1], x._version
                drawn = call()
                assert tg.get_rng_state().tolist()[1] == before + 1
                assert drawn is not x or x._version > version


def test_in_place_draws_what_a_new_tensor_gets():
    for fill, new in (
        (lambda x: x.uniform_(), lambda: tg.rand(5, 7)),
        (lambda x: x.normal_(), lambda: tg.randn(5, 7)),
        (lambda x: x.bernoulli_(0.3), lambda: tg.bernoulli(tg.zeros(5, 7), 0.3)),
    ):
        for x in (tg.zeros(5, 7), tg.zeros(7, 5).t(), tg.zeros(5, 14)[:, ::2]):
            tg.manual_seed(6)
            expected = new().tolist()
            tg.manual_seed(6)
            assert fill(x) is x and x.tolist() == expected


def test_generators_are_apart():
    g = tg.Generator().manual_seed(3)
    tg.manual_seed(3)
    assert tg.rand(4, generator=g).tolist() == tg.rand(4).tolist()
    tg.rand(4)
    again = pickle.loads(pickle.dumps(g))
    assert tg.randperm(9, generator=g).tolist() == tg.randperm(9, generator=again).tolist()
    assert "seed=3, stream=2" in repr(g)


def test_like_and_in_place():
    x = tg.zeros(1000, dtype=tg.float64)
    assert tg.rand_like(x).dtype is tg.float64
    assert tg.randn_like(x, dtype=tg.float32).dtype is tg.float32
    assert tg.randint_like(x, 5).dtype is tg.float64
    assert x.uniform_(2, 3) is x
    assert 2 <= x.min().item() < x.max().item() < 3
    assert abs(x.normal_(10, 0.1).mean().item() - 10) < 0.02
    assert set(x.bernoulli_(0.25).tolist()) == {0, 1}
    assert 0.15 < x.mean().item() < 0.35
    assert abs(x.exponential_(2.0).mean().item() - 0.5) < 0.1
    with pytest.raises(RuntimeError, match="expected from <= to"):
        x.uniform_(3, 2)
    with pytest.raises(RuntimeError, match="floating-point dtype"):
        tg.zeros(3, dtype=tg.int64).normal_()


def test_bernoulli_and_normal():
    tg.manual_seed(2)
    p = tg.tensor(np.array([0.0, 1.0, 0.5]))
    x = tg.bernoulli(p.expand(1000, 3)).numpy()
    assert x[:, 0].sum() == 0 and x[:, 1].sum() == 1000 and 400 < x[:, 2].sum() < 600
    for wrong in (1.5, -0.5, math.nan):
        with pytest.raises(RuntimeError, match="bernoulli: expected probabilities"):
            tg.bernoulli(tg.tensor([wrong]))
    y = tg.normal(tg.tensor([0.0, 100.0]), tg.tensor([1e-3, 1.0])).numpy()
    assert abs(y[0]) < 0.01 and abs(y[1] - 100) < 10
    assert tg.normal(1.0, 2.0, (3, 4)).shape == (3, 4)
    with pytest.raises(RuntimeError, match="std >= 0"):
        tg.normal(0.0, -1.0, (3,))


def test_refuses():
    with pytest.raises(RuntimeError, match="rand: expected a floating-point dtype"):
        tg.rand(3, dtype=tg.int64)
    with pytest.raises(RuntimeError, match="rand: sizes must not be negative"):
        tg.rand(-3)
    with pytest.raises(RuntimeError, match="expected low < high"):
        tg.randint(3, 3, (1,))
    with pytest.raises(RuntimeError, match="randperm: sizes must not be negative"):
        tg.randperm(-1)
    with pytest.raises(ValueError, match="dropout: the probability"):
        F.dropout(tg.rand(3), 1.1)


@pytest.mark.parametrize("p", [0.0005, 0.1, 0.3, 0.5, 0.9])
def test_dropout_rate(p):
    tg.manual_seed(8)
    n = 1_000_000
    y = F.dropout(tg.ones(n), p).numpy()
    dropped = (y == 0).sum()
    assert abs(dropped - n * p) < 5 * math.sqrt(n * p * (1 - p)) + n * 2**-17
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p), rtol=1e-6)


def test_dropout_and_its_gradients():
    tg.manual_seed(9)
    x = tg.randn(40, 33, dtype=tg.float64, requires_grad=True)
    y = F.dropout(x * x, 0.4)
    kept = (y != 0).numpy()
    (g,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), np.where(kept, 2 / 0.6, 0) * x.detach().numpy(), rtol=1e-14)
    (h,) = tg.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), np.where(kept, 2 / 0.6, 0), rtol=1e-14)


def test_dropout_ends():
    x = tg.rand(100)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).abs().sum().item() == 0
    before = x.numpy().copy()
    assert F.dropout(x, 0.5, inplace=True) is x
    assert set((x.numpy() / before).round(5).tolist()) == {0, 2}
    t = tg.rand(30, 50).t()
    y = F.dropout(t, 0.5).numpy()
    np.testing.assert_array_equal(y, np.where(y != 0, 2 * t.numpy(), 0))


def test_a_replayed_step_draws_anew_and_as_an_eager_one():
    x = tg.ones(64)

    def step(x):
        buffer.uniform_()
        drawn = tg.rand(64) + tg.bernoulli(x * 0.5) + tg.randint(9, (64,)) + tg.randperm(64) * tg.arange(64)
        return F.dropout(x, 0.5) + tg.randn(64) + drawn + buffer + tg.linspace(0, 1, 64)

    buffer = tg.zeros(64)

    tg.manual_seed(4)
    eager = [step(x).tolist() for _ in range(3)]
    tg.manual_seed(4)
    replayed = tg.replay(step)
    assert [replayed(x).tolist() for _ in range(3)] == eager
    assert eager[0] != eager[1] != eager[2]


@pytest.mark.skipif("c" not in BACKENDS, reason="for the C core only")
def test_the_core_has_a_kernel_for_each(monkeypatch):
    monkeypatch.setattr(backends, "fell_back", set())
    with backends.use("c"):
        for dtype in (tg.float32, tg.float64):
            draws(tg.Generator().take_key(), 100, dtype)
    assert backends.fell_back == set()
