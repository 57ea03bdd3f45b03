"""Optimisers: against PyTorch in float64 in every configuration, and by themselves where PyTorch is not there."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim


def configurations():
    """(name, settings): every combination that PyTorch accepts."""
    tables = {
        "SGD": {
            "lr": [0.1],
            "momentum": [0, 0.9],
            "dampening": [0, 0.3],
            "weight_decay": [0, 0.01],
            "nesterov": [False, True],
            "maximize": [False, True],
        },
        "Adam": {
            "lr": [0.01],
            "betas": [(0.9, 0.999), (0.5, 0.7)],
            "eps": [1e-8, 1e-3],
            "weight_decay": [0, 0.1],
            "amsgrad": [False, True],
            "maximize": [False, True],
            "decoupled_weight_decay": [False, True],
        },
        "AdamW": {"lr": [0.01], "weight_decay": [0, 0.1], "amsgrad": [False, True], "maximize": [False, True]},
        "RMSprop": {
            "lr": [0.01],
            "alpha": [0.99, 0.5],
            "eps": [1e-8, 1e-3],
            "weight_decay": [0, 0.1],
            "momentum": [0, 0.9],
            "centered": [False, True],
            "maximize": [False, True],
        },
        "Adagrad": {
            "lr": [0.1],
            "lr_decay": [0, 0.1],
            "weight_decay": [0, 0.1],
            "initial_accumulator_value": [0, 0.5],
            "eps": [1e-10, 1e-3],
            "maximize": [False, True],
        },
    }
    for name, table in tables.items():
        for values in itertools.product(*table.values()):
            settings = dict(zip(table, values, strict=True))
            if settings.get("nesterov") and (settings["momentum"] == 0 or settings["dampening"] != 0):
                continue
            yield name, settings


def start(seed=0):
    """Two parameters, as arrays, and 20 gradients for each; at some steps the second has none."""
    r = np.random.default_rng(seed)
    shapes = [(3, 5), (4,)]
    params = [r.standard_normal(s) for s in shapes]
    grads = [[r.standard_normal(s) for s in shapes] for _ in range(20)]
    for k in (0, 7):
        grads[k][1] = None
    return params, grads


def ours(arrays):
    return [tg.tensor(a, requires_grad=True) for a in arrays]


def run(optimizer, params, grads, make):
    for step in grads:
        for p, g in zip(params, step, strict=True):
            p.grad = None if g is None else make(g)
        optimizer.step()


def assert_close(params, expected, tolerance=1e-9):
    for p, q in zip(params, expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "name, settings", list(configurations()), ids=lambda x: x if isinstance(x, str) else "-".join(map(str, x.values()))
)
def test_twenty_steps_equal_pytorch(name, settings):
    torch = pytest.importorskip("torch")
    arrays, grads = start()
    mine = ours(arrays)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    run(getattr(optim, name)(mine, **settings), mine, grads, tg.tensor)
    run(getattr(torch.optim, name)(theirs, **settings), theirs, grads, torch.tensor)
    assert_close(mine, theirs)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_groups_and_changed_settings_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    arrays, grads = start(1)
    extra = {"momentum": 0.5} if name in ("SGD", "RMSprop") else {}

    def train(library, params, make):
        groups = [{"params": params[:1], "lr": 0.05}, {"params": params[1:], "weight_decay": 0.2}]
        optimizer = getattr(library, name)(groups, lr=0.01, **extra)
        run(optimizer, params, grads[:10], make)
        optimizer.param_groups[0]["lr"] = 0.3
        optimizer.param_groups[1]["weight_decay"] = 0.0
        run(optimizer, params, grads[10:], make)

    mine = ours(arrays)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    train(optim, mine, tg.tensor)
    train(torch.optim, theirs, torch.tensor)
    assert_close(mine, theirs)


@pytest.mark.parametrize("direction", ["from PyTorch", "to PyTorch"])
@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adagrad", {"lr_decay": 0.1}),
    ],
)
def test_state_dict_goes_on_in_the_other_library(name, settings, direction):
    torch = pytest.importorskip("torch")
    arrays, grads = start(2)
    kinds = {
        "ours": (optim, tg.tensor, ours),
        "torch": (torch.optim, torch.tensor, lambda xs: [torch.tensor(x, requires_grad=True) for x in xs]),
    }
    first, second = ("torch", "ours") if direction == "from PyTorch" else ("ours", "torch")
    library, make, leaves = kinds[first]
    params = leaves(arrays)
    optimizer = getattr(library, name)(params, **settings)
    run(optimizer, params, grads[:10], make)
    saved = optimizer.state_dict()
    if second == "torch":
        saved = {
            **saved,
            "state": {k: {n: torch.tensor(t.numpy().copy()) for n, t in v.items()} for k, v in saved["state"].items()},
        }
    library, make, leaves = kinds[second]
    other = leaves([p.detach().numpy().copy() for p in params])
    resumed = getattr(library, name)(other, lr=77.0)
    resumed.load_state_dict(saved)
    assert resumed.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    assert {k: set(v) for k, v in resumed.state_dict()["state"].items()} == {
        k: set(v) for k, v in saved["state"].items()
    }
    run(optimizer, params, grads[10:], kinds[first][1])
    run(resumed, other, grads[10:], make)
    assert_close(params, other)


def test_defaults_and_keys_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"):
        mine = getattr(optim, name)(ours([np.ones(2)]))
        theirs = getattr(torch.optim, name)([torch.ones(2, requires_grad=True)])
        assert mine.state_dict()["param_groups"] == theirs.state_dict()["param_groups"], name


# Without PyTorch


def test_sgd_by_hand():
    p = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5, dampening=0.25)
    p.grad = tg.tensor([4.0, 8.0], dtype=tg.float64)
    optimizer.step()  # the buffer starts as the gradient, whatever the dampening
    assert p.tolist() == [-1.0, -2.0]
    optimizer.step()  # 0.5 * 4 + 0.75 * 4 = 5
    assert p.tolist() == [-3.5, -7.0]


def test_state_dict_round_trip_is_exact_and_copies():
    arrays, grads = start(3)
    for make in (
        lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.5),
        lambda p: optim.Adam(p, 0.1, amsgrad=True),
        lambda p: optim.RMSprop(p, momentum=0.9),
        lambda p: optim.Adagrad(p),
    ):
        params = ours(arrays)
        optimizer = make(params)
        run(optimizer, params, grads[:5], tg.tensor)
        saved = pickle.loads(pickle.dumps(optimizer.state_dict()))
        others = [p.detach().clone().requires_grad_() for p in params]
        resumed = make(others)
        resumed.load_state_dict(saved)
        run(optimizer, params, grads[5:], tg.tensor)
        run(resumed, others, grads[5:], tg.tensor)
        assert_close(params, others, 0)
        again = make(ours(arrays))
        again.load_state_dict(saved)  # `resumed` has not changed what it was given
        for number, state in again.state_dict()["state"].items():
            for name, value in state.items():
                assert np.array_equal(value.numpy(), saved["state"][number][name].numpy())


def test_parameters_without_gradient_are_left_alone():
    p, q = ours([np.ones(2), np.ones(2)])
    optimizer = optim.Adam([p, q], weight_decay=0.1)
    p.grad = tg.ones(2, dtype=tg.float64)
    optimizer.step()
    assert q.tolist() == [1.0, 1.0] and q not in optimizer.state and p in optimizer.state


def test_zero_grad():
    (p,) = ours([np.ones(2)])
    optimizer = optim.SGD([p])
    p.grad = gradient = tg.ones(2, dtype=tg.float64)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is gradient and p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_closure_runs_with_gradients_and_its_loss_is_returned():
    (p,) = ours([np.array([3.0])])
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert p.item() == 0.0


def test_a_tensor_as_learning_rate_is_read_every_step():
    (p,) = ours([np.zeros(1)])
    lr = tg.tensor(0.5)
    optimizer = optim.SGD([p], lr=lr)
    p.grad = tg.ones(1, dtype=tg.float64)
    optimizer.step()
    lr.fill_(2.0)
    optimizer.step()
    assert p.item() == -2.5
    for rate in (tg.tensor(1.0), 0.5):
        optimizer.param_groups[0]["lr"] = rate
        tg.replay(optimizer.step)()
    assert p.item() == -4.0


def test_mixed_dtypes_in_one_group():
    p, q = tg.zeros(2, requires_grad=True), tg.zeros(2, dtype=tg.float64, requires_grad=True)
    optimizer = optim.Adam([p, q], lr=0.1)
    p.grad, q.grad = tg.ones(2), tg.ones(2, dtype=tg.float64)
    optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), [-0.1, -0.1], rtol=1e-5)
    np.testing.assert_allclose(q.detach().numpy(), [-0.1, -0.1], rtol=1e-6)
    assert optimizer.state[p]["exp_avg"].dtype is tg.float32 and optimizer.state[q]["exp_avg"].dtype is tg.float64


def test_hooks():
    (p,) = ours([np.ones(1)])
    optimizer = optim.SGD([p])
    calls = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("pre", o)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", o)))
    optimizer.step()
    before.remove()
    optimizer.step()
    assert calls == [("pre", optimizer), ("post", optimizer), ("post", optimizer)]


def test_named_parameters_and_added_groups():
    a, b = ours([np.ones(1), np.ones(2)])
    optimizer = optim.SGD([("a", a)], lr=0.1)
    optimizer.add_param_group({"params": [("b", b)], "lr": 0.2})
    assert [g["param_names"] for g in optimizer.param_groups] == [["a"], ["b"]]
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.2]
    a.grad, b.grad = tg.ones(1, dtype=tg.float64), tg.ones(2, dtype=tg.float64)
    optimizer.step()
    assert a.tolist() == [0.9] and b.tolist() == [0.8, 0.8]


def test_deepcopy_and_pickle_keep_going():
    arrays, grads = start(4)
    params = ours(arrays)
    optimizer = optim.Adam(params, 0.1)
    run(optimizer, params, grads[:3], tg.tensor)
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        copies = twin.param_groups[0]["params"]
        assert copies[0] is not params[0]
        run(twin, copies, grads[3:4], tg.tensor)
        expected = [p.detach().clone().requires_grad_() for p in params]
        other = optim.Adam(expected)
        other.load_state_dict(optimizer.state_dict())
        run(other, expected, grads[3:4], tg.tensor)
        assert_close(copies, expected, 0)


@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
        ("Adam", {"lr": 0.01, "amsgrad": True}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adagrad", {"lr_decay": 0.1}),
    ],
)
def test_a_recorded_step_follows_changed_settings_and_loaded_states(name, settings):
    def train(wrap):
        p = tg.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = getattr(optim, name)([p], **settings)
        scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

        @wrap
        def step(x):
            optimizer.zero_grad()
            loss = ((p - x) * (p - x)).sum()
            loss.backward()
            optimizer.step()
            return loss

        losses = []
        for k in range(20):
            losses.append(step(tg.tensor([0.1 * k, 1.0, -1.0])).item())
            scheduler.step()
            if k == 5:
                saved = copy.deepcopy(optimizer.state_dict())
            if k == 10:
                optimizer.load_state_dict(saved)
            if k == 15:
                optimizer.param_groups[0]["maximize"] = True
        return losses, p.tolist()

    assert train(lambda f: f) == train(tg.replay)


def test_a_schedule_inside_a_recorded_step_is_an_error():
    (p,) = ours([np.ones(1)])
    optimizer = optim.SGD([p])
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(RuntimeError, match="would run only once"):
        tg.replay(lambda: scheduler.step())()


def test_repr():
    text = repr(optim.SGD(ours([np.ones(1)]), lr=0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n") and "    lr: 0.1\n" in text


def leaf():
    return tg.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: optim.SGD(leaf()), TypeError, "iterable of Tensors or dicts"),
        (lambda: optim.SGD([]), ValueError, "empty parameter list"),
        (lambda: optim.SGD([1.0]), TypeError, "can only optimize Tensors"),
        (lambda: optim.SGD([leaf() * 2]), ValueError, "non-leaf"),
        (lambda: optim.SGD([leaf()], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.SGD([leaf()], lr=float("nan")), ValueError, "Invalid learning rate: nan"),
        (lambda: optim.SGD([leaf()], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: optim.SGD([leaf()], nesterov=True), ValueError, "Nesterov momentum requires"),
        (lambda: optim.SGD([leaf()], fused=True, foreach=True), RuntimeError, "cannot be `True` together"),
        (lambda: optim.SGD([leaf()], differentiable=True), RuntimeError, "differentiable"),
        (lambda: optim.Adam([leaf()], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
        (lambda: optim.Adam([leaf()], betas=(0.9, tg.tensor(0.9))), ValueError, "both floats or both Tensors"),
        (lambda: optim.AdamW([leaf()], lr=tg.tensor(0.1), foreach=True), ValueError, "lr as a Tensor is not supported"),
        (lambda: optim.Adam([leaf()], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.RMSprop([leaf()], alpha=-1), ValueError, "Invalid alpha value: -1"),
        (lambda: optim.Adagrad([leaf()], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
        (lambda: optim.SGD([{"params": {leaf()}}]), TypeError, "ordered collections"),
        (lambda: optim.SGD([("a", leaf()), leaf()]), ValueError, "with/without names"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_bad_groups_and_states():
    p = leaf()
    optimizer = optim.SGD([p])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": p})
    with pytest.raises(TypeError, match="must be a dict"):
        optimizer.add_param_group([p])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optim.SGD([{"params": leaf()}, {"params": leaf()}]).load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match="doesn't match the size"):
        optim.SGD([leaf(), leaf()]).load_state_dict(optimizer.state_dict())
    adam = optim.Adam([p])
    p.grad = tg.ones(2)
    adam.step()
    other = optim.Adam([tg.ones(3, requires_grad=True)])
    with pytest.raises(ValueError, match=r"'exp_avg' has shape \(2,\)"):
        other.load_state_dict(adam.state_dict())
    assert not other.state
