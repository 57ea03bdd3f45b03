"""autograd.Function: users' own gradients, of any order, with several outputs, in a replayed step; what is refused.

Read next: test_autograd.py.
"""

import gc
import weakref

import numpy as np
import pytest
from graphs import close, leaf

import tinygrad_edu as tg
from tinygrad_edu import autograd


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class Exp(autograd.Function):
    """Keeps its output."""

    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Split(autograd.Function):
    """Several outputs, one of them no float, and arguments that are no tensors."""

    @staticmethod
    def forward(ctx, x, scale, other, mode="any"):
        assert mode == "some"
        ctx.scale = scale
        ctx.save_for_backward(x, other)
        assert ctx.needs_input_grad == (x.requires_grad, False, other.requires_grad, False)
        return x * scale, x * other, (x > 0).long(), "text"

    @staticmethod
    def backward(ctx, g, h, no_float, text):
        x, other = ctx.saved_tensors
        assert text is None and no_float.dtype is tg.int64
        return g * ctx.scale + h * other, None, h * x, None


def split(x, other):
    a, b, signs, text = Split.apply(x, 3.0, other, "some")
    assert text == "text" and not signs.requires_grad
    return a * b + b


SAME = {
    "cube": (Cube.apply, lambda x: x**3, 1),
    "exp": (Exp.apply, tg.exp, 1),
    "exp of cube": (lambda x: Exp.apply(Cube.apply(x) * 0.1), lambda x: (x**3 * 0.1).exp(), 1),
    "split": (split, lambda x, y: x * 3.0 * (x * y) + x * y, 2),
}


@pytest.mark.parametrize("name", SAME)
def test_gradients_of_every_order(name):
    own, plain, count = SAME[name]
    xs = [leaf(np.random.default_rng(k).normal(size=(2, 3))) for k in range(count)]
    assert autograd.gradcheck(own, xs) and autograd.gradgradcheck(own, xs)
    for _ in range(3):
        own, plain = (_summed_gradients(f) for f in (own, plain))
        for g, expected in zip(own(*xs), plain(*xs), strict=True):
            close(g, expected.detach())
        own, plain = (lambda *x, f=f: sum(f(*x)) for f in (own, plain))


def _summed_gradients(function):
    return lambda *x: autograd.grad((function(*x) ** 2).sum(), x, create_graph=True)


def test_a_wrong_gradient_is_found():
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(autograd.GradcheckError):
        autograd.gradcheck(Wrong.apply, [leaf(np.array([1.0, 2.0]))])


def test_backward_runs_once_and_unused_outputs_get_zeros_or_none():
    seen = []

    class Two(autograd.Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            seen.append((g, h))
            return g * 2 if h is None else g * 2 + h * 3, None

    x = leaf(np.ones(2))
    a, b = Two.apply(x, True)
    (a.sum() + b.sum() + b.sum()).backward()
    close(x.grad, np.full(2, 8.0))
    assert len(seen) == 1
    Two.apply(x, True)[0].sum().backward()
    close(seen[1][1], np.zeros(2))
    Two.apply(x, False)[0].sum().backward()
    assert seen[2][1] is None


def test_in_a_replayed_step():
    @tg.replay
    def step(x):
        x = x.detach().requires_grad_()
        return autograd.grad(Exp.apply(Cube.apply(x)).sum(), x)[0]

    for k in range(3):
        x = tg.tensor([0.1, 0.2, -0.3], dtype=tg.float64) + k / 10
        close(step(x), (x**3).exp() * 3 * x**2)


def test_marks():
    class Marked(autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            constant = y * 2
            ctx.mark_dirty(x)
            ctx.mark_non_differentiable(constant)
            return x.mul_(3), constant, y

        @staticmethod
        def backward(ctx, g, constant, h):
            return g * 3, h

    x, y = leaf(np.ones(2)), leaf(np.ones(2))
    z = x * 1
    out, constant, same = Marked.apply(z, y)
    assert out is z and not constant.requires_grad and same is not y
    (out * same).sum().backward()
    close(x.grad, [3.0, 3.0])
    close(y.grad, [3.0, 3.0])
    with pytest.raises(RuntimeError, match=r"Marked: a leaf .* in place"):
        Marked.apply(leaf(np.ones(2)), y)


def returning(result):
    class Returning(autograd.Function):
        @staticmethod
        def forward(ctx, x, number):
            return x * number

        @staticmethod
        def backward(ctx, g):
            return result(g)

    return Returning


REFUSED = {
    "too few": (lambda g: g, RuntimeError, "returned 1 gradients, but forward took 2"),
    "too many": (lambda g: (g, None, g), RuntimeError, "returned 3 gradients, but forward took 2"),
    "for a number": (lambda g: (g, g), RuntimeError, "input 1, which is no tensor"),
    "no tensor": (lambda g: (1.0, None), TypeError, "must be a Tensor or None"),
    "shape": (lambda g: (g[:1].expand(3), None), RuntimeError, r"has shape \(3,\), the input \(2,\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_backward_must_not_return(name):
    result, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        returning(result).apply(leaf(np.ones(2)), 2.0).sum().backward()


def test_what_backward_may_return():
    x = leaf(np.ones(2))
    returning(lambda g: (None, None, None)).apply(x, 2.0).sum().backward()
    assert x.grad is None
    returning(lambda g: (g.expand(3, 2).to(tg.float32), None)).apply(x, 2.0).sum().backward()
    close(x.grad, [3.0, 3.0])
    assert x.grad.dtype is x.dtype


def test_saved_tensors_are_guarded():
    x = leaf(np.ones(2))
    h = x * 1
    y = Cube.apply(h)
    with tg.no_grad():
        h.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
    y = Cube.apply(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    with pytest.raises(TypeError, match="save_for_backward"):
        autograd.function.FunctionCtx(()).save_for_backward(1)
    with tg.no_grad():
        assert not Cube.apply(x).requires_grad


def test_memory_returns_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones(2))
        y = Exp.apply(Cube.apply(x))
        refs = [weakref.ref(y), weakref.ref(y.node)]
        y.sum().backward()
        del y
        assert [r() for r in refs] == [None, None]
    finally:
        gc.enable()
