"""Pooling beyond the rows of image_cases.py: PyTorch's geometry on a grid, ties, NaN, errors, threads, replay, layers.

Read next: ops/pool.py.
"""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import autograd, backends, nn

BACKENDS = [name for name in backends.available() if name != "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with backends.use(request.param):
        yield request.param


def compare(torch, name, array, *args, **keywords):
    """Values, gradient and second derivative, or that both refuse."""
    x, t = tg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    theirs = getattr(torch.nn.functional, name)
    try:
        z = theirs(t, *args, **keywords)
    except RuntimeError:
        with pytest.raises(RuntimeError, match=name):
            getattr(F, name)(x, *args, **keywords)
        return
    y = getattr(F, name)(x, *args, **keywords)
    if isinstance(z, tuple):
        np.testing.assert_array_equal(y[1].numpy(), z[1].numpy())
        y, z = y[0], z[0]
    assert tuple(y.shape) == tuple(z.shape)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), 1e-12, 1e-13)
    u = np.random.default_rng(1).standard_normal(y.shape)
    v = np.random.default_rng(2).standard_normal(array.shape)
    ours, their = tg.tensor(u, requires_grad=True), torch.tensor(u, requires_grad=True)
    (g,) = autograd.grad(y, x, ours, create_graph=True)
    (h,) = torch.autograd.grad(z, t, their, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), h.detach().numpy(), 1e-11, 1e-12)
    (gg,), (hh,) = autograd.grad(g, ours, tg.tensor(v)), torch.autograd.grad(h, their, torch.tensor(v))
    np.testing.assert_allclose(gg.numpy(), hh.numpy(), 1e-11, 1e-12)


def holds_a_window_of_padding(h, w, kernel, stride, padding, dilation, ceil):
    """A dilated window may have no element of the input; PyTorch then writes outside of the gradient."""

    def empty(n, k):
        size = tg.ops.pool.pooled_size(n, k, stride or k, padding, dilation, ceil)
        starts = [i * (stride or k) - padding for i in range(size)]
        return any(not any(0 <= a + j * dilation < n for j in range(k)) for a in starts)

    return empty(h, kernel[0]) or empty(w, kernel[1])


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (1, 3), (4, 1)], ids=str)
def test_max_pool_is_pytorchs(backend, kernel, ceil):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    for (h, w), stride, padding, dilation in itertools.product(
        [(1, 4), (5, 7), (8, 4), (6, 37)], [None, 1, 2, 3], [0, 1], [1, 2]
    ):
        if rng.random() < 0.6 or holds_a_window_of_padding(h, w, kernel, stride, padding, dilation, ceil):
            continue
        array = rng.integers(-3, 4, (2, 3, h, w)).astype(float)  # with ties
        for indices in (False, True):
            compare(torch, "max_pool2d", array, kernel, stride, padding, dilation, ceil, return_indices=indices)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (1, 3), (4, 1)], ids=str)
def test_avg_pool_is_pytorchs(backend, kernel, ceil):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    for (h, w), stride, padding, inside, divisor in itertools.product(
        [(1, 4), (5, 7), (8, 4), (6, 37)], [None, 1, 2, 3], [0, 1], [True, False], [None, 3, -2]
    ):
        if rng.random() < 0.7:
            continue
        array = rng.standard_normal((2, 3, h, w))
        compare(torch, "avg_pool2d", array, kernel, stride, padding, ceil, inside, divisor)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool_is_pytorchs(backend, kind):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for (h, w), size in itertools.product([(1, 4), (5, 7), (8, 4)], [1, 2, (3, None), 5, (8, 4), (2, 7)]):
        compare(torch, f"adaptive_{kind}_pool2d", rng.standard_normal((2, 3, h, w)), size)
        compare(torch, f"adaptive_{kind}_pool1d", rng.standard_normal((2, w)), size if isinstance(size, int) else 3)


@pytest.mark.parametrize("function", [F.max_pool2d, F.adaptive_max_pool2d])
@pytest.mark.parametrize("size", [2, 4])
def test_a_tie_goes_to_the_first_and_nan_before_all(backend, function, size):
    side = size if function is F.max_pool2d else 1
    tie = tg.full((1, 1, size, size), 7.0, requires_grad=True)
    y, index = function(tie, side, return_indices=True)
    y.sum().backward()
    assert index.item() == 0 and tie.grad.flatten().tolist() == [1] + [0] * (size * size - 1)
    x = tg.full((1, 1, size, size), 7.0)
    x[0, 0, 0, 1] = x[0, 0, 1, 0] = float("nan")
    y, index = function(x, side, return_indices=True)
    assert y.isnan().item() and index.item() == size  # the last NaN, as in PyTorch
    assert function(x, side).isnan().item()
    low = tg.full((1, 1, size, size), -float("inf"))
    y, index = function(low, side, return_indices=True)
    assert y.item() == -float("inf") and index.item() == 0


def test_a_window_of_padding_is_empty(backend):
    x = tg.ones(1, 1, 2, 2, requires_grad=True)  # rows -1 and 2 of it are read
    y = F.max_pool2d(x, (2, 1), padding=(1, 0), dilation=(3, 1))
    assert y.flatten().tolist() == [-float("inf")] * 2
    y.sum().backward()
    assert x.grad.flatten().tolist() == [0] * 4
    assert F.max_pool2d(x, (2, 1), padding=(1, 0), dilation=(3, 1), return_indices=True)[1].max().item() < 4


