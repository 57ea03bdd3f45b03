"""Softmax, layer_norm and the losses: values, gradients and second order against PyTorch; ends of the range; errors."""

import itertools
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import backends
from tinygrad_edu.ops import loss as losses
from tinygrad_edu.ops import norm

BACKENDS = backends.available()


@pytest.fixture(params=BACKENDS, autouse=True)
def backend(request):
    with backends.use(request.param):
        yield request.param


def compare(mine, theirs, *arrays, order=2, rtol=1e-9, atol=1e-10):
    """f and its first two derivatives in every floating input, contracted with random tensors, against PyTorch's."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    a = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    b = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ya, yb = mine(F, *a), theirs(torch.nn.functional, *b)
    np.testing.assert_allclose(ya.detach().numpy(), yb.detach().numpy(), rtol=rtol, atol=atol)
    xa, xb = [x for x in a if x.requires_grad], [x for x in b if x.requires_grad]
    u = rng.normal(size=tuple(yb.shape))
    la, lb = (ya * tg.tensor(u)).sum(), (yb * torch.tensor(u)).sum()
    for _ in range(order):
        ga = tg.autograd.grad(la, xa, create_graph=True, allow_unused=True)
        gb = torch.autograd.grad(lb, xb, create_graph=True, allow_unused=True)
        la, lb = 0.0, 0.0
        for p, q, x in zip(ga, gb, xb, strict=True):
            p = np.zeros(x.shape) if p is None else p
            q = torch.zeros_like(x) if q is None else q
            np.testing.assert_allclose(np.asarray(p if isinstance(p, np.ndarray) else p.detach().numpy()),
                                       q.detach().numpy(force=True), rtol=rtol, atol=atol)  # fmt: skip
            v = rng.normal(size=tuple(q.shape))
            if not isinstance(p, np.ndarray):
                la = (p * tg.tensor(v)).sum() + la
            lb = (q * torch.tensor(v)).sum() + lb
        if not isinstance(la, tg.Tensor) or not la.requires_grad or not lb.requires_grad:
            break


def same(f, *arrays, **how):
    compare(f, f, *arrays, **how)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (1, 1), (2, 17, 3), (4, 33), (2, 3, 4, 5), (70, 10), ()])
def test_softmax(shape):
    for dim in range(len(shape)) if shape else [0, -1]:
        same(lambda f, x, dim=dim: f.softmax(x, dim), draw(*shape))
        same(lambda f, x, dim=dim: f.log_softmax(x, dim - len(shape)), draw(*shape))


def test_softmax_of_views():
    same(lambda f, x: f.softmax(x.transpose(0, 2), 1), draw(3, 4, 5))
    same(lambda f, x: f.log_softmax(x[:, ::2].transpose(0, 1), 0), draw(5, 9))
    same(lambda f, x: f.softmax(x[:, None].expand(4, 20, 3), 1), draw(4, 3))
    same(lambda f, x: f.softmax(x[:, 1:], -1), draw(40, 33))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_softmax_of_nothing(shape):
    x = tg.tensor(np.zeros(shape))
    assert F.softmax(x, -1).shape == shape
    assert F.log_softmax(x, 0).shape == shape


def test_softmax_far_out():
    x = tg.tensor(np.array([[1e8, 0.0, -1e8], [1e8, 1e8, 1e8], [-1e8, -1e8, -1e8], [1000.0, -1000.0, 0.0]], np.float32))
    np.testing.assert_array_equal(F.log_softmax(x, 1).numpy()[0], np.float32([0, -1e8, -2e8]))
    np.testing.assert_allclose(F.log_softmax(x, 1).numpy()[1:3], np.full((2, 3), -np.log(3)), rtol=1e-6)
    np.testing.assert_array_equal(F.softmax(x, 1).numpy()[3], np.float32([1, 0, 0]))


def test_softmax_converts_and_refuses():
    assert F.softmax(tg.tensor([1.0, 2.0]), 0, dtype=tg.float64).dtype is tg.float64
    with pytest.raises(RuntimeError, match="softmax: expected a floating-point input, got"):
        F.softmax(tg.tensor([1, 2]), 0)
    with pytest.raises(IndexError, match="softmax: dimension 2 is out of range"):
        F.softmax(tg.tensor([[1.0, 2.0]]), 2)
    with pytest.warns(UserWarning, match="implicit choice of a dimension"):
        F.softmax(tg.tensor([[1.0, 2.0]]))


@pytest.mark.parametrize(
    ("shape", "n"), [((5,), 1), ((3, 17), 1), ((2, 3, 4), 2), ((4, 5, 33), 1), ((2, 64), 1), ((40, 3), 1)]
)
def test_layer_norm(shape, n):
    tail = shape[-n:]
    same(lambda f, x, w, b: f.layer_norm(x, tail, w, b), draw(*shape), draw(*tail, seed=1), draw(*tail, seed=2))
    same(lambda f, x: f.layer_norm(x, tail, eps=0.1), draw(*shape))
    same(lambda f, x, w: f.layer_norm(x, tail, w), draw(*shape), draw(*tail, seed=1))
    same(lambda f, x, b: f.layer_norm(x, tail, bias=b), draw(*shape), draw(*tail, seed=1), order=1)
    same(lambda f, x: f.layer_norm(x.transpose(0, -1), (shape[0],)), draw(*shape))


def test_layer_norm_far_from_zero():
    """The variance is of the deviations, so a large mean takes nothing away but its own rounding."""
    x = (draw(8, 100) + 1e4).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(F.layer_norm(tg.tensor(x), (100,)).numpy(), expected, atol=2e-3)


def test_layer_norm_refuses():
    x = tg.tensor(draw(3, 4))
    with pytest.raises(RuntimeError, match=r"layer_norm: input of shape \(3, 4\) does not end in"):
        F.layer_norm(x, (3,))
    with pytest.raises(RuntimeError, match=r"layer_norm: weight has shape \(3,\)"):
        F.layer_norm(x, (4,), tg.tensor(draw(3)))
    with pytest.raises(RuntimeError, match="layer_norm: expected one dtype, got an input of"):
        F.layer_norm(x, (4,), tg.ones(4))


def test_normalize_and_similarity():
    same(lambda f, x: f.normalize(x), draw(3, 5))
    same(lambda f, x: f.normalize(x, p=3.0, dim=0), draw(3, 5))
    same(lambda f, x, y: f.cosine_similarity(x, y), draw(3, 5), draw(3, 5, seed=1))
    same(lambda f, x, y: f.cosine_similarity(x, y, dim=-1), draw(3, 5), draw(1, 5, seed=1))


CLASSES = [
    ((5, 4), (5,)),
    ((4,), ()),
    ((2, 3, 5), (2, 5)),
    ((2, 3, 2, 2), (2, 2, 2)),
    ((70, 10), (70,)),
    ((3, 1), (3,)),
]


@pytest.mark.parametrize(("shape", "target_shape"), CLASSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(shape, target_shape, reduction):
    classes = shape[0] if len(shape) == 1 else shape[1]
    target = np.random.default_rng(1).integers(0, classes, target_shape)
    weight = np.abs(draw(classes, seed=2)) + 0.1
    x = draw(*shape)
    for smoothing in (0.0, 0.3):
        how = {"reduction": reduction, "label_smoothing": smoothing}
        same(lambda f, x, t, how=how: f.cross_entropy(x, t, **how), x, target)
        same(lambda f, x, t, w, how=how: f.cross_entropy(x, t, w.detach(), **how), x, target, weight)
    same(lambda f, x, t: f.nll_loss(x, t, reduction=reduction), x, target)
    if target.size > 1:
        target.flat[0] = 7777
        same(lambda f, x, t: f.cross_entropy(x, t, ignore_index=7777, reduction=reduction), x, target)
        same(lambda f, x, t, w: f.cross_entropy(x, t, w.detach(), ignore_index=7777, reduction=reduction,
                                                label_smoothing=0.2), x, target, weight)  # fmt: skip


@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 3, 5)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_probabilities(shape, reduction):
    p = np.abs(draw(*shape, seed=1))
    weight = np.abs(draw(shape[0] if len(shape) == 1 else shape[1], seed=2))
    same(lambda f, x, p: f.cross_entropy(x, p, reduction=reduction), draw(*shape), p)
    same(lambda f, x, p, w: f.cross_entropy(x, p, w.detach(), reduction=reduction, label_smoothing=0.1),
         draw(*shape), p, weight)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_far_out(dtype):
    logits = np.array([[1000, -1000, 0], [-1000, 1000, 0], [1e8, 1e8, 0], [0, 0, 1e8]], dtype)
    x = tg.tensor(logits, requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor(np.array([0, 0, 1, 0])), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [0, 2000, np.log(2), 1e8], rtol=1e-6)
    loss.sum().backward()
    expected = [[0, 0, 0], [-1, 1, 0], [0.5, -0.5, 0], [-1, 0, 1]]
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-7)


ATTRS = {"reduction": losses.NONE, "ignore_index": -100}


@pytest.mark.parametrize(("op", "gradient", "attrs"), [
    (losses.cross_entropy_op, losses.cross_entropy_grad, {**ATTRS, "smoothing": 0.0}),
    (losses.cross_entropy_op, losses.cross_entropy_grad, {**ATTRS, "smoothing": 0.1}),
    (losses.nll_loss_op, losses.nll_loss_grad, ATTRS)])  # fmt: skip
def test_rows_without_a_class(op, gradient, attrs):
    """What cannot be refused while a step is replayed: ignored rows give 0, other targets NaN, and nothing is read."""
    x = tg.tensor(draw(6, 3))
    target = tg.tensor(np.array([0, -100, 3, -1, 2**62, 2]))
    loss = op.apply(x, target, **attrs).numpy()
    assert np.isnan(loss).tolist() == [False, False, True, True, True, False]
    assert loss[1] == 0
    grad = gradient.apply(tg.tensor(np.ones(6)), x, target, **attrs).numpy()
    assert np.isnan(grad).all(1).tolist() == [False, False, True, True, True, False]
    assert (grad[1] == 0).all()
    expected = -1 if op is losses.nll_loss_op else 0
    np.testing.assert_allclose(grad[[0, 5]].sum(1), expected, atol=1e-15)


def test_all_ignored_is_nan_as_in_pytorch():
    target = tg.tensor(np.full(3, -100))
    assert np.isnan(F.cross_entropy(tg.tensor(draw(3, 4)), target).item())


def test_cross_entropy_refuses():
    x, t = tg.tensor(draw(3, 4)), tg.tensor(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"cross_entropy: an input of shape \(3, 4\) takes targets of shape \(3,\)"):
        F.cross_entropy(x, tg.tensor(np.array([0, 1])))
    with pytest.raises(RuntimeError, match="class numbers must be int64"):
        F.cross_entropy(x, t.to(tg.int32))
    with pytest.raises(IndexError, match="cross_entropy: target 4 is out of bounds for 4 classes"):
        F.cross_entropy(x, t + 2)
    with pytest.raises(IndexError, match="nll_loss: target -1 is out of bounds"):
        F.nll_loss(x, t - 1)
    with pytest.raises(RuntimeError, match=r"expected one dtype, got an input of .*float64 and a weight of .*float32"):
        F.cross_entropy(x, t, tg.ones(4))
    for _ in range(2):
        F.cross_entropy(x, t, ignore_index=2)
        with pytest.raises(TypeError, match="ignore_index must be an int, got float"):
            F.cross_entropy(x, t, ignore_index=2.0)
    with pytest.raises(RuntimeError, match="no gradient rule for its input 'weight'"):
        F.cross_entropy(x, t, tg.ones(4, dtype=tg.float64, requires_grad=True)).backward()
    with pytest.raises(RuntimeError, match="weight must have one element for each of 4 classes"):
        F.cross_entropy(x, t, tg.tensor(draw(3)))
    with pytest.raises(RuntimeError, match="label_smoothing must be between 0 and 1"):
        F.cross_entropy(x, t, label_smoothing=1.5)
    with pytest.raises(ValueError, match="'avg' is not a valid value for reduction"):
        F.cross_entropy(x, t, reduction="avg")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary(reduction):
    shape = (4, 5)
    p = np.random.default_rng(0).uniform(0.05, 0.95, shape)
    t, w = np.random.default_rng(1).uniform(0, 1, shape), np.abs(draw(5, seed=2))
    same(lambda f, x, t: f.binary_cross_entropy(x, t.detach(), reduction=reduction), p, t)
    same(lambda f, x, t: f.binary_cross_entropy(x, t, reduction=reduction), p, t, order=1)
    same(lambda f, x, t, w: f.binary_cross_entropy(x, t.detach(), w.detach(), reduction=reduction), p, t, w)
    same(lambda f, x, t: f.binary_cross_entropy_with_logits(x, t, reduction=reduction), 5 * draw(*shape), t)
    same(
        lambda f, x, t, w: f.binary_cross_entropy_with_logits(
            x, t.detach(), w.detach(), reduction=reduction, pos_weight=w.detach() + 0.5
        ),
        draw(*shape), t, w,
    )  # fmt: skip


def test_binary_at_the_ends():
    torch = pytest.importorskip("torch")
    x, t = np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    same(lambda f, x, t: f.binary_cross_entropy(x, t.detach(), reduction="none"), x, t, order=1, rtol=1e-8)
    logits = np.array([1000.0, -1000.0, 0.0, 1e8, -1e8], np.float32)
    a = tg.tensor(logits, requires_grad=True)
    b = torch.tensor(logits, requires_grad=True)
    ya = F.binary_cross_entropy_with_logits(a, tg.tensor(t.astype(np.float32)), reduction="none")
    yb = torch.nn.functional.binary_cross_entropy_with_logits(b, torch.tensor(t, dtype=torch.float32), reduction="none")
    np.testing.assert_allclose(ya.detach().numpy(), yb.detach().numpy(), rtol=1e-6)
    ya.sum().backward()
    yb.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-6)


def test_log_sigmoid():
    same(lambda f, x: f.logsigmoid(x), np.concatenate([10 * draw(40), [0.0, -1000.0, 1000.0, 40.0, -40.0]]))


def test_binary_refuses():
    half = tg.tensor(np.full(3, 0.5))
    with pytest.raises(ValueError, match=r"target has shape \(2,\), the input \(3,\)"):
        F.binary_cross_entropy(half, tg.tensor(np.zeros(2)))
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(half * 3, half)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_distances(reduction):
    x, t = 2 * draw(4, 5), draw(4, 5, seed=1)
    same(lambda f, x, t: f.mse_loss(x, t, reduction=reduction), x, t)
    same(lambda f, x, t: f.l1_loss(x, t, reduction=reduction), x, t)
    for edge in (0.5, 1.0, 3.0):
        same(lambda f, x, t, edge=edge: f.smooth_l1_loss(x, t, reduction=reduction, beta=edge), x, t)
        same(lambda f, x, t, edge=edge: f.huber_loss(x, t, reduction=reduction, delta=edge), x, t)
    same(lambda f, x, t: f.smooth_l1_loss(x, t, reduction=reduction, beta=0.0), x, t)


def test_distances_broadcast_with_a_warning():
    with pytest.warns(UserWarning, match=r"mse_loss: target of shape \(3,\) is not of the input's shape \(3, 1\)"):
        assert F.mse_loss(tg.tensor(draw(3, 1)), tg.tensor(draw(3)), reduction="none").shape == (3, 3)
    with pytest.raises(RuntimeError, match="do not broadcast"):
        F.l1_loss(tg.tensor(draw(3)), tg.tensor(draw(4)))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
def test_kl_div(reduction):
    log_p = np.log(np.abs(draw(4, 5)) + 0.1)
    q = np.abs(draw(4, 5, seed=1)) + 0.1
    same(lambda f, x, t: f.kl_div(x, t, reduction=reduction), log_p, q)
    same(lambda f, x, t: f.kl_div(x, t, reduction=reduction, log_target=True), log_p, np.log(q))
    q[0] = 0
    same(lambda f, x, t: f.kl_div(x, t.detach(), reduction=reduction), log_p, q)


@pytest.mark.parametrize(("name", "arguments"), [
    ("relu", {}), ("leaky_relu", {"negative_slope": 0.2}), ("elu", {"alpha": 1.3}), ("gelu", {}),
    ("gelu", {"approximate": "tanh"}), ("silu", {}), ("softplus", {"beta": 2.0, "threshold": 3.0})])  # fmt: skip
def test_activations(name, arguments):
    x = 3 * draw(5, 7)
    same(lambda f, x: getattr(f, name)(x, **arguments), x)
    if name in ("relu", "leaky_relu", "elu", "silu"):
        same(lambda f, x: getattr(f, name)(x * 2, **arguments, inplace=True), x, order=1)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "celu", "selu", "hardtanh", "relu6", "hardsigmoid",
                                  "hardswish", "softplus", "silu", "logsigmoid"])  # fmt: skip
def test_bent_activations_at_their_corners_and_of_nan(name):
    x = np.array([np.nan, -np.inf, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0])  # a vector: of what is left over, PyTorch's differ
    same(lambda f, x: getattr(f, name)(x), x, order=1, rtol=1e-7)


def test_settings_are_taken_anew_each_time():
    """A signature met before is found without checks, but never with another number, or with a tensor's old one."""
    x, slope = tg.tensor(np.array([-2.0])), tg.tensor(np.array(0.5))
    assert [F.leaky_relu(x, n).item() for n in (0.25, slope, 0.5, True, 0.25)] == [-0.5, -1.0, -1.0, -2.0, -0.5]
    slope.fill_(2.0)
    assert F.leaky_relu(x, slope).item() == -4.0
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"leaky_relu: expected a floating-point input, got .*int64"):
            F.leaky_relu(tg.tensor([1]))


