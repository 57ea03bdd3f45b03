"""Batch, instance and group normalisation: against PyTorch in every configuration, running statistics, replay, fusion.

Values and derivatives of single calls stand in the table (image_cases.py).
"""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import backends, nn
from tinygrad_edu.autograd import gradcheck, gradgradcheck
from tinygrad_edu.ops import batch_norm as ops
from tinygrad_edu.ops.activation import relu_grad
from tinygrad_edu.ops.philox import dropout_op

BACKENDS = backends.available()
SHAPES = [(8, 3), (300, 150), (5, 1), (33, 65, 1), (4, 3, 5), (7, 20, 7), (3, 5, 32), (6, 4, 33), (64, 4, 28, 28),
          (3, 2, 90, 91), (2, 1, 12289), (70, 130, 2, 2)]  # fmt: skip


def draw(*shape, seed=0, offset=0.0):
    return np.random.default_rng([seed, *shape]).normal(size=shape) + offset


def modules(library):
    n = library.nn
    return [
        (n.BatchNorm1d(3), (5, 3)),
        (n.BatchNorm1d(3, momentum=None), (5, 3, 4)),
        (n.BatchNorm1d(3, eps=1e-2, momentum=0.7), (5, 3, 40)),
        (n.BatchNorm2d(3), (5, 3, 7, 6)),
        (n.BatchNorm2d(3, affine=False), (5, 3, 4, 2)),
        (n.BatchNorm2d(3, bias=False), (5, 3, 4, 2)),
        (n.BatchNorm2d(3, track_running_stats=False), (5, 3, 4, 2)),
        (n.InstanceNorm1d(3), (5, 3, 4)),
        (n.InstanceNorm1d(3), (3, 4)),
        (n.InstanceNorm2d(3, affine=True, track_running_stats=True), (5, 3, 4, 2)),
        (n.InstanceNorm2d(3, affine=True), (3, 4, 2)),
        (n.GroupNorm(2, 6), (3, 6, 4)),
        (n.GroupNorm(2, 10, affine=False), (3, 10)),
        (n.GroupNorm(1, 6, bias=False), (3, 6, 4, 5)),
    ]


@pytest.mark.parametrize("which", range(14))
@pytest.mark.parametrize("backend", BACKENDS)
def test_modules_over_steps(which, backend):
    """Outputs, gradients, running statistics and representation, three steps of training and one of evaluation."""
    torch = pytest.importorskip("torch")
    (a, shape), (b, _) = modules(tg)[which], modules(torch)[which]
    assert repr(a) == repr(b)
    assert [name for name, _ in a.named_parameters()] == [name for name, _ in b.named_parameters()]
    with backends.use(backend):
        for step in range(4):
            if step == 3:
                a.eval()
                b.eval()
            x = draw(*shape, seed=step, offset=2).astype(np.float32)
            u = draw(*shape, seed=9).astype(np.float32)
            xa, xb = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            a.zero_grad()
            b.zero_grad()
            ya, yb = a(xa), b(xb)
            ya.backward(tg.tensor(u))
            yb.backward(torch.tensor(u))
            np.testing.assert_allclose(ya.detach().numpy(), yb.detach().numpy(), rtol=2e-5, atol=2e-5)
            for p, q in [(xa, xb), *zip(a.parameters(), b.parameters(), strict=True)]:
                np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-4)
    mine, theirs = a.state_dict(), b.state_dict()
    assert list(mine) == list(theirs)
    for name, value in mine.items():
        assert str(value.dtype).rpartition(".")[2] == str(theirs[name].dtype).rpartition(".")[2]
        np.testing.assert_allclose(value.numpy(), theirs[name].numpy(), rtol=2e-5, atol=1e-6, err_msg=name)


