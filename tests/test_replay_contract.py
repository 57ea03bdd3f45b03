"""tg.replay's contract, clause by clause: results, signatures, what is refused, what is noticed, printing, checking.

Read next: test_plan.py.
"""

import collections
import gc
import weakref

import numpy as np
import pytest
from training import batches, setup, training_step

import tinygrad_edu as tg
from tinygrad_edu import backends, nn
from tinygrad_edu.modes import modes
from tinygrad_edu.nn import functional as F
from tinygrad_edu.op import Op

# Results


def test_results_are_overwritten_by_the_next_call():
    step = tg.replay(lambda x: x * 2)
    first = step(tg.ones(3))
    again = step(tg.full((3,), 5.0))
    assert again is step(tg.full((3,), 7.0))
    assert again.tolist() == [14, 14, 14]
    kept = again.clone()
    step(tg.zeros(3))
    assert kept.tolist() == [14, 14, 14] and again.tolist() == [0, 0, 0] and first.shape == (3,)


def test_results_in_structures():
    Pair = collections.namedtuple("Pair", "a b")
    step = tg.replay(lambda x: {"pair": Pair(x + 1, [x * 2, 3]), "none": None})
    for value in (1.0, 2.0, 3.0):
        result = step(tg.tensor([value]))
        assert result["pair"].a.item() == value + 1 and result["pair"].b[0].item() == value * 2
        assert result["pair"].b[1] == 3 and result["none"] is None and isinstance(result["pair"], Pair)


def test_an_argument_returned_as_it_came():
    step = tg.replay(lambda x: (x, x.view(-1), x[1:]))
    for value in (1.0, 2.0, 3.0):
        x = tg.full((2, 2), value)
        assert all((t == value).all() for t in step(x))


def test_results_have_no_graph():
    w = tg.ones(3, requires_grad=True)
    assert not tg.replay(lambda x: x * w)(tg.ones(3)).requires_grad


def test_views_of_arguments_and_strided_arguments():
    step = tg.replay(lambda x: (x.t() @ x)[1:].sum(0))
    eager = step.function
    rng = np.random.default_rng(0)
    for k in range(6):
        wide = tg.tensor(rng.standard_normal((4, 8)))
        for x in (wide, wide[:, ::2], wide.t(), wide[1:3, k % 4 :][:, :3]):
            assert step(x).tolist() == eager(x).tolist()


def test_two_arguments_of_one_memory():
    step = tg.replay(lambda a, b: a * 2 + b)
    x, y = tg.tensor([1.0, 2.0]), tg.tensor([10.0, 20.0])
    assert step(x, x).tolist() == [3, 6]
    assert step(x, y).tolist() == [12, 24]
    assert step(y[:], x).tolist() == [21, 42]


def test_arguments_changed_by_the_step():
    step = tg.replay(lambda x: x.add_(1.0).sum())
    for _ in range(3):
        x = tg.zeros(3)
        assert step(x).item() == 3 and x.tolist() == [1, 1, 1]


def test_memory_that_the_step_closes_over():
    mask, total = tg.ones(3), tg.zeros(3)

    @tg.replay
    def step(x):
        total.add_(x * mask)
        return total * 1.0

    assert step(tg.ones(3)).tolist() == [1, 1, 1]
    mask[0] = 0.0
    assert step(tg.ones(3)).tolist() == [1, 2, 2]
    total.zero_()
    assert step(tg.ones(3)).tolist() == [0, 1, 1]
    assert total.tolist() == [0, 1, 1]


# Signatures


def test_other_arguments_are_part_of_the_signature():
    calls = []

    @tg.replay
    def step(x, factor, *, shift=0.0):
        calls.append(factor)
        return x * factor + shift

    x = tg.ones(2)
    for factor, shift in ((2.0, 0.0), (3.0, 0.0), (2.0, 0.0), (2.0, 1.0), (2, 0.0), (True, 0.0), (2.0, 1.0)):
        assert step(x, factor, shift=shift).tolist() == [factor + shift] * 2
    assert len(calls) == 5
    assert step(x, 2.0).tolist() == [2, 2]
    assert step(x=x, factor=2.0).tolist() == [2, 2] and step(factor=3.0, x=x).tolist() == [3, 3]
    with pytest.raises(TypeError, match="tensors and hashable values, not list"):
        step(x, [2.0])