def test_embedding():
    index = np.array([[0, 2], [2, 1]])
    same(lambda f, i, w: f.embedding(i, w), index, draw(4, 3))
    same(lambda f, i, w: f.embedding(i, w, padding_idx=-2), index, draw(4, 3))
    with pytest.raises(ValueError, match="padding_idx 4 is not one of the 4 rows"):
        F.embedding(tg.tensor(index), tg.tensor(draw(4, 3)), padding_idx=4)


@pytest.mark.parametrize("width", [128, 130])  # rows of whole vectors are used where they lie
def test_single_precision_is_close_to_double(backend, width):
    """The float kernels against the double reference."""
    rng = np.random.default_rng(5)
    x, g = rng.normal(size=(37, width)) * 4, rng.normal(size=(37, width))
    target = rng.integers(0, width, 37)
    for op, attrs, grads in [(norm.softmax_op, {"dim": 1}, norm.softmax_grad), (norm.softmax_op, {"dim": 0}, None),
                             (norm.log_softmax_op, {"dim": 1}, norm.log_softmax_grad)]:  # fmt: skip
        y = op.apply(tg.tensor(x.astype(np.float32)), **attrs).numpy()
        with backends.use("numpy"):
            exact = op.apply(tg.tensor(x), **attrs)
        np.testing.assert_allclose(y, exact.numpy(), rtol=3e-6, atol=1e-6)
        if grads is not None:
            dx = grads.apply(tg.tensor(g.astype(np.float32)), tg.tensor(y), **attrs).numpy()
            with backends.use("numpy"):
                np.testing.assert_allclose(dx, grads.apply(tg.tensor(g), exact, **attrs).numpy(), rtol=1e-5, atol=1e-5)
    args = tg.tensor(x.astype(np.float32)), tg.tensor(target)
    with backends.use("numpy"):
        exact = F.cross_entropy(tg.tensor(x), args[1], reduction="none").numpy()
    np.testing.assert_allclose(F.cross_entropy(*args, reduction="none").numpy(), exact, rtol=2e-6)
    with backends.use("numpy"):
        exact = _layer_norm_and_gradients(x, g)
    for value, wide in zip(_layer_norm_and_gradients(x.astype(np.float32), g.astype(np.float32)), exact, strict=True):
        np.testing.assert_allclose(value, wide, rtol=1e-5, atol=1e-5)


