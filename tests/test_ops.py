"""Every op of the table in cases.py: values, gradients, second derivatives, backends, dtypes, layouts, completeness.

Read next: cases.py.
"""

import importlib
import pkgutil

import numpy as np
import pytest
from cases import CASES
from demand_cases import NO_KERNEL
from makers import Case, outputs, tensors

import tinygrad_edu as tg
from tinygrad_edu import autograd, backends, ops
from tinygrad_edu.autograd import gradcheck, gradgradcheck
from tinygrad_edu.modes import Watcher, modes
from tinygrad_edu.op import Op

for module in pkgutil.iter_modules(ops.__path__):  # some are imported only when used: their ops count as well
    importlib.import_module(f"{ops.__name__}.{module.name}")

by_name = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
# Numba compiles for every signature, so it is only held against the references, in float64 and float32.
DIRECT = [name for name in backends.available() if name != "numba"]
OTHERS = [name for name in backends.available() if name != "numpy"]
TIGHT = {"eps": 1e-5, "atol": 1e-7, "rtol": 1e-5}  # what float64 can do on inputs of size 1

# Ops that no case reaches, and why.
RANDOM, UPDATE = "has no fixed value: tests/test_random.py", "an optimiser's step: tests/test_update.py"
UNREACHED = {
    "random_integers": RANDOM,
    "random_normal": RANDOM,
    "random_permutation": RANDOM,
    "random_uniform": RANDOM,
    "random_bernoulli": RANDOM,
    "sgd_": UPDATE,
    "adam_": UPDATE,
    "rmsprop_": UPDATE,
    "adagrad_": UPDATE,
    "batch_norm_fused_": "made by fuse.py alone: tests/test_batch_norm.py",
    "batch_norm_grad_fused_": "made by fuse.py alone: tests/test_batch_norm.py",
}

# Ops for which the C backend runs the reference, and why.
NO_C_KERNEL = {
    "scatter_mul": "scatter(reduce='multiply') is in no model's way",
    **NO_KERNEL,
}


def cotangents(ys, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(y.shape) for y in ys]


def gradients(library, ys, xs, us):
    """The gradients of the floating-point inputs for the cotangents us of the differentiable outputs; None: no path."""
    pairs = [(y, library.tensor(u, dtype=y.dtype)) for y, u in zip(ys, us, strict=True) if y.requires_grad]
    leaves = [x for x in xs if x.requires_grad]
    if not pairs:
        return [None] * len(leaves)
    ys, us = zip(*pairs, strict=True)
    return library.autograd.grad(ys, leaves, us, allow_unused=True)


def run(case, dtype=tg.float64, grad=True):
    """Outputs and gradients as arrays."""
    xs = tensors(case.arrays(), dtype, grad=grad and case.first)
    ys = outputs(case.call(tg, *xs))
    values = [y.detach().numpy().copy() for y in ys]
    if not (grad and case.first):
        return values, []
    found = gradients(tg, ys, xs, cotangents(ys))
    return values, [None if g is None else g.numpy().copy() for g in found]


def same(a, b, rtol, atol=0.0, what=""):
    assert (a is None) == (b is None), what
    if a is not None:
        assert a.shape == b.shape and a.dtype == b.dtype, what
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=what)


def dtype_name(x):
    return str(x.dtype).rpartition(".")[2]


# Values and gradients against PyTorch


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@by_name
def test_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    if not case.torch:
        pytest.skip("PyTorch has nothing to compare with")
    arrays = case.arrays()
    xs = tensors(arrays, grad=case.first)
    theirs = [torch.tensor(a) for a in arrays]
    for t in theirs:
        t.requires_grad_(case.first and t.is_floating_point())
    ys, zs = outputs(case.call(tg, *xs)), outputs(case.call(torch, *theirs))
    assert len(ys) == len(zs)
    for k, (y, z) in enumerate(zip(ys, zs, strict=True)):
        assert tuple(y.shape) == tuple(z.shape) and dtype_name(y) == dtype_name(z), f"output {k}"
        same(y.detach().numpy(), z.detach().numpy(), 1e-12, 1e-13, f"output {k}")
    if case.first and case.torch_grad:
        us = cotangents(ys)
        for g, h in zip(gradients(tg, ys, xs, us), gradients(torch, zs, theirs, us), strict=True):
            # where no gradient flows, one of us may give zeros and the other None
            g, h = (np.zeros(()) if x is None else x.numpy() for x in (g, h))
            np.testing.assert_allclose(g, np.broadcast_to(h, g.shape) if not h.any() else h, 1e-10, 1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if c.ints], ids=lambda c: c.name)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
