"""The engine: graphs deep and wide, memory, what must be refused, hooks, accumulation, in-place changes, modes.

Values of gradients are the business of test_ops.py. Read next: test_anomaly.py, test_derivatives.py.
"""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import autograd, storage
from tinygrad_edu.op import Op


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, tg.Tensor) else a, b, rtol=1e-12)


@pytest.fixture
def throwaway():
    """Makes an op of a reference; forgotten after the test."""
    made = []

    def make(reference, **rules):
        op = Op(reference, lambda x: x.shape, name=f"throwaway_{reference.__name__}")
        made.append(op)
        op.vjps(**rules)
        return op

    yield make
    for op in made:
        del Op.registry[op.name]


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# Depth and width


@pytest.mark.parametrize("n", [20_000, 300_000])
def test_a_long_chain(n):
    x = leaf(1.0)
    y = x
    for _ in range(n):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1 and y.item() == n + 1
    del y  # freeing it must not recurse either


def test_doublings_are_walked_once():
    x = leaf(1.0)
    y = x
    for _ in range(40):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**40


def test_a_diamond_waits_for_all_paths():
    x = leaf(3.0)
    a = x * 2
    b = a * a
    c = a * b
    (b + c).backward()  # 4 x^2 + 8 x^3
    assert x.grad.item() == 8 * 3 + 24 * 9


# Memory


def in_use():
    """Bytes that tensors hold: what the core has handed out, less what waits in the small pools."""
    if storage.lib is None:
        pytest.skip("the C core is not here")
    pooled = sum(size * len(blocks) for size, blocks in storage._pools.items())
    return storage.lib.tg_memory_in_use() - pooled


def test_graphs_have_no_cycles(without_collector):
    """Memory returns when the last reference goes, without the garbage collector."""
    w = tg.ones(100, 300, requires_grad=True)

    def step():
        x = tg.ones(50, 100)
        h = tg.tanh(x @ w)
        y = tg.softmax(h.exp() * 0.1, dim=1)
        y.register_hook(lambda g: g * 2)
        h.retain_grad()
        loss = (y * y).sum()
        loss.backward(create_graph=False)
        refs = [weakref.ref(t) for t in (x, h, y, loss)] + [weakref.ref(t.node) for t in (h, y, loss)]
        w.grad = None
        return refs

    step()
    before = in_use()
    for _ in range(3):
        assert all(ref() is None for ref in step())
        assert in_use() == before


def test_double_backward_has_no_cycles(without_collector):
    w = tg.ones(50, 60, requires_grad=True)

    def step():
        y = tg.tanh(w).sum()
        (g,) = autograd.grad(y, w, create_graph=True)
        (g * g).sum().backward()
        w.grad = None
        return weakref.ref(y.node), weakref.ref(g), weakref.ref(g.node)

    step()
    before = in_use()
    assert all(ref() is None for ref in step())
    assert in_use() == before


def test_backward_frees_what_was_saved(without_collector):
    x = tg.ones(1000, requires_grad=True)
    kept = weakref.ref((y := x * 2).storage)
    z = y.exp()
    w = z * y
    del y, z
    assert kept() is not None
    w.sum().backward()
    assert kept() is None, "the saved tensor lives on"


def test_a_graph_not_walked_is_freed(without_collector):
    x = tg.ones(1000, requires_grad=True)
    before = in_use()
    y = (x * x).exp().sum()
    assert in_use() > before
    del y
    assert in_use() == before


# What must be refused


def test_second_backward_needs_retain_graph():
    x = leaf(2.0)
    y = x * x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    assert x.grad.item() == 24
    y.backward()
    with pytest.raises(RuntimeError, match=r"'mul' a second time.*retain_graph=True"):
        y.backward()


def test_shared_part_of_a_graph_that_was_freed():
    x = leaf(2.0)
    h = x * x
    (h * 3.0).backward()
    with pytest.raises(RuntimeError, match="a second time"):
        (h * 5.0).backward()


def test_backward_without_graph():
    for y in (tg.tensor(1.0), leaf(2.0).detach() * 2):
        with pytest.raises(RuntimeError, match="does not require grad"):
            y.backward()
    with tg.no_grad():
        y = leaf(2.0) * 2
    with pytest.raises(RuntimeError, match="does not require grad"):
        y.backward()


