"""Resampling, padding and dropout of channels beyond the rows of image_cases.py: PyTorch's geometry, errors, layers.

Read next: ops/interpolate.py.
"""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import backends, nn

BACKENDS = [name for name in backends.available() if name != "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with backends.use(request.param):
        yield request.param


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "bilinear"])
def test_interpolate_is_pytorchs(backend, mode, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for size, aligned in itertools.product([1, 2, 3, 7, 8, 16, 19], [None, True, False]):
        if aligned is not None and "near" in mode:
            continue
        for shape in [(2, 3, 7), (2, 3, 8, 5)]:
            if mode in ("linear", "bilinear") and (mode == "linear") != (len(shape) == 3):
                continue
            array = rng.standard_normal(shape).astype(dtype)
            x, t = tg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
            y = F.interpolate(x, size, mode=mode, align_corners=aligned)
            z = torch.nn.functional.interpolate(t, size, mode=mode, align_corners=aligned)
            np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), tolerance, tolerance)
            u = rng.standard_normal(y.shape).astype(dtype)
            y.backward(tg.tensor(u))
            z.backward(torch.tensor(u))
            np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), tolerance * 10, tolerance * 10)


def test_a_scale_factor_is_taken_as_given():
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(1).standard_normal((1, 2, 7, 9))
    for scale, again in itertools.product([0.6, 1.7, (1.3, 2.9)], [None, True, False]):
        keywords = {"scale_factor": scale, "mode": "bilinear", "recompute_scale_factor": again}
        z = torch.nn.functional.interpolate(torch.tensor(array), **keywords)
        np.testing.assert_allclose(F.interpolate(tg.tensor(array), **keywords).numpy(), z.numpy(), 1e-12, 1e-12)


def test_the_gradient_of_nearest_is_its_transpose(backend):
    """Also where a scale factor leaves the size as it was, and the map is the identity."""
    for scale in (1.1, 2.05, 0.7):
        x = tg.arange(7.0).reshape(1, 1, 7).requires_grad_()
        y = F.interpolate(x, scale_factor=scale)
        u = tg.arange(1.0, y.numel() + 1).reshape(y.shape)
        y.backward(u)
        assert (x.grad * x).sum().item() == (y * u).sum().item()


def test_nearest_takes_bytes():
    x = tg.arange(6, dtype=tg.uint8).reshape(1, 1, 2, 3)
    y = F.interpolate(x, scale_factor=2)
    assert y.dtype is tg.uint8 and y[0, 0, 2].tolist() == [3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({}, ValueError, "either size or scale_factor"),
        ({"size": 3, "scale_factor": 2}, ValueError, "either size or scale_factor"),
        ({"size": (3, 3, 3)}, ValueError, "size must be a number or 2 of them"),
        ({"size": 2.5}, TypeError, "size must be an int"),
        ({"scale_factor": (2,)}, ValueError, "scale_factor must be a number or 2"),
        ({"size": 3, "align_corners": True}, ValueError, "align_corners"),
        ({"size": 3, "recompute_scale_factor": True}, ValueError, "recompute_scale_factor"),
        ({"size": 3, "mode": "linear"}, NotImplementedError, r"'linear' for an input of shape \(1, 2, 4, 4\)"),
        ({"size": 3, "mode": "quartic"}, NotImplementedError, "'quartic' for an input of shape"),
        ({"size": 3, "mode": "area", "antialias": True}, ValueError, "antialias is for modes bilinear and bicubic"),
        ({"size": 3, "mode": "nearest", "align_corners": False}, ValueError, "align_corners"),
        ({"size": 0}, RuntimeError, "greater than 0"),
        ({"scale_factor": 0.1}, RuntimeError, "greater than 0"),
    ],
)
def test_interpolate_errors(keywords, error, message):
    with pytest.raises(error, match=message):
        F.interpolate(tg.zeros(1, 2, 4, 4), **keywords)


def test_pad_errors():
    x = tg.zeros(2, 3, 4, 5)
    for mode in ("reflect", "replicate", "circular"):
        with pytest.raises(NotImplementedError, match=f"mode '{mode}' pads the last"):
            F.pad(x, (1, 1), mode=mode)
        with pytest.raises(ValueError, match="takes no value"):
            F.pad(x, (1, 1, 1, 1), mode=mode, value=1.0)
    with pytest.raises(RuntimeError, match="can't pad dimension 3 of size 5"):
        F.pad(x, (5, 0, 0, 0), mode="reflect")
    with pytest.raises(RuntimeError, match="nothing empty but the batch"):
        F.pad(tg.zeros(2, 0, 4), (1, 1), mode="reflect")
    assert F.pad(tg.zeros(0, 3, 4), (1, 1), mode="reflect").shape == (0, 3, 6)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pads_of_all_kinds_are_pytorchs(backend, mode):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    for shape, counts in [
        ((3, 5), (2, 1)),
        ((2, 3, 5), (4, 4)),
        ((2, 3, 4, 5), (-1, 3, 2, -2)),
        ((3, 4, 5), (0, 0, 1, 0)),
        ((1, 2, 3, 4, 5), (1, 2, 3, 0, 0, 2)),
    ]:
        array = rng.standard_normal(shape)
        x, t = tg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        y, z = F.pad(x, counts, mode=mode), torch.nn.functional.pad(t, counts, mode=mode)
        np.testing.assert_array_equal(y.detach().numpy(), z.detach().numpy())
        u = rng.standard_normal(y.shape)
        y.backward(tg.tensor(u))
        z.backward(torch.tensor(u))
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), 1e-12)


