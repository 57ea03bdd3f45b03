"""In-place forms: values, dtypes and gradients as PyTorch's, and every case that must raise.

Read next: test_create.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import backends

FORMS = {
    "add_": lambda x, y: x.add_(y),
    "add_-alpha": lambda x, y: x.add_(y, alpha=0.5),
    "sub_": lambda x, y: x.sub_(y),
    "mul_": lambda x, y: x.mul_(y),
    "div_": lambda x, y: x.div_(y),
    "pow_": lambda x, y: x.pow_(2),
    "neg_": lambda x, y: x.neg_(),
    "exp_": lambda x, y: x.exp_(),
    "sqrt_": lambda x, y: x.sqrt_(),
    "relu_": lambda x, y: x.relu_(),
    "sigmoid_": lambda x, y: x.sigmoid_(),
    "tanh_": lambda x, y: x.tanh_(),
    "clamp_": lambda x, y: x.clamp_(0.7, 1.2),
    "lerp_": lambda x, y: x.lerp_(y, 0.25),
    "addcmul_": lambda x, y: x.addcmul_(y, y, value=0.5),
    "addcdiv_": lambda x, y: x.addcdiv_(y, y + 2, value=0.5),
    "copy_": lambda x, y: x.copy_(y),
    "fill_": lambda x, y: x.fill_(3),
    "zero_": lambda x, y: x.zero_(),
    "lerp_-tensor": lambda x, y: x.lerp_(y, y * 0.3),
    "sub_-alpha": lambda x, y: x.sub_(y, alpha=2),
    "masked_fill_": lambda x, y: x.masked_fill_(x > 1, 0.5),
    "clamp_min_": lambda x, y: x.clamp_min_(1.0),
    "eq_": lambda x, y: x.eq_(y),
    "multiply_": lambda x, y: x.multiply_(y),
    "unsqueeze_": lambda x, y: x.unsqueeze_(1).squeeze_(1),
    "transpose_": lambda x, y: x.t_().mul_(y.T).transpose_(0, 1),
    "row": lambda x, y: x.add_(y[0]),
    "number": lambda x, y: x.mul_(0.9),
    "+=": lambda x, y: x.__iadd__(y),
    "*=": lambda x, y: x.__imul__(2),
    "chain": lambda x, y: x.mul_(2).add_(y).sub_(1).relu_(),
}


@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients_equal_pytorch(form):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    a, b, u = rng.uniform(0.5, 2, (3, 2, 3))
    found = []
    for t in (torch, tg):
        plain = t.tensor(a)
        same = FORMS[form](plain, t.tensor(b))
        assert same is plain
        x, y = t.tensor(a, requires_grad=True), t.tensor(b, requires_grad=True)
        z = x * 1
        result = FORMS[form](z, y)
        assert result is z
        z = z + 0 * x  # a constant has no graph of its own here
        z.backward(t.tensor(u))
        grads = [np.zeros((2, 3)) if g.grad is None else g.grad.numpy() for g in (x, y)]
        found.append([plain.numpy(), z.detach().numpy(), *grads])
    for theirs, mine in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


@pytest.mark.parametrize("backend", [name for name in backends.available() if name != "numba"])  # it compiles for long
@pytest.mark.parametrize("form", FORMS)
def test_the_first_time_and_later(form, backend):
    """The first call learns what to run; later ones run it in the tensor's own memory, however the operands lie."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.5, 2, (2, 3, 3))
    for make in (tg.tensor, lambda x: tg.tensor(x.T.copy()).T, lambda x: tg.tensor(np.repeat(x, 2, 1))[:, ::2]):
        for other in (lambda x: tg.tensor(b), lambda x: x, lambda x: x.T):
            found = []
            with backends.use(backend):
                for _ in range(3):
                    x = make(a)
                    address, version = x.data_ptr(), x._version
                    assert FORMS[form](x, other(x)) is x
                    assert x.data_ptr() == address
                    assert x._version > version or form in ("unsqueeze_",)
                    found.append(x.numpy().copy())
            assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_integer_powers_in_place():
    for backend in backends.available():
        with backends.use(backend):
            for _ in range(2):
                x = tg.tensor([2, -1, 3, 1]).pow_(tg.tensor([-1, -3, 2, -2]))
                assert x.tolist() == [0, -1, 9, 1], backend


@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_the_kernel_writes_into_the_tensor(shape):
    x = tg.ones(shape)
    address = x.data_ptr()
    for _ in range(3):  # the first call learns the signature, later ones write directly
        version = x._version
        x.add_(tg.ones(shape)).mul_(2.0).neg_()
        assert x.data_ptr() == address and x._version > version
    np.testing.assert_array_equal(x.numpy(), np.full(shape, -14.0))