def _layer_norm_and_gradients(x, g):
    leaves = [tg.tensor(a, requires_grad=True) for a in (x, x[0], x[1])]
    y = F.layer_norm(leaves[0], x.shape[1:], *leaves[1:])
    return [t.detach().numpy() for t in (y, *tg.autograd.grad(y, leaves, tg.tensor(g)))]


def test_any_number_of_threads(backend):
    if backend != "c":
        pytest.skip("threads are the C core's")
    rng = np.random.default_rng(6)
    wide = rng.normal(size=(3000, 37)).astype(np.float32)
    x, target, weight = tg.tensor(wide, requires_grad=True), tg.tensor(rng.integers(0, 37, 3000)), tg.rand(37)
    results = []
    before = tg.get_num_threads()
    for threads in (1, 2, 3):
        tg.set_num_threads(threads)
        losses_of_classes = [loss(x, target, weight) for loss in (F.cross_entropy, F.nll_loss)]
        gradients = [tg.autograd.grad(loss, x)[0] for loss in losses_of_classes]
        results.append([F.softmax(x, 0).detach().numpy(), F.log_softmax(x, 1).detach().numpy(),
                        F.cross_entropy(x, target, reduction="none").detach().numpy(),
                        *[t.detach().numpy() for t in (*losses_of_classes, *gradients)],
                        *_layer_norm_and_gradients(wide, wide)])  # fmt: skip
    tg.set_num_threads(before)
    for a, b in itertools.pairwise(results):
        for p, q in zip(a, b, strict=True):
            np.testing.assert_array_equal(p, q)


