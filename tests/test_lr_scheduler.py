"""Learning-rate schedules: against PyTorch's over 50 steps, and against their formulas without it."""

import math
import pickle

import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim
from tinygrad_edu.optim import lr_scheduler


class Halve:
    """A callable object, whose variables a scheduler's state_dict has."""

    def __init__(self):
        self.base = 0.5

    def __call__(self, epoch):
        return self.base**epoch


# Each makes a scheduler, given the module (ours or PyTorch's) and an optimiser.
SCHEDULES = {
    "LambdaLR": lambda m, o: m.LambdaLR(o, lambda e: 1 / (1 + e)),
    "LambdaLR-list": lambda m, o: m.LambdaLR(o, [lambda e: 0.9**e, Halve()]),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, lambda e: 0.97),
    "StepLR": lambda m, o: m.StepLR(o, step_size=7),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, milestones=[30, 5, 5, 20], gamma=0.3),
    "ConstantLR": lambda m, o: m.ConstantLR(o, factor=0.25, total_iters=9),
    "LinearLR": lambda m, o: m.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=11),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, gamma=0.93),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, total_iters=23, power=1.7),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, T_max=12, eta_min=0.01),
    "CosineAnnealingLR-T1": lambda m, o: m.CosineAnnealingLR(o, T_max=1),
    "CosineAnnealingWarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, T_0=8),
    "CosineAnnealingWarmRestarts-mult": lambda m, o: m.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2, eta_min=0.02),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, max_lr=0.9, total_steps=51),
    "OneCycleLR-linear": lambda m, o: m.OneCycleLR(
        o, max_lr=[0.9, 0.3], epochs=10, steps_per_epoch=6, anneal_strategy="linear", pct_start=0.4
    ),
    "OneCycleLR-three": lambda m, o: m.OneCycleLR(
        o, max_lr=0.9, total_steps=60, three_phase=True, cycle_momentum=False
    ),
    "SequentialLR": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, total_iters=5), m.CosineAnnealingLR(o, T_max=30), m.ExponentialLR(o, 0.9)], [5, 20]
    ),
    "SequentialLR-others": lambda m, o: m.SequentialLR(
        o,
        [
            m.ConstantLR(o, factor=0.5, total_iters=4),
            m.StepLR(o, 3),
            m.LambdaLR(o, lambda e: 0.9**e),
            m.CosineAnnealingWarmRestarts(o, 4),
            m.PolynomialLR(o, 9),
            m.MultiStepLR(o, [0, 2]),
        ],
        [6, 13, 20, 31, 42],
    ),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler(
        [m.ConstantLR(o, factor=0.1, total_iters=4), m.ExponentialLR(o, gamma=0.9), m.StepLR(o, 10)], optimizer=o
    ),
}


def make_optimizer(library, leaf, name="SGD"):
    groups = [{"params": [leaf()], "lr": 0.7}, {"params": [leaf()], "lr": 0.2}]
    return getattr(library, name)(groups, **({"momentum": 0.9} if name == "SGD" else {}))


def our_optimizer(name="SGD"):
    return make_optimizer(optim, lambda: tg.ones(1, requires_grad=True), name)


def settings(optimizer):
    """Everything that a schedule may have changed, as flat numbers."""
    rows = []
    for group in optimizer.param_groups:
        rows += [group["lr"], group.get("momentum", 0.0), *group.get("betas", ())]
    return rows


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_fifty_steps_equal_pytorch(name, optimizer):
    torch = pytest.importorskip("torch")
    mine = our_optimizer(optimizer)
    theirs = make_optimizer(torch.optim, lambda: torch.ones(1, requires_grad=True), optimizer)
    a = SCHEDULES[name](lr_scheduler, mine)
    b = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    for _ in range(50):
        assert settings(mine) == pytest.approx(settings(theirs), rel=1e-12, abs=1e-12)
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12, abs=1e-12)
        mine.step(), theirs.step()
        a.step(), b.step()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "max", "factor": 0.5, "patience": 2, "cooldown": 3},
        {"threshold_mode": "abs", "threshold": 0.05, "patience": 1, "min_lr": [0.01, 0.1]},
        {"mode": "max", "threshold_mode": "abs", "patience": 0},
    ],
)
def test_plateau_equals_pytorch(settings):
    torch = pytest.importorskip("torch")
    mine = our_optimizer()
    theirs = make_optimizer(torch.optim, lambda: torch.ones(1, requires_grad=True))
    a = lr_scheduler.ReduceLROnPlateau(mine, **settings)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    for k in range(50):
        metric = math.sin(k / 3) + 1 / (1 + k)
        a.step(tg.tensor(metric, dtype=tg.float64))
        b.step(metric)
        assert a.get_last_lr() == b.get_last_lr()
        assert (a.num_bad_epochs, a.cooldown_counter, a.best) == (b.num_bad_epochs, b.cooldown_counter, b.best)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if "list" not in name])