def test_integers_as_in_pytorch():
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(0).integers(0, 99, (1, 2, 5, 6))
    for dtype in ("uint8", "int32", "int64"):
        a = array.astype(dtype)
        y, z = F.max_pool2d(tg.tensor(a), 2, padding=1), torch.nn.functional.max_pool2d(torch.tensor(a), 2, padding=1)
        np.testing.assert_array_equal(y.numpy(), z.numpy())
    a = array - 50
    z = torch.nn.functional.avg_pool2d(torch.tensor(a), 2, padding=1)
    np.testing.assert_array_equal(F.avg_pool2d(tg.tensor(a), 2, padding=1).numpy(), z.numpy())
    for name, size in (("max_pool1d", 2), ("adaptive_avg_pool1d", 2)):
        with pytest.raises(NotImplementedError, match=name):
            getattr(F, name)(tg.tensor(array[0]), size)


IMAGES = (2, 3, 6, 6)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("max_pool2d", (0,), "kernel_size must be greater than zero"),
        ("max_pool2d", (2, 0), "stride must be greater than zero"),
        ("max_pool2d", (2, -1), "stride must be greater than zero"),
        ("max_pool2d", (2, 2, 2), "at most half of the kernel size"),
        ("max_pool2d", (2, 2, -1), "at least 0"),
        ("max_pool2d", (2, 2, 0, 0), "dilation must be greater than zero"),
        ("max_pool2d", (7,), r"kernel of \(7, 7\).*planes of \(6, 6\).*output would be \(0, 0\)"),
        ("max_pool2d", ((1, 2, 3),), "kernel_size must be an int or a tuple of 2 ints"),
        ("avg_pool2d", (2, 2, 0, False, True, 0), "divisor_override must not be zero"),
        ("avg_pool1d", (2,), r"expected 2 dimensions, or 3 with a batch.*\(2, 3, 6, 6\)"),
        ("adaptive_avg_pool2d", ((1, 2, 3),), "output_size must be an int or a tuple of 2"),
        ("adaptive_max_pool2d", (-1,), "must not be negative"),
    ],
)
def test_errors(name, args, message):
    with pytest.raises(RuntimeError, match=message) as error:
        getattr(F, name)(tg.zeros(*IMAGES), *args)
    assert name in str(error.value)


def test_errors_of_types_and_empty_planes():
    x = tg.zeros(*IMAGES)
    for wrong in (2.0, True, "2", (2, 2.0)):
        with pytest.raises(TypeError, match="kernel_size must be an int"):
            F.max_pool2d(x, wrong)
    with pytest.raises(TypeError, match="expected a Tensor"):
        F.max_pool2d(np.zeros(IMAGES), 2)
    with pytest.raises(TypeError, match="output_size"):
        F.adaptive_avg_pool1d(x[0], None)
    assert F.max_pool2d(tg.zeros(0, 3, 6, 6), 2).shape == (0, 3, 3, 3)
    with pytest.raises(RuntimeError, match="only the batch may be empty"):
        F.max_pool2d(tg.zeros(2, 0, 6, 6), 2)
    with pytest.raises(RuntimeError, match="planes must not be empty"):
        F.adaptive_avg_pool2d(tg.zeros(2, 3, 0, 6), 2)


@pytest.mark.skipif("c" not in BACKENDS, reason="the C core is not here")
def test_threads_do_not_change_a_bit():
    def everything():
        rng = np.random.default_rng(6)
        found = []
        for shape, args in [((70, 9, 28, 28), (2,)), ((40, 5, 29, 30), (3, 2, 1)), ((30, 3, 31, 17), ((3, 5), 1, 1))]:
            x = tg.tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=True)
            for f in (F.max_pool2d, F.avg_pool2d):
                y = f(x, *args)
                found += [y, *autograd.grad(y, x, tg.tensor(rng.standard_normal(y.shape).astype(np.float32)))]
        return [t.detach().numpy().tobytes() for t in found]

    before = tg.get_num_threads()
    try:
        tg.set_num_threads(1)
        alone = everything()
        tg.set_num_threads(3)
        assert everything() == alone
    finally:
        tg.set_num_threads(before)


def test_replay_keeps_places_apart():
    """The places are a second output: two pools of one shape in a step must not share them."""
    rng = np.random.default_rng(7)

    def step(x, y):
        w = tg.ones(1, requires_grad=True)
        a, b = F.max_pool2d(x * w, 2), F.max_pool2d(y * w, 2)
        return autograd.grad((a * b).sum(), w)[0]

    replayed = tg.replay(step)
    for _ in range(3):
        x, y = (tg.tensor(rng.standard_normal((4, 2, 6, 6))) for _ in range(2))
        assert replayed(x, y).item() == step(x, y).item()


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.MaxPool1d(3, stride=2),
        lambda nn: nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True),
        lambda nn: nn.MaxPool2d(2, return_indices=True),
        lambda nn: nn.AvgPool1d(2),
        lambda nn: nn.AvgPool2d((2, 3), padding=1, count_include_pad=False),
        lambda nn: nn.AdaptiveAvgPool1d(3),
        lambda nn: nn.AdaptiveAvgPool2d((1, None)),
        lambda nn: nn.AdaptiveMaxPool1d(3, return_indices=True),
        lambda nn: nn.AdaptiveMaxPool2d(3),
    ],
)
def test_layers_are_pytorchs(make):
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs) and not ours.state_dict()
    x = np.random.default_rng(8).standard_normal((2, 3, 7) if "1d" in repr(ours) else (2, 3, 7, 6))
    y, z = ours(tg.tensor(x)), theirs(torch.tensor(x))
    assert isinstance(y, tuple) == isinstance(z, tuple)
    for a, b in zip(y, z, strict=True) if isinstance(y, tuple) else [(y, z)]:
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-12)