def test_pixel_shuffle_errors():
    with pytest.raises(RuntimeError, match="pixel_shuffle: upscale_factor 2 does not fit"):
        F.pixel_shuffle(tg.zeros(1, 3, 2, 2), 2)
    with pytest.raises(RuntimeError, match="pixel_unshuffle: downscale_factor 2 does not divide"):
        F.pixel_unshuffle(tg.zeros(1, 3, 2, 3), 2)
    x = tg.randn(2, 8, 3, 4)
    assert tg.equal(tg.pixel_unshuffle(tg.pixel_shuffle(x, 2), 2), x)


@pytest.mark.parametrize(
    ("function", "shape", "channels"),
    [
        (F.dropout1d, (40, 50, 3), (40, 50, 1)),
        (F.dropout1d, (2000, 3), (2000, 1)),
        (F.dropout2d, (40, 50, 2, 3), (40, 50, 1, 1)),
        (F.dropout2d, (40, 50, 3), (40, 50, 1)),  # as PyTorch takes it: N, C, L
    ],
)
def test_dropout_takes_whole_channels(function, shape, channels):
    tg.manual_seed(0)
    x = tg.rand(*shape) + 1
    x.requires_grad_()
    y = function(x, 0.3)
    factor = (y / x).detach()
    rows = factor.reshape(*[n for n in channels if n > 1], -1)
    assert tg.allclose(rows, rows[..., :1].expand(rows.shape))
    share = (factor == 0).to(tg.float32).mean().item()
    assert abs(share - 0.3) < 0.04
    assert tg.allclose(factor[factor != 0], tg.tensor(1 / 0.7))
    y.sum().backward()
    assert tg.allclose(x.grad, factor)
    assert function(x, 0.3, training=False) is x and function(x, 0.0) is x
    assert function(x.detach(), 1.0).abs().max().item() == 0


def test_dropout_of_channels_errors():
    with pytest.raises(RuntimeError, match="dropout1d: expected 2 or 3 dimensions"):
        F.dropout1d(tg.zeros(1, 2, 3, 4))
    with pytest.warns(UserWarning, match="dropout2d: expected 4 dimensions"):
        F.dropout2d(tg.zeros(2, 3))
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout2d(tg.zeros(1, 2, 3, 4), 1.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.Upsample(scale_factor=2),
        lambda nn: nn.Upsample(size=(3, 4), mode="bilinear", align_corners=True),
        lambda nn: nn.UpsamplingNearest2d(scale_factor=(2, 3)),
        lambda nn: nn.UpsamplingBilinear2d(size=5),
        lambda nn: nn.PixelShuffle(2),
        lambda nn: nn.PixelUnshuffle(2),
        *[
            lambda nn, kind=kind, dims=dims: getattr(nn, f"{kind}Pad{dims}d")(1)
            for kind in ("Zero", "Reflection", "Replication", "Circular")
            for dims in (1, 2, 3)
        ],
        lambda nn: nn.ReflectionPad2d((1, 2, 1, 0)),
        lambda nn: nn.ConstantPad1d(1, 2),
        lambda nn: nn.ConstantPad2d((1, 0, 2, 1), 3.5),
        lambda nn: nn.ConstantPad3d(1, -1.0),
    ],
)
def test_layers_are_pytorchs(make):
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    dims = 1 if "1d" in repr(ours) else 3 if "3d" in repr(ours) else 2
    x = np.random.default_rng(3).standard_normal((2, 4, 6, 4, 8)[: 2 + dims])
    np.testing.assert_allclose(ours(tg.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy(), 1e-12, 1e-13)


def test_dropout_layers():
    torch = pytest.importorskip("torch")
    for name in ("Dropout1d", "Dropout2d"):
        layer = getattr(nn, name)(0.3)
        assert repr(layer) == repr(getattr(torch.nn, name)(0.3))
        x = tg.ones(4, 5, 6) if name == "Dropout1d" else tg.ones(4, 5, 6, 2)
        assert layer.eval()(x) is x