def test_dtypes_and_shapes_are_part_of_the_signature():
    step = tg.replay(lambda x: x.sum())
    for x in (tg.ones(3), tg.ones(2), tg.ones(3, dtype=tg.float64), tg.ones(3, dtype=tg.int64), tg.ones(3)):
        assert step(x).item() == len(x)
    assert len(step.tapes) == 4


def test_grad_mode_and_backend_are_part_of_the_signature():
    w = tg.ones(3, requires_grad=True)

    @tg.replay
    def step(x):
        y = (x * w).sum()
        if y.requires_grad:
            y.backward()
        return y

    step(tg.ones(3))
    step(tg.ones(3))
    assert w.grad.tolist() == [2, 2, 2]
    with tg.no_grad():
        step(tg.ones(3))
        step(tg.ones(3))
    assert w.grad.tolist() == [2, 2, 2]
    with backends.use("numpy"):
        step(tg.ones(3))
        step(tg.ones(3))
        assert "numpy" in str(step.tape)
    assert w.grad.tolist() == [4, 4, 4]


def test_an_argument_that_requires_grad_is_refused():
    with pytest.raises(RuntimeError, match="requires grad"):
        tg.replay(lambda x: x * 2)(tg.ones(2, requires_grad=True))


def test_a_step_within_a_step():
    inner = tg.replay(lambda x: x * 2)
    outer = tg.replay(lambda x: inner(x) + inner(x + 1))
    for value in (1.0, 2.0, 3.0):
        assert outer(tg.tensor([value])).item() == 4 * value + 2
    assert not inner.tapes


# What is refused while recording


@pytest.mark.parametrize(
    "look",
    [
        lambda y: y.item(),
        lambda y: bool(y),
        lambda y: float(y),
        lambda y: int(y),
        lambda y: y.tolist(),
        lambda y: y.detach().numpy(),
        lambda y: np.asarray(y.detach()),
        lambda y: 1 if y > 0 else 2,
        lambda y: f"{y:.3f}",
        lambda y: tg.ones(3)[y > 0],
    ],
)
def test_looking_at_values_is_refused(look):
    w = tg.ones(2, requires_grad=True)
    stop = True

    @tg.replay
    def step(x):
        y = (x * w).sum()
        if stop:
            look(y)
        return y

    with pytest.raises(RuntimeError, match=r"while tg\.replay records"):
        step(tg.ones(2))
    left_nothing(step)
    stop = False
    assert step(tg.ones(2)).item() == 2 and step(tg.full((2,), 3.0)).item() == 6


def left_nothing(step):
    assert not step.tapes and not modes.watchers and tg.is_grad_enabled()


def test_an_exception_leaves_nothing_behind(recwarn):
    net, opt = setup()
    fail = True

    @tg.replay
    def step(x, y):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        if fail:
            raise KeyError("mine")
        opt.step()
        return loss

    (x, y), *rest = batches(5)
    with pytest.raises(KeyError, match="mine"):
        step(x, y)
    left_nothing(step)
    fail = False
    replayed = [step(x, y).item() for x, y in rest]
    net, opt = setup()
    assert replayed == [training_step(net, opt)(x, y).item() for x, y in rest]


# Replaced parameters


def test_a_replaced_parameter_is_an_error():
    net, opt = setup("linear")
    step = tg.replay(training_step(net, opt))
    x, y = next(batches(1))
    step(x, y)
    step(x, y)
    old = net[0].weight
    net[0].weight = nn.Parameter(tg.zeros(4, 20))
    with pytest.raises(RuntimeError, match="'weight' of Linear was replaced"):
        step(x, y)
    net[0].weight = old
    step(x, y)


def test_replaced_data_is_an_error():
    w = tg.ones(3, requires_grad=True)
    step = tg.replay(lambda x: (x * w).sum())
    step(tg.ones(3))
    w.data = tg.zeros(3)
    with pytest.raises(RuntimeError, match=r"the data of a leaf .* was replaced"):
        step(tg.ones(3))


# The rest of the engine notices


