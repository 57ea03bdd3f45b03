"""Fusion: fused steps give the bits of unfused ones, and no two live buffers overlap.

The checkers are tested as well: with a hazard dropped they must fail. Read next: test_fuse_order.py, test_plan.py.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import backends, fuse, fuse_chain, nn, plan, steps
from tinygrad_edu.nn import functional as F

pytestmark = pytest.mark.skipif("c" not in backends.available(), reason="only the C backend fuses")


@pytest.fixture
def all_chains(monkeypatch):
    """Chains of any size, so that small arrays do for tests."""
    monkeypatch.setattr(fuse_chain, "WORTH", 1)


def names(step):
    return [s.name for s in step.tape.steps]


# Random programs: the same bits, fused or not, and plans without overlap


def check_plan(tape):
    """No two buffers of a tape that are alive at one step overlap, but for a result that lies exactly where an input
    lies which dies in the elementwise step that makes it."""
    lives = {}
    for k, step in enumerate(tape.steps):
        for o, tensor in zip(step.operands, step.tensors, strict=True):
            storage = tensor.storage
            if storage.owner is tape.arena and o.buffer.slot is None:
                first = lives[o.buffer][0] if o.buffer in lives else k
                lives[o.buffer] = (first, k, storage.address, storage.address + storage.nbytes)
    listed = list(lives.items())
    for i, (a, (first, last, start, end)) in enumerate(listed):
        assert tape.arena.address <= start and end <= tape.arena.address + tape.arena.nbytes
        for b, (first2, last2, start2, end2) in listed[:i]:
            if start < end2 and start2 < end and first <= last2 and first2 <= last:
                old, new, k = (b, a, first) if first > first2 else (a, b, first2)
                assert min(last, last2) == k and start == start2 and end == end2, "live buffers overlap"
                step = tape.steps[k]
                assert steps_may_share(step, old, new), f"{step.name} can't work in place"


def steps_may_share(step, old, new):
    """Apart from Step.overwrites: each part up to the one that makes `new` reads `old` flat, none reads it later."""
    done = False
    for part in step.parts or (step,):
        for i, o in enumerate(part.operands[1:], 1):
            if o.buffer is old and (done or i >= part.along or not o.layout.contiguous):
                return False
        done = done or part.operands[0].buffer is new
    return done


UNARY = [tg.relu, tg.tanh, tg.neg, lambda x: F.dropout(x, 0.3), lambda x: x * 0.5, lambda x: x.T.contiguous().T]
BINARY = [tg.add, tg.mul, tg.maximum, lambda a, b: a - b.mean(0), lambda a, b: a * b.sum(1, keepdim=True) * 0.1]
moves = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=14)
shapes = st.tuples(st.sampled_from([1, 2, 3, 17, 33, 130]), st.sampled_from([1, 5, 16, 31, 64, 128, 300]))


def program(x, kinds, layers, state, out):
    """Straight-line code over a growing list of tensors, some in place, then backward through the sum of the last."""
    made = [x]
    for kind, i, j in kinds:
        a, b = made[i % len(made)], made[j % len(made)]
        if kind < len(UNARY):
            made.append(UNARY[kind](a))
        elif kind < len(UNARY) + len(BINARY):
            made.append(BINARY[kind - len(UNARY)](a, b))
        elif kind == 11:
            made.append(F.dropout(F.relu(layers[i % 2](a)), 0.25))
        else:
            with tg.no_grad():
                state.add_(a.detach()).mul_(0.5)
                made.append(state * b)
    loss = sum((m * m).mean() for m in made[-out:])
    if loss.requires_grad:
        loss.backward()
    return loss.detach(), made[-1].detach()


def run(replayed, shape, kinds, out, threads):
    tg.manual_seed(7)
    n, d = shape
    layers = [nn.Linear(d, d), nn.Linear(d, d)]
    state = tg.zeros(n, d)

    def step(x):
        for layer in layers:
            layer.zero_grad()
        return program(x, kinds, layers, state, out)

    call = tg.replay(step) if replayed else step
    x, results = tg.randn(n, d), []
    tg.set_num_threads(threads)
    for _ in range(4):
        results.append([t.numpy().tobytes() for t in call(x)])
        results.append([p.grad is not None and p.grad.numpy().tobytes() for m in layers for p in m.parameters()])
    results.append([state.numpy().tobytes()])
    if replayed:
        for known in call.tapes.values():
            for tape in known:
                check_plan(tape)
    return results


def check_program(shape, kinds, out, threads=1):
    before = tg.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuse_chain, "WORTH", 1)
        try:
            assert run(False, shape, kinds, out, threads) == run(True, shape, kinds, out, threads)
        finally:
            tg.set_num_threads(before)


@given(shapes, moves, st.integers(1, 3), st.integers(1, 3))
def test_random_programs(shape, kinds, out, threads):
    check_program(shape, kinds, out, threads)


BUSY = ((33, 64), [(4, 0, 0), (0, 1, 0), (12, 2, 1), (3, 3, 0), (6, 4, 2), (11, 5, 0), (12, 0, 3), (1, 6, 0)], 3)


def test_busy_program():
    check_program(*BUSY, threads=2)


def test_random_programs_catch_a_dropped_hazard(monkeypatch):
    """A chain that takes a step over one which writes what it reads must show."""
    monkeypatch.setattr(fuse, "conflict", lambda a, b: False)
    with pytest.raises(AssertionError):
        check_program(*BUSY)


def test_plans_catch_what_dies_too_early(monkeypatch):
    right = plan.lifetimes
    monkeypatch.setattr(
        plan, "lifetimes", lambda s: {b: plan.Lifetime(x.first, x.first, x.nbytes) for b, x in right(s).items()}
    )
    with pytest.raises(AssertionError):
        check_program(*BUSY)


def test_plans_catch_what_is_overwritten_too_early(monkeypatch):
    def any_input(step):
        return [(made, x) for made in step.written() for x in step.read()]

    monkeypatch.setattr(steps.Step, "overwrites", any_input)
    monkeypatch.setattr(backends, "in_place", lambda step: True)
    x = tg.randn(40, 40)
    step = tg.replay(lambda x: ((x * 2.0) @ (x * 3.0)).sum())
    step(x)
    with pytest.raises(AssertionError, match="in place"):
        check_plan(step.tape)


# Chains


def same_bits(function, *inputs, times=3):
    """Run eagerly and replayed from the same seed; the replay."""
    step = tg.replay(function)
    for call in (function, step):
        tg.manual_seed(5)
        results = [[t.numpy().tobytes() for t in _listed(call(*inputs))] for _ in range(times)]
        if call is function:
            expected = results
    assert results == expected
    check_plan(step.tape)
    return step


def _listed(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("shape", [(1,), (7,), (1024,), (1025,), (3, 4100), (61, 300), (5, 7, 129), (0, 3), (2000, 3)])
def test_a_chain_equals_its_parts(all_chains, shape, dtype):
    tg.manual_seed(0)
    x, row, column = (
        tg.randn(*s, dtype=dtype) for s in (shape, shape[-1:], (*shape[:-1], 1) if len(shape) > 1 else (1,))
    )

    def function(x):
        y = F.dropout(tg.relu(x * 2.0 + row), 0.3)
        return tg.where(y > 0.5, tg.tanh(y * column), y - x)

    step = same_bits(function, x)
    assert any("add relu" in name for name in names(step)) or 0 in shape


def test_strided_inputs(all_chains):
    tg.manual_seed(0)
    x = tg.randn(300, 70)
    for view in (x.T, x[:, ::2], x[1:-1], x[5].expand(40, 70), x[:, 3:4].expand(300, 9)):
        same_bits(lambda v: tg.exp(-(v * v)) + v, view)
        same_bits(lambda v: (tg.relu(v) * 2.0).T.contiguous() * 3.0 + 1.0, view)


def test_results_needed_elsewhere_are_written(all_chains):
    def function(x):
        a = x * 2.0
        b = a + 1.0
        return b * b, a, b.sum()

    step = same_bits(function, tg.randn(50, 60))
    assert "mul add mul" in names(step)


def test_threads_do_not_matter(all_chains):
    x = tg.randn(333, 1001)
    before, results = tg.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            tg.set_num_threads(n)
            tg.manual_seed(2)
            step = tg.replay(lambda x: F.dropout(tg.tanh(x) * x, 0.2))
            results.append([step(x).numpy().tobytes() for _ in range(5)])
    finally:
        tg.set_num_threads(before)
    assert results[0] == results[1] == results[2] and len(set(results[0])) == 5


def test_small_arrays_are_left_alone():
    step = tg.replay(lambda x: tg.relu(x * 2.0))
    step(tg.randn(10, 10))
    assert names(step) == ["mul", "relu"]
    step(tg.randn(fuse_chain.WORTH))
    assert names(step) == ["mul relu"]


def test_a_chain_is_printed_timed_and_checked():
    x = tg.randn(200, 200)
    step = tg.replay(lambda x: tg.relu(x * 2.0) + 1.0)
    tape = step.profile(x)
    line = str(tape).splitlines()[1]
    assert "mul relu add" in line and "saves 625.0 KB" in line and "GB/s" in line
    assert "peak" in str(tape).splitlines()[0]
    sizes = tape.memory()
    assert sizes["peak"] == sizes["arena"] + sizes["outside"] + sizes["scratch"] and sizes["scratch"] > 0

    def function(x):
        inner = tg.log(x)
        return inner, tg.relu(inner * 0.0)

    checked = tg.replay(function, checked=True)
    checked(x.abs() + 1.0)
    assert names(checked)[-1] == "log mul relu"
    with pytest.raises(FloatingPointError, match="log mul relu"):
        checked(x)


def test_updates_of_memory_outside():
    """x is read before and after it changes, as a whole and by rows: only the first may be part of a chain."""
    results = []
    for replayed in (False, True):
        x = tg.ones(200, 100)

        def function(x=x):
            y = x * 2.0
            x.add_(1.0)
            z = x * y
            x.mul_(z[0])
            return z + x

        call = tg.replay(function) if replayed else function
        results.append([call().numpy().tobytes() for _ in range(4)] + [x.numpy().tobytes()])
    assert results[0] == results[1]


def test_backends_without_chains():
    with backends.use("numpy"):
        step = tg.replay(lambda x: tg.relu(x * 2.0))
        step(tg.ones(fuse_chain.WORTH))
        assert names(step) == ["mul", "relu"]


# The table


def trained(net, x, size=10, optimizer=tg.optim.Adam):
    """Four steps, eager and replayed, from one seed: the same bits. Returns the replay."""
    results = []
    start = {name: v.clone() for name, v in net.state_dict().items()}
    y = tg.arange(len(x)) % size
    for replayed in (False, True):
        net.load_state_dict(start)
        net.zero_grad()
        tg.manual_seed(3)
        opt = optimizer(net.parameters(), lr=0.01)

        def step(x, y, opt=opt):
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            return loss

        call = tg.replay(step) if replayed else step
        losses = [call(x, y).item() for _ in range(4)]
        results.append([losses, [v.numpy().tobytes() for v in net.state_dict().values()]])
        assert len(set(losses)) == 4
    assert results[0] == results[1]
    check_plan(call.tape)
    return call


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_linear_relu_dropout(backend):
    net = nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Dropout(0.4), nn.Linear(33, 10))
    with backends.use(backend):
        found = names(trained(net, tg.randn(50, 20)))
    assert "linear_dropout" in found and "linear_grad_input_relu" in found
    assert not {"relu", "relu_grad", "dropout", "relu_dropout_grad"} & set(found)


def test_linear_relu_of_stacks():
    """The rows are seen in another shape by relu and dropout."""
    net = nn.Sequential(
        nn.Linear(20, 33), nn.ReLU(), nn.Dropout(0.4), nn.Linear(33, 8), nn.Flatten(), nn.Linear(56, 10)
    )
    found = names(trained(net, tg.randn(9, 7, 20)))
    assert "linear_dropout" in found and "linear_grad_input_relu" in found and "dropout" not in found


def test_what_others_read_is_kept():
    layer = nn.Linear(30, 30)

    def function(x):
        y = layer(x)
        return tg.relu(y), y

    with tg.no_grad():
        step = same_bits(function, tg.randn(20, 30))
    assert names(step) == ["linear", "relu"]


class Net(nn.Module):
    """Batch norm behind a relu, in front of a dropout, as in report 3."""

    def __init__(self, p, relu):
        super().__init__()
        self.norm, self.p, self.relu = nn.BatchNorm2d(6), p, relu
        self.first = nn.Parameter(tg.randn(6, 1, 1))
        self.last = nn.Linear(6, 10)

    def forward(self, x):
        y = x * self.first
        y = self.norm(tg.relu(y) if self.relu else y)
        if self.p:
            y = F.dropout(y, self.p)
        return self.last((y * y).mean((2, 3)))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_batch_norm(backend, p, relu):
    with backends.use(backend):
        found = names(trained(Net(p, relu), tg.randn(20, 6, 28, 28)))
    assert "batch_norm_fused_" in found and "batch_norm_grad_fused_" in found
    assert not {"batch_moments", "batch_norm", "dropout", "batch_norm_grad_sums", "relu_grad"} & set(found)


def test_batch_norm_read_by_others():
    """Its result goes to a dropout and elsewhere: it must exist."""
    norm = nn.BatchNorm2d(6)

    def function(x):
        y = norm(x)
        return F.dropout(y, 0.5), y

    with tg.no_grad():
        step = tg.replay(function)
        for _ in range(3):
            dropped, y = (t.clone() for t in step(tg.randn(20, 6, 28, 28)))
            assert tg.all((dropped == 0) | (dropped == y * 2))
    assert "batch_norm_fused_" in names(step) and "dropout" in names(step)


def test_another_key_keeps_dropouts_apart():
    """relu's gradient times a dropout that is not the forward one's."""
    layer = nn.Linear(40, 40)

    def function(x):
        layer.zero_grad()
        y = tg.relu(layer(x))
        (F.dropout(y, 0.5).sum() + F.dropout(y * 2.0, 0.5).sum()).backward()
        return layer.weight.grad

    same_bits(function, tg.randn(30, 40))


def test_gradients_are_added_in_place():
    layer = nn.Linear(40, 40)
    layer.weight.grad = tg.ones(40, 40)

    def function(x):
        (layer(x) * 2.0).sum().backward()
        return layer.weight.grad

    with tg.no_grad():
        before = layer.weight.grad.clone()
    expected = before + 3 * tg.ones(40, 1) * 2.0 * tg.ones(5, 40).sum(0)
    step = tg.replay(function)
    for _ in range(3):
        result = step(tg.ones(5, 40))
    assert "copy_" not in names(step) and tg.equal(result, expected)


def test_a_shifted_sum_is_not_added_in_place():
    """x[1:] += x[:-1]: what is read would be overwritten too early."""
    results = []
    for replayed in (False, True):
        x = tg.arange(100.0)

        def function(x=x):
            x[1:] += x[:-1]
            return x.sum()

        call = tg.replay(function) if replayed else function
        results.append([call().item() for _ in range(3)] + x.tolist())
    assert results[0] == results[1]


def test_dropout_differs_from_step_to_step_when_fused():
    layer = nn.Linear(64, 128)
    with tg.no_grad():
        step = tg.replay(lambda x: F.dropout(tg.relu(layer(x)), 0.5))
        masks = [(step(tg.ones(40, 64)) == 0).numpy().tobytes() for _ in range(6)]
    assert names(step) == ["take_key", "linear_dropout"] and all(a != b for a, b in pairwise(masks))


def test_fused_gradients_of_nan_and_infinity():
    """A NaN in relu lets the gradient through, fused or not."""
    x = tg.tensor(np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1e-45, -1e-45] * 4], np.float32))
    weight = tg.eye(32).requires_grad_()

    def function(x):
        weight.grad = None
        scale = tg.ones(32, requires_grad=True)
        y = F.dropout(tg.relu(x * scale), 0.25)
        (y @ weight).backward(tg.arange(1.0, 33.0).reshape(1, 32))
        return y.detach(), scale.grad

    same_bits(function, x)