@pytest.mark.parametrize("backend", DIRECT)
def test_integers_equal_pytorch(case, dtype, backend):
    torch = pytest.importorskip("torch")
    arrays = [np.random.default_rng(k).integers(0, 4, m.shape).astype(dtype) for k, m in enumerate(case.makers)]
    try:
        zs = outputs(case.call(torch, *[torch.tensor(a) for a in arrays]))
    except RuntimeError:
        with backends.use(backend), pytest.raises((RuntimeError, TypeError)):
            case.call(tg, *[tg.tensor(a) for a in arrays])
        return
    with backends.use(backend):
        ys = outputs(case.call(tg, *[tg.tensor(a) for a in arrays]))
    for y, z in zip(ys, zs, strict=True):
        assert dtype_name(y) == dtype_name(z) and tuple(y.shape) == tuple(z.shape)
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-6, atol=1e-7)


# Derivatives against differences, through the kernels of each backend


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("case", [c for c in CASES if c.first], ids=lambda c: c.name)
def test_gradient(case, backend):
    with backends.use(backend):
        assert gradcheck(lambda *xs: case.call(tg, *xs), tensors(case.arrays()), fast_mode=True, **TIGHT)


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("case", [c for c in CASES if c.second], ids=lambda c: c.name)
def test_second_derivative(case, backend):
    with backends.use(backend):
        assert gradgradcheck(lambda *xs: case.call(tg, *xs), tensors(case.arrays()), fast_mode=True, **TIGHT)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.first and sum(map(np.size, c.arrays())) <= 30], ids=lambda c: c.name
)
def test_whole_jacobian(case):
    assert gradcheck(lambda *xs: case.call(tg, *xs), tensors(case.arrays()), **TIGHT)


@pytest.mark.parametrize("backend", DIRECT)
def test_gradient_of_a_conversion(backend):
    with backends.use(backend):
        x = tg.tensor([1.5, -2.0], dtype=tg.float64, requires_grad=True)
        y = x.to(tg.float32)
        (g,) = autograd.grad(y * y, x, tg.tensor([1.0, 3.0]), create_graph=True)
        assert g.dtype is tg.float64 and g.tolist() == [3, -12]
        (gg,) = autograd.grad(g.sum(), x)
        assert gg.dtype is tg.float64 and gg.tolist() == [2, 6]
        assert not x.to(tg.int64).requires_grad


# Every backend against the references


@pytest.mark.parametrize("backend", OTHERS)
@by_name
def test_backend_equals_reference(case, backend):
    with backends.use("numpy"):
        values, grads = run(case)
    with backends.use(backend):
        other_values, other_grads = run(case)
    for k, (a, b) in enumerate(zip(other_values + other_grads, values + grads, strict=True)):
        same(a, b, 1e-12, 1e-13, f"output {k} of {len(values)}, then gradients")


@pytest.mark.parametrize("backend", backends.available())
@by_name
def test_float32_is_close_to_float64(case, backend):
    """The error of a float32 kernel, in units in the last place of the largest result."""
    rounded = Rounded(case)
    with backends.use("numpy"):
        values, grads = run(rounded)
    with backends.use(backend):
        values32, grads32 = run(rounded, tg.float32)
    for k, (a, b) in enumerate(zip(values32 + grads32, values + grads, strict=True)):
        assert (a is None) == (b is None)
        if a is None or a.size == 0:
            continue
        assert a.shape == b.shape
        if a.dtype == np.float32:
            finite = np.isfinite(b)
            assert (np.isfinite(a) == finite).all()
            largest = np.abs(b[finite]).max(initial=0)
            error = np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0)
            assert error <= case.ulps * 2.0**-24 * max(largest, 1), (
                f"{k}: {error / 2.0**-24 / max(largest, 1):.1f} ulps"
            )
        else:
            np.testing.assert_array_equal(a, b)


class Rounded:
    """A case on inputs that float32 can represent, so that only the arithmetic differs."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def arrays(self):
        return [a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for a in self.case.arrays()]

    def __getattr__(self, name):
        return getattr(self.case, name)


# Memory layouts


def transposed(x):
    """The same values, laid out the other way round."""
    return x.permute(*reversed(range(x.ndim))).contiguous().permute(*reversed(range(x.ndim)))


def sliced(x):
    """The same values, with gaps before, between and after them."""
    if x.ndim == 0:
        return tg.stack([x, x, x])[1]
    wide = tg.stack([x, x * 0 if x.dtype is not tg.bool else x, x], dim=-1)
    return wide[..., 0]


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("layout", [transposed, sliced])
@by_name
def test_layouts(case, layout, backend):
    """Values and gradients don't depend on where the elements lie; nor does that of the cotangent matter."""
    if case.name in ("view", "t"):
        pytest.skip("needs its layout")
    with backends.use(backend):
        values, grads = run(case)
        xs = tensors(case.arrays(), grad=case.first)
        ys = outputs(case.call(tg, *[layout(x) for x in xs]))
        for a, b in zip(ys, values, strict=True):
            same(a.detach().numpy(), b, 1e-12, 1e-14)
        if case.first:
            pairs = [(y, layout(tg.tensor(u))) for y, u in zip(ys, cotangents(ys), strict=True) if y.requires_grad]
            found = autograd.grad(
                [y for y, _ in pairs], [x for x in xs if x.requires_grad], [u for _, u in pairs], allow_unused=True
            )
            for g, b in zip(found, grads, strict=True):
                same(None if g is None else g.numpy(), b, 1e-12, 1e-13)


