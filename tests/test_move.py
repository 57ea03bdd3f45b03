"""Views, joins, order: PyTorch's names and argument forms, view or copy, every gradient, errors that name op and sizes.

The table of cases.py has one row an op; here are the many forms of each. Read next: test_index.py.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F

torch = pytest.importorskip("torch")

# expression, shape: evaluated with x, and with t (the library) and F (its nn.functional)
SAME = """
x.view(6, 4); x.view((6, 4)); x.view([6, 4]); x.view(-1); x.view(2, -1); x.view_as(t.zeros(4, 6)); x.view(2, 3, 4, 1)
x.reshape(4, 6); t.reshape(x, (4, 6)); t.reshape(x, (-1,)); x.reshape_as(t.zeros(4, 6)); x.transpose(0, 1).reshape(-1)
x.flatten(); x.flatten(1); x.flatten(0, 1); x.flatten(-2, -1); t.flatten(x, start_dim=1); x.ravel(); t.ravel(x)
x.unflatten(2, (2, 2)); x.unflatten(-1, (2, -1)); t.unflatten(x, 1, (3, 1)); x.transpose(0, 2).flatten(); x.T.ravel()
x.squeeze(); x.squeeze(0); x[:1].squeeze(0); x[:1, :, :1].squeeze((0, 2)); t.squeeze(x[:, :1]); x[:1, :1].squeeze(-2)
x.unsqueeze(0); x.unsqueeze(-1); x.unsqueeze(3); t.unsqueeze(x, 1); x.permute(2, 0, 1); x.permute((2, 0, 1))
x.permute(-1, 0, 1); t.permute(x, (1, 0, 2)); x.transpose(0, 1); x.transpose(-1, 0); t.transpose(x, 0, 2); x.mT
x.swapaxes(0, 1); t.swapaxes(x, 0, -1); x.swapdims(1, 2); x.movedim(0, 2); x.movedim((0, 1), (1, 2))
t.movedim(x, -1, 0); x.moveaxis(0, 1); t.t(x[0]); x[0].t(); x[0, 0].t(); x[0].T; x[0, 0, 0].t(); x.expand(2, 3, 4)
x.expand(5, -1, -1, -1); x[:, :1].expand(2, 7, 4); x[:, :1].expand(-1, 7, -1); x[0, 0, 0].expand(2, 3)
x[:1].expand_as(x); t.broadcast_to(x, (2, 2, 3, 4)); x.broadcast_to((1, 2, 3, 4)); x[:1].expand((5, 3, 4))
x[:, :1].expand(2, 0, 4); x.narrow(1, 1, 2); x.narrow(-1, -3, 2); t.narrow(x, 0, 2, 0); x.select(1, 0)
x.select(-1, -1); t.select(x, 0, 1); x.diagonal(); x.diagonal(1); x.diagonal(-1, 1, 2); x.diagonal(0, -1, -2)
t.diagonal(x, 2, 0, 2); x.diagonal(9); x.clone(); t.clone(x); x.permute(2, 0, 1).contiguous(); x.contiguous()
t.cat([x, x]); t.cat((x, x * 2, x), 1); t.cat([x, x], dim=-1); t.concat([x, x]); t.cat([x, t.zeros(0, dtype=x.dtype)])
t.stack([x, x]); t.stack((x, x), 1); t.stack([x, x], dim=-1); t.hstack([x, x]); t.hstack([x[0, 0], x[0, 1]])
t.vstack([x, x]); t.vstack([x[0, 0], x[0, 1]]); t.hstack([x[0, 0, 0], x[0, 1, 0]]); t.vstack([x[0, 0, 0], x[1, 1, 1]])
x.split(1); x.split(3, 2); x.split([1, 2], 1); t.split_with_sizes(x, [1, 2], 1)
t.split(x, [0, 4], dim=-1); x.chunk(2); x.chunk(3, 2)
t.chunk(x, 5, dim=1); x.unbind(); x.unbind(1); t.unbind(x, -1); x.repeat(2, 1, 3); x.repeat(2, 1, 1, 2)
x.repeat((1, 1, 1)); x.repeat(0, 1, 1); x.tile(2); x.tile(2, 3); t.tile(x, (2, 1, 1, 1)); x.flip(0); x.flip(0, 2)
x.flip((1,)); t.flip(x, (0, -1)); x.flip([]); x.roll(1); x.roll(-5); x.roll(1, 0); x.roll((1, -2), (0, 2))
t.roll(x, shifts=(3,), dims=(1,)); x.roll((1, 1), (2, 2)); x.repeat_interleave(2); x.repeat_interleave(2, 1)
t.repeat_interleave(x, 3, dim=-1); x.repeat_interleave(0, 0); x.repeat_interleave(t.tensor([1, 0, 2]), 1)
x.repeat_interleave(t.tensor([2]), 0); x.tril(); x.tril(1); x.triu(); t.triu(x, -1); t.tril(x, diagonal=-9); x.triu(9)
x.permute(2, 0, 1).tril(); F.pad(x, (1, 2)); F.pad(x, (1, 2, 3, 4)); F.pad(x, (0, 0, 1, 0, 0, 2)); F.pad(x, (1, -2))
F.pad(x, (-1, -1, 0, 2)); F.pad(x, (1, 1), value=2.5); F.pad(x, [1, 2], mode="constant", value=-1); F.pad(x, ())
F.pad(x, (0, 0)); F.pad(x, (3, 2), mode="reflect"); F.pad(x, (2, 1), "replicate"); F.pad(x, (4, 1), mode="circular")
F.pad(x[None], (1, 2, 2, 1), mode="reflect"); F.pad(x[None], (1, 2, 3, 4), mode="replicate")
F.pad(x[None], (1, 0, 0, 3), mode="circular"); F.pad(x[None, None], (1, 0, 0, 2, 1, 0), mode="replicate")
t.broadcast_tensors(x, x[:1]); t.broadcast_tensors(x[0], x[:, :1]); t.meshgrid(x[0, 0], x[0, :, 0], indexing="ij")
t.meshgrid([x[0, 0], x[0, :, 0]], indexing="xy"); t.meshgrid(x[0, 0], x[0, 1], x[0, :, 0], indexing="xy"); t.sort(x)
x.sort(0); x.sort(1, descending=True); t.sort(x, dim=-1, descending=True, stable=True); t.sort(x[0, 0, 0])
t.argsort(x); x.argsort(0); x.argsort(dim=1, descending=True); t.msort(x); x.argsort(stable=True)
x[0, 0, 0].argsort(); x.topk(2); x.topk(1, 0); x.topk(3, dim=1, largest=False); t.topk(x, 4, -1); t.topk(x, 0)
t.flip(x, dims=(0, 1)); t.reshape(x, shape=(4, 6)); t.permute(x, dims=(2, 0, 1)); x.repeat(repeats=(2, 1, 1))
x[:1].expand(size=(2, 3, 4)); t.tile(x, dims=(2, 1)); x.view(size=(6, 4)); F.pad(x[None], (-1, 1, 2, -1), "circular")
t.topk(x[0, 0, 0], 1); x.kthvalue(2); x.kthvalue(1, 0); t.kthvalue(x, 3, dim=1, keepdim=True); t.kthvalue(x, 1, -1)
"""
EXPRESSIONS = [e.strip() for line in SAME.strip().splitlines() for e in line.split(";")]
EMPTY = """
x.view(0); x.view(4, 0); x.reshape(0, 2); x.flatten(); x.squeeze(); x.unsqueeze(0); x.t(); x.expand(2, 3, 0); x.T
x.narrow(0, 1, 1); x.select(0, 1); x.diagonal(); x.clone(); t.cat([x, x]); t.stack([x, x]); x.split(2); x.chunk(2, 1)
x.unbind(); x.repeat(2, 2); x.flip(0, 1); x.roll(1); x.roll(2, 0); x.tril(); F.pad(x, (1, 1)); x.sort(); x.sort(0)
x.argsort(1); x.topk(0, 1); x.topk(2, 0); x.repeat_interleave(2, 0); x.transpose(0, 1).contiguous(); x.ravel()
"""
EMPTIES = [e.strip() for line in EMPTY.strip().splitlines() for e in line.split(";")]
ZERO_D = """
x.view(1); x.view(()); x.reshape(1, 1); x.flatten(); x.squeeze(); x.squeeze(0); x.unsqueeze(0); x.t(); x.expand(3)
x.permute(()); x.transpose(0, -1); x.clone(); t.stack([x, x]); x.repeat(3); x.repeat(()); x.flip(()); x.roll(1)
x.ravel(); x.tile(2); x.movedim(0, 0); x.sort(); x.argsort(); x.topk(1); x.kthvalue(1); x.repeat_interleave(2)
"""
ZEROS_D = [e.strip() for line in ZERO_D.strip().splitlines() for e in line.split(";")]


def results(expression, library, functional, array, grad=True):
    x = library.tensor(array, requires_grad=grad)
    y = eval(expression, {"t": library, "F": functional, "x": x, "np": np})
    return x, list(y) if isinstance(y, (tuple, list)) else [y]


def both(expression, array, grad=True):
    """(x, outputs) of ours and of PyTorch's."""
    return results(expression, tg, F, array, grad), results(expression, torch, torch.nn.functional, array, grad)