def test_backward_of_a_non_scalar():
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(RuntimeError, match=r"shape .*2.*only scalars.*gradient="):
        y.backward()
    with pytest.raises(RuntimeError, match=r"has shape .*3.*the output"):
        y.backward(tg.ones(3, dtype=tg.float64))
    with pytest.raises(TypeError, match="must be a Tensor, got list"):
        y.backward([1.0, 2.0])
    y.backward(tg.tensor([1.0, 10.0], dtype=tg.float64))


def test_one_element_is_a_scalar():
    x = leaf([[3.0]])
    (x * x).backward()
    close(x.grad, [[6]])


def test_integer_leaves_are_refused():
    for make in (
        lambda: tg.tensor([1, 2], requires_grad=True),
        lambda: tg.tensor([True]).requires_grad_(),
        lambda: tg.zeros(2, dtype=tg.int64, requires_grad=True),
    ):
        with pytest.raises(RuntimeError, match="floating"):
            make()


def test_an_op_without_rule(throwaway):
    def cube(out, x):
        np.power(x, 3, out=out)

    y = throwaway(cube)(leaf(2.0))
    with pytest.raises(RuntimeError, match=r"op 'throwaway_cube' has no gradient rule for its input 'x'.*detach"):
        y.backward()


def test_a_rule_of_wrong_shape_or_dtype(throwaway):
    def first(out, x):
        out[...] = x

    def second(out, x):
        out[...] = x

    op = throwaway(first, x=lambda g: tg.ones(3, 3, dtype=tg.float64))
    with pytest.raises(RuntimeError, match=r"throwaway_first.*\(3, 3\).*\(2,\)"):
        op(leaf(1.0, 2.0)).sum().backward()
    op = throwaway(second, x=lambda g: g.to(tg.float32))
    with pytest.raises(RuntimeError, match=r"throwaway_second.*float32.*float64"):
        op(leaf(1.0, 2.0)).sum().backward()


def test_rules_for_unknown_inputs(throwaway):
    def plain(out, x):
        out[...] = x

    with pytest.raises(ValueError, match="no input 'z'; its inputs are x"):
        throwaway(plain, z=lambda g: g)
    with pytest.raises(ValueError, match="exists already"):
        throwaway(plain)


def test_grad_of_wrong_shape_is_refused():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="does not fit"):
        x.grad = tg.ones(3, dtype=tg.float64)
    with pytest.raises(RuntimeError, match="does not fit"):
        x.grad = tg.ones(2, dtype=tg.float32)
    with pytest.raises(TypeError, match="must be a Tensor or None"):
        x.grad = 3.0
    x.grad = tg.ones(2, dtype=tg.float64)
    x.grad = None


# Data changed between forward and backward


def change_by_op(x):
    with tg.no_grad():
        x.add_(1.0)


def change_by_data(x):
    x.data.mul_(2.0)


def change_by_detach(x):
    x.detach().fill_(7.0)


def change_by_index(x):
    with tg.no_grad():
        x[0] = 5.0


def change_by_view(x):
    with tg.no_grad():
        x.view(-1)[1:].zero_()


def change_by_numpy(x):
    x.detach().numpy()[0] = 9.0


def change_by_optimizer(x):
    x.grad = tg.ones_like(x)
    tg.optim.SGD([x], lr=0.1).step()


CHANGES = [
    change_by_op,
    change_by_data,
    change_by_detach,
    change_by_index,
    change_by_view,
    change_by_numpy,
    change_by_optimizer,
]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_input_is_noticed(change):
    x = leaf(1.0, 2.0, 3.0)
    y = (x * x).sum()
    change(x)
    with pytest.raises(
        RuntimeError, match=r"gradient of 'mul' needs input '(input|other)' of shape .*changed in place"
    ):
        y.backward()


@pytest.mark.parametrize("change", CHANGES)
def test_changed_input_that_is_not_needed_is_fine(change):
    x = leaf(1.0, 2.0, 3.0)
    y = (x + x).sum()
    change(x)
    x.grad = None
    y.backward()
    close(x.grad, [2, 2, 2])


def test_changed_output_is_noticed():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match=r"gradient of 'exp' needs the output .*changed in place"):
        y.sum().backward()


def test_numpy_array_taken_before():
    x = leaf(1.0, 2.0)
    array = x.detach().numpy()
    y = (x * x).sum()
    array[0] = 5
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_numpy_array_changed_before_the_forward_pass_is_fine():
    x = leaf(1.0, 2.0)
    array = x.detach().numpy()
    array[0] = 5
    (x * x).sum().backward()
    close(x.grad, [10, 4])