def test_overlapping_operands_are_read_before_they_are_written():
    for _ in range(2):
        x = tg.arange(6.0)
        x[1:] += x[:-1]
        np.testing.assert_array_equal(x.numpy(), [0, 1, 3, 5, 7, 9])
        y = tg.arange(9.0).reshape(3, 3)
        y += y.T
        np.testing.assert_array_equal(y.numpy(), np.arange(9.0).reshape(3, 3) + np.arange(9.0).reshape(3, 3).T)
        z = tg.arange(4.0)
        z.mul_(z[3])
        np.testing.assert_array_equal(z.numpy(), [0, 3, 6, 9])
        w = tg.arange(4.0)
        w[1:].copy_(w[:-1])
        np.testing.assert_array_equal(w.numpy(), [0, 0, 1, 2])


def test_views_change_their_base():
    x = tg.zeros(2, 3)
    x[0].add_(1)
    x.T[2].mul_(5)
    np.testing.assert_array_equal(x.numpy(), [[1, 1, 5], [0, 0, 0]])


def add_to_viewed():
    x = tg.zeros(2, requires_grad=True) * 1
    view = x[0]
    x.add_(1)
    return view


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda: tg.tensor([1, 2]).add_(0.5), "can't be cast"),
        (lambda: tg.tensor([1, 2]).div_(2), "can't be cast"),
        (lambda: tg.tensor([True]).add_(1), "can't be cast"),
        (lambda: tg.zeros(2).add_(tg.zeros(3, 2)), r"shape \(3, 2\) does not fit"),
        (lambda: tg.zeros(2).add_(tg.zeros(3)), "sizes 2 and 3 differ"),
        (lambda: tg.zeros(3).copy_(tg.zeros(2)), "copy_|expand"),
        (lambda: tg.zeros(3).fill_(tg.zeros(2)), "fill_"),
        (lambda: tg.zeros(2, requires_grad=True).add_(1), "a leaf tensor that requires grad"),
        (lambda: tg.zeros(2, requires_grad=True).zero_(), "a leaf tensor that requires grad"),
        (lambda: add_to_viewed(), "shares its memory with views"),
        (lambda: tg.ones(1, 3).expand(2, 3).add_(1), "expanded tensor of shape"),
        (lambda: (tg.ones(3, requires_grad=True) * 2)[:2].detach_(), "a view can't be detached"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(RuntimeError, match=message):
        change()


def test_mixed_dtypes_keep_the_targets():
    x = tg.tensor([1.5, 2.5])
    assert x.add_(tg.tensor([1.0, 1.0], dtype=tg.float64)).dtype is tg.float32
    y = tg.tensor([1, 2])
    y.add_(tg.tensor([1, 1], dtype=tg.uint8)).mul_(3)
    assert y.dtype is tg.int64 and y.tolist() == [6, 9]
    y.copy_(tg.tensor([2.9, -2.9]))
    assert y.tolist() == [2, -2]


def test_what_backward_needs_must_not_have_changed():
    x = tg.ones(3, requires_grad=True)
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()


def test_old_users_of_the_graph_stay_right():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    before = y + 1  # addition needs no values
    y.mul_(2)
    (before.sum() + y.sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [9, 9])


def test_a_tensor_times_itself():
    x = tg.tensor([2.0, 3.0], requires_grad=True)
    y = x * 1
    y.mul_(y)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4, 6])


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.zero_(),
        lambda y: y.fill_(2.0),
        lambda y: y.copy_(tg.ones(3)),
        lambda y: y.fill_(tg.tensor(3.0, requires_grad=True)),
        lambda y: tg.bernoulli(y),
    ],
)
def test_what_replaces_all_values_sends_zeros_back(change):
    x = tg.full((3,), 0.5, requires_grad=True)
    change(x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0, 0])


def test_no_grad_allows_leaves():
    x = tg.ones(3, requires_grad=True)
    with tg.no_grad():
        x.sub_(0.5)
        x *= 2
    assert x.is_leaf and x.requires_grad
    np.testing.assert_array_equal(x.detach().numpy(), np.ones(3))


def test_a_plain_tensor_joins_the_graph():
    x = tg.ones(3, requires_grad=True)
    y = tg.zeros(3)
    y.add_(x * 2)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 2, 2])
    z = tg.zeros(2, dtype=tg.float32)
    w = tg.ones(2, dtype=tg.float64, requires_grad=True)
    z.add_(w)
    z.sum().backward()
    assert w.grad.dtype is tg.float64
