"""Where op semantics have edges: promotion, kinks and ties, NaN and infinity, empty and 0-d tensors, errors.

Each row is run with tinygrad_edu and with PyTorch and must give the same dtype, shape, values and gradients, or fail in
both. The ordinary case of every op, its derivatives and its backends are test_ops.py's. Read next: test_inplace.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

nan, inf = float("nan"), float("inf")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's own


def flat(result):
    if isinstance(result, (tuple, list)):
        return [x for r in result for x in flat(r)]
    return [result]


def array(x):
    return x.detach().numpy() if hasattr(x, "detach") else np.asarray(x)


def agree(call, rtol=1e-6):
    """call(library) gives the same in both, or raises in both."""
    torch = pytest.importorskip("torch")
    try:
        theirs = call(torch)
    except Exception as error:
        with pytest.raises(Exception) as ours:
            call(tg)
        assert isinstance(ours.value, (RuntimeError, TypeError, IndexError, ValueError)), ours.value
        assert str(ours.value), error
        return
    mine = call(tg)
    for x, y in zip(flat(mine), flat(theirs), strict=True):
        a, b = array(x), array(y)
        assert a.dtype == b.dtype, (a.dtype, b.dtype)
        assert a.shape == b.shape, (a.shape, b.shape)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7)


def rows(**table):
    return pytest.mark.parametrize("call", table.values(), ids=table.keys())


OPERANDS = {
    "bool": lambda t: t.tensor([True, False]),
    "uint8": lambda t: t.tensor([3, 200], dtype=t.uint8),
    "int32": lambda t: t.tensor([3, -7], dtype=t.int32),
    "int64": lambda t: t.tensor([3, -7]),
    "float32": lambda t: t.tensor([1.5, -2.0]),
    "float64": lambda t: t.tensor([1.5, -2.0], dtype=t.float64),
    "0d-bool": lambda t: t.tensor(True),
    "0d-int64": lambda t: t.tensor(5),
    "0d-float32": lambda t: t.tensor(2.5),
    "0d-float64": lambda t: t.tensor(2.5, dtype=t.float64),
    "True": lambda t: True,
    "3": lambda t: 3,
    "2.5": lambda t: 2.5,
}
BINARY = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "<": lambda x, y: x < y,
    "==": lambda x, y: x == y,
}


@pytest.mark.parametrize("right", OPERANDS)
@pytest.mark.parametrize("left", OPERANDS)
@pytest.mark.parametrize("symbol", BINARY)
def test_promotion(symbol, left, right):
    agree(lambda t: BINARY[symbol](OPERANDS[left](t), OPERANDS[right](t)))


@pytest.mark.parametrize("name", ["maximum", "minimum", "remainder", "floor_divide", "logical_and", "pow", "where"])
@pytest.mark.parametrize("left", ["bool", "uint8", "int64", "float32", "0d-float64"])
@pytest.mark.parametrize("right", ["uint8", "int32", "float32", "0d-float32", "0d-int64"])
def test_promotion_of_functions(name, left, right):
    if name == "pow" and left in ("uint8", "int64") and right == "int32":
        pytest.skip("negative powers of integers: no value is PyTorch's business here")

    def call(t):
        x, y = OPERANDS[left](t), OPERANDS[right](t)
        return t.where(t.tensor([True, False]), x, y) if name == "where" else getattr(t, name)(x, y)

    agree(call)


@rows(
    bool_minus_bool=lambda t: t.tensor([True]) - t.tensor([True]),
    bool_minus_number=lambda t: t.tensor([True]) - 1,
    int_minus_true=lambda t: t.tensor([1]) - True,
    minus_bool=lambda t: -t.tensor([True]),
    abs_bool=lambda t: t.abs(t.tensor([True])),
    relu_bool=lambda t: t.relu(t.tensor([True])),
    invert=lambda t: (~t.tensor([True, False]), ~t.tensor([1, 0])),
    invert_float=lambda t: ~t.tensor([1.0]),
    and_or_xor=lambda t: [f(t.tensor([6, 5]), t.tensor([3, 4])) for f in (t.bitwise_and, t.bitwise_or, t.bitwise_xor)],
    mask_and=lambda t: t.tensor([True, False]) & t.tensor([True, True]),
    and_number=lambda t: (t.tensor([6]) & 3, 3 | t.tensor([4])),
    alpha=lambda t: t.add(t.tensor([1.0, 2]), t.tensor([3.0, 4]), alpha=0.5),
    alpha_sub=lambda t: t.sub(t.tensor([1, 2]), t.tensor([3, 4]), alpha=2),
    alpha_float_of_ints=lambda t: t.add(t.tensor([1]), t.tensor([3]), alpha=0.5),
    div_floor=lambda t: t.div(t.tensor([7.0, -7]), 2, rounding_mode="floor"),
    div_trunc=lambda t: t.div(t.tensor([7, -7]), 2, rounding_mode="trunc"),
    div_trunc_float=lambda t: t.div(t.tensor([7.0, -7]), 2, rounding_mode="trunc"),
    div_unknown=lambda t: t.div(t.tensor([7]), 2, rounding_mode="up"),
    floor_divide_by_0=lambda t: t.tensor([1.0, -1, 0, nan]) // 0,
    remainder_signs=lambda t: t.tensor([5.0, -5, 5, -5]) % t.tensor([3.0, 3, -3, -3]),
    remainder_by_0=lambda t: t.tensor([5.0]) % 0.0,
    rdiv=lambda t: (1 / t.tensor([2, 4]), 7 // t.tensor([2, 4]), 7 % t.tensor([4, 5]), 2 ** t.tensor([3, 4])),
    rsub=lambda t: 1 - t.tensor([2.0]),
    int_power=lambda t: t.tensor([2, 3]) ** 2,
    int_float_power=lambda t: (t.tensor([4, 9]) ** 0.5, t.tensor([4, 9]) ** 2.0, t.tensor([4, 9]) ** 3),
    int_negative_power=lambda t: t.tensor([2]) ** -1,
    int_negative_powers=lambda t: t.tensor([1, -1, -1, 2]) ** t.tensor([-1, -1, -2, -3]),
    bool_power=lambda t: t.tensor([True]) ** 2,
    sign=lambda t: t.sign(t.tensor([nan, 0.0, -0.0, -2, inf])),
    sign_ints=lambda t: (t.sign(t.tensor([True, False])), t.sign(t.tensor([3, 0], dtype=t.uint8))),
    rounding=lambda t: [f(t.tensor([-2.5, -0.5, 0.5, 1.5, nan])) for f in (t.floor, t.ceil, t.trunc, t.round)],
    rounding_ints=lambda t: [f(t.tensor([-2, 3])) for f in (t.floor, t.ceil, t.trunc, t.round)],
    round_decimals=lambda t: t.round(t.tensor([2.345, 1.5, -2.5]), decimals=2),
    float_maths_of_ints=lambda t: [f(t.tensor([1, 4])) for f in (t.exp, t.sqrt, t.sigmoid, t.log, t.tanh)],
    float_maths_of_bools=lambda t: t.exp(t.tensor([True])),
    extremes=lambda t: [f(t.tensor([-1000.0, 1000, inf, -inf, nan])) for f in (t.sigmoid, t.tanh, t.exp, t.relu)],
    isnan=lambda t: [f(t.tensor([nan, inf, -inf, 1])) for f in (t.isnan, t.isinf, t.isfinite)],
    isnan_ints=lambda t: [f(t.tensor([1, 0])) for f in (t.isnan, t.isinf, t.isfinite)],
    maximum_nan=lambda t: t.maximum(t.tensor([nan, 1.0]), t.tensor([1.0, nan])),
    where_numbers=lambda t: t.where(t.tensor([True, False]), 1.0, 2),
    where_uint8=lambda t: t.where(t.tensor([1, 0], dtype=t.uint8), 1.0, t.tensor([2.0, 3])),
    where_not_bool=lambda t: t.where(t.tensor([1]), t.tensor([1.0]), t.tensor([2.0])),
    clamp_none=lambda t: t.clamp(t.tensor([1.0])),
    clamp_float_bound_of_ints=lambda t: t.clamp(t.tensor([2, 5]), min=2.5),
    clamp_nan=lambda t: (t.clamp(t.tensor([nan, 5.0]), 2, 3), t.clamp(t.tensor([1.0]), min=nan)),
    clamp_crossed=lambda t: t.clamp(t.tensor([1.0, 5, 9]), 7, 3),
    clamp_tensors=lambda t: t.clamp(t.tensor([1.0, 5, 9]), t.tensor([2.0, 2, 2]), t.tensor([8.0, 4, 8])),
    clamp_uint8=lambda t: t.clamp(t.tensor([1, 250], dtype=t.uint8), 5, 200),
    clamp_one_side=lambda t: (t.clamp_min(t.tensor([1, 5]), 3), t.clamp_max(t.tensor([1.0, 5]), t.tensor(3.0))),
    clamp_one_side_bools=lambda t: t.clamp_min(t.tensor([True, False]), t.tensor([True, True])),
    isclose_negative=lambda t: t.isclose(t.ones(1), t.ones(1), rtol=-1.0),
    logical=lambda t: t.logical_and(t.tensor([1.0, 0]), t.tensor([1, 2])),
    shapes_that_differ=lambda t: t.zeros(2, 3) + t.zeros(4),
    a_string=lambda t: t.zeros(2) + "a",
    less_than_a_string=lambda t: t.zeros(2) < "a",
    equals_none=lambda t: (t.zeros(2) == None, t.zeros(2) != None),  # noqa: E711
    lerp=lambda t: t.lerp(t.tensor([1.0, 2]), t.tensor([3.0, 6]), 0.25),
    addcmul=lambda t: t.addcmul(t.tensor([1.0]), t.tensor([2.0]), t.tensor([3.0]), value=0.5),
    allclose=lambda t: (t.allclose(t.tensor([1.0, inf]), t.tensor([1.0, inf])), t.equal(t.ones(2), t.ones(2))),
    isclose=lambda t: t.isclose(t.tensor([1.0, nan, inf]), t.tensor([1.0 + 1e-7, nan, -inf]), equal_nan=True),
)
def test_elementwise(call):
    agree(call)


MATRIX = lambda t: t.tensor([[3.0, -1, nan], [2, 5, 5]], dtype=t.float64)
EMPTY = lambda t: t.zeros(0, 3)


@rows(
    sum_ints=lambda t: [t.tensor([1, 2], dtype=d).sum() for d in (t.int32, t.int64, t.uint8)],
    sum_bools=lambda t: t.tensor([True, True]).sum(),
    sum_dtype=lambda t: t.sum(t.tensor([1.5, 2.5]), dtype=t.int64),
    sum_no_dims=lambda t: (t.zeros(2, 3).sum(()), t.zeros(2, 3).mean(()), t.zeros(2, 3).amax(())),
    sum_dims=lambda t: (t.ones(2, 3, 4).sum((0, -1)), t.ones(2, 3, 4).sum([-3, 1], keepdim=True)),
    sum_twice=lambda t: t.zeros(2, 3).sum((0, -2)),
    sum_out_of_range=lambda t: t.zeros(2, 3).sum(2),
    sum_0d=lambda t: (t.tensor(3.0).sum(0), t.tensor(3.0).sum(-1, keepdim=True), t.tensor(3.0).sum()),
    sum_empty=lambda t: (EMPTY(t).sum(), EMPTY(t).sum(0), EMPTY(t).sum(1)),
    int_results=lambda t: [f(t.tensor([[90, 90]], dtype=t.uint8), dtype=t.uint8) for f in (t.sum, t.prod)],
    cumsum_whole=lambda t: (t.cumsum(t.tensor([1, 2]), 0, dtype=t.int32), t.cumsum(t.tensor([1.5]), 0, dtype=t.int64)),
    mean_empty=lambda t: (EMPTY(t).mean(), EMPTY(t).mean(0)),
    mean_ints=lambda t: t.tensor([1]).mean(),
    mean_dtype=lambda t: t.mean(t.tensor([1, 2]), dtype=t.float64),
    prod=lambda t: (t.tensor([2, 3], dtype=t.uint8).prod(), EMPTY(t).prod(), MATRIX(t).prod(0)),
    extrema=lambda t: (MATRIX(t).amax(1), MATRIX(t).amin(0), MATRIX(t).max(), MATRIX(t).min()),
    extrema_of_bools=lambda t: (t.tensor([True, False]).amax(), t.tensor([[True, False]]).max(1)),
    max_dim=lambda t: (MATRIX(t).max(1), MATRIX(t).min(0, keepdim=True), t.tensor(3.0).max(0)),
    max_names=lambda t: (MATRIX(t).max(1).values, MATRIX(t).max(dim=1).indices),
    max_two=lambda t: (t.max(t.tensor([1, 5]), t.tensor([3, 3])), t.min(t.tensor([1.0, 5]), t.tensor(3.0))),
    amax_dims=lambda t: t.ones(2, 3, 4).amax((0, 2)),
    amax_empty=lambda t: EMPTY(t).amax(),
    amax_empty_dim=lambda t: EMPTY(t).amax(0),
    amax_other_dim=lambda t: EMPTY(t).amax(1),
    max_empty=lambda t: EMPTY(t).max(),
    max_empty_dim=lambda t: EMPTY(t).max(0),
    argmax=lambda t: (MATRIX(t).argmax(), MATRIX(t).argmax(1), MATRIX(t).argmin(0, keepdim=True)),
    argmax_ties=lambda t: (t.tensor([1, 3, 3]).argmax(), t.tensor([1.0, 0, 0]).argmin()),
    argmax_keepdim=lambda t: t.zeros(2, 3).argmax(keepdim=True),
    argmax_0d=lambda t: (t.tensor(3.0).argmax(), t.tensor(3.0).argmax(0)),
    argmax_bool=lambda t: t.tensor([True]).argmax(),
    argmax_empty=lambda t: EMPTY(t).argmax(),
    argmax_empty_dim=lambda t: EMPTY(t).argmax(0),
    any_all=lambda t: (MATRIX(t).any(1), t.tensor([[1, 0]]).all(1), EMPTY(t).all(), EMPTY(t).any()),
    any_uint8=lambda t: t.tensor([0, 2], dtype=t.uint8).any(),
    any_no_dims=lambda t: (t.tensor([[1, 0]]).any(()), t.tensor([[1, 0]]).all(())),
    count_nonzero=lambda t: (t.count_nonzero(MATRIX(t)), t.count_nonzero(t.tensor([[1, 0]]), dim=1)),
    var=lambda t: (t.ones(3).var(), t.tensor([1.0]).var(), t.tensor([1.0]).var(correction=0), EMPTY(t).var()),
    var_unbiased=lambda t: (
        t.var(t.arange(4.0), unbiased=False),
        t.var(t.arange(4.0), 0, True),
        t.arange(4.0).std(False),
    ),
    var_correction=lambda t: [t.arange(4.0).var(0, correction=c) for c in (0, 1, 2, 4, 5)],
    var_dims=lambda t: t.arange(24.0).reshape(2, 3, 4).std((0, 2), keepdim=True),
    var_ints=lambda t: t.tensor([1, 2]).var(),
    var_mean=lambda t: (t.var_mean(t.arange(4.0)), t.std_mean(t.arange(6.0).reshape(2, 3), 1, keepdim=True)),
    norms=lambda t: [MATRIX(t)[1].norm(p) for p in (0, 0.5, 1, 2, 3, -1, inf, -inf)],
    norm_dim=lambda t: (MATRIX(t).norm(dim=1), t.norm(t.ones(2, 3), "fro", (0, 1), True), t.norm(t.ones(2, 3), 1, 0)),
    norm_empty=lambda t: [EMPTY(t).norm(p) for p in (0, 1, 2, 3)],
    norm_empty_negative=lambda t: EMPTY(t).norm(-1),
    norm_empty_inf=lambda t: EMPTY(t).norm(inf, 0),
    norm_empty_elsewhere=lambda t: EMPTY(t).norm(inf, 1),
    norm_ints=lambda t: t.norm(t.tensor([1, 3])),
    norm_dtype=lambda t: t.norm(t.tensor([3, 4]), dtype=t.float64),
    norm_unknown=lambda t: t.norm(t.ones(2), "foo"),
    logsumexp=lambda t: t.logsumexp(t.tensor([[-inf, -inf], [inf, 0], [1e4, 1e4], [1, nan]]), 1),
    logsumexp_ints=lambda t: t.logsumexp(t.tensor([1, 3]), 0),
    logsumexp_dims=lambda t: t.logsumexp(t.ones(2, 3, 4), (0, 2), keepdim=True),
    logsumexp_empty=lambda t: t.logsumexp(EMPTY(t), 0),
    cumsum=lambda t: (t.tensor([True, True]).cumsum(0), t.arange(6.0).reshape(2, 3).cumsum(-2), t.tensor(3).cumsum(0)),
    cumsum_dtype=lambda t: t.cumsum(t.tensor([1, 2]), 0, dtype=t.float32),
    sum_to_size=lambda t: (t.ones(2, 3, 4).sum_to_size(3, 1), t.ones(2, 3).sum_to_size((1,))),
    sum_to_wrong_size=lambda t: t.ones(2, 3).sum_to_size(2),
)
def test_reductions(call):
    agree(call)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "argmin", "max", "std", "cumsum"])
@pytest.mark.parametrize("right, wrong", [(1, 1.0), (1, True), ((0, 1), (0, 1.0))])
def test_a_dim_known_as_an_int_stays_one(name, right, wrong):
    """What is remembered for a dim must not be found by what equals it and is something else."""
    call = lambda dim: getattr(tg, name)(tg.ones(2, 3), dim)
    if isinstance(right, int) or name in ("sum", "mean", "amax"):
        call(right)
    if name == "std" and wrong is True:
        assert call(wrong).shape == ()  # unbiased, in dim's place
        return
    with pytest.raises(TypeError):
        call(wrong)


def gradients(call, *inputs):
    def run(t):
        xs = [t.tensor(x, dtype=t.float64, requires_grad=True) for x in inputs]
        y = call(t, *xs)
        weights = t.arange(1.0, 1 + y.numel(), dtype=t.float64).reshape(y.shape)
        return t.autograd.grad((y * weights).sum(), xs)

    agree(run, rtol=1e-10)


@rows(
    abs=lambda t, x: x.abs(),
    sign=lambda t, x: x.sign(),
    relu=lambda t, x: x.relu(),
    floor=lambda t, x: x.floor(),
    div_trunc_by_0=lambda t, x: t.div(x, x - x[0], rounding_mode="trunc"),
    remainder_by_0=lambda t, x: 0 * x.sum() + t.remainder(t.tensor([5.0, 5, 5, 5], dtype=t.float64), x[3]),
    clamp_at_bound=lambda t, x: x.clamp(0, 2),
    amax_ties=lambda t, x: x.amax(),
    amin_ties=lambda t, x: x.amin(0, keepdim=True),
    max_ties=lambda t, x: x.max(),
    max_dim_ties=lambda t, x: x.max(0).values,
    maximum_ties=lambda t, x: t.maximum(x, t.tensor([0.0, 1, 2, 2], dtype=t.float64)),
    minimum_ties=lambda t, x: t.minimum(t.tensor([0.0, 1, 2, 2], dtype=t.float64), x),
    prod_one_zero=lambda t, x: x.prod(),
    prod_two_zeros=lambda t, x: (x * t.tensor([1.0, 1, 0, 1], dtype=t.float64)).prod(),
    prod_without_zeros=lambda t, x: (x + 1).prod(0),
    norm_0=lambda t, x: (x * 0).norm(),
    norm_p=lambda t, x: t.stack([x.norm(p) for p in (0, 1, 1.5, 2, 3, inf, -inf)]),
    norm_p_of_zeros=lambda t, x: t.stack([(x * 0).norm(p) for p in (0, 1, 1.5, 2, 3, -1, -2.5)]),
    std_of_equals=lambda t, x: (x * 0 + 1).std(),
    power_of_0=lambda t, x: t.stack([x**p for p in (0, 1, 2, 3, 2.5)]),
    sqrt_positive=lambda t, x: (x + 1).sqrt(),
    remainder=lambda t, x: x % 1.5,
    floor_divide=lambda t, x: t.div(x, 1.5, rounding_mode="floor"),
    where=lambda t, x: t.where(x > 1, x, 0.0),
    number_minus=lambda t, x: 3 - 2 * x / 4 + (-x),
    sigmoid_large=lambda t, x: (x * 1000).sigmoid(),
)
def test_gradient_at_edges(call):
    gradients(call, [0.0, 1.0, 2.0, 2.0])


def test_power_of_tensors_at_0():
    gradients(lambda t, x, y: x**y, [0.0, 0.0, 2.0, 0.0], [0.0, 2.0, 3.0, 1.0])


def test_clamp_sends_gradient_to_its_bounds():
    call = lambda t, x, low, high: t.clamp(x, low, high)
    gradients(call, [0.0, 1.0, 2.0, 3.0, 5.0], [1.0, 1.0, 1.0, 1.0, 4.0], [2.0, 2.0, 2.0, 2.0, 3.0])


def test_prod_has_all_derivatives_at_zeros():
    def run(t):
        x = t.tensor([0.0, 3.0, 0.0, 5.0, 2.0], dtype=t.float64, requires_grad=True)
        (g,) = t.autograd.grad(x.prod(), x, create_graph=True)
        return t.autograd.grad((g * t.arange(1.0, 6, dtype=t.float64)).sum(), x)

    # d2/dx0dx2 = 3 * 5 * 2; the weights of g are 1 at 0 and 3 at 2
    np.testing.assert_allclose(run(tg)[0].numpy(), [90, 0, 30, 0, 0])
    agree(run)


@rows(
    matmul_1d_1d=lambda t: t.tensor([1, 2]) @ t.tensor([3, 4]),
    matmul_1d_2d=lambda t: t.arange(2.0) @ t.ones(2, 3),
    matmul_2d_1d=lambda t: t.ones(2, 3) @ t.arange(3.0),
    matmul_3d_1d=lambda t: t.ones(4, 2, 3) @ t.arange(3.0),
    matmul_1d_3d=lambda t: t.arange(2.0) @ t.ones(4, 2, 3),
    matmul_3d_2d=lambda t: t.arange(24.0).reshape(2, 3, 4) @ t.ones(4, 2),
    matmul_2d_3d=lambda t: t.arange(6.0).reshape(2, 3) @ t.ones(4, 3, 2),
    matmul_broadcast=lambda t: t.arange(12.0).reshape(2, 1, 2, 3) @ t.ones(5, 3, 2),
    matmul_empty=lambda t: (t.ones(2, 0) @ t.ones(0, 3), t.ones(0, 2) @ t.ones(2, 3), t.ones(0, 2, 3) @ t.ones(3, 4)),
    matmul_sizes=lambda t: t.ones(2, 3) @ t.ones(2, 3),
    matmul_batches=lambda t: t.ones(2, 3, 4) @ t.ones(3, 4, 5),
    matmul_0d=lambda t: t.matmul(t.tensor(1.0), t.ones(2)),
    matmul_dtypes=lambda t: t.ones(2, 2) @ t.ones(2, 2, dtype=t.float64),
    matmul_number=lambda t: t.ones(2, 2) @ 3,
    mm=lambda t: t.mm(t.ones(2, 3), t.ones(3, 4)),
    mm_3d=lambda t: t.mm(t.ones(2, 3, 4), t.ones(4, 4)),
    bmm=lambda t: t.bmm(t.ones(2, 3, 4), t.ones(2, 4, 5)),
    bmm_broadcast=lambda t: t.bmm(t.ones(1, 3, 4), t.ones(2, 4, 5)),
    mv=lambda t: t.mv(t.ones(2, 3), t.ones(3)),
    mv_matrix=lambda t: t.mv(t.ones(2, 3), t.ones(3, 1)),
    dot=lambda t: t.dot(t.arange(3.0), t.arange(3.0)),
    dot_matrix=lambda t: t.dot(t.ones(1, 3), t.ones(3)),
    outer=lambda t: (t.outer(t.arange(3.0), t.arange(2.0)), t.outer(t.arange(3), t.arange(2.0))),
    outer_matrix=lambda t: t.outer(t.ones(2, 3), t.ones(3)),
    addmm=lambda t: t.addmm(t.ones(4), t.ones(2, 3), t.ones(3, 4), beta=0.5, alpha=2),
    addmm_beta_0=lambda t: t.addmm(t.full((2, 4), nan), t.ones(2, 3), t.ones(3, 4), beta=0),
    addmm_ints=lambda t: t.addmm(t.arange(2), t.ones(3, 4, dtype=t.int64), t.ones(4, 2, dtype=t.int64), alpha=2),
    addmm_dtypes=lambda t: t.addmm(t.arange(2), t.ones(3, 4), t.ones(4, 2)),
    addmm_inner_0=lambda t: t.addmm(t.ones(4), t.ones(2, 0), t.ones(0, 4), beta=3, alpha=2),
    addmm_too_large=lambda t: t.addmm(t.ones(5, 2, 4), t.ones(2, 3), t.ones(3, 4)),
    baddbmm=lambda t: t.baddbmm(t.ones(1, 1), t.ones(2, 3, 4), t.ones(2, 4, 5)),
)
def test_products(call):
    agree(call)


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iii->i", (3, 3, 3)),
    ("iij,jk->ik", (3, 3, 2), (2, 4)),
    ("i,j->ij", (2,), (3,)),
    ("i,i", (3,), (3,)),
    (",ij->ij", (), (2, 3)),
    ("ij,k->ki", (2, 3), (4,)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ijk->", (2, 3, 4)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 3)),
    ("...ij,...jk", (2, 1, 3, 4), (5, 4, 3)),
    ("i...->...", (2, 3, 4)),
    ("b h i d, b h j d -> b h i j", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
    ("ab,ab,ab->b", (2, 3), (2, 3), (2, 3)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij,kj->ki", (2, 3), (4, 3)),
    ("bi,bj->bij", (2, 3), (2, 4)),
    ("bij,j->bi", (2, 3, 4), (4,)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,ij->ij", (2, 3), (1, 3)),
]


@pytest.mark.parametrize("equation, shapes", [(e, s) for e, *s in EQUATIONS])
def test_einsum(equation, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).tolist() for s in shapes]
    for _ in range(2):  # worked out, then run as it was found
        gradients(lambda t, *xs: t.einsum(equation, *xs), *arrays)


@pytest.mark.parametrize(
    "equation, shapes",
    [
        ("ij,jk->il", [(2, 3), (3, 4)]),
        ("ij,jk->ii", [(2, 3), (3, 4)]),
        ("ij", [(2, 3), (3, 4)]),
        ("ijk", [(2, 3)]),
        ("i", [(2, 3)]),
        ("ij,jk", [(2, 3), (4, 4)]),
        ("ii", [(2, 3)]),
        ("i1", [(2, 3)]),
        ("......", [(2, 3)]),
    ],
)
def test_einsum_refuses(equation, shapes):
    with pytest.raises((ValueError, RuntimeError), match="einsum"):
        tg.einsum(equation, *[tg.ones(s) for s in shapes])


def test_errors_name_the_op_and_the_sizes():
    with pytest.raises(RuntimeError, match=r"add: shapes \(2, 3\) and \(2, 4\).* sizes 3 and 4 differ"):
        tg.zeros(2, 3) + tg.zeros(2, 4)
    with pytest.raises(RuntimeError, match=r"matmul: shapes \(2, 3\) and \(2, 4\).*3 columns .* 2 rows"):
        tg.zeros(2, 3) @ tg.zeros(2, 4)
    with pytest.raises(IndexError, match="sum: dimension 2 is out of range"):
        tg.zeros(2, 3).sum(2)


def test_numpy_operands():
    array = np.arange(3, dtype=np.float32)
    x = tg.ones(3, requires_grad=True)
    for y in (array * x, x * array, np.float32(2) * x, np.float64(2) * x, array @ x, array - x):
        assert isinstance(y, tg.Tensor) and y.requires_grad
        assert y.dtype is tg.float32
    np.testing.assert_array_equal((array - x).detach().numpy(), array - 1)
    assert isinstance(array == x, tg.Tensor)
    np.testing.assert_array_equal(np.asarray(tg.ones(2)), np.ones(2, np.float32))


@pytest.mark.parametrize("backend", tg.backends.available())
def test_relu_lets_the_gradient_through_at_nan(backend):
    with tg.backends.use(backend):
        x = tg.tensor([nan, 1.0, -1.0, 0.0], requires_grad=True)
        x.relu().sum().backward()
        assert x.grad.tolist() == [1.0, 1.0, 0.0, 0.0]  # at NaN as PyTorch does: what broke stays visible
