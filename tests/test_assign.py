"""x[...] = value and its like against PyTorch and NumPy, with and without a gradient, and what must be noticed of it.

Read next: test_inplace.py.
"""

import itertools

import numpy as np
import pytest
from test_index import ADVANCED, ARRAY, BASIC

import tinygrad_edu as tg

torch = pytest.importorskip("torch")

# what follows x; a mask in it is one of m, which is not written to
TARGETS = [
    e[1:].replace("x", "m") for e in BASIC + ADVANCED if not e.startswith(("x.", "x[0][", "x[1:][", "x[:, ::2]["))
]


@pytest.mark.parametrize("index", TARGETS)
@pytest.mark.parametrize("value", ["v{} * 2 + 1", "7", "t.tensor(2.5, dtype=t.float64)"])
def test_assignment_equals_pytorch(index, value):
    """Repeated positions get the same value each time: which one wins is nobody's promise."""
    found = []
    for library in (tg, torch):
        x = library.tensor(ARRAY)
        exec(f"x{index} = {value.format(index)}", {"t": library, "x": x, **constants(library)})
        found.append(x.numpy())
    np.testing.assert_array_equal(*found)


def constants(library):
    return {"m": library.tensor(ARRAY), "v": library.tensor(ARRAY)}


@pytest.mark.parametrize("index", TARGETS)
@pytest.mark.parametrize("which", ["both", "x", "v"])
def test_assignment_with_a_gradient_equals_pytorch(index, which):
    found = []
    for library in (tg, torch):
        a = library.tensor(ARRAY, requires_grad=which != "v")
        v = library.tensor(ARRAY * 2 + 1, requires_grad=which != "x")
        x = (a * a).clone()
        exec(f"x{index} = v{index} * 3", {"t": library, **constants(library), "x": x, "v": v})
        c = library.tensor(np.random.default_rng(4).standard_normal(ARRAY.shape))
        leaves = [leaf for leaf in (a, v) if leaf.requires_grad]
        y = (c * x * x * x).sum()
        assert y.requires_grad or index == "[False]"  # which writes nothing
        first = library.autograd.grad(y, leaves, create_graph=True, allow_unused=True) if y.requires_grad else ()
        form = sum(((c * g * g).sum() for g in first if g is not None), library.zeros(()))
        second = library.autograd.grad(form, leaves, allow_unused=True) if form.requires_grad else ()
        found.append([x.detach()] + [library.zeros(()) if g is None else g.detach() for g in (*first, *second)])
    for ours, theirs in itertools.zip_longest(*found, fillvalue=torch.zeros(())):  # no gradient is zero
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-12)


def test_assignment_through_strides():
    for view in ("x.T", "x[:, ::2]", "x.T[1:]", "x.permute(1, 0)[:, ::2]"):
        for index in ("[[0, 1], [1, 0]]", "[[1, 0]]", "[0]", "[:, [1]]", "[[[0], [1]], [0, 1]]"):
            found = []
            for library in (tg, torch):
                x = library.tensor(ARRAY[0].copy())
                scope = {"x": x}
                exec(f"v = {view}\nv{index} = v{index}.clone() * 3 + 1", scope)
                found.append(x.numpy())
            np.testing.assert_array_equal(*found, err_msg=view + index)


def test_assignment_of_overlapping_memory():
    x = tg.arange(6)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]
    x[[0, 1]] = x[[1, 2]]
    assert x.tolist() == [0, 1, 1, 2, 3, 4]


def test_repeated_positions_accumulate():
    x = tg.zeros(3)
    x.index_put_((tg.tensor([0, 0, 2]),), tg.tensor([1.0, 2, 3]), accumulate=True)
    assert x.tolist() == [3, 0, 3]
    x.index_add_(0, tg.tensor([2, 2]), tg.tensor([1.0, 1]))
    assert x.tolist() == [3, 0, 5]
    y = tg.tensor([1.0, 2, 3], requires_grad=True)
    y[[0, 0, 2]].sum().backward()
    assert y.grad.tolist() == [2, 0, 1]


def test_in_place_forms():
    found = []
    for library in (tg, torch):
        x, i = library.zeros(3, 4), library.tensor([[0, 2, 1, 0]])
        x.scatter_(0, i, 1).scatter_add_(0, i, library.ones(1, 4))
        x.index_fill_(1, library.tensor([1]), 5).index_copy_(0, library.tensor([2]), library.ones(1, 4) * 9)
        x.masked_fill_(x == 9, -1).tril_()
        found.append(x.numpy())
    np.testing.assert_array_equal(*found)


