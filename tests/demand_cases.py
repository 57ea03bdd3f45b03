"""The table's rows of what is imported on demand (ops/on_demand.py): see cases.py, which takes them in.

Read next: cases.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from makers import A, B, Case, Int, Maker, N, P, U

NO = {"first": False, "second": False}

# Ops for which the C backend runs the reference, and why.
RARE, LAPACK = "few programs need it", "LAPACK computes it"
NO_KERNEL = {
    "bitwise_left_shift": RARE, "bitwise_right_shift": RARE, "cummax_index": RARE, "cummin_index": RARE,
    "cumprod": RARE, "digamma": RARE, "erfc": RARE, "erfinv": RARE, "gcd": RARE, "histc": RARE, "isin": RARE,
    "lcm": RARE, "lgamma": RARE, "logcumsumexp": RARE, "median": RARE, "median_index": RARE, "mode_index": RARE,
    "nan_to_num": RARE, "nanmedian": RARE, "polygamma": RARE, "scatter_amax": RARE, "scatter_amin": RARE,
    "scatter_prod": RARE, "searchsorted": RARE, "windows_sum": RARE,
    "cholesky": LAPACK, "det": LAPACK, "inv": LAPACK, "logabsdet": LAPACK, "slogdet_sign": LAPACK, "solve": LAPACK,
}  # fmt: skip


def case(name: str, call: Callable[..., Any], *makers: Maker, **flags: Any) -> Case:
    return Case(name, call, makers, **flags)


def one(name: str, maker: Callable[..., Maker] = N, **flags: Any) -> Case:
    """A function of one tensor under its own name."""
    return case(name, lambda t, x: getattr(t, name)(x), maker(3, 5), any_shape=True, **flags)


def two(name: str, left: Callable[..., Maker] = A, right: Callable[..., Maker] = A, **flags: Any) -> list[Case]:
    """A function of two tensors that broadcast."""
    call = lambda t, x, y: getattr(t, name)(x, y)
    plain = {k: v for k, v in flags.items() if k not in ("ints", "any_shape")}
    whole = {"any_shape": True, **flags}
    return [
        case(name, call, left(3, 5), right(3, 5), **whole),
        case(f"{name}-row", call, left(3, 5), right(5), **plain),
    ]


def whole(name: str, **flags: Any) -> Case:
    """A function of two tensors of whole numbers."""
    call = lambda t, x, y: getattr(t, name)(x, y)
    return case(name, call, Int(70, 9, low=-70), Int(70, 9, low=-5), ints=True, **flags, **NO)


ELEMENTWISE = [
    one("log2", P, ints=True),
    one("log10", P, ints=True),
    one("exp2", ints=True),
    *two("logaddexp"),
    *two("logaddexp2"),
    *two("xlogy", A, P, ints=True),
    case("logit", lambda t, x: t.logit(x * 0.5 + 0.5), U(3, 5), any_shape=True),
    case("logit-eps", lambda t, x: t.logit(x, 0.3), P(3, 5)),
    one("sinh", ints=True),
    one("cosh", ints=True),
    one("asinh", ints=True),
    case("acosh", lambda t, x: t.acosh(x + 1), P(3, 5), any_shape=True),
    one("atanh", U),
    one("asin", U),
    one("acos", U),
    one("atan", ints=True),
    *two("atan2", ints=True),
    *two("hypot"),
    one("sinc", A, ints=True),
    one("deg2rad", ints=True),
    one("erfc", ints=True),
    one("erfinv", U),
    one("lgamma", P, ints=True),
    one("digamma", A, torch_grad=False),  # whose polygamma has ten digits
    case("polygamma", lambda t, x: t.polygamma(2, x), P(3, 5), any_shape=True),
    case("fmod", lambda t, x, y: t.fmod(x, y), A(3, 5), P(3, 5), any_shape=True),
    case("fmod-ints", lambda t, x, y: t.fmod(x, y), Int(70, 9, low=-70), Int(70, 9, low=1), **NO),
    one("frac", A),
    *two("copysign", ints=True),
    *[one(name, A, ints=True, **NO) for name in ("signbit", "isposinf", "isneginf")],
    case("isinf-signs", lambda t, x: (t.isposinf(x / 0), t.isneginf(x / 0)), A(9), **NO),
    case("heaviside", lambda t, x, y: t.heaviside(t.trunc(x), y), A(3, 5), A(3, 5), any_shape=True, **NO),
    *two("fmin", ints=True),
    *two("fmax", ints=True),
    case("fmax-nan", lambda t, x, y: (t.fmax(x.log(), y), t.fmin(y, x.log())), A(9), A(9), first=False, second=False),
    case(
        "nan_to_num-values",
        lambda t, x: t.nan_to_num((x - 0.41).trunc() / 0 + x, 0.5, 2.0, 3.0),
        A(30),
        first=False,
        second=False,
    ),
    one("nan_to_num", A),
    case("float_power", lambda t, x, y: t.float_power(x, y).to(x.dtype), P(3, 5), A(3, 5)),
    *[whole(name) for name in ("bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm")],
]


def symmetric(t: Any, x: Any) -> Any:
    """A positive definite matrix."""
    return x @ x.mT + 3 * t.eye(x.shape[-1], dtype=x.dtype)


MATRICES = [
    case("trace", lambda t, x: t.trace(x), N(3, 5)),
    case("diag", lambda t, x, y: (t.diag(x, -1), t.diag(y, 1)), N(3), N(3, 4)),
    case("diag_embed", lambda t, x: t.diag_embed(x, -1, 0, 2), N(3, 4)),
    case("diagflat", lambda t, x: t.diagflat(x, 2), N(2, 2)),
    case("block_diag", lambda t, x, y, z: t.block_diag(x, y, z), N(2, 3), N(2), N()),
    case("triangles", lambda t, x: (x, t.tril_indices(3, 4, 1), t.triu_indices(4, 3, -1)), N(1)),
    case("diagonal_scatter", lambda t, x, y: t.diagonal_scatter(x, y, 1), N(3, 4), N(3)),
    case("select_scatter", lambda t, x, y: t.select_scatter(x, y, 1, -1), N(3, 4), N(3)),
    case("slice_scatter", lambda t, x, y: t.slice_scatter(x, y, 1, 1, None, 2), N(3, 4), N(3, 2)),
    case("inner", lambda t, x, y: t.inner(x, y), N(2, 3), N(4, 1, 3)),
    case("tensordot", lambda t, x, y: t.tensordot(x, y, ([2, 0], [0, -1])), N(2, 3, 4), N(4, 5, 2)),
    case("tensordot-last", lambda t, x, y: t.tensordot(x, y), N(2, 3, 4), N(3, 4, 2)),
    case("kron", lambda t, x, y: t.kron(x, y), N(2, 3), N(2, 1, 2)),
    case("cross", lambda t, x, y: (t.cross(x, y, 1), t.linalg.cross(x, y)), N(2, 3), N(1, 3)),
    case("addmv", lambda t, c, a, b: t.addmv(c, a, b, beta=0.5, alpha=2), N(1), N(3, 4), N(4)),
    case("addr", lambda t, c, a, b: t.addr(c, a, b, beta=0.5), N(3, 1), N(3), N(4)),
    case("addbmm", lambda t, c, a, b: t.addbmm(c, a, b, alpha=0.5), N(3, 5), N(2, 3, 4), N(2, 4, 5)),
    case("multi_dot", lambda t, *xs: t.linalg.multi_dot(xs), N(4), N(4, 2), N(2, 5), N(5, 1), N(1)),
    case("chain_matmul", lambda t, *xs: t.chain_matmul(*xs), N(9, 2), N(2, 8), N(8, 3)),
    case("matrix_power", lambda t, x: (t.matrix_power(x, 5), x.matrix_power(0)), U(3, 3)),
    case("matrix_power-inverse", lambda t, x: t.matrix_power(symmetric(t, x), -2), U(3, 3), ulps=64),
    case("inv", lambda t, x: t.linalg.inv(symmetric(t, x)), U(2, 3, 3)),
    case("solve", lambda t, a, b: t.linalg.solve(symmetric(t, a), b), U(2, 3, 3), N(3, 2)),
    case("solve-vector", lambda t, a, b: t.linalg.solve(symmetric(t, a), b), U(3, 3), N(3)),
    case("solve-right", lambda t, a, b: t.linalg.solve(symmetric(t, a), b, left=False), U(3, 3), N(2, 3)),
    case("det", lambda t, x: (t.det(x), t.logdet(symmetric(t, x))), N(2, 3, 3)),
    case("slogdet", lambda t, x: tuple(t.slogdet(x)), N(2, 3, 3)),
    case("cholesky", lambda t, x: t.linalg.cholesky(symmetric(t, x)), N(2, 3, 3)),
    case("vector_norm", lambda t, x: t.linalg.vector_norm(x, 3, (0, 2)), A(2, 3, 2)),
    case("matrix_norm", lambda t, x: [t.linalg.matrix_norm(x, p, keepdim=True) for p in ("fro", 1, -1)], A(2, 3, 2)),
    case(
        "linalg.norm", lambda t, x: (t.linalg.norm(x), t.linalg.norm(x, float("inf")), t.linalg.norm(x, 1, 0)), A(3, 4)
    ),
    case("linalg-others", lambda t, x, y: (t.linalg.vecdot(x, y), t.linalg.diagonal(x)), N(3, 4), N(4)),
]

SHAPES = [
    *[case(f"rot90-{k}", lambda t, x, k=k: t.rot90(x, k, (0, 2)), N(2, 3, 4)) for k in range(-1, 3)],
    case("flips", lambda t, x: (t.fliplr(x), t.flipud(x)), N(2, 3)),
    case("tensor_split", lambda t, x: t.tensor_split(x, 3, 1), N(2, 7)),
    case("tensor_split-at", lambda t, x: t.tensor_split(x, (1, -2, 9), 1), N(2, 7)),
    case("hsplit", lambda t, x: (*t.hsplit(x, 2), *t.vsplit(x, [1]), *t.dsplit(x, 3)), N(2, 4, 3)),
    case("atleast", lambda t, x, y: (*t.atleast_3d(x, y), t.atleast_2d(x), t.atleast_1d(y)), N(3), N()),
    case("dstack", lambda t, x, y: (t.dstack((x, y)), t.column_stack((x, y, x))), N(3), N(3)),
    case("windows", lambda t, x: x.unfold(1, 3, 2), N(2, 8)),
    case("windows-overlapping", lambda t, x: x.unfold(-2, 3, 1), N(5, 2)),
    case("cartesian_prod", lambda t, x, y: t.cartesian_prod(x, y), N(2), N(3)),
    case("combinations", lambda t, x: (t.combinations(x, 3), t.combinations(x, 2, True)), N(4)),
]


def attention(t: Any, *xs: Any, **keywords: Any) -> Any:
    return t.nn.functional.scaled_dot_product_attention(*xs, **keywords)


ATTENTION = [
    case("attention", attention, N(2, 3, 4), N(2, 5, 4), N(2, 5, 3)),
    case("attention-mask", attention, N(2, 3, 4), N(2, 5, 4), N(2, 5, 3), B(2, 3, 5)),
    case("attention-causal", lambda t, *xs: attention(t, *xs, is_causal=True), N(2, 3, 4), N(2, 5, 4), N(2, 5, 4)),
    case(
        "attention-groups",
        lambda t, *xs: attention(t, *xs, scale=0.3, enable_gqa=True),
        N(4, 3, 4),
        N(2, 5, 4),
        N(1, 5, 4),
        N(3, 5),
    ),
]


def with_nan(t: Any, x: Any) -> Any:
    """NaN in some places."""
    return t.where(x.detach() > 1, float("nan"), x)


CUMULATIVE = [
    case("cumprod", lambda t, x: t.cumprod(x, 1), A(2, 5, 2), ints=True),
    case("logcumsumexp", lambda t, x: t.logcumsumexp(x, 0), A(5, 3)),
    case("cummax", lambda t, x: (*t.cummax(x, 1), *t.cummin(x, 1)), A(3, 5)),
    case("cummax-nan", lambda t, x: t.cummax(x.log(), 0), A(7), first=False, second=False),
    case("diff", lambda t, x, y: (t.diff(x, 2, 0), t.diff(x, prepend=y)), N(4, 3), N(4, 2)),
]

STATISTICS = [
    case("aminmax", lambda t, x: (*t.aminmax(x), *t.aminmax(x, dim=1)), A(3, 4)),
    case("nansum", lambda t, x: (t.nansum(with_nan(t, x), 1), t.nanmean(with_nan(t, x), 0, True)), A(3, 4)),
    case("median", lambda t, x: (t.median(x), *t.median(x, 1)), A(3, 4)),
    case("median-nan", lambda t, x: t.median(with_nan(t, x), 0), A(5), **NO),
    case("nanmedian", lambda t, x: (t.nanmedian(with_nan(t, x)), *t.nanmedian(with_nan(t, x), 1, True)), A(3, 5)),
    case("mode", lambda t, x: tuple(t.mode(x)), Int(3, 4, 7), **NO),
    case("mode-dim", lambda t, x: t.mode(x, 0).values, A(4, 3)),
    case("quantile", lambda t, x: (t.quantile(x, 0.3), t.quantile(x, 0.6, 1, True)), A(3, 4)),
    *[
        case(f"quantile-{p}", lambda t, x, q, p=p: t.quantile(x, q * 0.47, 0, interpolation=p), A(4, 3), P(2))
        for p in ("linear", "lower", "higher", "midpoint", "nearest")
    ],
    case("nanquantile", lambda t, x: t.nanquantile(with_nan(t, x), 0.3, 1), A(3, 4)),
    case("bincount", lambda t, x, w: (t.bincount(x, minlength=9), t.bincount(x, w)), Int(7, 9), N(9), **NO),
    case("cov", lambda t, x: (t.cov(x), t.cov(x[0], correction=0)), N(3, 5)),
    case("cov-weights", lambda t, x, f, a: t.cov(x, fweights=f, aweights=a), N(2, 5), Int(4, 5, low=1), P(5)),
    case("corrcoef", lambda t, x: t.corrcoef(x), N(3, 5)),
    case("histc", lambda t, x: (t.histc(x, 4), t.histc(x, 3, -1, 1)), A(20), **NO),
]

SETS = [
    case("unique", lambda t, x: t.unique(x, return_inverse=True, return_counts=True), Int(4, 3, 5), **NO),
    case("unique-dim", lambda t, x: t.unique(x, return_inverse=True, return_counts=True, dim=1), Int(2, 2, 7), **NO),
    case("unique_consecutive", lambda t, x: t.unique_consecutive(x, True, True), Int(2, 9), **NO),
    case("unique_consecutive-dim", lambda t, x: t.unique_consecutive(x, dim=0), Int(2, 9, 1), **NO),
    case("isin", lambda t, x, y: (t.isin(x, y), t.isin(x, 2, invert=True)), Int(9, 3, 5), Int(9, 4), **NO),
    case("searchsorted", lambda t, x, y: t.searchsorted(t.sort(x).values, y, right=True), A(2, 5), A(2, 4), **NO),
    case("bucketize", lambda t, x, y: t.bucketize(y, t.sort(x).values, out_int32=True), Int(9, 5), Int(9, 3, 4), **NO),
]


def reducing(reduce: str, **keywords: Any) -> Callable[..., Any]:
    return lambda t, x, i, y: t.scatter_reduce(x, 1, i, y, reduce, **keywords)


SCATTERS = [
    case("masked_scatter", lambda t, x, m, y: x.masked_scatter(m, y), N(3, 4), B(3, 1), N(12)),
    *[
        case(f"scatter_reduce-{p}{k}", reducing(p, include_self=k == ""), A(3, 4), Int(4, 3, 6), A(3, 6))
        for p in ("sum", "mean", "amax", "amin", "prod")
        for k in ("", "-others")
    ],
    case("index_reduce", lambda t, x, i, y: t.index_reduce(x, 0, i, y, "prod"), A(3, 4), Int(3, 2), A(2, 4)),
]

DISTANCES = [
    case("cdist", lambda t, x, y: t.cdist(x, y), N(2, 3, 4), N(5, 4)),
    case("cdist-p", lambda t, x, y: (t.cdist(x, y, 3), t.cdist(x, y, 1)), A(3, 2), A(4, 2)),
    case("pdist", lambda t, x: t.nn.functional.pdist(x, 3), A(4, 2)),
    case("dist", lambda t, x, y: t.dist(x, y, 1), A(3, 4), A(4)),
]


def bags(mode: str, **keywords: Any) -> Callable[..., Any]:
    """A bag of 3, an empty one, and one of 4."""

    def call(t: Any, w: Any, i: Any) -> Any:
        return t.nn.functional.embedding_bag(i, w, t.tensor([0, 3, 3]), mode=mode, **keywords)

    return call


BAGS = [
    *[case(f"embedding_bag-{mode}", bags(mode), N(5, 2), Int(5, 7)) for mode in ("sum", "mean", "max")],
    *[
        case(f"embedding_bag-{mode}-padding", bags(mode, padding_idx=2), N(3, 2), Int(3, 7))
        for mode in ("sum", "mean", "max")
    ],
    case(
        "embedding_bag-weights",
        lambda t, w, i, s: t.nn.functional.embedding_bag(i, w, mode="sum", per_sample_weights=s),
        N(5, 2),
        Int(5, 3, 2),
        N(3, 2),
        second=False,
    ),
]

DEMAND = [*ELEMENTWISE, *MATRICES, *SHAPES, *ATTENTION, *CUMULATIVE, *STATISTICS, *SETS, *SCATTERS, *DISTANCES, *BAGS]