def test_array_behind_from_numpy():
    array = np.array([1.0, 2.0, 3.0])
    x = tg.from_numpy(array)
    array[1] = 4
    close(x, [1, 4, 3])
    w = leaf(1.0, 1.0, 1.0)
    y = (w * x).sum()
    array[0] = 7
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    part = tg.from_numpy(array[::2])
    y = (leaf(1.0, 1.0) * part).sum()
    array[2] = 8
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_tensor_copies_its_array():
    array = np.array([1.0, 2.0])
    x = tg.tensor(array)
    array[0] = 9
    close(x, [1, 2])


# In-place changes that are recorded


def test_a_leaf_cannot_be_changed_in_place():
    x = leaf(1.0, 2.0)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0), lambda: x.copy_(x * 2)):
        with pytest.raises(RuntimeError, match="leaf"):
            change()
    with tg.no_grad():
        x.add_(1)
    close(x, [2, 3])
    assert x.is_leaf and x.requires_grad


def test_changes_in_place_are_differentiated():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x = a * 2
    x.add_(b)
    x.mul_(3.0)
    (x * x).sum().backward()
    close(a.grad, 2 * 9 * (2 * np.array([1, 2]) + [3, 4]) * 2)
    close(b.grad, 2 * 9 * (2 * np.array([1, 2]) + [3, 4]))


def test_a_product_in_place():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x = a * 2
    x.mul_(b)
    x.sum().backward()
    close(a.grad, [6, 8])
    close(b.grad, [2, 4])


def test_changing_in_place_what_is_needed():
    a = leaf(1.0, 2.0)
    x = a * 2
    y = x * x
    x.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_plain_tensor_joins_the_graph():
    a = leaf(1.0, 2.0)
    x = tg.zeros(2, dtype=tg.float64)
    x.add_(a)
    x.sum().backward()
    close(a.grad, [1, 1])


def test_views_in_place_under_no_grad():
    x = tg.zeros(2, 3)
    x[1].add_(2)
    x.t()[0].fill_(5)
    x[:, 2] = 7
    close(x, [[5, 0, 7], [5, 2, 7]])


def test_views_in_place_while_recording_are_right_or_refused():
    a = leaf(1.0, 2.0)
    x = a * 1
    v = x.view(2)
    try:
        v.mul_(3.0)
    except RuntimeError as error:
        assert "view" in str(error)
        return
    x.sum().backward()
    close(a.grad, [3, 3])


# Accumulation


def test_gradients_add_up_and_do_not_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = tg.tensor([1.0, 1.0], dtype=tg.float64)
    z = a + b
    z.backward(seed)
    assert a.grad.storage is not b.grad.storage
    assert seed.storage not in (a.grad.storage, b.grad.storage)
    a.grad.zero_()
    close(b.grad, [1, 1])
    close(seed, [1, 1])
    (a + b).backward(seed)
    close(a.grad, [1, 1])
    close(b.grad, [2, 2])


def test_a_leaf_that_is_its_own_output():
    x = leaf(2.0)
    seed = tg.tensor(3.0, dtype=tg.float64)
    x.backward(seed)
    x.grad.zero_()
    assert seed.item() == 3


def test_grad_is_accumulated_in_place():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first
    close(first, [5, 5])


def test_grad_of_a_broadcast_has_memory_of_its_own():
    x = leaf(1.0, 2.0)
    x.sum().backward()
    assert x.grad.is_contiguous()
    x.grad.mul_(tg.tensor([1.0, 5.0], dtype=tg.float64))
    close(x.grad, [1, 5])


def test_unbroadcasting():
    a, b = leaf([[1.0], [2.0]]), leaf(10.0, 20.0, 30.0)
    (a * b).sum().backward()
    close(a.grad, [[60], [60]])
    close(b.grad, [3, 3, 3])


# grad()


def test_grad_touches_no_grad():
    x, y = leaf(2.0), leaf(3.0)
    z = x * x * y
    gx, gy = autograd.grad(z, [x, y])
    assert (gx.item(), gy.item()) == (12, 4)
    assert x.grad is None and y.grad is None


def test_grad_of_inner_tensors():
    x = leaf(2.0)
    h = x * x
    z = h * h
    gh, gx = autograd.grad(z, [h, x])
    assert (gh.item(), gx.item()) == (8, 32)
    (same,) = autograd.grad(h, [h])
    assert same.item() == 1


