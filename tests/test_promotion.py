"""The dtype of results: PyTorch's rules, for every pair of dtypes and every mix of tensors, 0-d tensors and numbers.

Last, what PyTorch refuses of these and of positions is refused by the same kind of error."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import backends

torch = pytest.importorskip("torch")

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")
NUMBERS = (True, 2, 2.5)
OPS = ("add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "maximum", "minimum", "eq", "lt", "where")


def operands(t):
    """Every kind of operand: tensors, 0-d tensors, Python numbers."""
    for name in DTYPES:
        yield f"{name}", t.ones(2, dtype=getattr(t, name))
        yield f"{name} 0-d", t.ones((), dtype=getattr(t, name))
    for number in NUMBERS:
        yield repr(number), number


def name_of(d):
    return str(d).rpartition(".")[2]


def outcome(t, op, a, b):
    """dtype and values, or the fact that it is refused."""
    try:
        if op == "where":
            result = t.where(t.tensor([True, False]), a, b)
        elif isinstance(a, (bool, int, float)):  # as an operator: functions take tensors first
            result = {
                "add": lambda: a + b,
                "sub": lambda: a - b,
                "mul": lambda: a * b,
                "div": lambda: a / b,
                "pow": lambda: a**b,
                "floor_divide": lambda: a // b,
                "remainder": lambda: a % b,
                "eq": lambda: a == b,
                "lt": lambda: a < b,
            }[op]()
        elif op.endswith("_"):  # on a copy
            result = getattr(a.clone(), op)(b)
        else:
            result = getattr(t, op)(a, b)
    except (RuntimeError, TypeError):
        return "refused"
    return name_of(result.dtype), tuple(result.shape), np.asarray(result.numpy(), np.float64).tolist()


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("backend", sorted({backends.current(), "numpy"}))
def test_results(op, backend):
    wrong = []
    with backends.use(backend):
        pairs = zip(
            itertools.product(operands(tg), repeat=2), itertools.product(operands(torch), repeat=2), strict=True
        )
        for ((left, a), (right, b)), ((_, c), (_, d)) in pairs:
            both_numbers = not isinstance(a, tg.Tensor) and not isinstance(b, tg.Tensor)
            if both_numbers or (not isinstance(a, tg.Tensor) and op in ("maximum", "minimum")):
                continue
            ours, theirs = outcome(tg, op, a, b), outcome(torch, op, c, d)
            if op in ("maximum", "minimum") and theirs == "refused":
                continue  # numbers, which PyTorch takes as tensors only
            if op == "pow" and left.startswith("bool") and right == "True":
                continue  # PyTorch refuses powers of bools, but returns x for x ** 1 before it looks
            if ours != theirs:
                wrong.append(f"{op}({left}, {right}): {ours}, PyTorch {theirs}")
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "pow", "floor_divide", "remainder"])
def test_in_place_results(op):
    wrong = []
    pairs = zip(itertools.product(operands(tg), repeat=2), itertools.product(operands(torch), repeat=2), strict=True)
    for ((left, a), (right, b)), ((_, c), (_, d)) in pairs:
        if not isinstance(a, tg.Tensor):
            continue
        ours = outcome(tg, f"{op}_", a, b)
        theirs = outcome(torch, f"{op}_", c, d)
        if op == "pow" and left.startswith("bool") and right == "True":
            continue
        if ours != theirs:
            wrong.append(f"{left}.{op}_({right}): {ours}, PyTorch {theirs}")
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong[:20])


def test_result_type_and_promote_types():
    ours, theirs = dict(operands(tg)), dict(operands(torch))
    for left, right in itertools.product(ours, repeat=2):
        assert name_of(tg.result_type(ours[left], ours[right])) == name_of(
            torch.result_type(theirs[left], theirs[right])
        )
    for a, b in itertools.product(DTYPES, repeat=2):
        expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
        assert name_of(tg.promote_types(getattr(tg, a), getattr(tg, b))) == name_of(expected)


def test_default_dtype():
    assert tg.tensor(1.0).dtype is tg.float32
    try:
        tg.set_default_dtype(tg.float64)
        assert tg.tensor(1.0).dtype is tg.float64 and tg.ones(2).dtype is tg.float64
        assert (tg.tensor([1, 2]) / 2).dtype is tg.float64 and (tg.tensor([1, 2]) * 2.0).dtype is tg.float64
        assert tg.exp(tg.tensor(1)).dtype is tg.float64
    finally:
        tg.set_default_dtype(tg.float32)
    assert (tg.tensor([1, 2]) * 2.0).dtype is tg.float32
    with pytest.raises(TypeError, match="float32 or float64"):
        tg.set_default_dtype(tg.int64)


@pytest.mark.parametrize("name", DTYPES)
def test_numbers_are_weak(name):
    x = tg.ones(2, dtype=getattr(tg, name))
    if x.is_floating_point():
        assert (x * 2.0).dtype is x.dtype and (2**x).dtype is x.dtype and (x * np.float64(2)).dtype is x.dtype
    else:
        assert (x * 2.5).dtype is tg.float32


@pytest.mark.parametrize(
    "expression",
    [
        *[f"t.{name}(2, x)" for name in ("eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum", "logical_and")],
        *[f"t.{name}(x, 2)" for name in ("maximum", "minimum", "logical_or", "logical_xor", "isclose")],
        *[
            f"t.{name}(2, 3)"
            for name in ("eq", "remainder", "pow", "bitwise_or", "max", "min", "clamp_min", "clamp_max")
        ],
        "t.max(2, x)",
        "t.isclose(2, x)",
        "t.linspace(0, 3, 1.0)",
        "x.narrow(0, t.tensor(True), 1)",
        "x.gather(0, t.tensor([9]))",
        "x.scatter(0, t.tensor([9]), 1)",
        "x.scatter(0, t.tensor([0]), 1, reduce='mean')",
        "x.index_select(0, t.tensor([9]))",
    ],
)
def test_what_pytorch_refuses_is_refused_alike(expression):
    kinds = []
    for library in (tg, torch):
        with pytest.raises((TypeError, RuntimeError, IndexError)) as error:
            eval(expression, {"t": library, "x": library.tensor([1, 2, 3])})
        kinds.append(error.type)
    assert issubclass(kinds[0], kinds[1])


@pytest.mark.parametrize(
    "expression",
    [
        "t.add(2, x)", "t.pow(2, x)", "t.remainder(7, x)", "t.bitwise_and(2, x)", "t.clamp_min(x, 2)",
        "t.addmm(x, m, m, beta=0.2, alpha=2.6)", "t.baddbmm(x, m[None], m[None], beta=1.9)",
        "x[0].sum_to_size(())", "x.sum_to_size(())", "x.sum_to_size(1)",
    ],
)  # fmt: skip
def test_integers_and_numbers_equal_pytorch(expression):
    a, b = [
        eval(expression, {"t": t, "x": t.tensor([1, 2, 3], dtype=t.int32), "m": t.eye(3, dtype=t.int32) * 2})
        for t in (tg, torch)
    ]
    assert a.tolist() == b.tolist() and str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1]
