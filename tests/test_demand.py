"""What is imported on demand (ops/on_demand.py): names, in-place forms, draws, errors. Values stand in demand_cases.py.

Read next: demand_cases.py.
"""

import math
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.ops import on_demand

WHOLE = {"bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm"}
TWO = {"arctan2", "atan2", "copysign", "fmod", "heaviside", "hypot", "ldexp", "xlogy"}


def test_nothing_is_imported_before_it_is_asked_for():
    code = (
        "import sys, tinygrad_edu as tg\n"
        "from tinygrad_edu.ops import on_demand\n"
        "there = {f for f in on_demand.FILES if 'tinygrad_edu.ops.' + f in sys.modules}\n"
        "assert not there, there\n"
        "assert tg.ones(2).log2().tolist() == [0, 0] and 'tinygrad_edu.ops.transcendental' in sys.modules\n"
        "assert tg.log2 is tg.log2 and 'log2' in vars(tg)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_name_is_where_the_table_says():
    names = [name for file in on_demand.FILES.values() for kind in file for name in kind.split()]
    assert len(set(names)) == len(names)
    for name in on_demand.FUNCTIONS:
        assert callable(getattr(tg, name)) and getattr(tg, name).__doc__, name
    for name in on_demand.METHODS:
        assert callable(getattr(tg.Tensor, name)) and callable(getattr(tg.ones(1), name)), name


def test_names_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in on_demand.FUNCTIONS:
        assert hasattr(torch, name) or hasattr(torch.linalg, name), name
    for name in [*on_demand.METHODS, *(f"{name}_" for name in on_demand.INPLACE)]:
        assert hasattr(torch.Tensor, name), name


@pytest.mark.parametrize("name", tg.special.__all__)
def test_special_functions_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    data = np.array([[0.1, 0.25], [0.9, 0.5]])
    more = {"xlogy": (0.5,), "softmax": (0,), "log_softmax": (1,), "logsumexp": (1,)}.get(name, ())
    results = []
    for lib, make in ((tg, tg.tensor), (torch, torch.tensor)):
        x = make(data, requires_grad=True)
        y = getattr(lib.special, name)(*((2, x) if name == "polygamma" else (x, *more)))
        results.append((y.detach().numpy(), lib.autograd.grad(y.sum(), x)[0].numpy()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, 1e-9, 1e-12)


@pytest.mark.parametrize("name", [n for n in on_demand.INPLACE if on_demand.HOMES[n] not in ("products", "scatters")])
def test_in_place_forms_equal_the_others(name):
    x = tg.tensor([3, 6]) if name in WHOLE else tg.tensor([0.25, 0.75])
    more = (tg.tensor([2, 4]) if name in WHOLE else tg.tensor([0.5, -1.5]),) if name in WHOLE | TWO else ()
    more = {"polygamma": (2,), "cumprod": (0,)}.get(name, more)
    method, change = getattr(x, name), getattr(x.clone(), f"{name}_")
    expected = method(*more).tolist()
    same = change(*more)
    np.testing.assert_array_equal(same.tolist(), expected)
    if name not in WHOLE | {"heaviside"}:
        leaf = tg.tensor([0.25, 0.75], requires_grad=True)
        a = tg.autograd.grad(getattr(leaf.clone(), f"{name}_")(*more).sum(), leaf)[0]
        b = tg.autograd.grad(getattr(leaf, name)(*more).sum(), leaf)[0]
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_entropy_beyond_its_range():
    x = tg.tensor([0.0, -1.0, 0.5, math.nan])
    np.testing.assert_allclose(tg.special.entr(x).numpy(), [0, -math.inf, 0.5 * math.log(2), math.nan], 1e-6)
    assert tg.special.ndtr(tg.tensor([0.0])).item() == 0.5


def test_shift_operators():
    x = tg.tensor([1, -8, 5])
    assert (x << 2).tolist() == [4, -32, 20] and (x >> 1).tolist() == [0, -4, 2]
    assert (x << 64).tolist() == [0, 0, 0] and (x >> 64).tolist() == [0, -1, 0]
    with pytest.raises(RuntimeError, match="not on"):
        tg.ones(2) << 1


def test_scattered_sums_in_place():
    x = tg.zeros(3)
    assert x.scatter_reduce_(0, tg.tensor([0, 0, 2]), tg.tensor([1.0, 5.0, 2.0]), "amax") is x
    assert x.tolist() == [5, 0, 2]
    m = tg.zeros(2, 2)
    assert m.addr_(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])).tolist() == [[3, 4], [6, 8]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.cumprod(0),
        lambda x: tg.ones(2, dtype=x.dtype).scatter_reduce(0, tg.tensor([0, 0, 0, 1, 1]), x, "prod"),
        lambda x: tg.ones(2, dtype=x.dtype).index_reduce(0, tg.tensor([1, 1, 1, 0, 0]), x, "prod", include_self=False),
    ],
    ids=["cumprod", "scatter_reduce", "index_reduce"],
)
def test_products_of_zeros_are_differentiated_twice(function):
    x = tg.tensor([0.0, 2.0, 0.0, 0.0, 3.0], dtype=tg.float64, requires_grad=True)
    assert tg.autograd.gradcheck(function, [x]) and tg.autograd.gradgradcheck(function, [x])