def results(shape, dtype, offset=0.0):
    """What the four kernels give."""
    c = shape[1]
    x, g = tg.tensor(draw(*shape, offset=offset), dtype=dtype), tg.tensor(draw(*shape, seed=1), dtype=dtype)
    w, b = tg.tensor(draw(c, seed=2), dtype=dtype), tg.tensor(draw(c, seed=3), dtype=dtype)
    m = ops.batch_moments.apply(x)
    y = ops.batch_norm_op.apply(x, m, w, b, eps=1e-5, training=True)
    s = ops.batch_norm_grad_sums.apply(g, x, m, eps=1e-5, training=True)
    d = ops.batch_norm_grad_input.apply(g, x, m, s, w, eps=1e-5)
    return (x, g, w, b), [m, y, s, d]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_kernels_equal_references(shape, dtype, backend):
    with backends.use("numpy"):
        expected = [x.numpy() for x in results(shape, dtype)[1]]
    with backends.use(backend):
        found = [x.numpy() for x in results(shape, dtype)[1]]
    for name, a, b in zip(("moments", "y", "sums", "dx"), found, expected, strict=True):
        error = np.abs(a - b).max() / np.abs(b).max() / np.finfo(b.dtype).eps
        assert error < 32, f"{name}: {error} ulp of the largest"


@pytest.mark.parametrize("shape", [s for s in SHAPES if np.prod(s) > 100])
@pytest.mark.parametrize("offset", [1e3, -1e5])
def test_variance_far_from_zero(shape, offset):
    """One pass, yet a mean of 1000 standard deviations costs no digits of the variance of the same floats."""
    x = draw(*shape, offset=offset).astype(np.float32)
    moments = ops.batch_moments.apply(tg.tensor(x)).numpy()
    dims = (0, *range(2, len(shape)))
    np.testing.assert_allclose(moments[0], x.mean(dims, dtype=np.float64), rtol=2e-7)
    np.testing.assert_allclose(moments[1], x.var(dims, dtype=np.float64), rtol=3e-6)


def test_variance_of_planes_far_apart():
    """The first chunk, about whose mean the others are taken, is nothing like the rest."""
    x = draw(40, 2, 70, 70).astype(np.float32)
    x[0] += 1e4
    moments = ops.batch_moments.apply(tg.tensor(x)).numpy()
    np.testing.assert_allclose(moments[1], x.var((0, 2, 3), dtype=np.float64), rtol=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_bits_for_any_number_of_threads(shape):
    before = tg.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        tg.set_num_threads(threads)
        found.append([x.numpy().tobytes() for x in results(shape, tg.float32)[1]])
    tg.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "numba"])
def test_fused_is_bit_identical(shape, dtype, backend):
    """The fused kernels, and their references, equal the sequence of ops that they stand for."""
    with backends.use(backend):
        (x, g, w, b), (m, y, _, _) = results(shape, dtype)
        out, pair = tg.empty(*shape, dtype=dtype), tg.empty(2, shape[1], dtype=dtype)
        stream = tg.tensor(np.array([3, 4]))
        spec = ops.batch_norm_fused_.spec((out, pair, x, w, b), {"eps": 1e-5, "p": 0.0})
        assert backend != "c" or backends.has_kernel(spec) == (np.prod(shape[2:]) >= 32)
        if backend == "c" and not backends.has_kernel(spec):
            pytest.skip("small planes are not fused")
        for dropped, relu in itertools.product((False, True), repeat=2):
            key, p = ((stream,), 0.3) if dropped else ((), 0.0)
            ops.batch_norm_fused_.apply(out, pair, x, w, b, *key, eps=1e-5, p=p)
            expected = dropout_op.apply(y, stream, p=p) if dropped else y
            np.testing.assert_array_equal(out.numpy(), expected.numpy())
            np.testing.assert_array_equal(pair.numpy(), m.numpy())
            kept = dropout_op.apply(g, stream, p=p) if dropped else g
            sums = ops.batch_norm_grad_sums.apply(kept, x, m, eps=1e-5, training=True)
            expected = ops.batch_norm_grad_input.apply(kept, x, m, sums, w, eps=1e-5)
            expected = relu_grad(expected, x) if relu else expected
            ops.batch_norm_grad_fused_.apply(out, pair, g, x, m, w, *key, eps=1e-5, p=p, relu=relu)
            np.testing.assert_array_equal(out.numpy(), expected.numpy())
            np.testing.assert_array_equal(pair.numpy(), sums.numpy())