def test_a_nested_list_is_one_index():
    """As in NumPy; PyTorch announces the same for the form that it still takes for a tuple."""
    np.testing.assert_array_equal(tg.tensor(ARRAY)[[[0, 1], [2, 0]]].numpy(), ARRAY[np.array([[0, 1], [2, 0]])])


def test_a_leaf_is_not_assigned_to():
    w = tg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        w[0] = 2.0
    with pytest.raises(RuntimeError):
        w[[0, 1]] = tg.zeros(2)
    with tg.no_grad():
        w[0] = 2.0
    assert w.tolist() == [2, 1, 1]
    assert w.is_leaf


def test_what_backward_needs_is_not_overwritten_in_silence():
    w = tg.ones(3, requires_grad=True)
    x = w * 2
    y = x * x
    x[0] = 5.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_view_that_would_miss_the_gradient_is_an_error():
    w = tg.ones(2, requires_grad=True)
    x = tg.zeros(2, 2)
    row = x[0]
    with pytest.raises(RuntimeError, match="view"):
        row[0] = w[0]
    x = w * 1
    y = x[:1]
    with pytest.raises(RuntimeError, match="view"):
        x[0] = w[1]
    assert y.tolist() == [1]


def test_filling_a_buffer_step_by_step():
    found = []
    for library in (tg, torch):
        w = library.tensor([0.5, 2.0], requires_grad=True)
        out = library.zeros(4)
        out[3] = 1.0
        for k in range(3):
            out[k] = w[k % 2] * (k + 1) + out[k - 1]  # the view of it is gone when it is written to
        (out * out).sum().backward()
        found.append((out.detach().numpy(), w.grad.numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1])


WRITES = {
    "number": lambda x, i, m: x.__setitem__(1, 2.0),
    "slice": lambda x, i, m: x.__setitem__(slice(1, 3), 2.0),
    "everything": lambda x, i, m: x.__setitem__(..., 2.0),
    "positions": lambda x, i, m: x.__setitem__(i, 2.0),
    "pairs": lambda x, i, m: x.__setitem__((i, i), 2.0),
    "mask": lambda x, i, m: x.__setitem__(m, 2.0),
    "values at a mask": lambda x, i, m: x.__setitem__(m, x[m] * 2),
    "masked_fill_": lambda x, i, m: x.masked_fill_(m, 2.0),
    "accumulate": lambda x, i, m: x.index_put_((i,), tg.ones(4), accumulate=True),
}


@pytest.mark.parametrize("name", WRITES)
def test_every_write_counts_and_leaves_no_view(name):
    x, i, m = tg.ones(4, 4), tg.tensor([0, 2]), tg.eye(4) > 0
    for _ in range(3):  # at first the signature is new
        before = x._version
        WRITES[name](x, i, m)
        assert x._version == before + 1 and not x.storage.viewed
    y = (x.requires_grad_() * 2).square().sum()
    with tg.no_grad():
        WRITES[name](x, i, m)
    y.backward()  # which needs 2 x, not x
    y = x.square().sum()
    with tg.no_grad():
        WRITES[name](x, i, m)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_an_index_in_the_memory_that_it_writes_to():
    x = tg.tensor([3, 0, 1, 2, 2])
    x[x] = x * 10
    expected = np.array([3, 0, 1, 2, 2])
    expected[expected.copy()] = expected * 10
    assert x.tolist() == expected.tolist()


@pytest.mark.parametrize("index", [slice(0, 2), ..., tg.tensor([0, 1]), (slice(None), tg.tensor([1]))], ids=str)
def test_what_was_expanded_is_not_written_to(index):
    x = tg.zeros(1, 3).expand(2, 3)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="expanded"):
            x[..., None][index] = 1.0
    assert not x.any()


@pytest.mark.parametrize("mask", ["m[0] > 0", "m > 0", "m[:1] > 0"])
@pytest.mark.parametrize("value", ["7", "v[:1]", "v"])
def test_a_mask_goes_along_the_first_dimensions_whatever_where_knows(mask, value):
    found = []
    for library in (tg, torch):
        x, m = library.ones(3, 3), library.tensor([[1.0, -1, 1], [-1, 1, -1], [-1, -1, -1]])
        scope = {"m": m, "v": library.tensor([2.0, 3, 4])}
        chosen, what = eval(mask, scope), eval(value, scope)
        for _ in range(2):
            library.where(chosen, library.tensor(7.0) if value == "7" else what, x)
            try:
                x[chosen] = what
            except (IndexError, RuntimeError) as error:
                x = error.__class__
                break
        found.append(x)
    ours, theirs = found
    if isinstance(theirs, type):
        assert isinstance(ours, type)
    else:
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
