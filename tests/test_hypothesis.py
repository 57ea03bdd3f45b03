"""Laws that hold for all shapes, strides and values: drawn by Hypothesis, with the ragged sizes at which vector code,
blocks and tails meet. The backends answer to NumPy, the gradients to algebra.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import autograd, backends

RAGGED = (1, 2, 3, 5, 15, 16, 17, 31, 33)
sizes = st.sampled_from(RAGGED)
seeds = st.integers(0, 2**32 - 1)
DIRECT = [name for name in backends.available() if name != "numba"]  # which compiles for every signature
on_backends = pytest.mark.parametrize("backend", DIRECT)


@st.composite
def shapes(draw, max_dims=4, max_elements=20_000):
    shape = draw(st.lists(st.one_of(sizes, st.just(0)), max_size=max_dims))
    while math.prod(shape) > max_elements:
        shape[int(np.argmax(shape))] = 2
    return tuple(shape)


@st.composite
def broadcasting_pairs(draw):
    """Two shapes that broadcast: dimensions of one stretched, leading ones left out."""
    full = draw(shapes())
    pair = []
    for _ in range(2):
        shape = [1 if draw(st.booleans()) and draw(st.booleans()) else n for n in full]
        pair.append(tuple(shape[draw(st.integers(0, len(shape))) if draw(st.booleans()) else 0 :]))
    return pair


def strided(draw, array):
    """The array's values in memory with another order of dimensions, with steps and with gaps; and a leaf or not."""
    order = draw(st.permutations(range(array.ndim)))
    moved = array.transpose(order)
    steps = [draw(st.sampled_from((1, 1, 2, 3))) for _ in moved.shape]
    wide = np.full([n * s + draw(st.integers(0, 2)) for n, s in zip(moved.shape, steps, strict=True)], 99, array.dtype)
    window = tuple(slice(0, n * s, s) for n, s in zip(moved.shape, steps, strict=True))
    wide[window] = moved
    return tg.tensor(wide)[window].permute(*np.argsort(order).tolist())


def draw_array(seed, shape, dtype=np.float64):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-2, 2, shape).astype(dtype)
    return rng.integers(0, 2 if dtype == np.bool_ else 100, shape).astype(dtype)


# Values


@on_backends
@given(broadcasting_pairs(), seeds, st.sampled_from(("add", "sub", "mul", "maximum", "minimum")), st.data())
def test_binary_ops_equal_numpy(backend, pair, seed, name, data):
    dtype = data.draw(st.sampled_from((np.float32, np.float64, np.int32, np.int64, np.uint8)))
    a, b = (draw_array(seed + k, shape, dtype) for k, shape in enumerate(pair))
    with backends.use(backend):
        result = getattr(tg, name)(strided(data.draw, a), strided(data.draw, b))
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}[
        name
    ]
    expected = function(a, b)
    assert result.shape == expected.shape and result.is_contiguous()
    np.testing.assert_array_equal(result.numpy(), expected)


@on_backends
@given(shapes(), seeds, st.sampled_from(("exp", "sin", "cos", "tanh", "expm1", "square", "abs", "floor")), st.data())
def test_unary_ops_equal_numpy(backend, shape, seed, name, data):
    x = draw_array(seed, shape)
    with backends.use(backend):
        result = getattr(tg, name)(strided(data.draw, x)).numpy()
        single = getattr(tg, name)(strided(data.draw, x.astype(np.float32))).numpy()
    expected = getattr(np, name)(x)
    np.testing.assert_allclose(result, expected, rtol=4e-15, atol=1e-15)
    np.testing.assert_allclose(single, getattr(np, name)(x.astype(np.float32).astype(np.float64)), rtol=1e-6, atol=1e-7)