def test_third_order():
    w = tg.tensor(draw(3, seed=1))

    def second(x):
        (first,) = tg.autograd.grad((F.batch_norm(x, None, None, w, training=True) ** 3).sum(), x, create_graph=True)
        return tg.autograd.grad((first**2).sum(), x, create_graph=True)[0]

    assert gradcheck(second, [tg.tensor(draw(4, 3, 3), requires_grad=True)], fast_mode=True)


@pytest.mark.parametrize("training", [True, False])
def test_second_order_of_all_inputs(training):
    xs = [tg.tensor(draw(*s, seed=k), requires_grad=True) for k, s in enumerate([(3, 2, 6, 6), (2,), (2,)])]
    f = lambda x, w, b: F.batch_norm(x, tg.zeros(2, dtype=x.dtype), tg.ones(2, dtype=x.dtype), w, b, training)
    assert gradgradcheck(f, xs, fast_mode=True)


def test_shared_sums_are_computed_once():
    """The gradients of input, weight and bias read the same two sums; so do two backward passes of one graph, anew."""
    from tinygrad_edu.modes import Watcher, modes

    class Count(Watcher):
        sums = 0

        def ran(self, spec, inputs, out):
            self.sums += spec.op.name == "batch_norm_grad_sums"

    x, w, b = (tg.tensor(draw(*s), requires_grad=True) for s in [(5, 3), (3,), (3,)])
    y = F.batch_norm(x, None, None, w, b, training=True)
    u = tg.tensor(draw(5, 3, seed=7))
    watcher = Count()
    modes.watch(watcher)
    try:
        first = tg.autograd.grad(y, (x, w, b), u, retain_graph=True)
        assert watcher.sums == 1
        u.mul_(2)
        second = tg.autograd.grad(y, (x, w, b), u)
        assert watcher.sums == 2
    finally:
        modes.unwatch(watcher)
    for p, q in zip(first, second, strict=True):
        np.testing.assert_allclose(2 * p.numpy(), q.numpy(), atol=1e-14)


def network(momentum):
    tg.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4, momentum=momentum),
                         nn.Dropout(0.3), nn.Flatten(), nn.BatchNorm1d(4 * 36, momentum=momentum),
                         nn.Linear(4 * 36, 3))  # fmt: skip


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("threads", [1, 2])
def test_replay_is_eager(momentum, threads):
    """Every replayed call moves the running statistics on, and nothing is frozen: parameters, statistics and losses
    are those of eager steps, bit for bit."""
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    found = []
    for replayed in (False, True):
        model = network(momentum)
        optimiser = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x, model=model, optimiser=optimiser):
            optimiser.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimiser.step()
            return loss

        run = tg.replay(step) if replayed else step
        tg.manual_seed(1)
        losses = [run(tg.tensor(draw(8, 2, 6, 6, seed=k, offset=k), dtype=tg.float32)).item() for k in range(5)]
        state = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
        found.append((losses, state))
        assert model[2].num_batches_tracked.item() == 5
    tg.set_num_threads(before)
    assert found[0] == found[1]


def test_replay_notices_another_momentum():
    n = nn.BatchNorm1d(2)
    step = tg.replay(lambda x: n(x).sum())
    x = tg.tensor(draw(6, 2, offset=5), dtype=tg.float32)
    for momentum in (0.1, 0.1, 0.5, 1.0):
        n.momentum = momentum
        before = n.running_mean.numpy().copy()
        step(x)
        expected = (1 - momentum) * before + momentum * x.numpy().mean(0)
        np.testing.assert_allclose(n.running_mean.numpy(), expected, rtol=1e-5)


