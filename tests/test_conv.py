"""Convolution, its transpose, unfold and fold against PyTorch over a grid of arguments; adjoints; layers; errors.

One row an argument stands in image_cases.py as well, for what test_ops.py checks of every op.
"""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import autograd, backends, nn
from tinygrad_edu.autograd import gradgradcheck
from tinygrad_edu.ops.conv import RELU, conv2d_grad_input, conv2d_grad_weight, conv2d_op
from tinygrad_edu.ops.fold import fold_op, unfold_op

DIRECT = [name for name in backends.available() if name != "numba"]  # which compiles for every signature


@pytest.fixture
def torch():
    library = pytest.importorskip("torch")
    before = library.get_num_threads()
    library.set_num_threads(1)  # quicker for so little work
    yield library
    library.set_num_threads(before)


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def compare(torch, name, *arrays, dtype="float64", tolerance=1e-11, **options):
    """F.name(*tensors, **options), its gradients and theirs, against PyTorch's, relative to the largest."""
    results = []
    for library in (tg, torch):
        xs = [library.tensor(a, dtype=getattr(library, dtype)).requires_grad_() for a in arrays]
        y = getattr(library.nn.functional, name)(*xs, **options)
        u = library.tensor(draw(*y.shape, seed=1), dtype=y.dtype).requires_grad_()
        first = library.autograd.grad(y, xs, u, create_graph=True)
        total = sum((g * library.tensor(draw(*g.shape, seed=2), dtype=g.dtype)).sum() for g in first)
        second = library.autograd.grad(total, [*xs, u], allow_unused=True)  # a bias has none
        results.append([y, *first, *second])
    for k, (mine, theirs) in enumerate(zip(*results, strict=True)):
        if mine is None or theirs is None:  # no path for a gradient, or one of zeros
            assert all(z is None or not z.numpy().any() for z in (mine, theirs)), k
        else:
            a, b = mine.detach().numpy(), theirs.detach().numpy()
            assert a.shape == b.shape and a.dtype == b.dtype, k
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)), err_msg=str(k))


# Values, gradients, second derivatives

