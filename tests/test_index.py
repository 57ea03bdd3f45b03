"""x[...] against PyTorch and NumPy; gather, scatter and masks; positions outside; recorded steps.

Read next: test_assign.py; test_move.py, whose helpers are used here.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_move import both, check, derivatives, equal, results

import tinygrad_edu as tg
from tinygrad_edu import backends
from tinygrad_edu.modes import Watcher, modes
from tinygrad_edu.nn import functional as F

torch = pytest.importorskip("torch")

ARRAY = np.random.default_rng(3).permutation(60).reshape(3, 4, 5) / 9 - 2.5


def parts(text):
    return [e.strip() for line in text.strip().splitlines() for e in line.split(";") if e.strip()]


BASIC = parts("""
x[0]; x[-1]; x[1, 2]; x[1, -1, 0]; x[1:]; x[:, 1:3]; x[:, :, ::2]; x[1:2, 2:, 1:4:3]; x[5:]; x[2:1]; x[-2:]; x[:-1]
x[...]; x[..., 0]; x[0, ...]; x[0, ..., 1]; x[None]; x[:, None]; x[..., None]; x[None, 0, None, 1:, None]; x[()]; x[:]
x[t.tensor(1)]; x[:, t.tensor(-1)]; x[0][1][2]; x[1:][:, 0]; x[::2, ::3, ::4]; x[-100:100]; x[True]; x[False]
""")
ADVANCED = parts("""
x[[0, 2]]; x[[0, 0, 0]]; x[t.tensor([1, -1])]; x[:, [1, 3]]; x[..., [0, 4]]; x[[0, 1], [2, 3]]
x[[0, 1], [2, 3], [4, 0]]; x[[0, 1], :, [1, 2]]; x[:, [0, 1], [1, 2]]; x[1, [0, 1], [2, 3]]; x[1, :, [2, 3]]
x[[0, 2], 1]; x[[0, 2], 1, 1:]; x[[0, 2], 1:, [3, 4]]; x[1:, [0, 1]]; x[[[0], [2]], [0, 1]]; x[[0], None, [1]]
x[None, [0, 1]]; x[[0, 1], None]; x[t.tensor([[0, 1]]), t.tensor([[2], [3]])]; x[[]]; x[:, []]; x[[], [1]]
x[t.zeros((0, 2), dtype=t.int64)]; x[range(2)]; x[t.tensor([0, 1], dtype=t.int32)]; x[[1], [1], [1]]
x[[-3, -1], [-4, 3]]; x[x > 0]; x[x > 9]; x[x[:, 0, 0] > -9]; x[x[:, :, 0] > 0]; x[:, x[0, :, 0] > 0]
x[..., x[0, 0] > 0]; x[[True, False, True]]; x[:, [True, False, True, True]]; x[[True, False, True], [0, 1]]
x[x[:, 0, 0] > 0, :, [1]]; x[True, [0, 1]]; x[t.tensor(True)]; x[t.tensor(False), 0]; x[0, x[0] > 0]
x[x[:, :, 0] > 0, 1:3]; x[(0, 1), (1, 2)]; x[:, (1, 2)]; x.transpose(0, 2)[[0, 1], [1, 2]]; x.transpose(0, 1)[[3, 0]]
x[:, ::2][[0, 1], [1, 0]]; x.expand(2, 3, 4, 5)[[0, 1], [1, 1]]
""")
FUNCTIONS = parts("""
t.gather(x, 0, I(3, 2, 4, 5)); x.gather(1, I(4, 3, 7, 5)); x.gather(-1, I(5, 2, 3, 6)); x.gather(0, I(3, 1, 1, 1))
x.gather(0, I(3, 0, 4, 5)); x[0, 0, 0].gather(0, t.tensor(0)); x[0, 0].gather(0, t.tensor(2))
x[0, 0].gather(-1, I(5, 9)); x.take_along_dim(I(3, 1, 4, 5), 0); t.take_along_dim(x, I(60, 7))
t.take_along_dim(x, x.detach().argsort(1), dim=1); x.take_along_dim(I(5, 3, 1, 2) - 5, -1); x.index_select(0, I(3, 5))
t.index_select(x, -1, I(5, 2)); x.index_select(1, I(4, 0)); x.index_select(1, t.tensor(2))
x[0, 0, 0].index_select(0, t.tensor([0])); t.take(x, I(60, 2, 3)); x.take(t.tensor([-1, 0]))
x.scatter(0, P(3, 2, 4), x[:, :2, :4] * 2); x.scatter(2, P(5, 3, 4).movedim(0, 2), x * 3)
x.scatter(1, I(4, 3, 2, 5), 1.5); x.scatter(1, I(4, 3, 2, 5), value=2); t.scatter(x, 0, I(3, 1, 1, 1), -1)
x.scatter_add(0, I(3, 5, 4, 5)[:3], x); x.scatter_add(1, I(4, 3, 12, 5), x.repeat(1, 3, 1))
t.scatter_add(x, -1, I(5, 3, 4, 2), x[..., :2]); x[0, 0].scatter_add(0, I(5, 3), x[1, 1, 2:])
x.index_add(0, I(3, 6), x.repeat(2, 1, 1)); x.index_add(1, I(4, 2), x[:, :2], alpha=0.5)
t.index_add(x, 2, I(5, 5), x); x.index_copy(1, t.tensor([3, 0]), x[:, :2] * 2)
t.index_copy(x, 0, t.tensor([2]), x[:1]); x.index_fill(1, t.tensor([0, 2]), 7)
x.index_fill(0, t.tensor([1]), x[0, 0, 0]); x.masked_fill(x > 0, 0); x.masked_fill(x[0] > 0, -1.5)
t.masked_fill(x, x < 0, x[0, 0, 0]); x.masked_select(x > 0); t.masked_select(x, x[0, 0] > 0)
t.masked_select(x[0, 0], x > 1); x.masked_select(x > 99)
x.index_put((t.tensor([0, 1]), t.tensor([1, 2])), x[0, :2] * 2)
x.index_put((t.tensor([0, 0]),), x[1:], accumulate=True); x.index_put((x > 0,), x[0, 0, 0])
t.index_put(x, (t.tensor([1, 1]), t.tensor([2, 2])), x[2, 2], accumulate=True); F.embedding(I(4, 2, 3), x[0])
F.embedding(I(4, 7), x[0], padding_idx=1); F.embedding(t.tensor(1), x[0])
t.where(x > 0, x, x * 2); x.gather(1, I(2, 0)); x.scatter(1, I(2, 0, 3), 1.5)
x.index_fill(1, t.tensor([1, 1]), x[0, 0, 0]); x[0, 0, 0].index_fill(0, t.tensor([0]), x[1, 1, 1])
""")
INTEGERS = parts("""
t.nonzero(x > 0); t.where(x > 0); (x > 9).nonzero(); x.nonzero(as_tuple=True); t.nonzero(x[0, 0, 0]); t.argwhere(x > 1)
F.one_hot(I(4, 3, 2)); F.one_hot(I(4, 3), 6); F.one_hot(t.tensor(2), num_classes=4); F.one_hot(I(3, 0), 3)
x.long().scatter(1, I(4, 3, 9, 5), 2, reduce="multiply"); x.long().scatter(1, I(4, 3, 9, 5), 2, reduce="add")
""")


def with_draws(expression):
    """I(n, *shape): positions below n; P(n, a, b): permutations of n positions along dimension 0, some of them."""
    draws = (
        "t.tensor(np.random.default_rng([9, *{0}]).integers(0, {0}[0], {0}[1:]))",
        "t.tensor(np.random.default_rng(9).permuted(np.mgrid[:{0}[0], :{0}[1], :{0}[2]][0], axis=0))",
    )
    head = "(lambda I, P: {})(lambda *s: {}, lambda *s: {})"
    return head.format(expression, draws[0].format("s"), draws[1].format("s"))


@pytest.mark.parametrize("expression", BASIC + ADVANCED)
def test_reading_equals_pytorch(expression):
    check(expression, ARRAY)


@pytest.mark.parametrize("expression", FUNCTIONS)
def test_functions_equal_pytorch(expression):
    check(with_draws(expression), ARRAY)


@pytest.mark.parametrize("expression", INTEGERS)
def test_positions_equal_pytorch(expression):
    (_, ours), (_, theirs) = both(with_draws(expression), np.round(ARRAY), grad=False)
    for a, b in zip(ours, theirs, strict=True):
        equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "uint8", "bool"])
def test_every_dtype_is_read_and_written(dtype):
    found = []
    for library in (tg, torch):
        x = library.tensor((np.arange(12).reshape(3, 4) % 5).astype(dtype))
        x[[0, 2], [1, 1]] = x[[1, 1], [0, 3]]
        x[1] = x[0]
        x[x == x[0, 0]] = 1
        found.append(x.numpy())
    np.testing.assert_array_equal(*found)


# What is wrong

ERRORS = [
    ("x[3]", IndexError, "3"),
    ("x[0, -5]", IndexError, "-5"),
    ("x[0, 0, 0, 0]", IndexError, "4 indices"),
    ("x[[0, 3]]", IndexError, "index 3 .* dimension 0 of size 3"),
    ("x[:, [0, -5]]", IndexError, "index -5 .* dimension 1 of size 4"),
    ("x[1.0]", IndexError, "float"),
    ("x[t.tensor([1.0])]", IndexError, "float32"),
    ("x[::-1]", ValueError, "greater than zero"),
    ("x[::0]", ValueError, "greater than zero"),
    ("x[[True, False]]", IndexError, r"\(2,\)"),
    ("x[:, x > 0]", IndexError, "3|mask"),
    ("x[[0, 1], [0, 1, 2]]", IndexError, r"\(2,\), \(3,\)"),
    ("x[:0][[0]]", IndexError, "size 0"),
    ("x.gather(0, t.tensor([[[3]]]))", (IndexError, RuntimeError), "gather: index 3 .* dimension 0 of size 3"),
    ("x.gather(0, t.tensor([[[-1]]]))", (IndexError, RuntimeError), "gather: index -1"),
    ("x.gather(0, t.tensor([0]))", RuntimeError, "gather"),
    ("x.gather(0, t.zeros((1, 9, 1), dtype=t.int64))", RuntimeError, "gather.*size 9 exceeds 4 at dimension 1"),
    ("x.gather(3, t.tensor([[[0]]]))", IndexError, "gather.*3"),
    ("x.index_select(0, t.tensor([5]))", IndexError, "index_select: index 5"),
    ("x.index_select(0, t.tensor([[1]]))", IndexError, "index_select"),
    ("x.scatter(0, t.tensor([[[3]]]), 1.0)", (IndexError, RuntimeError), "scatter: index 3"),
    ("x.scatter_add(0, t.zeros((1, 9, 1), dtype=t.int64), x)", RuntimeError, "scatter_add.*9"),
    ("x.index_add(0, t.tensor([0, 1]), x)", (IndexError, RuntimeError), r"index_add.*\(2, 4, 5\)"),
    ("x.index_copy(0, t.tensor([0, 1]), x)", (IndexError, RuntimeError), r"index_copy.*\(2, 4, 5\)"),
    ("x.masked_fill(x > 0, x[0, 0])", RuntimeError, "masked_fill"),
    ("x.masked_fill(t.tensor([1, 0, 1, 0, 1]), 0)", RuntimeError, "masked_fill.*bool"),
    ("x.take(t.tensor([60]))", IndexError, "take: index 60"),
    ("F.embedding(t.tensor([3]), x[:, 0])", IndexError, "embedding: index 3"),
    ("F.embedding(t.tensor([3]), x)", RuntimeError, "embedding"),
    ("F.one_hot(t.tensor([3]), 3)", RuntimeError, "one_hot"),
    ("F.one_hot(t.tensor([-1]))", RuntimeError, "one_hot"),
    ("x.detach().__setitem__(3, 0)", IndexError, "3"),
    ("x.detach().__setitem__(0, t.zeros(3, 5))", RuntimeError, r"\(3, 5\).*\(4, 5\)"),
    (
        "x.detach().__setitem__([0, 1], t.zeros(3, 4, 5, dtype=t.float64))",
        (IndexError, RuntimeError),
        r"\(3, 4, 5\).*\(2, 4, 5\)",
    ),
    ("x.detach().__setitem__([3], 0)", IndexError, "index 3"),
]


@pytest.mark.parametrize("expression, kind, detail", ERRORS, ids=[e[0] for e in ERRORS])
def test_errors_name_value_dimension_and_size(expression, kind, detail):
    if "embedding(t.tensor([3]), x)" not in expression:
        with pytest.raises(kind):
            results(expression, torch, torch.nn.functional, ARRAY)
    with pytest.raises(kind, match=detail):
        results(expression, tg, F, ARRAY)


def test_uint8_is_no_index():
    with pytest.raises(IndexError, match="uint8"):
        tg.zeros(3)[tg.tensor([0, 1, 0], dtype=tg.uint8)]


def test_nothing_changes_where_assignment_fails():
    x = tg.zeros(3)
    for index, value in ((3, 1), ([0, 5], 1), (slice(0, 2), tg.ones(3)), (slice(None, None, -1), 1)):
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            x[index] = value
    assert x.tolist() == [0, 0, 0]


# Recorded steps look at no value


class Recording(Watcher):
    recording = True


@pytest.fixture
def recording():
    watcher = Recording()
    modes.watch(watcher)
    yield
    modes.unwatch(watcher)


def test_what_depends_on_values_is_refused_while_recording(recording):
    x = tg.tensor(ARRAY)
    for call in (
        lambda: x[x > 0],
        lambda: x.nonzero(),
        lambda: x.masked_select(x > 0),
        lambda: F.one_hot(tg.tensor([1])),
    ):
        with pytest.raises(RuntimeError, match="replay records"):
            call()


def test_kernels_are_safe_with_positions_outside_while_recording(recording):
    x, wrong = tg.tensor(ARRAY, requires_grad=True), tg.tensor([7, -9, 2**62, -(2**62)])
    every = np.broadcast_to(ARRAY[[2, 0, 2, 0]], (4, 4, 5))
    np.testing.assert_array_equal(
        x.index_select(0, wrong).detach().storage.array(tg.zeros(4, 4, 5, dtype=tg.float64).layout), every
    )
    for y in (x[wrong], x[wrong, wrong], x.gather(0, wrong.view(4, 1, 1)), F.embedding(wrong, x[0])):
        (g,) = tg.autograd.grad(y, x, tg.ones(y.shape, dtype=tg.float64), retain_graph=True)
        assert g.array().sum() == y.numel()
    z = tg.zeros(3)
    z[wrong] = 1.0
    assert z.array()[1] == 0
    assert F.one_hot(wrong, 3).array().sum() == 0


def test_a_0d_position_is_not_looked_at_while_recording(recording):
    x, i = tg.tensor(ARRAY), tg.tensor(2)
    np.testing.assert_array_equal(x[:, i].array(), ARRAY[:, 2])
    np.testing.assert_array_equal(x[1, i, 1:].array(), ARRAY[1, 2, 1:])
    x[:, i] = 0.0
    assert not x.array()[:, 2].any()
    x[x > 0] = -1.0  # one value: no positions are needed
    assert not (x.array() > 0).any()


# Any index expression

item = st.one_of(
    st.integers(-4, 3),
    st.builds(slice, st.none() | st.integers(-5, 5), st.none() | st.integers(-5, 5), st.none() | st.integers(1, 3)),
    st.none(),
    st.just(Ellipsis),
    st.lists(st.integers(-2, 1), min_size=0, max_size=3).map(lambda v: np.array(v, np.int64)),
    st.lists(st.lists(st.integers(-2, 1), min_size=2, max_size=2), min_size=1, max_size=2).map(np.array),
    st.lists(st.booleans(), min_size=1, max_size=3).map(np.array),
    st.booleans(),
)


indices = st.lists(item, max_size=4).filter(lambda index: sum(i is Ellipsis for i in index) <= 1)


@settings(max_examples=300)
@given(st.lists(st.integers(0, 4), max_size=4), indices)
def test_any_index_means_what_pytorch_means(shape, index):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)

    def read(library):
        x = library.tensor(array, requires_grad=True)
        at = tuple(library.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
        try:
            y = x[at]
        except (IndexError, RuntimeError) as error:
            return error
        u = np.random.default_rng(0).standard_normal(tuple(y.shape))
        (g,) = library.autograd.grad(y, x, library.tensor(u))
        z = library.tensor(array)
        z[at] = z[at] * 2 + 1
        return y, g, z

    ours, theirs = read(tg), read(torch)
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), (index, shape)
        return
    if isinstance(ours, Exception) and theirs[0].numel() == 0:
        return  # PyTorch checks no position where there is nothing to read
    for a, b in zip(ours, theirs, strict=True):
        assert tuple(a.shape) == tuple(b.shape), (index, shape)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)


@given(st.data())
def test_gather_and_scatter_are_adjoint(data):
    """<gather(x, i), u> = <x, scatter_add(0, i, u)>, on every backend and any positions."""
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    dim = data.draw(st.integers(0, len(shape) - 1))
    sizes = [data.draw(st.integers(0, n if d != dim else 6)) for d, n in enumerate(shape)]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, u = rng.standard_normal(shape), rng.standard_normal(sizes)
    i = tg.tensor(rng.integers(0, shape[dim], sizes))
    for name in backends.available():
        with backends.use(name):
            left = (tg.tensor(x).gather(dim, i) * tg.tensor(u)).sum().item()
            added = tg.zeros(shape, dtype=tg.float64).scatter_add(dim, i, tg.tensor(u))
            np.testing.assert_allclose(left, (tg.tensor(x) * added).sum().item(), atol=1e-12)


def test_second_derivatives_reach_the_source():
    check("x.clone()[[0, 0, 1]].gather(1, t.tensor([[[3], [3]]]))", ARRAY)
    x = tg.tensor([1.0, 2, 3], requires_grad=True, dtype=tg.float64)
    first, second = derivatives(tg, x, [x[[0, 0, 2]]])
    assert first[1].item() == 0 and second[0].item() != 0