def test_state_dict_round_trip():
    a, b = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    a(tg.tensor(draw(4, 3, 5, 5), dtype=tg.float32))
    b.load_state_dict(a.state_dict())
    assert b.num_batches_tracked.item() == 1 and b.running_var.tolist() == a.running_var.tolist()
    b.reset_running_stats()
    assert b.running_mean.tolist() == [0, 0, 0] and b.running_var.tolist() == [1, 1, 1]


ERRORS = [
    (ValueError, "more than 1 value", lambda f, t: f.batch_norm(t.ones(1, 3), None, None, training=True)),
    (ValueError, "neither be None", lambda f, t: f.batch_norm(t.ones(4, 3), t.ones(3), None, training=True)),
    (ValueError, "eps must be", lambda f, t: f.batch_norm(t.ones(4, 3), None, None, training=True, eps=-1.0)),
    (RuntimeError, "running_mean", lambda f, t: f.batch_norm(t.ones(4, 3), None, None)),
    (RuntimeError, "running_var", lambda f, t: f.batch_norm(t.ones(4, 3), t.ones(3), t.ones(4))),
    (RuntimeError, "weight should", lambda f, t: f.batch_norm(t.ones(4, 3), None, None, t.ones(2), training=True)),
    (RuntimeError, "bias should", lambda f, t: f.batch_norm(t.ones(4, 3), None, None, None, t.ones(2), training=True)),
    (RuntimeError, "", lambda f, t: f.batch_norm(t.ones(4, 3), t.ones(3, dtype=t.float64), t.ones(3), training=True)),
    (RuntimeError, "", lambda f, t: f.batch_norm(t.ones(4, 3, dtype=t.int64), None, None, training=True)),
    (
        RuntimeError,
        "",
        lambda f, t: f.batch_norm(t.ones(4, 3), t.ones(3, requires_grad=True), t.ones(3), training=True),
    ),
    (RuntimeError, "divisible by num_groups", lambda f, t: f.group_norm(t.ones(2, 6, 4), 4)),
    (RuntimeError, "weight", lambda f, t: f.group_norm(t.ones(2, 6, 4), 2, t.ones(5))),
    (ValueError, "more than 1 value", lambda f, t: f.group_norm(t.ones(1, 6), 6)),
    (ValueError, "more than 1 spatial element", lambda f, t: f.instance_norm(t.ones(2, 6, 1))),
    (
        RuntimeError,
        "running_mean and running_var",
        lambda f, t: f.instance_norm(t.ones(2, 6, 4), use_input_stats=False),
    ),
    (RuntimeError, "weight should", lambda f, t: f.instance_norm(t.ones(2, 6, 4), weight=t.ones(5))),
    (ValueError, "expected 4D input", lambda f, t: t.nn.BatchNorm2d(3)(t.ones(2, 3, 4))),
    (ValueError, "expected 2D or 3D input", lambda f, t: t.nn.BatchNorm1d(3)(t.ones(2, 3, 4, 4))),
    (ValueError, "num_features", lambda f, t: t.nn.InstanceNorm1d(4, affine=True)(t.ones(2, 3, 4))),
    (ValueError, "must be divisible", lambda f, t: t.nn.GroupNorm(4, 6)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    """The same type of error as PyTorch's, and its words where a student may search for them."""
    kind, words, call = ERRORS[number]
    with pytest.raises(kind, match=words):
        call(F, tg)
    torch = pytest.importorskip("torch")
    with pytest.raises(kind, match=words):
        call(torch.nn.functional, torch)


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 3, 0), (2, 0, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_to_normalise(shape, training):
    x = tg.ones(*shape, requires_grad=True)
    mean, var = tg.zeros(shape[1]), tg.ones(shape[1])
    y = F.batch_norm(x, mean, var, training=training)
    assert y.shape == shape and mean.tolist() == [0] * shape[1]
    y.sum().backward()
    assert x.grad.shape == shape
