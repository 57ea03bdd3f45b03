"""The engine: graphs deep and wide, memory, what must be refused, hooks.

Values of gradients are the business of test_ops.py. Read next: test_changes.py, test_tensor.py, test_anomaly.py.
"""

import gc
import weakref

import numpy as np
import pytest
from graphs import close, leaf

import tinygrad_edu as tg
from tinygrad_edu import autograd, storage
from tinygrad_edu.op import Op


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
    pooled = sum(size * len(blocks) for size, blocks in storage.pools.items())
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
    with pytest.raises(RuntimeError, match="its own grad"):
        x.grad = x
    x.grad = tg.ones(2, dtype=tg.float64)
    del x.grad
    assert x.grad is None


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
    for call in ((x * y).sum().backward, lambda inputs: autograd.grad((x * y).sum(), inputs)):
        with pytest.raises(RuntimeError, match="inputs is empty"):
            call(inputs=[])
        with pytest.raises(RuntimeError, match=r"input 1 of shape .*2.* does not require grad"):
            call(inputs=[x, tg.ones(2)])


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
    for nonsense, error in ((5.0, TypeError), (tg.ones(2), RuntimeError), (tg.tensor(1.0), RuntimeError)):
        with x.register_hook(lambda g, nonsense=nonsense: nonsense), pytest.raises(error, match="hook must return"):
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


def test_hooks_after_accumulation():
    x = leaf(3.0)
    seen = []
    first = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.item())))
    x.register_post_accumulate_grad_hook(lambda t: t.grad.mul_(2))
    x.register_hook(lambda g: g + 1)  # on its way: before all that run afterwards, though registered last
    (x * x).backward()
    first.remove()
    (x * x).backward()
    assert seen == [(True, 7)] and x.grad.item() == (7 * 2 + 7) * 2
    assert autograd.grad(x * x, x)[0].item() == 7
    with pytest.raises(RuntimeError, match="only for leaves"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.ones(2).register_post_accumulate_grad_hook(print)


def test_retained_gradients_follow_changes_in_place():
    x = leaf(3.0)
    h = x * 2
    assert not x.retains_grad and not h.retains_grad
    h.retain_grad()
    assert h.retains_grad
    h.mul_(5)
    h.backward()
    assert h.retains_grad and h.grad.item() == 1 and x.grad.item() == 10


def test_a_gradient_with_a_graph_is_added_to_in_place():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    (x**3).backward()
    assert x.grad is first and first.requires_grad and first.item() == 24


def test_an_exception_in_a_hook_leaves_the_modes_alone():
    x = leaf(3.0)

    def fail(g):
        raise KeyError("mine")

    x.register_hook(fail)
    with pytest.raises(KeyError, match="mine"):
        (x * x).backward()
    assert tg.is_grad_enabled()