GEOMETRY = list(
    itertools.product(
        [(1, 1), (3, 3), (2, 3), (5, 5)],  # kernel
        [1, 2, (3, 1)],  # stride
        [0, 1, (2, 1)],  # padding
        [1, (1, 2)],  # dilation
    )
)
GROUPS = [(1, 2, 3), (2, 4, 6), (3, 3, 3), (4, 4, 8)]  # groups, input channels, output channels: dense to depthwise


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("groups, c, k", GROUPS)
def test_conv2d_equals_pytorch(torch, backend, groups, c, k):
    with backends.use(backend):
        for kernel, stride, padding, dilation in GEOMETRY[groups - 1 :: 4]:  # all of them, over the four
            options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            compare(torch, "conv2d", draw(2, c, 9, 11), draw(k, c // groups, *kernel), draw(k), **options)


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize(
    "x, w, options",
    [
        ((3, 1, 28, 28), (32, 1, 3, 3), {"padding": 1}),
        ((2, 3, 17, 15), (16, 3, 3, 3), {}),
        ((2, 17, 16, 16), (33, 17, 3, 3), {"padding": 1}),
        ((1, 32, 14, 14), (64, 32, 3, 3), {"padding": "same"}),
        ((2, 16, 15, 15), (8, 16, 5, 5), {"stride": 2, "padding": 2}),
        ((5, 64, 7, 7), (32, 64, 1, 1), {}),
        ((2, 32, 9, 9), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
        ((2, 8, 13, 13), (12, 4, 3, 3), {"dilation": 2, "groups": 2}),
    ],
    ids=str,
)
def test_conv2d_of_networks_equals_pytorch(torch, backend, x, w, options):
    """Sizes at which kernels take their fast paths, in float32 as well: the error is that of a sum of so many terms."""
    with backends.use(backend):
        arrays = draw(*x), draw(*w) / np.sqrt(np.prod(w[1:])), draw(w[0])
        compare(torch, "conv2d", *arrays, **options)
        compare(torch, "conv2d", *arrays, dtype="float32", tolerance=2e-5, **options)


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("groups, c, k", GROUPS)
def test_conv1d_equals_pytorch(torch, backend, groups, c, k):
    with backends.use(backend):
        grid = list(itertools.product([1, 2, 5], [1, 2, 3], [0, 1, 4], [1, 2]))
        for kernel, stride, padding, dilation in grid[groups - 1 :: 4]:
            options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            compare(torch, "conv1d", draw(2, c, 13), draw(k, c // groups, kernel), **options)


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("groups, c, k", GROUPS)
def test_conv_transpose_equals_pytorch(torch, backend, groups, c, k):
    kernels, strides, paddings, dilations, more = [(2, 3), (4, 4)], [1, (2, 3)], [0, 1], [1, 2], [0, 1]
    with backends.use(backend):
        grid = list(itertools.product(kernels, strides, paddings, dilations, more))
        for kernel, *values in grid[(groups - 1) % 3 :: 3]:
            options = dict(zip(("stride", "padding", "dilation", "output_padding"), values, strict=True))
            if options["output_padding"] and options["stride"] == options["dilation"] == 1:
                continue  # too much
            weight = draw(c, k // groups, *kernel)
            compare(torch, "conv_transpose2d", draw(2, c, 4, 5), weight, draw(k), groups=groups, **options)
        options = {"stride": 3, "padding": 1, "output_padding": 2, "groups": groups, "dilation": 2}
        compare(torch, "conv_transpose1d", draw(2, c, 5), draw(c, k // groups, 4), draw(k), **options)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch copies, as we do
@pytest.mark.parametrize("backend", DIRECT)
def test_padding_same_and_valid(torch, backend):
    """An even reach (kernel - 1) * dilation pads both sides alike, an odd one more at the end."""
    with backends.use(backend):
        for kernel, dilation in itertools.product([(1, 2), (2, 2), (3, 4), (4, 5), (3, 3)], [1, 2, (3, 1)]):
            for padding in ("same", "valid"):
                options = {"padding": padding, "dilation": dilation}
                compare(torch, "conv2d", draw(2, 2, 10, 9), draw(3, 2, *kernel), **options)
            assert F.conv2d(tg.ones(2, 10, 9), tg.ones(3, 2, *kernel), padding="same").shape == (3, 10, 9)
            compare(torch, "conv1d", draw(2, 8), draw(3, 2, kernel[1]), padding="same")


@pytest.mark.parametrize("backend", DIRECT)
def test_unfold_and_fold_equal_pytorch(torch, backend):
    with backends.use(backend):
        for kernel, stride, padding, dilation in GEOMETRY[::2]:
            options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
            compare(torch, "unfold", draw(2, 3, 9, 11), **options)
            columns = F.unfold(tg.ones(2, 3, 9, 11), **options)
            compare(torch, "fold", draw(*columns.shape), output_size=(9, 11), **options)
        compare(torch, "fold", draw(8, 9), output_size=9, kernel_size=2, stride=3)  # without a batch
        mask = draw(2, 3, 5, 5) > 0
        got = F.fold(F.unfold(tg.tensor(mask), 2), 5, 2)
        assert got.dtype is tg.bool_ and (got.numpy() == mask).all()


def test_conv2d_is_unfold_and_matmul():
    x, w = tg.tensor(draw(2, 3, 8, 9)), tg.tensor(draw(5, 3, 3, 2))
    columns = F.unfold(x, (3, 2), stride=(2, 1), padding=1)
    got = tg.conv2d(x, w, stride=(2, 1), padding=1)
    np.testing.assert_allclose(got.numpy(), (w.reshape(5, -1) @ columns).reshape(got.shape).numpy(), atol=1e-13)


@pytest.mark.parametrize("backend", DIRECT)
def test_other_layouts(backend):
    """Transposed, sliced and expanded inputs and cotangents give what their copies give."""
    with backends.use(backend):
        x, w = tg.tensor(draw(2, 3, 7, 6)), tg.tensor(draw(4, 3, 3, 3))
        y = F.conv2d(x, w, padding=1)
        turned = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        stepped = tg.stack([w, w], -1)[..., 0]
        assert not turned.is_contiguous() and not stepped.is_contiguous()
        assert F.conv2d(turned, stepped, padding=1).numpy().tobytes() == y.numpy().tobytes()
        same = x[:1].expand(2, 3, 7, 6)
        assert (F.conv2d(same, w).numpy() == F.conv2d(same.clone(), w).numpy()).all()
        w.requires_grad_()
        F.conv2d(x, w).sum().backward()  # the cotangent is one number, expanded
        (g,) = autograd.grad(F.conv2d(x, w), w, tg.ones(2, 4, 5, 4, dtype=tg.float64))
        np.testing.assert_allclose(w.grad.numpy(), g.numpy(), rtol=1e-13)


def test_integers_equal_pytorch(torch):
    x, w = np.arange(50).reshape(1, 2, 5, 5), np.arange(-18, 18).reshape(2, 2, 3, 3)
    for dtype in ("int64", "int32"):
        y = tg.conv2d(tg.tensor(x, dtype=getattr(tg, dtype)), tg.tensor(w, dtype=getattr(tg, dtype)), padding=1)
        z = torch.conv2d(*[torch.tensor(a, dtype=getattr(torch, dtype)) for a in (x, w)], padding=1)
        assert y.dtype is getattr(tg, dtype) and (y.numpy() == z.numpy()).all()


@pytest.mark.parametrize("backend", DIRECT)
def test_empty_batches_and_channels(torch, backend):
    with backends.use(backend):
        compare(torch, "conv2d", draw(0, 3, 5, 5), draw(4, 3, 3, 3), draw(4), padding=1)
        y = tg.conv2d(tg.ones(2, 0, 5, 5), tg.ones(4, 0, 3, 3), tg.ones(4))
        assert y.shape == (2, 4, 3, 3) and (y.numpy() == 1).all()
        assert F.unfold(tg.ones(0, 3, 5, 5), 3).shape == (0, 27, 9)
        assert F.fold(tg.ones(0, 27, 9), 5, 3).shape == (0, 3, 5, 5)


@pytest.mark.parametrize("backend", backends.available())
def test_relu_at_the_end(backend):
    """What a recorded step is fused to: the same bits as relu after it, and no gradient of its own."""
    attrs = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    with backends.use(backend):
        for d in (tg.float32, tg.float64):
            xs = [tg.tensor(draw(*s), dtype=d) for s in ((2, 3, 9, 8), (17, 3, 3, 3), (17,))]
            y = conv2d_op(*xs, **attrs, activation=RELU)
            assert y.numpy().tobytes() == tg.relu(F.conv2d(*xs, padding=1)).numpy().tobytes()
        xs[0].requires_grad_()
        with pytest.raises(RuntimeError, match="conv2d with an activation has no gradient"):
            conv2d_op(*xs, **attrs, activation=RELU).sum().backward()


# Adjoints: each op is linear, and the family's others are its transposes

sizes = st.sampled_from([1, 2, 3, 5, 8, 9, 16, 17])


# Stride 1 and padding that keeps the size: kernels take a plane as one row, here also one of height 1.
ALIKE = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
KEEPING_SIZE = (2, 3, 1, 6), (4, 3, 3, 3), ALIKE


@st.composite
def geometries(draw):
    """Shapes of picture and weight, and attributes, such that some window fits."""
    groups = draw(st.integers(1, 3))
    attrs = {name: (draw(st.integers(low, 3)), draw(st.integers(low, 3))) for name, low in
             (("stride", 1), ("padding", 0), ("dilation", 1))}  # fmt: skip
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    least = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, attrs["dilation"], attrs["padding"], strict=True)]
    picture = [max(n, 1) + draw(st.integers(0, 9)) for n in least]
    c, k = draw(sizes), draw(sizes)
    return (draw(st.integers(1, 3)), c * groups, *picture), (k * groups, c, *kernel), {**attrs, "groups": groups}


@pytest.mark.parametrize("backend", backends.available())
@given(geometry=geometries(), seed=st.integers(0, 1000))
@example(geometry=KEEPING_SIZE, seed=0)
@settings(max_examples=60, deadline=None)
def test_adjoint_identity(backend, geometry, seed):
    """<conv(x, w), u> = <x, grad_input(u, w)> = <w, grad_weight(u, x)>, for any x, w and u."""
    picture, weight, attrs = geometry
    with backends.use(backend):
        x, w = tg.tensor(draw(*picture, seed=seed)), tg.tensor(draw(*weight, seed=seed))
        y = conv2d_op(x, w, **attrs, activation=0)
        u = tg.tensor(draw(*y.shape, seed=seed))
        dx = conv2d_grad_input(u, w, size=picture[2:], **attrs)
        dw = conv2d_grad_weight(u, x, kernel=weight[2:], **attrs)
        for t, shape in ((x, picture), (w, weight), (u, y.shape)):
            assert (t.numpy() == draw(*shape, seed=seed)).all()  # no kernel changes what it reads
        expected = (y * u).sum().item()
        scale = 1e-12 * (y.norm() * u.norm()).item() + 1e-12
        assert dx.shape == x.shape and dw.shape == w.shape
        assert abs((dx * x).sum().item() - expected) <= scale
        assert abs((dw * w).sum().item() - expected) <= scale


@pytest.mark.parametrize("backend", backends.available())
@given(geometry=geometries(), seed=st.integers(0, 1000))
@example(geometry=KEEPING_SIZE, seed=0)
@settings(max_examples=40, deadline=None)
def test_fold_is_the_adjoint_of_unfold(backend, geometry, seed):
    picture, (_, _, *kernel), attrs = geometry
    attrs = {"kernel": tuple(kernel), **{name: attrs[name] for name in ("stride", "padding", "dilation")}}
    with backends.use(backend):
        x = tg.tensor(draw(*picture, seed=seed))
        y = unfold_op(x, **attrs)
        u = tg.tensor(draw(*y.shape, seed=seed))
        back = fold_op(u, size=picture[2:], **attrs)
        assert back.shape == x.shape and (u.numpy() == draw(*u.shape, seed=seed)).all()
        assert abs((y * u).sum().item() - (back * x).sum().item()) <= 1e-12 * (1 + (y.norm() * u.norm()).item())


@pytest.mark.parametrize("backend", DIRECT)
@given(geometry=geometries())
@settings(max_examples=15, deadline=None)
def test_second_derivatives(backend, geometry):
    (n, _, h, w), (_, _, *kernel), attrs = geometry
    groups = attrs["groups"]
    with backends.use(backend):
        xs = [
            tg.tensor(draw(*s), requires_grad=True)
            for s in ((n, groups, h, w), (2 * groups, 1, *kernel), (2 * groups,))
        ]
        assert gradgradcheck(lambda *xs: F.conv2d(*xs, **attrs), xs, fast_mode=True, eps=1e-5, atol=1e-7, rtol=1e-5)


@pytest.mark.skipif("c" not in DIRECT, reason="the C core is not here")
@pytest.mark.parametrize("d", [tg.float32, tg.float64], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(d):
    before, seen = tg.get_num_threads(), []
    cases = [((9, 16, 21, 19), (32, 16, 3, 3), {"padding": 1}), ((33, 1, 28, 28), (32, 1, 3, 3), {}),
             ((8, 8, 17, 17), (16, 4, 5, 5), {"stride": 2, "padding": 2, "groups": 2}),
             ((4, 64, 14, 14), (32, 64, 1, 1), {})]  # fmt: skip
    try:
        for threads in (1, 2, 3, 1):
            tg.set_num_threads(threads)
            bits = []
            for x, w, options in cases:
                xs = [tg.tensor(draw(*s), dtype=d, requires_grad=True) for s in (x, w, w[:1])]
                y = F.conv2d(*xs, **options)
                u = tg.tensor(draw(*y.shape), dtype=d)
                bits += [t.detach().numpy().tobytes() for t in (y, *autograd.grad(y, xs, u))]
            bits.append(F.unfold(xs[0], 3).detach().numpy().tobytes())
            bits.append(F.fold(F.unfold(xs[0], 3), 14, 3).detach().numpy().tobytes())
            seen.append(bits)
    finally:
        tg.set_num_threads(before)
    assert all(bits == seen[0] for bits in seen)


@pytest.mark.parametrize("backend", DIRECT)
def test_replayed_step_equals_the_eager_one(backend):
    def train(replayed):
        tg.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.ReLU(),
            nn.ConvTranspose2d(6, 2, 2, stride=2), nn.Flatten(), nn.Linear(288, 3),
        )  # fmt: skip
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)

        def step(x, target):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            return loss

        step = tg.replay(step) if replayed else step
        target = tg.tensor([0, 1, 2, 0, 1])
        losses = [step(tg.tensor(draw(5, 1, 14, 14, seed=k), dtype=tg.float32), target).item() for k in range(5)]
        return losses, [p.detach().numpy().tobytes() for p in model.parameters()]

    with backends.use(backend):
        assert train(True) == train(False)


def test_flops():
    """Two for each product; the same for the forward pass and both gradients."""
    x, w = tg.ones(2, 4, 6, 7), tg.ones(6, 2, 3, 3)
    attrs = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 2}
    expected = 2 * (2 * 6 * 6 * 7) * (2 * 3 * 3)
    u = tg.ones(2, 6, 6, 7)
    for op, operands, values in (  # kernels know attributes by their order
        (conv2d_op, (x, w), {**attrs, "activation": 0}),
        (conv2d_grad_input, (u, w), {"size": (6, 7), **attrs}),
        (conv2d_grad_weight, (u, x), {"kernel": (3, 3), **attrs}),
    ):
        assert op.flops(op.spec(operands, values)) == expected


# Errors

ONES, WEIGHT = np.ones((2, 3, 5, 5), np.float32), np.ones((4, 3, 3, 3), np.float32)
BAD = [
    ("conv2d", (ONES, WEIGHT.astype("float64")), {}, RuntimeError, "conv2d: expected one dtype, got .*float64"),
    ("conv2d", (ONES, WEIGHT, np.ones(4)), {}, RuntimeError, "expected one dtype"),
    ("conv2d", (ONES, WEIGHT[:, :2]), {}, RuntimeError, r"takes 2 input channels, but the input \(2, 3, 5, 5\) has 3"),
    ("conv2d", (ONES, WEIGHT, WEIGHT[0, 0, 0]), {}, RuntimeError, r"bias has shape \(3,\), expected \(4,\)"),
    ("conv2d", (ONES, WEIGHT, WEIGHT[:, 0, 0]), {}, RuntimeError, r"bias has shape \(4, 3\)"),
    ("conv2d", (ONES[..., :2], WEIGHT), {}, RuntimeError, r"kernel of size \(3, 3\).*which has size \(5, 2\)"),
    ("conv2d", (ONES, WEIGHT), {"dilation": 3}, RuntimeError, r"kernel of size \(7, 7\) \(with dilation \(3, 3\)\)"),
    ("conv2d", (ONES, WEIGHT), {"stride": 0}, RuntimeError, r"stride of at least 1, got \(0, 0\)"),
    ("conv2d", (ONES, WEIGHT), {"stride": (1, 2, 3)}, RuntimeError, r"an int or 2 of them, got \(1, 2, 3\)"),
    ("conv2d", (ONES, WEIGHT), {"stride": 1.5}, TypeError, "stride must be an int or 2 of them, got 1.5"),
    ("conv2d", (ONES, WEIGHT), {"padding": -1}, RuntimeError, "padding of at least 0"),
    ("conv2d", (ONES, WEIGHT), {"dilation": 0}, RuntimeError, "dilation of at least 1"),
    ("conv2d", (ONES, WEIGHT), {"padding": "full"}, RuntimeError, "'same', 'valid' or ints, got 'full'"),
    ("conv2d", (ONES, WEIGHT), {"padding": "same", "stride": 2}, RuntimeError, "not supported for a stride"),
    ("conv2d", (ONES, WEIGHT), {"groups": 0}, RuntimeError, "groups must be positive, got 0"),
    ("conv2d", (ONES, WEIGHT), {"groups": 2}, RuntimeError, "with groups=2 takes 6 input channels"),
    ("conv2d", (ONES, WEIGHT), {"groups": 3}, RuntimeError, "multiple of groups=3"),
    ("conv2d", (ONES, WEIGHT[:0]), {}, RuntimeError, "positive multiple of groups=1"),
    ("conv2d", (ONES[0, 0], WEIGHT), {}, RuntimeError, r"input of 3 dimensions, or 4 with a batch, got \(5, 5\)"),
    ("conv2d", (ONES, WEIGHT[0]), {}, RuntimeError, r"weight of 4 dimensions, got shape \(3, 3, 3\)"),
    ("conv2d", (ONES[:, :, :0], WEIGHT), {"padding": 2}, RuntimeError, "only the batch and the channels may be empty"),
    ("conv2d", (ONES > 0, WEIGHT > 0), {}, RuntimeError, "conv2d is not supported for bool"),
    ("conv1d", (ONES, WEIGHT[0]), {}, RuntimeError, r"conv1d: expected an input of 2 dimensions, or 3 with a batch"),
    ("conv1d", (ONES[0], WEIGHT[0]), {}, RuntimeError, r"conv1d: weight \(3, 3, 3\).*\(3, 5, 5\) has 5"),
    ("conv1d", (ONES[0, :1], WEIGHT[0, :, :1]), {"padding": (1, 1)}, RuntimeError, "padding to be an int or 1 of them"),
    ("conv_transpose2d", (ONES, WEIGHT), {}, RuntimeError, "takes 4 input channels, but the input .* has 3"),
    ("conv_transpose2d", (ONES, WEIGHT[:3]), {"output_padding": 1}, RuntimeError, "below the stride or the dilation"),
    ("conv_transpose2d", (ONES, WEIGHT[:3]), {"output_padding": -1}, RuntimeError, "output_padding must be from 0"),
    ("conv_transpose2d", (ONES, WEIGHT[:3]), {"padding": 4}, RuntimeError, r"would have size \(-1, -1\)"),
    ("conv_transpose2d", (ONES, WEIGHT[:3], ONES[0, 0, 0]), {}, RuntimeError, r"shape \(5,\), expected \(3,\)"),
    ("conv_transpose2d", (ONES, WEIGHT[:3]), {"groups": 2}, RuntimeError, "multiple of groups=2"),
    ("conv_transpose1d", (ONES[0], WEIGHT[0]), {}, RuntimeError, "conv_transpose1d: .* takes 3 input channels"),
    ("unfold", (ONES[0, 0], 3), {}, (RuntimeError, IndexError), "3 dimensions, or 4 with a batch"),
    ("unfold", (ONES, 7), {}, RuntimeError, r"no window of kernel_size \(7, 7\).*input of size \(5, 5\)"),
    ("unfold", (ONES, 0), {}, RuntimeError, "kernel size of at least 1"),
    ("unfold", (ONES, (2, 2, 2)), {}, RuntimeError, "kernel_size to be an int or 2 of them"),
    ("unfold", (ONES.astype("int64"), 2), {}, NotImplementedError, "floating-point numbers or bools, got .*int64"),
    ("unfold", (ONES[:, :0], 2), {}, RuntimeError, "only the batch may be empty"),
    ("fold", (np.ones((2, 13, 16)), 5, 2), {}, RuntimeError, "13 rows .* expected a multiple of 4"),
    ("fold", (np.ones((2, 12, 15)), 5, 2), {}, RuntimeError, r"15 windows .* expected 4 \* 4 = 16"),
    ("fold", (np.ones((2, 12, 16, 1)), 5, 2), {}, RuntimeError, "2 dimensions, or 3 with a batch"),
]  # fmt: skip


@pytest.mark.parametrize("name, arguments, options, error, message", BAD, ids=lambda x: str(x)[:40])
def test_errors_name_what_was_given(name, arguments, options, error, message):
    given = [tg.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with pytest.raises(error, match=message):
        getattr(F, name)(*given, **options)


@pytest.mark.parametrize("name, arguments, options, error, message", BAD, ids=lambda x: str(x)[:40])
def test_pytorch_refuses_the_same(torch, name, arguments, options, error, message):
    given = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with pytest.raises(error):
        getattr(torch.nn.functional, name)(*given, **options)


def test_primitives_check_their_shapes():
    attrs = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    x, w, u = tg.ones(2, 3, 5, 5), tg.ones(4, 3, 3, 3), tg.ones(2, 4, 3, 3)
    with pytest.raises(
        RuntimeError, match=r"conv2d_grad_input: grad has shape \(2, 4, 3, 3\), expected \(2, 4, 4, 3\)"
    ):
        conv2d_grad_input(u, w, size=(6, 5), **attrs)
    with pytest.raises(RuntimeError, match=r"conv2d_grad_weight: grad has shape .* expected \(2, 4, 4, 4\)"):
        conv2d_grad_weight(u, x, kernel=(2, 2), **attrs)
    with pytest.raises(RuntimeError, match=r"conv2d_grad_weight: grad .* don't fit"):
        conv2d_grad_weight(u[:1], x, kernel=(3, 3), **attrs)
    with pytest.raises(RuntimeError, match="expected one dtype"):
        conv2d_grad_input(u.double(), w, size=(5, 5), **attrs)


# Layers

LAYERS = [
    ("Conv1d", (4, 6, 3), {}, (2, 4, 9)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, (2, 4, 9)),
    ("Conv2d", (3, 8, 3), {"padding": 1}, (2, 3, 7, 6)),
    ("Conv2d", (4, 6, (3, 2), (2, 1)), {"groups": 2, "bias": False, "dilation": (1, 2)}, (2, 4, 7, 6)),
    ("Conv2d", (3, 4, 2), {"padding": "same", "padding_mode": "reflect"}, (2, 3, 7, 6)),
    ("Conv2d", (3, 4, 3), {"padding": (1, 2), "padding_mode": "replicate"}, (2, 3, 7, 6)),
    ("Conv2d", (3, 4, 3), {"padding": (2, 1), "padding_mode": "circular", "stride": 2}, (3, 7, 6)),
    ("Conv2d", (3, 4, 3), {"padding": "valid", "padding_mode": "reflect"}, (3, 7, 6)),
    ("Conv2d", (3, 4, (2, 3)), {"padding": "same"}, (3, 7, 6)),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "groups": 2, "output_padding": 1}, (2, 4, 9)),
    ("ConvTranspose2d", (4, 6, 3, 2), {"padding": 1, "output_padding": (1, 0), "groups": 2}, (2, 4, 5, 6)),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"bias": False, "dilation": 2}, (4, 5, 6)),
    ("Unfold", (3,), {"padding": 1}, (2, 3, 5, 6)),
    ("Fold", ((5, 6), (2, 3)), {}, (2, 18, 16)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name, arguments, options, shape", LAYERS, ids=str)
def test_layers_equal_pytorch(torch, name, arguments, options, shape):
    """Text, names and shapes of parameters, and the result once they are copied."""
    mine, theirs = (getattr(t.nn, name)(*arguments, **options) for t in (tg, torch))
    assert repr(mine) == repr(theirs)
    state = {key: tg.tensor(value.numpy()) for key, value in theirs.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in mine.state_dict().items()} == {k: tuple(v.shape) for k, v in state.items()}
    mine.load_state_dict(state)
    x = draw(*shape).astype(np.float32)
    np.testing.assert_allclose(mine(tg.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=2e-6)
    for key, value in vars(theirs).items():
        if not key.startswith("_") and key != "transposed":
            assert getattr(mine, key) == value, key


@pytest.mark.parametrize("name, groups", [("Conv2d", 1), ("Conv2d", 4), ("ConvTranspose2d", 2), ("Conv1d", 1)])
def test_initial_values(torch, name, groups):
    """Uniform within 1 / sqrt(size 1 of the weight * kernel elements), as PyTorch's: the bound is nearly reached."""
    mine, theirs = (getattr(t.nn, name)(32, 64, 5, groups=groups) for t in (tg, torch))
    bound = 1 / np.sqrt(np.prod(mine.weight.shape[1:]))
    for p, q in ((mine.weight, theirs.weight), (mine.bias, theirs.bias)):
        a, b = np.abs(p.detach().numpy()), np.abs(q.detach().numpy())
        assert 0.8 * bound < a.max() <= bound * 1.000001 and 0.8 * bound < b.max() <= bound * 1.000001
    assert abs(mine.weight.detach().numpy().std() / (bound / np.sqrt(3)) - 1) < 0.05


@pytest.mark.parametrize("shape, groups", [((3, 3, 5), 1), ((4, 2, 3, 3), 2), ((2, 5, 3, 4), 1), ((6, 2, 2, 3), 3)])
def test_dirac_passes_channels_on(torch, shape, groups):
    mine, theirs = (t.nn.init.dirac_(t.ones(*shape), groups) for t in (tg, torch))
    assert (mine.numpy() == theirs.numpy()).all()
    x = tg.tensor(draw(2, shape[1] * groups, *[9] * (len(shape) - 2)), dtype=tg.float32)
    y = (F.conv1d if len(shape) == 3 else F.conv2d)(x, mine, padding="same", groups=groups)
    if shape[0] == shape[1] * groups and all(n % 2 for n in shape[2:]):
        assert (y.numpy() == x.numpy()).all()
    with pytest.raises(ValueError, match="must be divisible by groups=7"):
        nn.init.dirac_(mine, 7)
    with pytest.raises(ValueError, match="3, 4, or 5 dimensions"):
        nn.init.dirac_(tg.ones(3, 3))


def test_output_size(torch):
    mine, theirs = (t.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1) for t in (tg, torch))
    for size in ([9, 11], (10, 12), (2, 6, 10, 11)):
        shape = mine(tg.ones(2, 4, 5, 6), output_size=size).shape
        assert shape == theirs(torch.ones(2, 4, 5, 6), output_size=size).shape and shape[2:] == tuple(size[-2:])
    with pytest.raises(ValueError, match=r"output_size must be from \[9, 11\] to \[10, 12\].*got \(11, 13\)"):
        mine(tg.ones(2, 4, 5, 6), output_size=(11, 13))
    with pytest.raises(ValueError, match="must have 2 or 4 elements"):
        mine(tg.ones(2, 4, 5, 6), output_size=(10,))


@pytest.mark.parametrize(
    "name, arguments, options, message",
    [
        ("Conv2d", (3, 4, 3), {"groups": 2}, "in_channels=3 must be divisible by groups=2"),
        ("Conv2d", (4, 3, 3), {"groups": 2}, "out_channels=3 must be divisible by groups=2"),
        ("Conv2d", (3, 4, 3), {"groups": 0}, "groups must be a positive integer, got 0"),
        ("Conv2d", (3, 4, 3), {"padding_mode": "mirror"}, "padding_mode must be one of .* got 'mirror'"),
        ("Conv2d", (3, 4, 3), {"padding": "full"}, "padding must be 'same', 'valid' or ints, got 'full'"),
        ("Conv2d", (3, 4, 3), {"padding": "same", "stride": 2}, "not supported for strided"),
        ("ConvTranspose2d", (3, 4, 3), {"padding_mode": "reflect"}, "only padding_mode='zeros' is supported"),
    ],
)
def test_layers_refuse_what_pytorch_refuses(torch, name, arguments, options, message):
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        getattr(nn, name)(*arguments, **options)
    with pytest.raises(ValueError):
        getattr(torch.nn, name)(*arguments, **options)