def test_multinomial_draws_by_weight():
    tg.manual_seed(1)
    weights = tg.tensor([[0.0, 1.0, 3.0, 0.0], [2.0, 0.0, 0.0, 2.0]])
    drawn = weights.multinomial(8000, replacement=True).numpy()
    shares = np.array([np.bincount(row, minlength=4) / 8000 for row in drawn])
    np.testing.assert_allclose(shares, [[0, 0.25, 0.75, 0], [0.5, 0, 0, 0.5]], atol=0.02)
    firsts = np.array([tg.multinomial(weights[0], 2).tolist() for _ in range(500)])
    assert sorted(set(firsts[:, 0])) == [1, 2] and (np.sort(firsts) == [1, 2]).all()
    assert abs((firsts[:, 0] == 2).mean() - 0.75) < 0.08
    for given, count, words in (
        ([0.0, 0.0], 1, "not all 0"),
        ([1.0, -1.0], 1, "not negative"),
        ([1.0, math.nan], 1, "finite"),
        ([1.0, 0.0], 2, "fewer than 2"),
        ([1.0, 1.0], 3, "can't draw 3"),
    ):
        with pytest.raises(RuntimeError, match=words):
            tg.multinomial(tg.tensor(given), count)


def test_draws_in_place_follow_their_distributions():
    tg.manual_seed(0)
    n = 20_000
    x = tg.empty(n).geometric_(0.25)
    assert x.min().item() == 1 and abs(x.mean().item() - 4) < 0.1 and x.trunc().equal(x)
    assert abs((tg.empty(n, dtype=tg.int64).geometric_(0.5) == 1).float().mean().item() - 0.5) < 0.02
    x = tg.empty(n, dtype=tg.float64).cauchy_(2, 3)
    assert np.quantile(x.numpy(), [0.25, 0.5, 0.75]) == pytest.approx([-1, 2, 5], abs=0.2)
    x = tg.empty(n).log_normal_(0.5, 0.25).log()
    assert abs(x.mean().item() - 0.5) < 0.01 and abs(x.std().item() - 0.25) < 0.01
    tg.manual_seed(5)
    first = tg.empty(9).cauchy_()
    tg.manual_seed(5)
    assert tg.empty(9).cauchy_().equal(first)
    for name, arguments in (("geometric_", (1.0,)), ("cauchy_", (0, 0)), ("log_normal_", (0, 0))):
        with pytest.raises(RuntimeError, match=f"{name}: expected"):
            getattr(tg.empty(2), name)(*arguments)
    with pytest.raises(RuntimeError, match="floating-point"):
        tg.empty(2, dtype=tg.int64).log_normal_()


def test_matrices_without_an_inverse_are_refused():
    flat = tg.ones(2, 2)
    for function in (tg.linalg.inv, tg.cholesky, lambda x: tg.linalg.solve(x, tg.ones(2))):
        with pytest.raises(tg.linalg.LinAlgError):
            function(flat - tg.eye(2) * 0 if function is not tg.cholesky else -flat)
    with pytest.raises(RuntimeError, match="square matrices"):
        tg.det(tg.ones(2, 3))
    with pytest.raises(NotImplementedError, match="singular value"):
        tg.linalg.norm(tg.ones(2, 2), 2)


def test_a_step_with_them_replays():
    step = tg.replay(lambda x: (x.log2().cumprod(0) + x.median()).scatter_reduce(0, tg.tensor([0, 0, 1]), x, "amax"))
    for k in range(1, 5):
        x = tg.tensor([1.0, 2.0, 4.0]) * k
        expected = (x.log2().cumprod(0) + x.median()).scatter_reduce(0, tg.tensor([0, 0, 1]), x, "amax")
        assert step(x).tolist() == expected.tolist()
