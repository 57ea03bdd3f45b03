"""The table of op cases: one row says how an op is called and on what, and drives every test of test_ops.py: values and
gradients against PyTorch, first and second derivatives against differences, every backend against the references,
float32 against float64, memory layouts, empty and 0-d tensors, integers, and completeness.

A row's function is called with the library, tinygrad_edu or torch: the same names and arguments must mean the same.
To add an op, add a row; a test fails for an op that no row reaches. Read next: test_ops.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demand_cases import DEMAND
from image_cases import IMAGES
from makers import DISTINCT, A, B, Case, Int, Maker, N, P, U

from tinygrad_edu.op import Op
from tinygrad_edu.ops import batch

NO = {"first": False, "second": False}


def F(t: Any) -> Any:
    return t.nn.functional


def case(name: str, call: Callable[..., Any], *makers: Maker, **flags: Any) -> Case:
    return Case(name, call, makers, **flags)


def elementwise(
    name: str, maker: Callable[..., Maker] = N, call: Callable[..., Any] | None = None, **flags: Any
) -> Case:
    """A function of one tensor under its own name."""
    return case(name, call or (lambda t, x: getattr(t, name)(x)), maker(3, 5), any_shape=True, **flags)


def activation(name: str, maker: Callable[..., Maker] = A, *args: Any, label: str = "", **keywords: Any) -> Case:
    flags = {k: keywords.pop(k) for k in ("ints", "ulps", "second", "first") if k in keywords}
    call = lambda t, x: getattr(F(t), name)(x, *args, **keywords)
    return case(label or name, call, maker(3, 5), any_shape=True, **flags)


def both(name: str, left: Callable[..., Maker] = N, right: Callable[..., Maker] = N, **flags: Any) -> list[Case]:
    """A function of two tensors that broadcast."""
    call = lambda t, x, y: getattr(t, name)(x, y)
    plain = {k: v for k, v in flags.items() if k != "ints"}
    rows = [
        case(name, call, left(3, 5), right(3, 5), any_shape=True, **flags),
        case(f"{name}-row", call, left(3, 5), right(5), **plain),
        case(f"{name}-outer", call, left(3, 1), right(1, 5), **plain),
        case(f"{name}-0d", call, left(), right(2, 3), **plain),
    ]
    if name not in ("maximum", "minimum"):  # these take tensors only, in PyTorch
        rows.append(case(f"{name}-number", lambda t, x: getattr(t, name)(x, 1.5), left(3, 5), **plain))
    return rows


def reduction(
    name: str, maker: Callable[..., Maker] = N, call: Any = None, empty: bool = True, **flags: Any
) -> list[Case]:
    f = call or (lambda t, x, *a, **k: getattr(t, name)(x, *a, **k))
    plain = {k: v for k, v in flags.items() if k != "ints"}
    several = flags.pop("several", True)
    plain.pop("several", None)
    rows = [
        case(name, f, maker(3, 4, 5), **flags),
        case(f"{name}-dim", lambda t, x: f(t, x, dim=1), maker(3, 4, 5), **plain),
        case(f"{name}-last", lambda t, x: f(t, x, dim=-1, keepdim=True), maker(3, 4, 5), **plain),
        case(f"{name}-first", lambda t, x: f(t, x, dim=0), maker(17, 3), **plain),
        case(f"{name}-0d", f, maker(), **plain),
    ]
    if several:
        rows.append(case(f"{name}-dims", lambda t, x: f(t, x, dim=(0, 2), keepdim=True), maker(3, 4, 5), **plain))
    if empty:
        rows.append(case(f"{name}-empty", lambda t, x: f(t, x, dim=1), maker(2, 0), **{**plain, **NO}))
    return rows


ELEMENTWISE = [
    *both("add", ints=True),
    case("add-alpha", lambda t, x, y: t.add(x, y, alpha=2.5), N(3, 5), N(3, 5)),
    case("add-alpha-int", lambda t, x, y: t.add(x, y, alpha=3), Int(9, 3, 5), Int(9, 5), ints=True, **NO),
    case("arange", lambda t, x: x * t.arange(0.5, 3.0, 0.5, dtype=x.dtype), N(3, 5)),
    case("linspace", lambda t, x: x * t.linspace(-1, 2, 5, dtype=x.dtype), N(3, 5)),
    case("eye", lambda t, x: x * t.eye(3, 5, dtype=x.dtype), N(3, 5)),
    *both("sub", ints=True),
    case("sub-alpha", lambda t, x, y: t.sub(x, y, alpha=-0.5), N(3, 5), N(5)),
    case("rsub", lambda t, x: 2.0 - x, N(3, 5)),
    *both("mul", ints=True),
    *both("div", right=P),
    case("rdiv", lambda t, x: 2.0 / x, P(3, 5)),
    case("div-floor", lambda t, x, y: t.div(x, y, rounding_mode="floor"), A(3, 5), P(3, 5), torch_grad=False),
    case("div-trunc", lambda t, x, y: t.div(x, y, rounding_mode="trunc"), A(3, 5), P(3, 5), torch_grad=False),
    *both("pow", left=P),
    case("pow-square", lambda t, x: x**2, A(3, 5)),
    case("pow-cube", lambda t, x: x**3, A(3, 5)),
    case("pow-sqrt", lambda t, x: x**0.5, P(3, 5)),
    case("pow-zero", lambda t, x: x**0, A(3, 5)),
    case("rpow", lambda t, x: 2.0**x, N(3, 5)),
    *both("maximum", A, A, ints=True),
    *both("minimum", A, A, ints=True),
    case("remainder", lambda t, x, y: t.remainder(x, y), A(3, 5), P(3, 5)),
    case("floor_divide", lambda t, x, y: t.floor_divide(x, y), A(3, 5), P(3, 5), torch_grad=False),
    elementwise("neg"),
    elementwise("abs", A, ints=True),
    elementwise("sign", A, ints=True),
    elementwise("square", N, ints=True),
    elementwise("exp", ints=True),
    elementwise("log", P, ints=True),
    elementwise("log1p", P, ints=True),
    elementwise("expm1", ints=True),
    elementwise("sqrt", P, ints=True),
    elementwise("rsqrt", P),
    elementwise("reciprocal", P),
    elementwise("sin", ints=True),
    elementwise("cos", ints=True),
    elementwise("tan", U),
    elementwise("tanh", ints=True),
    elementwise("sigmoid", ints=True),
    elementwise("erf", ints=True),
    elementwise("floor", A),
    elementwise("ceil", A),
    elementwise("round", A),
    elementwise("trunc", A),
    elementwise("clamp", A, lambda t, x: t.clamp(x, -0.5, 0.5), ints=True),
    case("clamp-min", lambda t, x: t.clamp(x, min=-0.5), A(3, 5)),
    case("clamp-max", lambda t, x: x.clamp(max=0.5), A(3, 5)),
    case("where", lambda t, c, x, y: t.where(c, x, y), B(3, 5), N(3, 5), N(3, 5), any_shape=True),
    case("where-broadcast", lambda t, c, x, y: t.where(c, x, y), B(3, 1), N(5), N(3, 5)),
    case("where-number", lambda t, c, x: t.where(c, x, 0.0), B(3, 5), N(3, 5)),
    case("masked_fill", lambda t, x, m: x.masked_fill(m, 2.0), N(3, 5), B(3, 5), any_shape=True),
    case("to", lambda t, x: x.to(t.float32).to(t.float64), Int(9, 3, 5), **NO),
    case("isnan", lambda t, x: t.isnan(t.log(x)), N(3, 5), **NO),
    case("isinf", lambda t, x: t.isinf(1 / t.floor(x)), N(3, 5), **NO),
    case("isfinite", lambda t, x: t.isfinite(t.log(x)), N(3, 5), **NO),
    *[
        case(name, lambda t, x, y, name=name: getattr(t, name)(x, y), Int(3, 3, 5), Int(3, 5), ints=True, **NO)
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    ],
    *[
        case(f"{name}-float", lambda t, x, y, name=name: getattr(t, name)(x, y), N(3, 5), N(5), any_shape=False, **NO)
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    ],
    *[
        case(name, lambda t, x, y, name=name: getattr(t, name)(x, y), B(3, 5), B(3, 5), ints=True, **NO)
        for name in ("logical_and", "logical_or", "logical_xor")
    ],
    case("logical_not", lambda t, x: t.logical_not(x), B(3, 5), ints=True, **NO),
]

ACTIVATIONS = [
    activation("relu"),
    activation("leaky_relu", A, 0.2),
    activation("elu", A, 1.3),
    activation("gelu", N),
    activation("gelu", N, approximate="tanh", label="gelu-tanh"),
    activation("silu", N),
    activation("softplus", N, 1.5),
    activation("softplus", A, 1.0, 1.0, label="softplus-threshold"),
    activation("selu"),
    activation("celu", A, 2.0),  # a number whose reciprocal PyTorch gets exactly
    activation("mish", N),
    activation("logsigmoid", N),
    activation("softsign"),
    activation("tanhshrink", N),
    activation("hardtanh", A, -0.75, 1.25),
    activation("relu6"),
    activation("threshold", A, 0.25, -1.0),
    activation("hardshrink"),
    activation("softshrink"),
    activation("hardswish"),
    case("hardsigmoid", lambda t, x: F(t).hardsigmoid(x), A(3, 5), torch_grad=False),  # PyTorch's 1/6 is a float's
    activation("rrelu"),
    case("glu", lambda t, x: F(t).glu(x, 0), N(4, 3)),
    case("prelu", lambda t, x, w: F(t).prelu(x, w), A(2, 3, 2), P(3)),
    case("softmin", lambda t, x: F(t).softmin(x, 1), N(3, 5)),
    case("softmax", lambda t, x: t.softmax(x, dim=-1), N(3, 5)),
    case("softmax-first", lambda t, x: t.softmax(x, 0), N(4, 3, 2)),
    case("softmax-0d", lambda t, x: t.softmax(x, 0), N()),
    case("log_softmax", lambda t, x: t.log_softmax(x, dim=-1), N(3, 5)),
    case("log_softmax-middle", lambda t, x: t.log_softmax(x, 1), N(4, 3, 2)),
]


def variance(name: str) -> Callable[..., Any]:
    return lambda t, x, **k: getattr(t, name)(x, **k)


REDUCTIONS = [
    *reduction("sum", ints=True),
    *reduction("mean"),
    *reduction("prod", A, several=False, ints=True),
    case("prod-zero", lambda t, x: (x * t.tensor([0.0, 1.0, 2.0], dtype=x.dtype)).prod(-1), A(4, 3)),
    case("prod-two-zeros", lambda t, x: (x * t.tensor([0.0, 1.0, 0.0], dtype=x.dtype)).prod(-1), A(4, 3)),
    *reduction("amax", A, empty=False, ints=True),
    *reduction("amin", A, empty=False, ints=True),
    *reduction("max", A, empty=False, several=False),
    *reduction("min", A, empty=False, several=False),
    *reduction("argmax", A, empty=False, several=False, ints=True, **NO),
    *reduction("argmin", A, empty=False, several=False, ints=True, **NO),
    *reduction("any", B, several=False, **NO),
    *reduction("all", B, several=False, **NO),
    *reduction(
        "logsumexp", N, lambda t, x, dim=(), **k: t.logsumexp(x, dim if dim != () else list(range(x.ndim)) or 0, **k)
    ),
    case("var", lambda t, x: t.var(x), N(3, 4)),
    case("var-dim", lambda t, x: t.var(x, dim=1, correction=0), N(3, 4)),
    case("var-dims", lambda t, x: t.var(x, dim=(0, 2), keepdim=True), N(3, 4, 2)),
    case("std", lambda t, x: t.std(x), N(3, 4)),
    case("std-dim", lambda t, x: t.std(x, dim=0, keepdim=True), N(3, 4)),
    case("var_mean", lambda t, x: tuple(t.var_mean(x, dim=1)), N(3, 4)),
    case("std_mean", lambda t, x: tuple(t.std_mean(x, dim=1)), N(3, 4)),
    case("cumsum", lambda t, x: t.cumsum(x, 1), N(3, 4, 2), ints=True),
    case("cumsum-first", lambda t, x: t.cumsum(x, dim=0), N(9)),
    case("count_nonzero", lambda t, x: t.count_nonzero(x, dim=1), Int(2, 3, 4), ints=True, **NO),
    case("norm", lambda t, x: x.norm(), N(3, 4)),
    case("norm-dim", lambda t, x: t.norm(x, dim=1, keepdim=True), N(3, 4)),
    case("norm-1", lambda t, x: t.norm(x, p=1, dim=0), A(3, 4)),
    case("norm-3", lambda t, x: t.norm(x, p=3), A(3, 4)),
    case("norm-inf", lambda t, x: t.norm(x, p=float("inf"), dim=1), A(3, 4)),
    case("norm-minus-inf", lambda t, x: t.norm(x, p=-float("inf"), dim=1, keepdim=True), A(3, 4)),
    case("norm-0", lambda t, x: t.norm(x, p=0, dim=1), A(3, 4), second=False),
    case("norm-half", lambda t, x: t.norm(x, p=0.5, dim=(0, 2)), A(2, 3, 2)),
    case("norm-negative", lambda t, x: t.norm(x, p=-1.5, dim=0), A(3, 4)),
    case("norm-long", lambda t, x: t.norm(x, p=1.5, dim=0), N(300, 3), ulps=64),
]

PRODUCTS = [
    case("matmul", lambda t, a, b: a @ b, N(3, 4), N(4, 5)),
    case("matmul-vectors", lambda t, a, b: a @ b, N(4), N(4)),
    case("matmul-matrix-vector", lambda t, a, b: t.matmul(a, b), N(3, 4), N(4)),
    case("matmul-vector-matrix", lambda t, a, b: t.matmul(a, b), N(4), N(4, 5)),
    case("matmul-batch", lambda t, a, b: t.matmul(a, b), N(2, 3, 4), N(2, 4, 5)),
    case("matmul-broadcast", lambda t, a, b: t.matmul(a, b), N(2, 1, 3, 4), N(3, 4, 2)),
    case("matmul-stack-matrix", lambda t, a, b: t.matmul(a, b), N(2, 3, 4), N(4, 5)),
    case("matmul-matrix-stack", lambda t, a, b: t.matmul(a, b), N(3, 4), N(2, 4, 5)),
    case("matmul-vector-stack", lambda t, a, b: t.matmul(a, b), N(4), N(2, 3, 4, 5)),
    case("matmul-batch-vector", lambda t, a, b: t.matmul(a, b), N(2, 3, 4), N(4)),
    case("matmul-empty", lambda t, a, b: t.matmul(a, b), N(3, 0), N(0, 5)),
    case("matmul-transposed", lambda t, a, b: t.matmul(a.t(), b.t()), N(4, 3), N(5, 4)),
    case("matmul-larger", lambda t, a, b: t.matmul(a, b), N(33, 65), N(65, 10), ulps=64),
    case("mm", lambda t, a, b: t.mm(a, b), N(3, 4), N(4, 5)),
    case("bmm", lambda t, a, b: t.bmm(a, b), N(2, 3, 4), N(2, 4, 5)),
    case("mv", lambda t, a, b: t.mv(a, b), N(3, 4), N(4)),
    case("dot", lambda t, a, b: t.dot(a, b), N(4), N(4)),
    case("addmm", lambda t, c, a, b: t.addmm(c, a, b, beta=0.5, alpha=2.0), N(3, 5), N(3, 4), N(4, 5)),
    case("addmm-row", lambda t, c, a, b: t.addmm(c, a, b), N(5), N(3, 4), N(4, 5)),
    case("einsum", lambda t, a, b: t.einsum("ij,jk->ik", a, b), N(3, 4), N(4, 5)),
    case("einsum-batch", lambda t, a, b: t.einsum("bij,bkj->bki", a, b), N(2, 3, 4), N(2, 5, 4)),
    case("einsum-pairs", lambda t, a, b: t.einsum("bi,bj->bij", a, b), N(2, 3), N(2, 4)),
    case("einsum-trace", lambda t, a: t.einsum("ii->", a), N(4, 4)),
    case("einsum-outer", lambda t, a, b: t.einsum("i,j", a, b), N(3), N(4)),
    case("linear", lambda t, x, w, b: F(t).linear(x, w, b), N(3, 4), N(5, 4), N(5)),
    case("linear-nobias", lambda t, x, w: F(t).linear(x, w), N(3, 4), N(5, 4)),
    case("linear-batch", lambda t, x, w, b: F(t).linear(x, w, b), N(2, 3, 4), N(5, 4), N(5)),
    case("linear-one", lambda t, x, w, b: F(t).linear(x, w, b), N(4), N(5, 4), N(5)),
    case("linear-relu", lambda t, x, w, b: t.relu(F(t).linear(x, w, b)), N(3, 4), N(5, 4), N(5)),
]

MOVES = [
    case("reshape", lambda t, x: x.reshape(4, -1), N(2, 3, 4)),
    case("reshape-copy", lambda t, x: x.transpose(0, 2).reshape(6, 4), N(2, 3, 4)),
    case("view", lambda t, x: x.view(6, 4), N(2, 3, 4)),
    case("flatten", lambda t, x: t.flatten(x, 1), N(2, 3, 4)),
    case("unflatten", lambda t, x: x.unflatten(1, (2, -1)), N(3, 6)),
    case("squeeze", lambda t, x: x.squeeze(), N(2, 1, 3, 1)),
    case("squeeze-dim", lambda t, x: t.squeeze(x, -1), N(2, 1, 3, 1)),
    case("unsqueeze", lambda t, x: x.unsqueeze(-1), N(2, 3)),
    case("transpose", lambda t, x: t.transpose(x, 0, -1), N(2, 3, 4)),
    case("permute", lambda t, x: x.permute(2, 0, 1), N(2, 3, 4)),
    case("t", lambda t, x: x.t(), N(2, 3)),
    case("expand", lambda t, x: x.expand(4, 2, -1), N(2, 1)),
    case("expand-more", lambda t, x: x.expand(4, 2, 3), N(2, 1)),
    case("broadcast_to", lambda t, x: t.broadcast_to(x, (2, 3)), N(3)),
    case("repeat", lambda t, x: x.repeat(2, 1, 3), N(2, 3)),
    case("cat", lambda t, x, y: t.cat([x, y], dim=1), N(2, 3), N(2, 1)),
    case("cat-three", lambda t, x, y, z: t.cat((x, y, z)), N(2, 3), N(0, 3), N(1, 3)),
    case("stack", lambda t, x, y: t.stack([x, y], dim=-1), N(2, 3), N(2, 3)),
    case("split", lambda t, x: t.split(x, 2, dim=1), N(2, 5)),
    case("split-sizes", lambda t, x: t.split(x, [1, 4], dim=1), N(2, 5)),
    case("chunk", lambda t, x: t.chunk(x, 3, dim=0), N(7, 2)),
    case("flip", lambda t, x: t.flip(x, (0, 2)), N(2, 3, 4)),
    case("roll", lambda t, x: t.roll(x, (1, -2), (0, 1)), N(3, 4)),
    case("roll-flat", lambda t, x: t.roll(x, 2), N(3, 4)),
    case("narrow", lambda t, x: t.narrow(x, 1, 1, 2), N(3, 4)),
    case("select", lambda t, x: t.select(x, 1, -1), N(3, 4)),
    case("diagonal", lambda t, x: t.diagonal(x, 1), N(3, 4)),
    case("clone", lambda t, x: x.clone(), N(3, 4), any_shape=True),
    case("contiguous", lambda t, x: x.t().contiguous(), N(3, 4)),
    case("tril", lambda t, x: t.tril(x, -1), N(4, 5)),
    case("triu", lambda t, x: t.triu(x, 1), N(2, 4, 5)),
    case("pad", lambda t, x: F(t).pad(x, (1, 2, 0, 1), value=0.5), N(2, 3)),
]

INDEXING = [
    case("index-int", lambda t, x: x[1], N(3, 4)),
    case("index-slice", lambda t, x: x[:, 1:4:2], N(3, 5)),
    case("index-none-ellipsis", lambda t, x: x[..., None, 0], N(3, 4)),
    case("index-negative", lambda t, x: x[-1, -2:], N(3, 4)),
    case("index-list", lambda t, x: x[[0, 2, 0]], N(3, 4)),
    case("index-tensor", lambda t, x, i: x[i], N(3, 4), Int(3, 2, 5, low=-3)),
    case("index-pairs", lambda t, x, i, j: x[i, j], N(3, 4), Int(3, 6), Int(4, 6)),
    case("index-broadcast", lambda t, x, i, j: x[i, j], N(3, 4), Int(3, 2, 1), Int(4, 5)),
    case("index-mixed", lambda t, x, i: x[1:, i], N(3, 4, 2), Int(4, 5)),
    case("index-split", lambda t, x, i, j: x[i, :, j], N(3, 2, 4), Int(3, 5), Int(4, 5)),
    case("index-bool", lambda t, x: x[t.tensor([True, False, True])], N(3, 4)),
    case("index-bool-matrix", lambda t, x: x[x.detach() > 0], A(3, 4)),
    case("index-empty", lambda t, x, i: x[i], N(3, 4), Int(3, 0)),
    case("gather", lambda t, x, i: t.gather(x, 1, i), N(3, 4), Int(4, 3, 6)),
    case("gather-first", lambda t, x, i: t.gather(x, 0, i), N(3, 4), Int(3, 5, 2)),
    case("index_select", lambda t, x, i: t.index_select(x, 1, i), N(3, 4), Int(4, 6)),
    case("take_along_dim", lambda t, x, i: t.take_along_dim(x, i, dim=0), N(3, 4), Int(3, 2, 4)),
    case("sort", lambda t, x: tuple(t.sort(x, dim=0)), A(5, 3)),
    case("sort-descending", lambda t, x: tuple(t.sort(x, descending=True)), A(5, 3)),
    case("argsort", lambda t, x: t.argsort(x, dim=-1), A(5, 3), **NO),
    case("topk", lambda t, x: tuple(t.topk(x, 2, dim=0)), A(5, 3)),
    case("topk-smallest", lambda t, x: tuple(t.topk(x, 2, largest=False)), A(5, 3)),
    case("one_hot", lambda t, i: F(t).one_hot(i, 5), Int(5, 3, 2), **NO),
    case("embedding", lambda t, w, i: F(t).embedding(i, w), N(5, 3), Int(5, 2, 4)),
    case(
        "embedding-padding",
        lambda t, w, i: F(t).embedding(i, w, padding_idx=1),
        N(5, 3),
        Int(5, 2, 4),
        second=False,
        first=False,
    ),
]

NORMS_AND_LOSSES = [
    case("layer_norm", lambda t, x, w, b: F(t).layer_norm(x, (5,), w, b), N(3, 5), N(5), N(5), ulps=64),
    case("layer_norm-plain", lambda t, x: F(t).layer_norm(x, (4, 5)), N(3, 4, 5), ulps=64),
    case("normalize", lambda t, x: F(t).normalize(x, dim=1), N(3, 4)),
    case("cross_entropy", lambda t, x, y: F(t).cross_entropy(x, y), N(6, 4), Int(4, 6)),
    case("cross_entropy-sum", lambda t, x, y: F(t).cross_entropy(x, y, reduction="sum"), N(6, 4), Int(4, 6)),
    case("cross_entropy-none", lambda t, x, y: F(t).cross_entropy(x, y, reduction="none"), N(6, 4), Int(4, 6)),
    case(
        "cross_entropy-weight",
        lambda t, x, y: F(t).cross_entropy(x, y, t.tensor([1.0, 2.0, 0.5, 1.5], dtype=x.dtype)),
        N(6, 4),
        Int(4, 6),
    ),
    case("cross_entropy-ignore", lambda t, x, y: F(t).cross_entropy(x, y, ignore_index=2), N(9, 4), Int(4, 9)),
    case("cross_entropy-smooth", lambda t, x, y: F(t).cross_entropy(x, y, label_smoothing=0.1), N(6, 4), Int(4, 6)),
    case("cross_entropy-probabilities", lambda t, x, y: F(t).cross_entropy(x, t.softmax(y, 1)), N(6, 4), N(6, 4)),
    case("cross_entropy-pictures", lambda t, x, y: F(t).cross_entropy(x, y), N(2, 4, 3), Int(4, 2, 3)),
    case("cross_entropy-one", lambda t, x, y: F(t).cross_entropy(x, y), N(4), Int(4)),
    *[
        case(
            f"{name}-{reduction}-all",
            lambda t, x, y, name=name, how=how, reduction=reduction: getattr(F(t), name)(
                x, y, t.tensor([1.0, 2.0, 0.5, 1.5], dtype=x.dtype), ignore_index=2, reduction=reduction, **how
            ),
            N(9, 4, 3),
            Int(4, 9, 3),
        )
        for reduction in ("mean", "sum", "none")
        for name, how in (("cross_entropy", {"label_smoothing": 0.1}), ("nll_loss", {}))
    ],
    case("nll_loss", lambda t, x, y: F(t).nll_loss(t.log_softmax(x, 1), y), N(6, 4), Int(4, 6)),
    case("mse_loss", lambda t, x, y: F(t).mse_loss(x, y), N(3, 4), N(3, 4)),
    case("mse_loss-none", lambda t, x, y: F(t).mse_loss(x, y, reduction="none"), N(3, 4), N(3, 4)),
    case("l1_loss", lambda t, x, y: F(t).l1_loss(x, y, reduction="sum"), A(3, 4), P(3, 4)),
    case(
        "binary_cross_entropy",
        lambda t, x, y: F(t).binary_cross_entropy(t.sigmoid(x), t.sigmoid(y)),
        N(3, 4),
        N(3, 4),
        torch_grad=True,
    ),
    case(
        "binary_cross_entropy_with_logits",
        lambda t, x, y: F(t).binary_cross_entropy_with_logits(x, t.sigmoid(y)),
        A(3, 4),
        N(3, 4),
    ),
]


def filled_by_copy(t: Any, x: Any, i: Any, y: Any) -> Any:
    x = x.clone()
    x.index_copy_(1, i, y)
    x[:, i] = y * 2
    return x


def filled_by_sum(t: Any, x: Any, i: Any, y: Any) -> Any:
    x = x.clone()
    x.index_add_(0, i, y)
    x.index_put_((i,), y, accumulate=True)
    return x


MORE = [
    case("addcmul", lambda t, x, a, b: t.addcmul(x, a, b, value=0.5), N(3, 4), N(3, 4), N(4)),
    case(
        "addcmul-int",
        lambda t, x, a, b: t.addcmul(x, a, b, value=2),
        Int(9, 3, 4),
        Int(9, 3, 4),
        Int(9, 4),
        ints=True,
        **NO,
    ),
    case("addcdiv", lambda t, x, a, b: t.addcdiv(x, a, b, value=0.5), N(3, 4), N(3, 4), P(4)),
    case("lerp", lambda t, x, y: t.lerp(x, y, 0.3), N(3, 4), N(3, 4)),
    case("lerp-tensor", lambda t, x, y, w: t.lerp(x, y, w), N(3, 4), N(3, 4), U(3, 4)),
    case("lerp-row", lambda t, x, y, w: t.lerp(x, y, w), N(3, 4), N(4), N(3, 1)),
    case(
        "div-trunc-integers",
        lambda t, x, y: t.div(x, y, rounding_mode="trunc"),
        Int(20, 9, low=-20),
        Int(6, 9, low=1),
        **NO,
    ),
    *[
        case(
            f"bitwise_{name}",
            lambda t, x, y, name=name: getattr(t, f"bitwise_{name}")(x, y),
            Int(99, 3, 5),
            Int(99, 5),
            **NO,
        )
        for name in ("and", "or", "xor")
    ],
    case("bitwise_not", lambda t, x: ~x, Int(99, 3, 5, low=-99), **NO),
    case("baddbmm-row", lambda t, c, a, b: t.baddbmm(c, a, b, beta=2), N(2, 1, 5), N(2, 3, 4), N(2, 4, 5)),
    case("baddbmm", lambda t, c, a, b: t.baddbmm(c, a, b, alpha=0.5), N(2, 3, 5), N(2, 3, 4), N(2, 4, 5)),
    case("outer", lambda t, a, b: t.outer(a, b), N(3), N(4)),
    case("tile", lambda t, x: t.tile(x, (2, 3)), N(2, 3)),
    case("repeat_interleave", lambda t, x: t.repeat_interleave(x, 2, dim=1), N(2, 3)),
    case("unbind", lambda t, x: t.unbind(x, 1), N(2, 3)),
    case("vstack", lambda t, x, y: t.vstack((x, y)), N(2, 3), N(3)),
    case("hstack", lambda t, x, y: t.hstack((x, y)), N(2, 3), N(2, 1)),
    case("meshgrid", lambda t, x, y: t.meshgrid(x, y, indexing="ij"), N(2), N(3)),
    case("movedim", lambda t, x: t.movedim(x, 0, -1), N(2, 3, 4)),
    case("masked_select", lambda t, x: t.masked_select(x, x.detach() > 0), A(3, 4)),
    case("take", lambda t, x, i: t.take(x, i), N(3, 4), Int(12, 2, 3)),
    case("take-turned", lambda t, x, i: t.take(x.transpose(0, 1)[:, 1:], i), N(3, 4), Int(8, 2, 3)),
    case("scatter", lambda t, x, i, y: t.scatter(x, 1, i, y), N(3, 8), DISTINCT(8, 3, 4), N(3, 4)),
    case(
        "scatter-add",
        lambda t, x, i, y: t.scatter(x, 1, i, y, reduce="add"),
        N(3, 4),
        Int(4, 3, 6),
        N(3, 6),
        torch_grad=False,
    ),
    case(
        "scatter_mul",
        lambda t, x, i, y: t.scatter(x, 1, i, y, reduce="multiply"),
        N(3, 4),
        Int(4, 3, 6),
        N(3, 6),
        **NO,
    ),
    case("scatter_add", lambda t, x, i, y: t.scatter_add(x, 1, i, y), N(3, 4), Int(4, 3, 6), N(3, 6)),
    case(
        "scatter-some", lambda t, x, i, y: t.scatter(x, 1, i, y), N(3, 8), DISTINCT(8, 3, 4), N(5, 6), torch_grad=False
    ),
    case(
        "scatter_add-some",
        lambda t, x, i, y: t.scatter_add(x, 0, i, y),
        N(3, 4),
        Int(3, 5, 2),
        N(6, 4),
        torch_grad=False,
    ),
    case("index_add", lambda t, x, i, y: t.index_add(x, 1, i, y), N(3, 4), Int(4, 6), N(3, 6)),
    case("index_copy", lambda t, x, i, y: t.index_copy(x, 1, i, y), N(3, 8), DISTINCT(8, 4), N(3, 4)),
    case("index_fill", lambda t, x, i: t.index_fill(x, 1, i, 0.5), N(3, 4), Int(4, 2)),
    case(
        "index_put",
        lambda t, x, i, j, y: t.index_put(x, (i, j), y, accumulate=True),
        N(3, 4),
        Int(3, 6),
        Int(4, 6),
        N(6),
    ),
    case("index_put-row", lambda t, x, i, y: t.index_put(x, (i.view(3, 2),), y), N(8, 4), DISTINCT(8, 6), N(4)),
    case(
        "index_put-column", lambda t, x, i, y: t.index_put(x, (i,), y, accumulate=True), N(3, 4), Int(3, 2, 5), N(5, 1)
    ),
    case("index_copy_", filled_by_copy, N(3, 8), DISTINCT(8, 4), N(3, 4), first=False, second=False),
    case("index_add_", filled_by_sum, N(3, 4), Int(3, 6), N(6, 4), first=False, second=False),
    case("kthvalue", lambda t, x: tuple(t.kthvalue(x, 2, dim=0)), A(5, 3)),
    case("msort", lambda t, x: t.msort(x), A(5, 3)),
    case("nonzero", lambda t, x: t.nonzero(x), Int(2, 3, 5), **NO),
    case("in-place", lambda t, x: x.clone().mul_(2.0).add_(x), N(3, 4)),
]


def masked_product(t: Any, g: Any, w: Any, y: Any) -> Any:
    """What a tape makes of matmul and relu_grad, which otherwise only replay calls."""
    return Op.registry["linear_grad_input_relu"].apply(g, w, t.relu(y.detach()), scale=1.25)


def batch_of_images(t: Any, images: Any, rows: Any) -> Any:
    return batch.assemble(images.to(t.uint8), rows, mean=(0.5, 0.2), std=(0.3, 2.0))


def dropped_product(t: Any, x: Any, w: Any, b: Any) -> Any:
    key = t.tensor([5, 1])
    return Op.registry["linear_dropout"].apply(x, w, key, b, activation=1, p=0.25)


FUSED = [
    case("linear_dropout", dropped_product, N(30, 5), N(17, 5), N(17), torch=False, first=False, second=False),
    case(
        "relu_dropout_grad",
        lambda t, g, y: Op.registry["relu_dropout_grad"].apply(g, t.relu(y.detach()), scale=1.25),
        N(3, 5),
        A(3, 5),
        torch=False,
        first=False,
        second=False,
    ),
    case("assemble", batch_of_images, Int(256, 9, 2, 5), Int(9, 4), torch=False, **NO),
    case("linear_grad_input_relu", masked_product, N(3, 5), N(5, 4), A(3, 4), torch=False, first=False, second=False),
]


def dropout(t: Any, x: Any) -> Any:
    t.manual_seed(3)
    return F(t).dropout(x, 0.4)


RANDOM = [case("dropout", dropout, N(5, 7), torch=False)]

CASES = [
    *ELEMENTWISE,
    *ACTIVATIONS,
    *REDUCTIONS,
    *PRODUCTS,
    *MOVES,
    *INDEXING,
    *NORMS_AND_LOSSES,
    *MORE,
    *FUSED,
    *RANDOM,
    *IMAGES,
    *DEMAND,
]

assert len({c.name for c in CASES}) == len(CASES), "two cases have one name"