def test_pytorchs_state_can_be_loaded(name):
    torch = pytest.importorskip("torch")
    theirs = make_optimizer(torch.optim, lambda: torch.ones(1, requires_grad=True))
    b = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    for _ in range(9):
        theirs.step(), b.step()
    mine = our_optimizer()
    a = SCHEDULES[name](lr_scheduler, mine)
    mine.load_state_dict(theirs.state_dict())
    a.load_state_dict(b.state_dict())
    for _ in range(40):
        mine.step(), theirs.step()
        a.step(), b.step()
        assert settings(mine) == pytest.approx(settings(theirs), rel=1e-12, abs=1e-12)


# Without PyTorch


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_state_dict_round_trip(name):
    first, second = our_optimizer(), our_optimizer()
    a, b = SCHEDULES[name](lr_scheduler, first), SCHEDULES[name](lr_scheduler, second)
    for _ in range(9):
        first.step()
        a.step()
    second.load_state_dict(first.state_dict())
    b.load_state_dict(pickle.loads(pickle.dumps(a.state_dict())))
    for _ in range(40):
        first.step(), second.step()
        a.step(), b.step()
        assert settings(first) == settings(second)
        assert a.get_last_lr() == b.get_last_lr()


@pytest.mark.parametrize(
    "name, formula",
    [
        ("StepLR", lambda e: 0.1 ** (e // 7)),
        ("ExponentialLR", lambda e: 0.93**e),
        ("ConstantLR", lambda e: 0.25 if e < 9 else 1),
        ("LinearLR", lambda e: 0.1 + 0.7 * min(e, 11) / 11),
        ("PolynomialLR", lambda e: max(0, 1 - e / 23) ** 1.7),
        ("LambdaLR", lambda e: 1 / (1 + e)),
        ("MultiplicativeLR", lambda e: 0.97**e),
        ("CosineAnnealingLR-T1", lambda e: (1 + math.cos(math.pi * e)) / 2),
        ("CosineAnnealingWarmRestarts", lambda e: (1 + math.cos(math.pi * (e % 8) / 8)) / 2),
    ],
)
def test_closed_form(name, formula):
    optimizer = our_optimizer()
    scheduler = SCHEDULES[name](lr_scheduler, optimizer)
    for epoch in range(40):
        assert scheduler.last_epoch == epoch
        assert scheduler.get_last_lr() == pytest.approx([0.7 * formula(epoch), 0.2 * formula(epoch)], abs=1e-12)
        optimizer.step()
        scheduler.step()


def test_warm_restarts_at_a_fraction_of_an_epoch():
    optimizer = our_optimizer()
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    scheduler.step(3.5)  # 1.5 epochs into the cycle of 4
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.7 * (1 + math.cos(math.pi * 1.5 / 4)) / 2)
    with pytest.raises(ValueError, match="non-negative epoch"):
        scheduler.step(-1)


def test_a_chain_starts_anew_within_a_sequence():
    optimizer = our_optimizer()
    chain = lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.9)]
    )
    scheduler = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ExponentialLR(optimizer, 0.1), chain], [2])
    seen = []
    for _ in range(6):
        seen.append(scheduler.get_last_lr()[0] / 0.7)
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([1, 0.1, 0.5, 0.45, 0.81, 0.729])


def test_learning_rate_in_a_tensor_is_filled_in_place():
    lr = tg.tensor(0.5, dtype=tg.float64)
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=lr)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.25 and scheduler.get_last_lr() == [0.25]


def test_resuming_needs_initial_lr():
    optimizer = our_optimizer()
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer, 3, last_epoch=4)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    assert lr_scheduler.StepLR(optimizer, 3, last_epoch=4).last_epoch == 5


def test_wrong_order_warns():
    scheduler = lr_scheduler.StepLR(our_optimizer(), 3)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda o: lr_scheduler.StepLR(1, 2), TypeError, "int is not an Optimizer"),
        (lambda o: lr_scheduler.LambdaLR(o, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda o: lr_scheduler.MultiplicativeLR(o, [1, 2]), TypeError, "should be a function"),
        (lambda o: lr_scheduler.ConstantLR(o, factor=2), ValueError, "between 0 and 1"),
        (lambda o: lr_scheduler.LinearLR(o, start_factor=0), ValueError, "greater than 0"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "positive integer T_0"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1), ValueError, "You must define either total_steps"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10, pct_start=2.0), ValueError, "pct_start"),
        (lambda o: lr_scheduler.OneCycleLR(o, [0.1], 10), ValueError, "same length"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="x"), ValueError, "mode x is unknown"),
        (lambda o: lr_scheduler.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
        (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [1]), ValueError, "one more than"),
        (
            lambda o: lr_scheduler.ChainedScheduler(
                [lr_scheduler.StepLR(o, 1), lr_scheduler.StepLR(our_optimizer(), 1)]
            ),
            ValueError,
            "same optimizer",
        ),
        (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(o)]), ValueError, "takes a metric"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(our_optimizer())


def test_one_cycle_raises_when_stepped_too_often():
    optimizer = our_optimizer()
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
    optimizer.step()
    for _ in range(3):
        scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 4 times"):
        scheduler.step()