def test_graphs_notice_that_a_replayed_step_changed_a_parameter():
    net, opt = setup("relu")
    step = tg.replay(training_step(net, opt))
    x, y = next(batches(1))
    step(x, y)
    x.requires_grad_()
    loss = F.cross_entropy(net(x), y)
    step(x.detach(), y)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_gradients_after_a_replayed_step_are_the_step_s():
    net, opt = setup("relu", "sgd")
    step = tg.replay(training_step(net, opt))
    for x, y in batches(4):
        before = [p.detach().clone() for p in net.parameters()]
        step(x, y)
        for p, b in zip(net.parameters(), before, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), (b - 0.1 * p.grad).numpy(), rtol=1e-6, atol=1e-7)


def test_graphs_notice_that_a_replayed_step_changed_an_argument():
    step = tg.replay(lambda x: x.add_(1.0).sum())
    for _ in range(3):  # recording counts as well
        x, w = tg.ones(3), tg.ones(3, requires_grad=True)
        loss = (w * x).sum()
        step(x)
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_intermediate_results_that_somebody_keeps():
    kept = []

    @tg.replay
    def step(x):
        y = tg.exp(x)
        if not kept:
            kept.append(y)
        return (y * 2).sum()

    for value in (0.0, 1.0, 2.0):
        assert step(tg.full((3,), value)).item() == pytest.approx(6 * np.exp(value))
        np.testing.assert_allclose(kept[0].numpy(), np.exp(value), rtol=1e-6)


def test_arguments_over_numpy_memory():
    step = tg.replay(lambda x: (x * 2).sum())
    array = np.ones(4)
    for value in (1.0, 2.0, 3.0):
        array[:] = value
        assert step(tg.from_numpy(array)).item() == 8 * value


def test_hooks_that_compute_are_part_of_the_step():
    results = []
    for replayed in (False, True):
        w = tg.ones(3, requires_grad=True)
        w.register_hook(lambda g: g * 0.5)

        def step(x, w=w):
            w.grad = None
            y = w * x
            y.register_hook(lambda g: g + x)
            y.sum().backward()
            return w.grad

        run = tg.replay(step) if replayed else step
        results.append([run(tg.full((3,), k)).tolist() for k in (1.0, 2.0, 3.0)])
    assert results[0] == results[1]


def test_second_derivatives_in_a_step():
    results = []
    for replayed in (False, True):
        net, opt = setup("norm", "adam")

        def step(x, y, net=net, opt=opt):
            opt.zero_grad()
            x = x.clone().requires_grad_()
            loss = F.cross_entropy(net(x), y)
            (g,) = tg.autograd.grad(loss, x, create_graph=True)
            (loss + (g * g).sum()).backward()
            opt.step()
            return loss

        run = tg.replay(step) if replayed else step
        results.append([run(x, y).item() for x, y in batches(10)])
    assert results[0] == results[1]


def test_a_step_frees_its_memory():
    net, opt = setup("relu")
    step = tg.replay(training_step(net, opt))
    for x, y in batches(3):
        step(x, y)
    arena = weakref.ref(step.tape.arena)
    del step
    gc.collect()
    assert arena() is None


# Printing, timing, checking


def test_print_shows_the_program():
    net, opt = setup("relu", "sgd")
    step = tg.replay(training_step(net, opt))
    for x, y in batches(2):
        step(x, y)
    text = str(step.tape)
    lines = text.splitlines()
    assert lines[0].startswith(f"tape of {len(step.tape)} nodes on backend {backends.current()}")
    assert len(lines) == 1 + len(step.tape)
    for word in ("linear", "cross_entropy", "sgd_", "32x33", "KB", "MFLOP"):
        assert word in text
    assert f"{2 * 32 * 20 * 33 / 1e6:.2f} MFLOP" in text
    assert "us" not in text
    tape = step.profile(x, y)
    assert "GB/s" in str(tape) and "total" in str(tape).splitlines()[-1]
    assert all(ns >= 0 for ns in tape.nanoseconds) and repr(step) == "<replay of step: 1 tapes>"


def test_buffers_are_shared():
    x = tg.ones(1000)

    @tg.replay
    def step(x):
        for _ in range(20):
            x = tg.tanh(x) + 1.0
        return x

    step(x)
    sizes = step.tape.memory()
    assert sizes["arena"] <= 3 * 4096 < sizes["unshared"]
    assert (step(x) == step.function(x)).all()