@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("case", [c for c in CASES if c.any_shape], ids=lambda c: c.name)
def test_expanded_inputs(case, backend):
    """Stride 0: all rows are one row. The gradient of the row is the sum of theirs."""
    rows = [m.reshaped((1, *m.shape[1:]))(np.random.default_rng(k)) for k, m in enumerate(case.makers)]
    with backends.use(backend):
        xs, copies = tensors(rows, grad=case.first), tensors([np.repeat(r, 3, 0) for r in rows], grad=case.first)
        y = case.call(tg, *[x.expand(3, *x.shape[1:]) for x in xs])
        z = case.call(tg, *copies)
        same(y.detach().numpy(), z.detach().numpy(), 1e-12)
        if case.first:
            us = cotangents([y])
            for g, h in zip(gradients(tg, [y], xs, us), gradients(tg, [z], copies, us), strict=True):
                same(g.numpy(), h.numpy().sum(0, keepdims=True), 1e-11, 1e-13)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("case", [c for c in CASES if c.any_shape], ids=lambda c: c.name)
def test_empty_and_0d(case, shape, backend):
    rng = np.random.default_rng(0)
    with backends.use(backend):
        xs = tensors([m.reshaped(shape)(rng) for m in case.makers], grad=case.first)
        y = case.call(tg, *xs)
        assert tuple(y.shape) == shape
        if case.first:
            assert gradcheck(lambda *xs: case.call(tg, *xs), xs, **TIGHT)


# Completeness


class Reached(Watcher):
    def __init__(self):
        self.ops = set()

    def ran(self, spec, inputs, out):
        self.ops.add(spec.op.name)


def run_everything(dtype):
    """Every case forward, backward and backward again; returns the names of the ops reached, and the rules that ran."""
    watcher, rules = Reached(), set()
    vjp = Op.vjp

    def noted(op, node, i, g):
        rules.add((op.name, op.inputs[0] if op.variadic else op.inputs[i]))
        return vjp(op, node, i, g)

    modes.watch(watcher)
    Op.vjp = noted
    try:
        for case in CASES:
            xs = tensors(case.arrays(), dtype, grad=case.first)
            ys = [y for y in outputs(case.call(tg, *xs)) if y.requires_grad]
            leaves = [x for x in xs if x.requires_grad]
            if not ys:
                continue
            us = [tg.tensor(u, dtype=y.dtype, requires_grad=True) for y, u in zip(ys, cotangents(ys), strict=True)]
            first = autograd.grad(ys, leaves, us, create_graph=True, allow_unused=True)
            first = [g for g in first if g is not None and g.requires_grad]
            if first:
                vs = [tg.tensor(u, dtype=g.dtype) for g, u in zip(first, cotangents(first, 2), strict=True)]
                autograd.grad(first, [*leaves, *us], vs, allow_unused=True)
    finally:
        Op.vjp = vjp
        modes.unwatch(watcher)
    return watcher.ops, rules


def test_every_op_has_a_case():
    with backends.use("numpy"):
        reached, rules = run_everything(tg.float64)
    missing = set(Op.registry) - reached - set(UNREACHED)
    assert not missing, f"no case in tests/cases.py reaches {sorted(missing)}"
    stale = set(UNREACHED) & reached | set(UNREACHED) - set(Op.registry)
    assert not stale, f"UNREACHED lists ops that are reached, or are none: {sorted(stale)}"
    unseen = {
        (op.name, name)
        for op in Op.registry.values()
        if op.name not in UNREACHED
        for name, rule in op.rules.items()
        if rule is not None and (op.name, name) not in rules
    }
    unseen.discard(("cast", "input"))  # differences through float32 are too coarse: test_gradient_of_a_conversion
    assert not unseen, f"no case makes these rules run: {sorted(unseen)}"


@pytest.mark.skipif("c" not in OTHERS, reason="the C core is not here")
def test_the_c_backend_falls_back_only_where_known():
    before = set(backends.fell_back)
    backends.fell_back.clear()
    try:
        with backends.use("numpy"), backends.use("c"):
            for dtype in (tg.float64, tg.float32):
                reached, _ = run_everything(dtype)
        silent = backends.fell_back - set(NO_C_KERNEL)
        assert not silent, f"the reference ran instead of a C kernel: {sorted(silent)}"
        stale = set(NO_C_KERNEL) & reached - backends.fell_back
        assert not stale, f"NO_C_KERNEL lists ops that have a kernel: {sorted(stale)}"
    finally:
        backends.fell_back.update(before)