def equal(a, b):
    assert tuple(a.shape) == tuple(b.shape)
    assert a.dtype.name == str(b.dtype).removeprefix("torch.")
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-14)  # sums may run in another order


def check(expression, array):
    (x, ours), (z, theirs) = both(expression, array)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        equal(a, b)
        assert a.requires_grad == b.requires_grad
    # a non-linear function behind it, so that the second derivative sees something
    first, second = derivatives(tg, x, ours), derivatives(torch, z, theirs)
    for a, b in zip(first, second, strict=True):
        a, b = (np.zeros(()) if g is None else g.detach().numpy() for g in (a, b))  # None is zero by name
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def derivatives(library, x, ys):
    """Of a cubic form of the outputs with fixed coefficients: the gradient, and a product with the Hessian."""
    ys = [y for y in ys if y.requires_grad]
    if not ys:
        return None, None
    rng = np.random.default_rng(1)
    total = 0
    for y in ys:
        c = library.tensor(rng.standard_normal(tuple(y.shape)))
        total = total + (c * y * y * y).sum()
    (g,) = library.autograd.grad(total, x, create_graph=True)
    v = library.tensor(rng.standard_normal(tuple(x.shape)))
    if not g.requires_grad:
        return g, None
    (h,) = library.autograd.grad((g * v).sum(), x)
    return g, h