def test_the_core_has_a_kernel_for_each(backend, monkeypatch):
    if backend != "c":
        pytest.skip("for the C core only")
    monkeypatch.setattr(backends, "fell_back", set())
    x = tg.tensor(draw(6, 7, 3))
    for y in (x, x.transpose(0, 2), x[:, :1].expand(6, 5, 3)):
        for dim in range(3):
            for op, grad in ((norm.softmax_op, norm.softmax_grad), (norm.log_softmax_op, norm.log_softmax_grad)):
                grad.apply(y, op.apply(y, dim=dim), dim=dim)
        for affine in ((), (tg.ones(y.shape[-1], dtype=y.dtype),) * 2):
            leaves = [t.detach().requires_grad_() for t in (y, *affine)]
            F.layer_norm(leaves[0], y.shape[-1:], *leaves[1:]).sum().backward()
    rows, target = tg.tensor(draw(5, 3)), tg.tensor(np.array([0, 1, 2, 0, 1]))
    planes, targets, weight = tg.tensor(draw(5, 3, 4)), tg.tensor(np.arange(20).reshape(5, 4) % 3), tg.tensor(draw(3))
    for reduction in ("none", "mean"):
        for logits, classes in ((rows, target), (rows.t().contiguous().t(), target), (planes, targets)):
            for loss in (F.cross_entropy, F.nll_loss):
                logits = logits.detach().requires_grad_()
                y = loss(logits, classes, weight, reduction=reduction)
                y.backward(tg.ones_like(y))
    losses.log_sigmoid(rows)
    losses.binary_cross_entropy(rows.square(), rows)
    losses.binary_cross_entropy_with_logits(rows.square(), rows)
    assert backends.fell_back == set()