@on_backends
@given(shapes(), seeds, st.sampled_from(("sum", "mean", "amax", "amin", "prod")), st.data())
def test_reductions_equal_numpy(backend, shape, seed, name, data):
    x = draw_array(seed, shape)
    axes = tuple(data.draw(st.sets(st.integers(0, max(len(shape) - 1, 0)), max_size=len(shape)))) if shape else ()
    if not axes:
        axes = tuple(range(len(shape)))
    if any(shape[d] == 0 for d in axes) and name in ("amax", "amin", "mean"):
        return
    if name == "prod":
        axes = axes[:1]
        if not axes:
            return
    keepdim = data.draw(st.booleans())
    with backends.use(backend):
        result = getattr(tg, name)(strided(data.draw, x), axes[0] if name == "prod" else axes, keepdim=keepdim)
    function = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min, "prod": np.prod}[name]
    expected = function(x, axis=axes, keepdims=keepdim)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12, atol=1e-12)


@on_backends
@given(sizes, sizes, sizes, seeds, st.data())
def test_products_equal_numpy(backend, m, n, k, seed, data):
    batch = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    a, b = draw_array(seed, (*batch, m, k)), draw_array(seed + 1, (*batch, k, n))
    with backends.use(backend):
        result = strided(data.draw, a) @ strided(data.draw, b)
        single = strided(data.draw, a.astype(np.float32)) @ strided(data.draw, b.astype(np.float32))
    np.testing.assert_allclose(result.numpy(), a @ b, rtol=1e-12, atol=1e-13 * k)
    np.testing.assert_allclose(single.numpy(), a @ b, rtol=1e-5, atol=2e-6 * k)


@on_backends
@given(shapes(), seeds, st.data())
def test_copies_and_conversions_equal_numpy(backend, shape, seed, data):
    kinds = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)
    source, target = data.draw(st.sampled_from(kinds)), data.draw(st.sampled_from(kinds))
    x = np.abs(draw_array(seed, shape, source)) if np.dtype(source).kind == "f" else draw_array(seed, shape, source)
    with backends.use(backend):
        t = strided(data.draw, x)
        np.testing.assert_array_equal(t.clone().numpy(), x)
        np.testing.assert_array_equal(t.to(getattr(tg, np.dtype(target).name)).numpy(), x.astype(target))


@on_backends
@given(shapes(max_dims=3), seeds, st.data())
def test_assignment_through_views_equals_numpy(backend, shape, seed, data):
    x = draw_array(seed, shape)
    index = tuple(
        data.draw(st.slices(n)) if data.draw(st.booleans()) or n == 0 else data.draw(st.integers(-n, n - 1))
        for n in shape
    )
    if any(isinstance(i, slice) and i.step is not None and i.step < 0 for i in index):
        return  # PyTorch has no negative steps
    with backends.use(backend):
        t = tg.tensor(x)
        t[index] = 7.0
        t[index] += 1.0
    x[index] = 8.0
    np.testing.assert_array_equal(t.numpy(), x)


# Gradients as algebra


def vjp(f, xs, u):
    leaves = [x.detach().clone().requires_grad_() for x in xs]
    return autograd.grad(f(*leaves), leaves, u, allow_unused=True)


LINEAR = {
    "transpose": lambda x: x.transpose(0, -1) if x.ndim else x,
    "sum": lambda x: x.sum(0) if x.ndim else x,
    "mean": lambda x: x.mean(-1, keepdim=True) if x.ndim and x.shape[-1] else x,
    "expand": lambda x: x.expand(3, *x.shape),
    "flip": lambda x: tg.flip(x, (0,)) if x.ndim else x,
    "cat": lambda x: tg.cat([x, x * 2, x[:0]]) if x.ndim else x,
    "cumsum": lambda x: tg.cumsum(x, 0) if x.ndim else x,
    "index": lambda x: x[tg.tensor([0, 0, -1])] if x.ndim and x.shape[0] else x,
    "reshape": lambda x: x.reshape(-1),
    "slice": lambda x: x[::2] if x.ndim else x,
    "tril": lambda x: tg.tril(x) if x.ndim > 1 else x,
    "roll": lambda x: tg.roll(x, 3),
}