ARRAY = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) / 7 - 1.5


@pytest.mark.filterwarnings("ignore:An output with one or more")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_equals_pytorch(expression):
    array = ARRAY[:, 0] if expression in ("x.T.ravel()",) else ARRAY
    check(expression, array)


@pytest.mark.parametrize("expression", EMPTIES)
def test_empty(expression):
    check(expression, np.zeros((3, 0)))


@pytest.mark.parametrize("expression", ZEROS_D)
def test_0d(expression):
    check(expression, np.array(1.5))


def defined(expression, dtype):
    """Whether PyTorch has it: it orders no bools, and pads other dtypes than floats with constants only."""
    if dtype == "bool" and any(word in expression for word in ("x * 2", "topk", "kthvalue")):
        return False
    if dtype == "uint8" and "value=-1" in expression:
        return False
    return dtype == "float32" or not any(mode in expression for mode in ("reflect", "replicate", "circular"))


DTYPES = ["float32", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("expression, dtype", [(e, d) for d in DTYPES for e in EXPRESSIONS if defined(e, d)])
def test_other_dtypes(expression, dtype):
    array = ARRAY[:, 0] if expression in ("x.T.ravel()",) else ARRAY
    (_, ours), (_, theirs) = both(expression, np.abs(array * 3).astype(dtype), grad=False)
    values = "sort" in expression or "topk" in expression or "kthvalue" in expression
    for a, b in zip(ours[:1] if values else ours, theirs, strict=False):  # equal values: positions may differ
        equal(a, b)


VIEWS = """
x.view(-1); x.reshape(4, 6); x.flatten(); x.squeeze(); x.unsqueeze(0); x.permute(2, 0, 1); x.transpose(0, 1); x.mT
x.expand(5, 2, 3, 4); x.narrow(0, 1, 1); x.select(0, 1); x.diagonal(); x.contiguous(); x.movedim(0, 1); x[0]; x[:, 1:]
x[...]; x[None]; x[()]; x.detach(); x.ravel(); x.unflatten(2, (2, 2)); x[0].T; x[0].t(); x.expand_as(x); x[1:, 0]
"""
COPIES = """
x.clone(); x.transpose(0, 1).reshape(-1); x.transpose(0, 1).flatten(); x.repeat(1, 1, 1); x.flip(0); x.roll(1)
x.transpose(0, 1).contiguous(); x[[0, 1]]; x[x > 0]; x.tril(); x[:, [0]]; x.repeat_interleave(1, 0)
"""


@pytest.mark.parametrize("expression", [e.strip() for line in VIEWS.strip().splitlines() for e in line.split(";")])
def test_a_view_shares_memory(expression):
    for x, (y, *_) in both(expression, ARRAY, grad=False):
        before = y.sum().item()
        x += 1
        assert y.sum().item() != before


@pytest.mark.parametrize("expression", [e.strip() for line in COPIES.strip().splitlines() for e in line.split(";")])
def test_a_copy_shares_none(expression):
    for x, (y, *_) in both(expression, ARRAY, grad=False):
        before = y.sum().item()
        x += 1
        assert y.sum().item() == before


def test_pieces_are_views():
    for pieces in (
        lambda x: x.split(1),
        lambda x: x.chunk(2),
        lambda x: x.unbind(1),
        lambda x: tg.meshgrid(x[0, 0], x[0, 1]),
    ):
        x = tg.tensor(ARRAY)
        ys = pieces(x)
        x.zero_()
        assert all((y == 0).all() for y in ys)


def test_strides_equal_pytorchs():
    for expression in [
        "x.T",
        "x.permute(2,0,1)",
        "x.expand(5,2,3,4)",
        "x[:,1:]",
        "x[0]",
        "x[:,::2]",
        "x.diagonal()",
        "x.unsqueeze(1)",
    ]:
        (_, (y,)), (_, (z,)) = both(expression, ARRAY[0] if expression == "x.T" else ARRAY, grad=False)
        assert y.stride() == z.stride(), expression
        assert y.storage_offset() == z.storage_offset()


ERRORS = [
    ("x.view(5, 5)", "view", r"\(5, 5\)"),
    ("x.view(-1, -1)", "view", "one -1"),
    ("x.view(7, -1)", "view", "24"),
    ("x.transpose(0, 1).view(-1)", "view", "reshape"),
    ("x.reshape(23)", "reshape", "23"),
    ("x.expand(2, 5, 4)", "expand", "5"),
    ("x.expand(3, 4)", "expand", r"\(3, 4\)"),
    ("x.expand(-1, 2, 3, 4)", "expand", "-1"),
    ("x.permute(0, 1)", "permute", "3"),
    ("x.permute(0, 0, 1)", "permute", "once"),
    ("x.transpose(0, 3)", "transpose", "3"),
    ("x.squeeze(5)", "squeeze", "5"),
    ("x.unsqueeze(5)", "unsqueeze", "5"),
    ("x.t()", "t:", r"\(2, 3, 4\)"),
    ("x[0, 0].mT", "mT", r"\(4,\)"),
    ("x.narrow(0, 1, 5)", "narrow", "5"),
    ("x.narrow(0, 5, 0)", "narrow", "5"),
    ("x.select(0, 2)", "select", "2"),
    ("x.select(0, -3)", "select", "-3"),
    ("x.diagonal(0, 1, 1)", "diagonal", "1"),
    ("x.flatten(2, 1)", "flatten", "start_dim"),
    ("x.unflatten(0, (2, 2))", "unflatten", r"\(2, 2\)"),
    ("x.movedim((0, 1), (0,))", "movedim", "destination"),
    ("t.cat([])", "cat", "at least one"),
    ("t.cat([x, x[0]])", "cat", r"\(3, 4\)"),
    ("t.cat([x, x[:, :2]])", "cat", r"\(2, 2, 4\)"),
    ("t.cat([x[0, 0, 0], x])", "cat", "0-d"),
    ("t.stack([x, x[:1]])", "stack", r"\(1, 3, 4\)"),
    ("x.split(0)", "split", "0"),
    ("x.split([1, 1], 1)", "split", "3"),
    ("x.chunk(0)", "chunk", "0"),
    ("x.repeat(2)", "repeat", r"\(2, 3, 4\)"),
    ("x.flip(0, 0)", "flip", "twice"),
    ("x.flip(3)", "flip", "3"),
    ("x.roll((1, 2), 0)", "roll", "2 shifts"),
    ("x[0, 0].tril()", "tril", r"\(4,\)"),
    ("F.pad(x, (1,))", "pad", "pairs"),
    ("F.pad(x, (1, 1) * 4)", "pad", r"\(2, 3, 4\)"),
    ("F.pad(x, (4, 0), mode='reflect')", "pad", "4"),
    ("F.pad(x, (5, 0), mode='circular')", "pad", "5"),
    ("F.pad(x, (-3, -3))", "pad", "-3"),
    ("t.broadcast_tensors(x, x[:, :2])", "broadcast_tensors", "3"),
    ("x.topk(5)", "topk", "5"),
    ("x.kthvalue(0)", "kthvalue", "0"),
    ("x.sort(3)", "sort", "3"),
]


@pytest.mark.parametrize("expression, op, detail", ERRORS, ids=[e[0] for e in ERRORS])
def test_errors_name_op_and_sizes(expression, op, detail):
    with pytest.raises((RuntimeError, IndexError, ValueError)) as theirs:
        results(expression, torch, torch.nn.functional, ARRAY)
    with pytest.raises((RuntimeError, IndexError, ValueError), match=f"{op}.*{detail}|{detail}.*{op}") as ours:
        results(expression, tg, F, ARRAY)
    if isinstance(theirs.value, IndexError):
        assert isinstance(ours.value, IndexError)


def test_types_of_wrong_arguments():
    x = tg.zeros(2, 3)
    for call in (lambda: x.view(2.0, 3), lambda: x.permute("a"), lambda: tg.cat([x, 1]), lambda: x.expand(2, "3")):
        with pytest.raises(TypeError):
            call()


def test_cat_promotes():
    a, b, c = tg.ones(2, dtype=tg.int64), tg.ones(2), tg.ones(2, dtype=tg.float64)
    assert tg.cat([a, b]).dtype is tg.float32
    assert tg.stack([a, b, c]).dtype is tg.float64
    assert tg.cat([tg.zeros(0, dtype=tg.float64), b]).dtype is tg.float64  # as PyTorch: the empty one counts


def test_sort_is_stable_and_puts_nan_last():
    keys = np.random.default_rng(2).integers(0, 4, (50, 3))
    for descending in (False, True):
        order = tg.tensor(keys).argsort(0, descending=descending).numpy()
        expected = torch.tensor(keys).sort(dim=0, descending=descending, stable=True).indices.numpy()
        np.testing.assert_array_equal(order, expected)
        x = [2.0, float("nan"), -1.0, float("inf")]
        equal(tg.tensor(x).sort(descending=descending)[1], torch.tensor(x).sort(descending=descending)[1])
    equal(tg.tensor(x).topk(2).values, torch.tensor(x).topk(2).values)
    assert tg.tensor([3, 1, 2]).sort().indices.tolist() == [1, 2, 0]


def test_gradient_of_a_repeated_view():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x.expand(3, 2) * tg.tensor([[1.0, 2], [3, 4], [5, 6]])).sum().backward()
    assert x.grad.tolist() == [9, 12]