def test_unused_inputs():
    x, y = leaf(2.0), leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"no output depends on input 1 .*allow_unused"):
        autograd.grad(x * x, [x, y])
    gx, gy = autograd.grad(x * x, [x, y], allow_unused=True)
    assert gx.item() == 4 and gy is None
    gx, gy = autograd.grad(x * x, [x, y], materialize_grads=True)
    close(gy, [0, 0])
    with pytest.raises(ValueError, match="materialize_grads"):
        autograd.grad(x * x, [x, y], materialize_grads=True, allow_unused=False)
    with pytest.raises(RuntimeError, match=r"input 0 .*does not require grad"):
        autograd.grad(x * x, [x.detach()])


def test_several_outputs():
    x = leaf(1.0, 2.0)
    (g,) = autograd.grad([x * 2, (x * x).sum()], x, [tg.ones(2, dtype=tg.float64), None])
    close(g, [4, 6])
    with pytest.raises(RuntimeError, match="2 outputs but 1 gradients"):
        autograd.grad([x * 2, x * 3], x, [tg.ones(2, dtype=tg.float64)])


def test_backward_of_several_tensors_and_inputs():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    tg.autograd.backward([(x * y).sum(), (x * 2).sum()], inputs=[x])
    close(x.grad, [5, 6])
    assert y.grad is None
    h = x * y
    (h * h).sum().backward(inputs=h)  # not a leaf: its gradient is kept, as asked
    close(h.grad, [6, 16])
    with pytest.raises(RuntimeError, match="inputs is empty"):
        (x * y).sum().backward(inputs=[])


def test_unneeded_rules_do_not_run(throwaway):
    def identity(out, x):
        out[...] = x

    calls = []
    op = throwaway(identity, x=lambda g: calls.append(1) or g)
    x, y = leaf(1.0), leaf(2.0)
    autograd.grad(op(x) * y, [y])
    assert not calls
    (op(tg.tensor(1.0, dtype=tg.float64)) * y).backward()
    assert not calls


def test_create_graph():
    x = leaf(2.0)
    (g,) = autograd.grad(x**4, x, create_graph=True)
    (gg,) = autograd.grad(g, x, create_graph=True)
    (ggg,) = autograd.grad(gg, x)
    assert (g.item(), gg.item(), ggg.item()) == pytest.approx((32, 48, 48))
    assert not ggg.requires_grad
    y = x**3
    y.backward(create_graph=True)
    assert x.grad.requires_grad
    x.grad.sum().backward()
    assert x.grad.item() == pytest.approx(12 + 12)


def test_a_high_order():
    x = leaf(0.7)
    y = tg.sin(x)
    for _ in range(8):
        (y,) = autograd.grad(y, x, create_graph=True)
    assert y.item() == pytest.approx(np.sin(0.7), rel=1e-12)


# Hooks


def test_hooks_replace_and_are_removed():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    watching = y.register_hook(lambda g: seen.append(g.numpy().copy()))
    doubling = y.register_hook(lambda g: g * 2)
    y.sum().backward()
    close(x.grad, [4, 4])
    close(seen[0], [1, 1])
    watching.remove()
    watching.remove()  # once more does nothing
    doubling.remove()
    x.grad = None
    y = x * 2
    with y.register_hook(lambda g: g * 10):
        pass
    y.sum().backward()
    close(x.grad, [2, 2])


def test_hooks_of_leaves_see_the_whole_gradient_once():
    x = leaf(3.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    x.register_hook(lambda g: -g)
    (x * x + x).backward()
    assert seen == [7]
    assert x.grad.item() == -7
    (g,) = autograd.grad(x * 2, x)
    assert g.item() == -2


def test_hooks_that_return_nonsense():
    x = leaf(3.0)
    x.register_hook(lambda g: 5.0)
    with pytest.raises(RuntimeError, match="hook must return"):
        (x * x).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.ones(2).register_hook(lambda g: g)


def test_retain_grad():
    x = leaf(3.0)
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    (h * h).backward()
    assert h.grad.item() == 12 and x.grad.item() == 24
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: g * 10)
    (h * 1).backward()
    assert h.grad.item() == 10  # what the hooks made of it
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.ones(2).retain_grad()


def test_an_exception_in_a_hook_leaves_the_modes_alone():
    x = leaf(3.0)

    def fail(g):
        raise KeyError("mine")

    x.register_hook(fail)
    with pytest.raises(KeyError, match="mine"):
        (x * x).backward()
    assert tg.is_grad_enabled()


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
