"""Modes, threads, leaves, and what a tensor tells of itself."""

import copy
import pickle
import threading

import numpy as np
import pytest
from graphs import close, leaf

import tinygrad_edu as tg

# Modes


def test_no_grad_forms():
    x = leaf(2.0)
    with tg.no_grad():
        assert not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
            with tg.no_grad(), tg.no_grad():
                assert not (x * 2).requires_grad
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @tg.no_grad()
    def with_parentheses(x):
        return x * 2

    @tg.no_grad
    def without(x):
        """doc"""
        return x * 2

    @tg.enable_grad()
    def enabled(x):
        return x * 2

    assert not with_parentheses(x).requires_grad and not without(x).requires_grad
    assert without.__name__ == "without" and without.__doc__ == "doc"
    with tg.no_grad():
        assert enabled(x).requires_grad
        assert not tg.is_grad_enabled()
    context = tg.no_grad()
    with context, context:
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert tg.is_grad_enabled()
    with tg.inference_mode():
        assert not (x * 2).requires_grad and not tg.inference_mode(with_parentheses)(x).requires_grad
        with tg.inference_mode(False):
            assert (x * 2).requires_grad


def test_no_grad_holds_in_a_generators_own_lines_only():
    x = leaf(2.0)
    modes = []

    @tg.no_grad()
    def generator():
        try:
            got = yield x * 2
            yield got * x
        except KeyError:
            modes.append(tg.is_grad_enabled())
            yield x * 3
        finally:
            modes.append(tg.is_grad_enabled())
        return "end"

    g = generator()
    assert not next(g).requires_grad and tg.is_grad_enabled()
    assert not g.send(x * 5).requires_grad and tg.is_grad_enabled()
    assert not g.throw(KeyError()).requires_grad and tg.is_grad_enabled()
    with pytest.raises(StopIteration, match="end"):
        next(g)
    g = generator()
    next(g)
    g.close()
    assert modes == [False, False, False]


def test_set_grad_enabled():
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()

    @tg.set_grad_enabled(False)
    def function():
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled() and not function() and tg.is_grad_enabled()


def test_modes_belong_to_a_thread():
    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_compute_independently():
    """The same ops at the same signatures, at the same time: each thread sees its own numbers."""
    failures = []

    def work(k):
        try:
            for _ in range(50):
                x = tg.full((64, 65), float(k), dtype=tg.float64, requires_grad=True)
                y = (x * x + x).sum()
                y.backward()
                assert (x.grad.numpy() == 2 * k + 1).all() and y.item() == (k * k + k) * 64 * 65
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


# Tensors and leaves


def test_detach_shares_memory():
    x = leaf(1.0, 2.0)
    d = x.detach()
    assert d.data_ptr() == x.data_ptr() and not d.requires_grad and d.is_leaf
    d[0] = 5.0
    close(x, [5, 2])
    y = x * 2
    y.detach_()
    assert y.is_leaf and not y.requires_grad


def test_requires_grad_spreads_and_leaves():
    x = leaf(1.0)
    y = tg.tensor(2.0, dtype=tg.float64)
    z = x * y
    assert z.requires_grad and not z.is_leaf and "mul" in repr(z.grad_fn)
    assert x.is_leaf and x.grad_fn is None and (y * y).is_leaf
    assert not (x > 0).requires_grad and not x.to(tg.int64).requires_grad
    with pytest.raises(RuntimeError, match="detach"):
        z.requires_grad = False
    assert not x.requires_grad_(False).requires_grad


def test_numpy_of_a_tensor_that_requires_grad():
    with pytest.raises(RuntimeError, match=r"detach\(\)\.numpy\(\)"):
        leaf(1.0).numpy()
    x = leaf(1.0, 2.0)
    x.numpy(force=True)[0] = 5
    assert x.tolist() == [5, 2]


def test_ndarray_times_tensor():
    x = leaf(1.0, 2.0)
    for y in (np.array([3.0, 4.0]) * x, x * np.array([3.0, 4.0]), np.float64(3) * x, np.array([1.0, 2.0]) @ x):
        assert isinstance(y, tg.Tensor) and y.requires_grad


def test_deepcopy():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.is_leaf and y.data_ptr() != x.data_ptr()
    close(y, [1, 2])
    close(y.grad, [2, 4])
    assert y.grad.data_ptr() != x.grad.data_ptr()
    a, b = copy.deepcopy([x, x])
    assert a is b
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize("d", [tg.float32, tg.float64, tg.int32, tg.int64, tg.uint8, tg.bool])
def test_pickle(d):
    for x in (tg.ones(2, 3, dtype=d), tg.ones(2, 3, dtype=d).t(), tg.ones(4, dtype=d)[::2], tg.zeros(0, 2, dtype=d)):
        y = pickle.loads(pickle.dumps(x))
        assert y.dtype is d and y.shape == x.shape
        assert (y.numpy() == x.numpy()).all()
    if d.is_floating_point:
        x = tg.ones(2, dtype=d, requires_grad=True)
        assert pickle.loads(pickle.dumps(x)).requires_grad
        with pytest.raises(RuntimeError, match="leaves"):
            pickle.dumps(x * 2)


def test_pickled_tensors_train():
    x = pickle.loads(pickle.dumps(leaf(1.0, 2.0)))
    y = (x * x).sum()
    y.backward()
    with tg.no_grad():
        x.add_(1)
    close(x, [2, 3])


def test_data_can_be_replaced():
    x = leaf(1.0, 2.0)
    x.data = tg.tensor([5.0, 6.0], dtype=tg.float64)
    close(x, [5, 6])
    assert x.requires_grad


def test_looking_at_values():
    x = leaf(1.0, 2.0)
    assert x[1].item() == 2 and x.tolist() == [1, 2] and float(x[0]) == 1.0 and int(x[1]) == 2
    with pytest.raises(RuntimeError, match="2 elements, not one"):
        x.item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(x)
    with pytest.raises(TypeError, match="0-d"):
        len(x[0])
    with pytest.raises(TypeError, match="0-d"):
        iter(x[0])
    assert [v.item() for v in x] == [1, 2]
    assert [10, 20, 30][tg.tensor(1)] == 20
    with pytest.raises(TypeError, match="integer"):
        [10, 20][x[0]]


@pytest.mark.parametrize(
    "expression",
    [
        "t.tensor([1.5, 2])", "t.tensor([1.0, 2])", "t.tensor([1e-8, 1.0])", "t.tensor([1e10, 1.0])", "t.tensor(1e-5)",
        "t.tensor([[1.123456, -2], [3, 4]])", "t.tensor([float('inf'), 1.5])", "t.tensor(float('nan'))",
        "t.tensor([])", "t.zeros(2, 0)", "t.arange(30)", "t.arange(30.)", "t.arange(100.) * 0.5",
        "t.linspace(0, 1, 60).reshape(2, 30)",
        "(t.arange(48.) * 0.25).reshape(2, 1, 24)",
        "t.zeros(2, 2, 2) + 0.25", "t.ones(2, requires_grad=True)", "f'{t.tensor(2.5)} {t.tensor([2.5])}'",
        "f'{t.tensor(2.5, requires_grad=True) * 2} {t.tensor(7)} {t.tensor(0.123):.2f}'",
    ],
)  # fmt: skip
def test_prints_as_pytorch(expression):
    torch = pytest.importorskip("torch")
    assert str(eval(expression, {"t": tg})) == str(eval(expression, {"t": torch}))
