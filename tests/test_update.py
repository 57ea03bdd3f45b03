"""Optimiser steps against PyTorch's optimisers, in every configuration, 20 steps in double precision."""

import itertools
from functools import partial

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import backends
from tinygrad_edu.ops import update

STEPS = 20
SHAPES = [(3, 5), (), (17,), (0,), (7, 31)]


def product(**choices):
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def sgd(o):
    flags = {"momentum": o["momentum"] != 0, "nesterov": o["nesterov"], "maximize": o["maximize"]}
    hyper = [o["lr"], o["momentum"], o["dampening"], o["weight_decay"]]
    return update.sgd_, hyper, flags, ["buffer", "step"] * flags["momentum"]


def adam(o, decoupled=False):
    flags = {"amsgrad": o["amsgrad"], "decoupled": decoupled, "maximize": o["maximize"]}
    hyper = [o["lr"], *o["betas"], o["eps"], o["weight_decay"]]
    return update.adam_, hyper, flags, ["mean", "square", *["largest"] * o["amsgrad"], "step"]


def rmsprop(o):
    flags = {"momentum": o["momentum"] != 0, "centered": o["centered"], "maximize": o["maximize"]}
    hyper = [o["lr"], o["alpha"], o["eps"], o["weight_decay"], o["momentum"]]
    return update.rmsprop_, hyper, flags, ["square", *["mean"] * o["centered"], *["buffer"] * flags["momentum"], "step"]


def adagrad(o):
    hyper = [o["lr"], o["lr_decay"], o["weight_decay"], o["eps"]]
    return update.adagrad_, hyper, {"maximize": o["maximize"]}, ["sum", "step"]


BOTH = (False, True)
DECAYS = [0.0, 0.1]
CASES = [
    ("SGD", sgd, o)
    for o in product(
        lr=[0.1], momentum=[0.0, 0.9], dampening=[0.0, 0.3], weight_decay=DECAYS, nesterov=BOTH, maximize=BOTH
    )
    if not o["nesterov"] or (o["momentum"] and not o["dampening"])
]
for o in product(
    lr=[0.01], betas=[(0.9, 0.999), (0.3, 0.5)], eps=[1e-8], weight_decay=DECAYS, amsgrad=BOTH, maximize=BOTH
):
    CASES += [("Adam", adam, o), ("AdamW", partial(adam, decoupled=True), o)]
CASES += [
    ("RMSprop", rmsprop, o)
    for o in product(
        lr=[0.01], alpha=[0.99, 0.4], eps=[1e-8], weight_decay=DECAYS, momentum=[0.0, 0.9], centered=BOTH, maximize=BOTH
    )
]
CASES += [
    ("Adagrad", adagrad, o)
    for o in product(lr=[0.01], lr_decay=DECAYS, weight_decay=DECAYS, eps=[1e-10], maximize=BOTH)
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in o.items() if v not in (0, False))}" for name, _, o in CASES]


def run(describe, options, dtype, shapes=SHAPES, steps=STEPS):
    """The parameters after `steps` updates in one op call each, with gradients drawn from a fixed seed."""
    op, hyper, flags, roles = describe(options)
    rng = np.random.default_rng(0)
    params = [rng.normal(size=s).astype(dtype) for s in shapes]
    state = [[np.zeros((), np.float32) if role == "step" else np.zeros(s, dtype) for role in roles] for s in shapes]
    tensors = [[tg.tensor(x) for x in (p, np.zeros_like(p), *s)] for p, s in zip(params, state, strict=True)]
    vector = tg.tensor(np.array(hyper, np.float64))
    for _ in range(steps):
        for t, s in zip(tensors, shapes, strict=True):
            t[1] = tg.tensor(rng.normal(size=s).astype(dtype))
        op.apply(vector, *[x for t in tensors for x in t], **flags)
    return [t[0].array() for t in tensors]


@pytest.mark.parametrize("backend", backends.available())
@pytest.mark.parametrize(("name", "describe", "options"), CASES, ids=IDS)
def test_equals_pytorch(name, describe, options, backend, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(backends, "fell_back", set())
    with backends.use(backend):
        mine = run(describe, options, np.float64)
    if backend == "c":
        assert backends.fell_back == set()
    rng = np.random.default_rng(0)
    params = [torch.tensor(rng.normal(size=s), requires_grad=True) for s in SHAPES]
    optimizer = getattr(torch.optim, name)(params, **options)
    for _ in range(STEPS):
        for p in params:
            p.grad = torch.tensor(rng.normal(size=p.shape))
        optimizer.step()
    for a, b in zip(mine, params, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "describe", "options"), CASES, ids=IDS)
def test_backends_agree_in_single_precision(name, describe, options):
    results = []
    for backend in backends.available():
        with backends.use(backend):
            results.append(run(describe, options, np.float32, [(129,), (3, 3)], 3))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_counts_and_versions():
    p, g, m, v, step = (tg.tensor(np.ones(3, np.float32)) for _ in range(5))
    step = tg.tensor(np.zeros((), np.float32))
    hyper = tg.tensor(np.array([0.1, 0.9, 0.999, 1e-8, 0.0]))
    before = [x._version for x in (hyper, p, g, m, v, step)]
    for _ in range(2):
        update.adam_.apply(hyper, p, g, m, v, step, amsgrad=False, decoupled=False, maximize=False)
    assert step.item() == 2
    after = [x._version for x in (hyper, p, g, m, v, step)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 2, 0, 2, 2, 2]


def test_strided_parameters():
    """A parameter that is a transposed view is updated through its strides."""
    rng = np.random.default_rng(1)
    base, grad = rng.normal(size=(4, 6)), rng.normal(size=(6, 4))
    p = tg.tensor(base)
    hyper = tg.tensor(np.array([0.5, 0.0, 0.0, 0.0]))
    update.sgd_.apply(hyper, p.transpose(0, 1), tg.tensor(grad), momentum=False, nesterov=False, maximize=False)
    np.testing.assert_allclose(p.array(), base - 0.5 * grad.T, rtol=1e-15)


def test_refuses_what_does_not_fit():
    flags = {"momentum": False, "nesterov": False, "maximize": False}
    hyper, p = tg.tensor(np.zeros(4)), tg.tensor(np.zeros(3))
    with pytest.raises(RuntimeError, match=r"sgd_: grad of parameter 0 has shape \(2,\), the parameter \(3,\)"):
        update.sgd_.apply(hyper, p, tg.tensor(np.zeros(2)), **flags)
    with pytest.raises(TypeError, match="hyper must be a float64 vector"):
        update.sgd_.apply(p, p, p, **flags)
    with pytest.raises(TypeError, match="groups of 2 tensors"):
        update.sgd_.apply(hyper, p, **flags)
    with pytest.raises(TypeError, match="floating dtype"):
        update.sgd_.apply(hyper, p, tg.tensor(np.zeros(3, np.int64)), **flags)