@given(st.data())
def test_chains_of_views_equal_numpys(data):
    """Any views of views see the elements that NumPy's see, and their gradients go to the right places."""
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    x = tg.tensor(array, requires_grad=True)
    a, y = array, x
    for _ in range(data.draw(st.integers(1, 5))):
        n = a.ndim
        kind = data.draw(st.sampled_from(["permute", "slice", "expand", "unsqueeze", "reshape", "diagonal", "select"]))
        if kind == "permute":
            order = data.draw(st.permutations(range(n)))
            a, y = a.transpose(order), y.permute(*order)
        elif kind == "slice" and n:
            d = data.draw(st.integers(0, n - 1))
            at = slice(data.draw(st.integers(-5, 5)), data.draw(st.integers(-5, 5)), data.draw(st.integers(1, 3)))
            a, y = a[(slice(None),) * d + (at,)], y[(slice(None),) * d + (at,)]
        elif kind == "expand" and a.ndim < 5:
            k = data.draw(st.integers(0, 3))
            a, y = np.broadcast_to(a, (k, *a.shape)), y.expand(k, *a.shape)
        elif kind == "unsqueeze" and n < 5:
            d = data.draw(st.integers(0, n))
            a, y = np.expand_dims(a, d), y.unsqueeze(d)
        elif kind == "reshape" and a.size:
            a, y = a.reshape(-1, a.shape[0] if n else 1), y.reshape(-1, a.shape[0] if n else 1)
        elif kind == "diagonal" and n > 1:
            k = data.draw(st.integers(-3, 3))
            a, y = a.diagonal(k), y.diagonal(k)
        elif kind == "select" and n and a.shape[0]:
            i = data.draw(st.integers(-a.shape[0], a.shape[0] - 1))
            a, y = a[i], y[i]
        assert tuple(y.shape) == a.shape
        np.testing.assert_array_equal(y.detach().numpy(), a)
    if not y.requires_grad:
        return
    u = np.random.default_rng(0).standard_normal(a.shape)
    (g,) = tg.autograd.grad(y, x, tg.tensor(u))
    expected = np.zeros(array.size)
    np.add.at(expected, a.astype(np.int64), u)  # each element's value is its place
    np.testing.assert_allclose(g.numpy(), expected.reshape(shape), atol=1e-12)