def test_fusing_keeps_the_order_of_reads_and_writes():
    """linear and relu become one op only where nothing in between changes what linear reads."""
    results = []
    for replayed in (False, True):
        tg.manual_seed(0)
        w = tg.randn(4, 3)

        def step(x, w=w):
            h = F.linear(x, w)
            w.add_(1.0)
            return F.relu(h).clone()

        run = tg.replay(step) if replayed else step
        results.append([run(tg.ones(2, 3) * k).tolist() for k in (1.0, -1.0, 2.0)])
        if replayed:
            assert len(run.tape) > 2, "fused across a write"
    assert results[0] == results[1]


def test_fused_ops_are_used():
    net, opt = setup("relu", "sgd")
    step = tg.replay(training_step(net, opt))
    x, y = next(batches(1))
    step(x, y)
    names = [s.spec.op.name for s in step.tape.steps]
    if backends.current() == "c":
        assert "relu" not in names and "relu_grad" not in names and "linear_grad_input_relu" in names


def test_the_last_result_as_the_next_argument():
    step = tg.replay(lambda x: tg.flip(x, (0,)) + x)
    eager = step.function
    x = y = tg.tensor([1.0, 2.0, 3.0])
    for _ in range(5):
        x, y = step(x), eager(y)
        assert x.tolist() == y.tolist()


def test_what_nobody_reads_is_dropped():
    step = tg.replay(lambda x: (x.exp(), x * 2)[1])
    step(tg.ones(3))
    assert [s.spec.op.name for s in step.tape.steps] == ["mul"]


def test_checked_mode_names_the_first_nan():
    step = tg.replay(lambda x: tg.exp(tg.log(x) * 2).sum(), checked=True)
    step(tg.ones(3))
    assert step(tg.full((3,), 2.0)).item() == pytest.approx(12)
    with pytest.raises(FloatingPointError, match=r"output of node 0 holds a NaN.*\blog\b"):
        step(tg.tensor([1.0, -1.0, 1.0]))
    plain = tg.replay(lambda x: tg.exp(tg.log(x) * 2).sum())
    plain(tg.ones(3))
    assert np.isnan(plain(tg.tensor([1.0, -1.0, 1.0])).item())


def test_checked_mode_sees_writes_past_a_buffer():
    def overrun(out, x):
        out[...] = x
        if x[0] > 1:
            np.lib.stride_tricks.as_strided(out, (len(x) + 1,))[len(x)] = 1

    op = Op(overrun, lambda x: x.shape, name="overrun_planted")
    try:
        step = tg.replay(lambda x: op(x) * 2.0, checked=True)
        step(tg.ones(16))
        step(tg.ones(16))
        with pytest.raises(RuntimeError, match="overwritten"):
            step(tg.full((16,), 2.0))
    finally:
        del Op.registry["overrun_planted"]
        backends.fell_back.discard("overrun_planted")


def test_checked_mode_gives_the_same_bits():
    net, opt = setup("dropout", "adam")
    plain = training_step(net, opt)
    expected = [plain(x, y).item() for x, y in batches(10)]
    net, opt = setup("dropout", "adam")
    step = tg.replay(training_step(net, opt), checked=True)
    assert [step(x, y).item() for x, y in batches(10)] == expected


def test_a_result_fed_back_as_an_argument():
    def advance(state, x):
        changed = state * 0.5
        following = changed + x
        return following, (state * following).sum()  # reads the argument after the result is there

    step = tg.replay(advance)
    state, expected = tg.ones(3, 4), tg.ones(3, 4)
    for k in range(5):
        x = tg.full((3, 4), float(k))
        state, product = step(state, x)
        expected, expected_product = advance(expected, x)
        assert tg.equal(state, expected) and tg.equal(product, expected_product)


def test_tapes_do_not_pile_up():
    p = tg.ones(3).requires_grad_()

    @tg.replay
    def step(x):
        (p * x).sum().backward()
        return p.grad * 1

    for _ in range(40):
        p.grad = tg.ones(3)  # another tensor each time, which the step reads: no tape fits
        assert step(tg.ones(3)).tolist() == [2.0, 2.0, 2.0]
    assert sum(map(len, step.tapes.values())) < 10
