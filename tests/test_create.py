"""New tensors, conversions, the package's public names, its configuration, and what importing it costs.

Read next: test_ops.py.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import backends

CREATED = {
    "tensor-float": lambda t: t.tensor([[1.5, 2], [3, 4]]),
    "tensor-int": lambda t: t.tensor([1, 2]),
    "tensor-bool": lambda t: t.tensor([True, False]),
    "tensor-number": lambda t: t.tensor(3.0),
    "tensor-empty": lambda t: t.tensor([]),
    "tensor-array": lambda t: t.tensor(np.arange(3)),
    "tensor-dtype": lambda t: t.tensor([1.9, -1.9], dtype=t.int32),
    "tensor-of-tensors": lambda t: t.tensor([t.tensor(1.0), t.tensor(2.0)]),
    "tensor-ragged": lambda t: t.tensor([[1, 2], [3]]),
    "tensor-string": lambda t: t.tensor("a"),
    "as_tensor": lambda t: t.as_tensor([1, 2], dtype=t.float64),
    "zeros": lambda t: t.zeros(2, 3),
    "zeros-tuple": lambda t: t.zeros((2, 3), dtype=t.int64),
    "zeros-0d": lambda t: (t.zeros(()), t.zeros([])),
    "size=": lambda t: (t.zeros(size=(2, 3)), t.ones(size=[2]), t.zeros(2).new_ones(size=(1, 2))),
    "size= twice": lambda t: t.zeros(2, size=(3,)),
    "zeros-negative": lambda t: t.zeros(-1),
    "zeros-int-grad": lambda t: t.zeros(2, dtype=t.int32, requires_grad=True),
    "ones": lambda t: t.ones(2, 0, 3),
    "full": lambda t: (t.full((2,), 3), t.full((2,), 2.5), t.full((2,), True), t.full((), 7, dtype=t.float64)),
    "like": lambda t: [f(t.ones(2, 3, dtype=t.int32)) for f in (t.zeros_like, t.ones_like)],
    "full_like": lambda t: t.full_like(t.ones(2), 2.5, dtype=t.float64),
    "arange": lambda t: (t.arange(5), t.arange(5.0), t.arange(2, 8, 3), t.arange(1, 2, 0.25), t.arange(5, 0, -2)),
    "arange-dtype": lambda t: t.arange(0, 3, 1, dtype=t.float64),
    "arange-none": lambda t: t.arange(0),
    "arange-away": lambda t: t.arange(1, 0),
    "arange-step-0": lambda t: t.arange(1, 5, 0),
    "linspace": lambda t: (t.linspace(0, 1, 5), t.linspace(1, -1, 1), t.linspace(0, 1, 0)),
    "linspace-negative": lambda t: t.linspace(0, 1, -1),
    "arange-whole": lambda t: [t.arange(-0.9, 2.1, 2.0, dtype=d) for d in (t.int32, t.int64, t.uint8, t.float64)],
    "arange-truncated": lambda t: (t.arange(0, -8.5, -4, dtype=t.int64), t.arange(0, -8.5, -4, dtype=t.int32)),
    "arange-infinite": lambda t: t.arange(0, float("inf")),
    "linspace-whole": lambda t: (t.linspace(4.3, -3, 50, dtype=t.int32), t.linspace(0, 3, 2, dtype=t.int64)),
    "linspace-tensors": lambda t: t.linspace(t.tensor(0.5), t.tensor(2), 4),
    "eye-negative": lambda t: t.eye(-1),
    "eye": lambda t: (t.eye(3), t.eye(2, 3, dtype=t.int64)),
    "new": lambda t: [
        t.ones(2, dtype=t.float64).new_zeros(2, 3),
        t.ones(2, dtype=t.int64).new_ones((2,)),
        t.ones(2).new_full((2,), 7),
        t.ones(2).new_tensor([1, 2]),
    ],
    "to": lambda t: [t.tensor([1.7, -1.7, 0.0]).to(d) for d in (t.float64, t.int32, t.int64, t.bool)],
    "to-other": lambda t: (t.ones(2).to(t.zeros(1, dtype=t.int64)), t.ones(2).to("cpu", t.float64)),
    "to-device": lambda t: t.ones(2).to("nowhere"),
    "conversions": lambda t: [
        getattr(t.tensor([1.5, 0]), n)() for n in ("float", "double", "int", "long", "bool", "byte", "cpu")
    ],
    "type": lambda t: (t.tensor([1.5]).type(t.int64), t.tensor([1.5]).type_as(t.tensor([1]))),
    "device": lambda t: t.zeros(2, device="cpu"),
    "classes": lambda t: [f(n) for n in (2, 2.0, 2) for f in (t.arange, lambda n: t.full((1,), n), t.tensor)],
    "bools": lambda t: [t.full((1,), n) for n in (1, True, 1.0)] + [t.tensor([1, True]), t.tensor([1.5, True])],
    "arange-many": lambda t: [t.arange(40000), t.arange(0.0, 4000.0, 0.125), t.arange(5, 200, dtype=t.uint8)],
    "linspace-many": lambda t: t.linspace(0, 200, 17, dtype=t.uint8),
    "eye-large": lambda t: (t.eye(190), t.eye(7, 3000), t.eye(3000, 7, dtype=t.bool), t.eye(0), t.eye(0, 2)),
    "tensor-nested": lambda t: (t.tensor([[[1, 2]], [[3, 4.5]]]), t.tensor(((True,), (False,))), t.tensor([[], []])),
    "tensor-mixed": lambda t: (t.tensor([[1, 2], [3.5, t.tensor(4)]]), t.tensor([1, 2.5], dtype=t.bool)),
    "tensor-inf": lambda t: (t.tensor(1e300), t.tensor([1e300, -1e300, 1.0]), t.tensor([1e300], dtype=t.float64)),
    "tensor-deep-ragged": lambda t: t.tensor([[1, 2], 3]),
    "tensor-too-large": lambda t: t.tensor([2**63]),
    "tensor-much-too-large": lambda t: t.tensor(10**400, dtype=t.float64),
    "full-size": lambda t: t.full(2, 1),
    "full-of-tensor": lambda t: t.full((2,), t.tensor(2.5)),
    "full-of-text": lambda t: t.full((2,), "a"),
    "linspace-steps": lambda t: t.linspace(0, 1, 4.0),
    "linspace-bool": lambda t: t.linspace(0, 1, True),
    "randperm-float": lambda t: t.randperm(4.0),
    "randperm-bool": lambda t: t.randperm(True),
    "randint-float": lambda t: t.randint(0, 9.0, (2,)),
    "randint-bool": lambda t: t.randint(True, 9, (2,)),
    "randint-size": lambda t: t.randint(0, 9, 3),
    "normal-size": lambda t: t.normal(0.0, 1.0, 3),
}


@pytest.mark.parametrize("name", CREATED)
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's own
def test_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    call = CREATED[name]
    try:
        theirs = call(torch)
    except Exception:
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            call(tg)
        return
    mine = call(tg)
    for x, y in zip(*[r if isinstance(r, (list, tuple)) else [r] for r in (mine, theirs)], strict=True):
        assert x.numpy().dtype == y.numpy().dtype
        np.testing.assert_array_equal(x.numpy(), y.numpy())


SIZED = {
    **{
        name: lambda t, *size, name=name: getattr(t, name)(*size)
        for name in ("zeros", "ones", "empty", "rand", "randn", "eye")
    },
    "full": lambda t, *size: t.full(size, 1.0),
    "randint": lambda t, *size: t.randint(0, 9, size),
    "normal": lambda t, *size: t.normal(0.0, 1.0, size),
    **{
        name: lambda t, *size, name=name: getattr(t.ones(1), name)(*size)
        for name in ("new_zeros", "new_ones", "new_empty")
    },
    "new_full": lambda t, *size: t.ones(1).new_full(size, 2),
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes_are_ints(name):
    """Also where the same numbers were ints before: 2.0 and True equal 2 and 1, and find what those left behind."""
    torch = pytest.importorskip("torch")
    call = SIZED[name]
    for good in ((2, 3), (1, 3), (np.int64(2), 3), (0, 2)):
        assert call(tg, *good).shape == tuple(call(torch, *good).shape) == good
    if name != "eye":
        assert call(tg, 2, True).shape == (2, 1) and call(tg, (2)).shape == (2,)
    for bad in ((2.0, 3), (2, 3.0), (True, 3), (None, 2), ("2", 3), (np.float64(2), 3), (2, np.float32(3))):
        for library in (torch, tg, tg):
            with pytest.raises(TypeError):
                call(library, *bad)
    for library in (torch, tg):
        with pytest.raises(RuntimeError):
            call(library, 2, -1)


def changed(x, change):
    change(x)
    return x


# A number that float32 can't hold is refused where it is stored, or weighs, and infinite where it is computed with.
STORED = {
    "full": lambda t, x, m, n: t.full((2,), n, dtype=x.dtype),
    "full_like": lambda t, x, m, n: t.full_like(x, n),
    "new_full": lambda t, x, m, n: x.new_full((2,), n),
    "fill_": lambda t, x, m, n: x.fill_(n),
    "masked_fill": lambda t, x, m, n: x.masked_fill(m, n),
    "masked_fill_": lambda t, x, m, n: x.masked_fill_(m, n),
    "where": lambda t, x, m, n: t.where(m, n, x),
    "where-other": lambda t, x, m, n: t.where(m, x, n),
    "setitem": lambda t, x, m, n: changed(x, lambda x: x.__setitem__(0, n)),
    "setitem-mask": lambda t, x, m, n: changed(x, lambda x: x.__setitem__(m, n)),
    "index_fill": lambda t, x, m, n: x.index_fill(0, t.tensor([0]), n),
    "scatter": lambda t, x, m, n: x.scatter(0, t.tensor([0]), n),
    "linspace": lambda t, x, m, n: t.linspace(n, n, 2),
    "clamp": lambda t, x, m, n: x.clamp(min=n),
    "clamp_": lambda t, x, m, n: x.clamp_(max=n),
    "add-alpha": lambda t, x, m, n: x.add(x, alpha=n),
    "sub_-alpha": lambda t, x, m, n: x.sub_(x * 0.5, alpha=n),
    "lerp": lambda t, x, m, n: x.lerp(x * 0.5, n),
    "addcmul": lambda t, x, m, n: x.addcmul(x, x, value=n),
    "addcdiv_": lambda t, x, m, n: x.addcdiv_(x, x, value=n),
    "add": lambda t, x, m, n: x + n,
    "mul_": lambda t, x, m, n: x.mul_(n),
    "gt": lambda t, x, m, n: x > n,
    "maximum": lambda t, x, m, n: t.maximum(x, t.tensor(n)),
    "tensor": lambda t, x, m, n: t.tensor([n, 1.0]),
}


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("number", [1e300, -3.5e38, 3e38, float("inf"), 10**40, -(10**40), 2**62])
def test_numbers_too_large(name, number):
    torch = pytest.importorskip("torch")
    found = []
    for t in (torch, tg, tg):
        try:
            result = STORED[name](t, t.tensor([1.0, 2.0]), t.tensor([True, False]), number)
            found.append(result.numpy())
        except (RuntimeError, OverflowError, ValueError):
            found.append(None)
    assert (found[0] is None) == (found[1] is None) == (found[2] is None)
    if found[0] is not None:
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[0])


def test_zeros_keep_their_sign():
    for _ in range(2):
        assert not np.signbit(tg.full((1,), 0.0).numpy()) and np.signbit(tg.full((1,), -0.0).numpy())
        assert not np.signbit(tg.ones(1).fill_(0).numpy()) and np.signbit(tg.ones(1).fill_(-0.0).numpy())


@pytest.mark.parametrize("backend", backends.available())
def test_sequences_are_the_same_on_every_backend(backend):
    with backends.use(backend):
        for dtype in (tg.float32, tg.float64, tg.int32, tg.int64, tg.uint8):
            d = dtype.name
            np.testing.assert_array_equal(tg.arange(3, 90, 7, dtype=dtype).numpy(), np.arange(3, 90, 7).astype(d))
            np.testing.assert_array_equal(tg.eye(3, 5, dtype=dtype).numpy(), np.eye(3, 5, dtype=d))
            x = tg.linspace(1, 200, 50_001, dtype=dtype).numpy()
            assert x[0] == 1 and x[-1] == 200
            np.testing.assert_allclose(
                x.astype(float), np.linspace(1, 200, 50_001), rtol=1e-6, atol=dtype.category == 1
            )
        np.testing.assert_array_equal(tg.arange(0.5, 9, 0.3).numpy(), (0.5 + np.arange(29) * 0.3).astype(np.float32))


def test_tensor_copies_and_as_tensor_shares():
    array = np.zeros(3, np.float32)
    copied, shared, also = tg.tensor(array), tg.from_numpy(array), tg.as_tensor(array)
    array[0] = 5
    assert copied.tolist() == [0, 0, 0] and shared.tolist() == also.tolist() == [5, 0, 0]
    assert tg.as_tensor(shared) is shared
    assert tg.tensor(shared).data_ptr() != shared.data_ptr()


def test_from_numpy_refuses():
    for bad, error in (([1, 2], TypeError), (np.zeros(2, np.complex64), TypeError), (np.zeros(4)[::-1], ValueError)):
        with pytest.raises(error):
            tg.from_numpy(bad)
    frozen = np.zeros(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        tg.from_numpy(frozen)


def test_constants_are_never_handed_out():
    for make in (lambda: tg.tensor(3.0), lambda: tg.full((), 3.0), lambda: tg.as_tensor(3.0), lambda: tg.ones(())):
        make().mul_(7)
        assert make().item() in (1.0, 3.0)
    (tg.ones(2) * 3.0).mul_(2)
    assert (tg.ones(2) * 3.0).tolist() == [3, 3]


def test_gradient_flows_through_conversions():
    x = tg.ones(2, requires_grad=True)
    x.double().mul(2).float().sum().backward()
    assert x.grad.dtype is tg.float32 and x.grad.tolist() == [2, 2]
    assert x.to(tg.float32) is x and x.to(tg.float32, copy=True) is not x
    assert not x.long().requires_grad


def test_every_public_name_is_there():
    for name in tg.__all__:
        assert getattr(tg, name) is not None
    assert len(set(tg.__all__)) == len(tg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tg.nothing  # noqa: B018


def test_names_and_methods_are_pytorchs():
    torch = pytest.importorskip("torch")
    own = {"config", "backends", "replay", "show_config", "get_winograd", "set_winograd", "bool_"}
    assert {name for name in tg.__all__ if not hasattr(torch, name)} <= own
    ours = {name for name in dir(tg.Tensor) if not name.startswith("_")}
    missing = {name for name in ours if not hasattr(torch.Tensor, name)}
    assert missing <= {
        *(
            "address",
            "array",
            "check_dim",
            "empty",
            "hooks",
            "layout",
            "needs_grad",
            "node",
            "offset",
            "over",
            "storage",
        )
    }


def python(code, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TG_")} | variables
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    "variable, value",
    [
        ("TG_BACKEND", "fast"),
        ("TG_ISA", "mmx"),
        ("TG_THREADS", "0"),
        ("TG_THREADS", "two"),
        ("TG_DEBUG", "everything"),
        ("TG_WINOGRAD", "no"),
    ],
)
def test_wrong_environment_raises(variable, value):
    done = python("import tinygrad_edu", **{variable: value})
    assert done.returncode and f"{variable}" in done.stderr and value in done.stderr and "RuntimeError" in done.stderr


def test_environment_chooses():
    code = "import tinygrad_edu as tg; tg.show_config(); print(tg.get_num_threads())"
    done = python(code, TG_BACKEND="numpy", TG_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert "backend: numpy" in done.stdout and "TG_BACKEND: numpy" in done.stdout and done.stdout.endswith("\n1\n")


def test_without_a_core_it_says_so_once():
    hide = "import sys, warnings; sys.modules['tinygrad_edu._core'] = None; "
    count = (
        hide + "warnings.simplefilter('always'); caught = warnings.catch_warnings(record=True).__enter__()\n"
        "import tinygrad_edu as tg\n"
        "assert (tg.ones(2) + 1).tolist() == [2, 2]\n"
        "print(len(caught), caught[0].category.__name__, caught[0].message)\n"
    )
    done = python(count)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 RuntimeWarning tinygrad_edu runs on its numpy backend")
    assert python(hide + "warnings.simplefilter('error'); import tinygrad_edu", TG_BACKEND="numpy").returncode == 0


def test_threads():
    before = tg.get_num_threads()
    try:
        tg.set_num_threads(1)
        assert tg.get_num_threads() == 1
    finally:
        tg.set_num_threads(before)
    with pytest.raises(ValueError, match="1 or more"):
        tg.set_num_threads(0)
    with pytest.raises(TypeError, match="expected an int"):
        tg.set_num_threads(1.5)


def test_import_is_light():
    code = (
        "import sys, numpy, cffi; before = set(sys.modules); import tinygrad_edu\n"
        "heavy = {'numba', 'matplotlib', 'sklearn', 'torch', 'tqdm', 'safetensors', 'pathlib', 'concurrent'}\n"
        "assert not heavy & (set(sys.modules) - before), heavy & (set(sys.modules) - before)\n"
    )
    run = python(code)
    assert run.returncode == 0, run.stderr