@on_backends
@pytest.mark.parametrize("name", LINEAR)
@given(shapes(max_elements=2000), seeds)
def test_the_gradient_of_a_linear_op_is_its_adjoint(backend, name, shape, seed):
    """<A x, u> = <x, A^T u>."""
    f = LINEAR[name]
    with backends.use(backend):
        x = tg.tensor(draw_array(seed, shape))
        y = f(x)
        u = tg.tensor(draw_array(seed + 1, y.shape))
        (g,) = vjp(f, [x], u)
        left, right = (y * u).sum().item(), (x * g).sum().item()
        scale = (y * u).abs().sum().item()
    assert left == pytest.approx(right, abs=1e-12 * scale + 1e-15)


SMOOTH = {
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y * y + 1),
    "softmax": lambda x, y: tg.nn.functional.softmax(x + y, dim=-1) if (x + y).ndim else x + y,
    "tanh": lambda x, y: tg.tanh(x) * y,
    "maximum": lambda x, y: tg.maximum(x, y),
    "sqrt": lambda x, y: tg.sqrt(x * x + y * y + 1),
}


@on_backends
@pytest.mark.parametrize("name", SMOOTH)
@given(broadcasting_pairs(), seeds, st.floats(-3, 3))
def test_gradients_are_linear_in_the_cotangent(backend, name, pair, seed, c):
    f = SMOOTH[name]
    with backends.use(backend):
        xs = [tg.tensor(draw_array(seed + k, shape)) for k, shape in enumerate(pair)]
        y = f(*xs)
        u, v = (tg.tensor(draw_array(seed + k, y.shape)) for k in (7, 8))
        for g, gu, gv, x in zip(vjp(f, xs, u + v * c), vjp(f, xs, u), vjp(f, xs, v), xs, strict=True):
            assert g.shape == x.shape
            scale = max(1.0, float(np.abs(gu.numpy()).max(initial=0) + np.abs(gv.numpy()).max(initial=0)))
            np.testing.assert_allclose(g.numpy(), (gu + gv * c).numpy(), rtol=1e-9, atol=1e-11 * scale)


@on_backends
@given(broadcasting_pairs(), seeds)
def test_unbroadcasting_sums(backend, pair, seed):
    """The gradient of a stretched input is the sum over the places that it was stretched to."""
    with backends.use(backend):
        a, b = (tg.tensor(draw_array(seed + k, shape), requires_grad=True) for k, shape in enumerate(pair))
        y = a * b
        u = draw_array(seed + 2, y.shape)
        y.backward(tg.tensor(u))
        for x, other in ((a, b), (b, a)):
            whole = u * other.detach().numpy()
            lead = whole.ndim - x.ndim
            axes = tuple(range(lead)) + tuple(lead + d for d, n in enumerate(x.shape) if n == 1)
            expected = whole.sum(axis=axes, keepdims=True).reshape(x.shape)
            np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-10, atol=1e-11)


@on_backends
@given(st.lists(st.integers(0, 3), min_size=2, max_size=30), seeds)
def test_random_graphs(backend, program, seed):
    """Reverse mode on a random graph of scalars agrees with forward mode by dual numbers."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.5, 1.5, 3)
    with backends.use(backend):
        leaves = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in start]
        values, duals = list(leaves), [(v, np.eye(3)[k]) for k, v in enumerate(start)]
        for code in program:
            i, j = rng.integers(0, len(values), 2)
            (x, dx), (y, dy) = duals[i], duals[j]
            if code == 0:
                values.append(values[i] + values[j])
                duals.append((x + y, dx + dy))
            elif code == 1:
                values.append(values[i] * values[j] * 0.5)
                duals.append((x * y * 0.5, (dx * y + x * dy) * 0.5))
            elif code == 2:
                values.append(tg.tanh(values[i]))
                duals.append((np.tanh(x), dx * (1 - np.tanh(x) ** 2)))
            else:
                values.append(tg.sin(values[j]))
                duals.append((np.sin(y), dy * np.cos(y)))
        found = autograd.grad(values[-1], leaves, materialize_grads=True)
    np.testing.assert_allclose([g.item() for g in found], duals[-1][1], rtol=1e-9, atol=1e-12)
