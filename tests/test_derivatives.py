"""autograd.functional against PyTorch's: values, and the structure of tuples that they come in."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.autograd.functional
from tinygrad_edu import autograd
from tinygrad_edu.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.5, 1.5, (3, 2)), RNG.uniform(0.5, 1.5, 2)

FUNCTIONS = {
    "one to one": (lambda t: lambda x: t.exp(x) * x, (X,)),
    "one to two": (lambda t: lambda x: (t.sin(x), (x * x).sum(1)), (X,)),
    "two to one": (lambda t: lambda x, y: x * y * y, (X, Y)),
    "two to two": (lambda t: lambda x, y: (x @ y, t.cos(y)), (X, Y)),
    "independent": (lambda t: lambda x, y: (x * 2, x.sum()), (X, Y)),
    "linear": (lambda t: lambda x: x * 3, (X,)),
    "0-d": (lambda t: lambda x: x * x, (np.array(1.5),)),
}
NUMBERS = {
    "one": (lambda t: lambda x: (x**3).sum(), (X,)),
    "two": (lambda t: lambda x, y: (x**2 @ t.exp(y)).sum(), (X, Y)),
    "separate": (lambda t: lambda x, y: (x**3).sum() + (y * 2).sum(), (X, Y)),
    "of one element": (lambda t: lambda x: t.sin(x) * x, (np.array([0.7]),)),
}


def arguments(t, arrays):
    values = tuple(t.tensor(a, dtype=t.float64) for a in arrays)
    return values if len(values) > 1 else values[0]


def like(t, value, seed=1):
    """Random tensors in the structure of `value`."""
    if isinstance(value, tuple):
        return tuple(like(t, v, seed + k) for k, v in enumerate(value))
    return t.tensor(np.random.default_rng(seed).standard_normal(tuple(value.shape)))


def alike(ours, theirs):
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            alike(a, b)
    else:
        assert tuple(ours.shape) == tuple(theirs.shape) and not ours.requires_grad
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", ["jacobian", "vjp", "jvp"])
def test_first_order_equals_pytorch(kind, name):
    torch = pytest.importorskip("torch")
    make, arrays = FUNCTIONS[name]
    results = []
    for t in (tg, torch):
        f, xs = make(t), arguments(t, arrays)
        call = getattr(t.autograd.functional, kind)
        if kind == "jacobian":
            results.append(call(f, xs))
        else:
            v = like(t, f(*xs) if kind == "vjp" and isinstance(xs, tuple) else f(xs) if kind == "vjp" else xs)
            results.append(call(f, xs, v))
    alike(*results)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("kind", ["hessian", "hvp", "vhp", "jacobian"])
def test_second_order_equals_pytorch(kind, name):
    torch = pytest.importorskip("torch")
    make, arrays = NUMBERS[name]
    results = []
    for t in (tg, torch):
        f, xs = make(t), arguments(t, arrays)
        call = getattr(t.autograd.functional, kind)
        results.append(call(f, xs) if kind in ("hessian", "jacobian") else call(f, xs, like(t, xs)))
    alike(*results)


def test_v_may_be_left_out_for_one_element():
    x = tg.tensor([2.0], dtype=tg.float64)
    f = lambda x: x**3
    for call in (vjp, jvp):
        value, product = call(f, x)
        assert value.item() == 8 and product.item() == pytest.approx(12)
    for call in (hvp, vhp):
        assert call(f, x)[1].item() == pytest.approx(12)
    for call in (jvp, hvp, vhp):
        with pytest.raises(RuntimeError, match="v can be left out only"):
            call(lambda x: (x * x).sum(), tg.ones(2))
    with pytest.raises(RuntimeError, match="v can be left out only"):
        vjp(lambda x: x * x, tg.ones(2))


def test_create_graph():
    x = tg.tensor(X, requires_grad=True)
    f = lambda x: (x**3).sum()
    for value in (jacobian(lambda x: x**2, x, create_graph=True), hessian(f, x, create_graph=True)):
        (g,) = autograd.grad(value.sum(), x)
        assert g.shape == x.shape
    np.testing.assert_allclose(autograd.grad(hessian(f, x, create_graph=True).sum(), x)[0].numpy(), 6)
    ones = tg.ones_like(x)
    for call in (hvp, vhp):
        product = call(f, x, ones, create_graph=True)[1]
        np.testing.assert_allclose(autograd.grad(product.sum(), x)[0].numpy(), 6)
    for call in (vjp, jvp):
        product = call(lambda x: x**2, x, ones, create_graph=True)[1]
        np.testing.assert_allclose(autograd.grad(product.sum(), x)[0].numpy(), 2)
    assert not jacobian(lambda x: x**2, x).requires_grad and x.grad is None


def test_strict():
    x, y = tg.tensor(X), tg.tensor(Y)
    for call in (
        lambda: jacobian(lambda x, y: x * 2, (x, y), strict=True),
        lambda: vjp(lambda x, y: x * 2, (x, y), tg.ones_like(x), strict=True),
        lambda: jacobian(lambda x: tg.ones(2), x, strict=True),
        lambda: hvp(lambda x: (x * 2).sum(), x, x, strict=True),
        lambda: vhp(lambda x: (x * 2).sum(), x, x, strict=True),
        lambda: hessian(lambda x: (x * 2).sum(), x, strict=True),
        lambda: jvp(lambda x: tg.ones(2), x, x, strict=True),
    ):
        with pytest.raises(RuntimeError, match="strict"):
            call()
    assert (vhp(lambda x: (x * 2).sum(), x, x)[1] == 0).all()


def test_what_does_not_fit():
    x = tg.tensor(X)
    f = lambda x: x * 2
    with pytest.raises(TypeError, match="inputs must be a Tensor or a tuple of Tensors, got list"):
        jacobian(f, [x])
    with pytest.raises(TypeError, match="got float at index 1"):
        vjp(f, (x, 2.0))
    with pytest.raises(TypeError, match="what the function returns must be"):
        vjp(lambda x: 3.0, x)
    with pytest.raises(RuntimeError, match=r"v must have shape .*3, 2.*, got .*2"):
        vjp(f, x, tg.ones(2))
    with pytest.raises(RuntimeError, match="v must hold 1 tensors, got 2"):
        jvp(f, x, (x, x))
    with pytest.raises(RuntimeError, match="single tensor of one element"):
        hessian(f, x)
    with pytest.raises(RuntimeError, match="got a tuple"):
        hvp(lambda x: (x.sum(), x.sum()), x, x)
    assert (jacobian(f, x, vectorize=True) == jacobian(f, x)).all()
    with pytest.raises(RuntimeError, match="vectorize"):
        hessian(lambda x: x.sum(), x, strict=True, vectorize=True)
    with pytest.raises(NotImplementedError, match="forward-mode"):
        jacobian(f, x, vectorize=True, strategy="forward-mode")
    with pytest.raises(ValueError, match="reverse-mode"):
        hessian(lambda x: x.sum(), x, outer_jacobian_strategy="sideways")


def test_under_no_grad():
    x = tg.tensor(X)
    with tg.no_grad():
        np.testing.assert_allclose(hessian(lambda x: (x**2).sum(), x).numpy().reshape(6, 6), 2 * np.eye(6))
        assert jvp(lambda x: x**2, x, x)[1].shape == x.shape


def test_empty():
    assert jacobian(lambda x: x[:0], tg.ones(3)).shape == (0, 3)


def test_it_is_a_module():
    assert tinygrad_edu.autograd.functional is tg.autograd.functional
