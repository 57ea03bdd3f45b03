"""Report 2: its table, networks and split, its legs as reported and as meant, what an epoch's figures are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from killed_run import many_images
from small_images import small_images

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.datasets import CIFAR10
from tinygrad_edu.nn import functional as F
from tinygrad_edu.reports import runner
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.report2 import RUNS, Training, network, settings
from tinygrad_edu.reports.tables import table

BASELINES = [f"r2-{name}" for name in ("epochs-10", "batch-128", "opt-sgd", "lr-0.1", "hidden-1", "nodes-256")]
MISTAKEN = ["r2-l2-1e-5", "r2-l2-1e-4", "r2-lr-0.001", "r2-final-a"]


def training(name, data=many_images, **options):
    """What the runner starts."""
    tg.manual_seed(options.get("seed", 42))
    return Training(settings(RUNS[name], Options(**options)), *data())


def go(training, epochs):
    for _ in range(epochs):
        training.epoch()
        training.note({"epoch": len(training.history) + 1, **training.measure()})
    return training


def weights(model):
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def test_the_table_of_runs():
    reported = {name: run for name, run in RUNS.items() if run.validation}
    assert list(reported) == [
        "r2-baseline", "r2-dropout-0.25", "r2-dropout-0.15", "r2-l2-1e-5", "r2-l2-1e-4",
        "r2-epochs-10", "r2-epochs-25", "r2-epochs-50", "r2-batch-128", "r2-batch-64", "r2-batch-256",
        "r2-opt-sgd", "r2-opt-adam", "r2-lr-0.1", "r2-lr-0.01", "r2-lr-0.001", "r2-hidden-1", "r2-hidden-2",
        "r2-hidden-3", "r2-nodes-256", "r2-nodes-128", "r2-nodes-512", "r2-final-a", "r2-final-b",
    ]  # fmt: skip
    assert set(RUNS) - set(reported) == {
        "r2-opt-adam-0.001", "r2-opt-rmsprop", "r2-opt-adagrad", "r2-lr-0.05"
    }  # fmt: skip
    assert all(name == run.name and len(run.validation or run.legs) == len(run.legs) for name, run in RUNS.items())
    assert [name for name, run in RUNS.items() if run.epochs != 10] == [
        "r2-baseline", "r2-epochs-25", "r2-epochs-50", "r2-final-a"
    ]  # fmt: skip
    about = RUNS["r2-final-a"].about
    assert about == (
        "3072-256-256-128-10, dropout 0.15, batch 128, sgd 0.1 then 0.01, weight decay 0.0001 "
        "(as reported: 0.1 then 0.01, momentum 0.0001)"
    )


@pytest.mark.parametrize("name", RUNS)
def test_what_a_run_is_told_differs_between_modes_only_by_the_reports_mistakes(name):
    reported, meant = (settings(RUNS[name], Options(mode=mode)) for mode in ("as-reported", "corrected"))
    assert settings(RUNS[name], Options()) == reported and reported.pop("mode") != meant.pop("mode")
    assert (reported == meant) == RUNS[name].alike == (name not in MISTAKEN)
    if name in MISTAKEN:
        assert reported.pop("legs") != meant.pop("legs") and reported == meant


def test_the_mistakes():
    def last(name, mode):
        leg = settings(RUNS[name], Options(mode=mode))["legs"][-1]
        return leg["lr"], leg["momentum"], leg["weight_decay"]

    for name, value in (("r2-l2-1e-5", 1e-5), ("r2-l2-1e-4", 1e-4)):
        assert last(name, "as-reported") == (0.1, value, 0) and last(name, "corrected") == (0.1, 0, value)
    assert last("r2-final-a", "as-reported") == (0.01, 1e-4, 0) and last("r2-final-a", "corrected") == (0.01, 0, 1e-4)
    assert last("r2-lr-0.001", "as-reported") == (0.1, 0, 0) and last("r2-lr-0.001", "corrected") == (0.001, 0, 0)


def test_fewer_epochs_are_shared_out_among_the_legs():
    def legs(name, **options):
        return [(leg["from_epoch"], leg["lr"]) for leg in settings(RUNS[name], Options(**options))["legs"]]

    assert legs("r2-baseline") == [(1, 0.1), (11, 0.01), (21, 0.001)]
    assert legs("r2-baseline", epochs=3) == [(1, 0.1), (2, 0.01), (3, 0.001)]
    assert legs("r2-baseline", epochs=60) == [(1, 0.1), (21, 0.01), (41, 0.001)]
    one = training("r2-baseline", small_images, epochs=1)
    assert one.leg(1)["lr"] == 0.1 and go(one, 1).conclude()["best_epoch"] == 1  # the first leg, and no leg ends
    assert legs("r2-epochs-50", epochs=7) == legs("r2-epochs-50") == [(1, 0.1)]
    assert [lr for _, lr in legs("r2-baseline", lr=0.5)] == pytest.approx([0.5, 0.05, 0.005])


def test_networks():
    model = network(3072, (256, 128), 10)
    assert [type(m) for m in model] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [tuple(p.shape) for p in model.parameters()][::2] == [(256, 3072), (128, 256), (10, 128)]
    model = network(3072, RUNS["r2-final-a"].hidden, 10, 0.15)
    assert [type(m) for m in model] == [*[nn.Linear, nn.ReLU] * 3, nn.Dropout, nn.Linear] and model[-2].p == 0.15
    hidden = [RUNS[f"r2-{name}"].hidden for name in ("hidden-2", "hidden-3", "nodes-128", "nodes-512")]
    assert hidden == [(256, 128, 128), (256, 256, 128, 128), (128, 64), (512, 256)]
    chosen = settings(RUNS["r2-dropout-0.25"], Options())
    assert chosen["dropout"] == 0.25 and chosen["batch"] == 128
    assert [RUNS[f"r2-batch-{b}"].batch for b in (64, 128, 256)] == [64, 128, 256]


def test_the_split_is_the_same_for_every_seed_and_the_order_is_not():
    a, b, again = (training("r2-epochs-10", seed=seed) for seed in (1, 2, 1))
    held_out = [np.concatenate([rows.numpy() for rows in t.validate.batches]).tolist() for t in (a, b)]
    assert held_out[0] == held_out[1] and len(held_out[0]) == 300
    assert sorted([*held_out[0], *a.rows.tolist()]) == list(range(3000))
    orders = []
    for _ in range(2):
        for t in (a, b, again):
            t.begin_epoch()
        assert sorted(a.order.tolist()) == sorted(a.rows.tolist()) and a.order.tolist() == again.order.tolist()
        orders += [a.order.tolist(), b.order.tolist()]
    assert len(set(map(tuple, orders))) == 4
    assert weights(a.model) == weights(again.model) != weights(b.model)


def test_the_reports_seven_baselines_are_one_training():
    first = go(training("r2-baseline", epochs=6, seed=3), 2)
    for name in [*BASELINES, "r2-lr-0.001", "r2-epochs-50"]:  # two more: run at 0.1 by mistake, and its first epochs
        other = go(training(name, seed=3), 2)
        assert weights(other.model) == weights(first.model) and other.history == first.history, name
    other = go(training("r2-lr-0.001", mode="corrected", seed=3), 2)
    assert weights(other.model) != weights(first.model)


@pytest.mark.parametrize(("name", "mode"), [(n, m) for n in MISTAKEN for m in ("as-reported", "corrected")])
def test_every_legs_settings_reach_the_replayed_step(name, mode):
    """Against a plain loop, eager, with a new optimiser for each leg, as the report's code had it."""
    ours = training(name, small_images, mode=mode, epochs=4, seed=5)
    go(ours, 4)

    theirs, train_set = training(name, small_images, mode=mode, epochs=4, seed=5), small_images()[0]
    rates = []
    for epoch in range(4):
        run = RUNS[name]
        legs = run.mistaken if mode == "as-reported" else run.legs
        leg = legs[epoch * len(legs) // 4]
        if epoch % (4 // len(legs)) == 0:
            optimizer = optim.SGD(theirs.model.parameters(), leg.lr, leg.momentum, weight_decay=leg.weight_decay)
            rates.append(leg.lr)
        theirs.begin_epoch()
        for rows in theirs.order.split(128):
            x, y = train_set.data[rows].flatten(1).float() / 255, train_set.targets[rows]
            optimizer.zero_grad()
            F.cross_entropy(theirs.model(x), y).backward()
            optimizer.step()
    assert weights(ours.model) == weights(theirs.model) and len(rates) == len(legs)
    assert ours.optimizer.param_groups[0]["momentum"] == legs[-1].momentum
    plain = go(training("r2-final-b" if len(legs) > 1 else "r2-baseline", small_images, lr=legs[0].lr, seed=5), 4)
    assert (weights(ours.model) == weights(plain.model)) == (name == "r2-lr-0.001")


def test_an_epochs_figures_are_those_of_its_steps():
    """Against a plain loop, eager, whose sums are Python's."""
    ours, loop = (training("r2-dropout-0.25", seed=5) for _ in range(2))
    tg.manual_seed(5)
    ours.epoch()
    record = ours.measure()

    tg.manual_seed(5)
    loop.begin_epoch()
    train_set = many_images()[0]
    loss_sum, hits = 0.0, 0
    for rows in loop.order.split(128):
        x, y = train_set.data[rows].flatten(1).float() / 255, train_set.targets[rows]
        logits = loop.model(x)
        loss = F.cross_entropy(logits, y)
        loop.optimizer.zero_grad()
        loss.backward()
        loop.optimizer.step()
        loss_sum, hits = loss_sum + loss.item() * len(rows), hits + int((logits.argmax(1) == y).sum())
    assert record["train_loss"] == pytest.approx(loss_sum / 2700, rel=1e-4)
    assert record["train_accuracy"] == pytest.approx(100 * hits / 2700, abs=0.1)

    held_out = tg.cat(ours.validate.batches)
    ours.model.eval()
    with tg.no_grad():
        scores = F.log_softmax(ours.model(train_set.data[held_out].flatten(1).float() / 255), 1).numpy()
    y = train_set.targets[held_out].numpy()
    assert record["validation_accuracy"] == pytest.approx(100 * (scores.argmax(1) == y).mean(), abs=0.34)
    assert record["validation_loss"] == pytest.approx(-scores[np.arange(300), y].mean(), rel=1e-4)
    ours.model.train()
    ours.epoch()  # the sums start anew
    assert ours.measure()["train_loss"] < record["train_loss"]


def test_the_best_epoch_is_told_and_the_last_model_tested():
    t = go(training("r2-baseline", small_images, epochs=6), 6)
    for record, accuracy in zip(t.history, [10.0, 40.0, 20.0, 40.0, 30.0, 35.0], strict=True):
        record["validation_accuracy"] = accuracy
    found = t.conclude()
    assert (found["best_epoch"], found["best_validation_accuracy"], found["validation_accuracy"]) == (2, 40.0, 35.0)
    assert (found["validation_accuracy_leg_1"], found["validation_accuracy_leg_2"]) == (40.0, 40.0)
    assert (found["test_accuracy"], found["test_loss"]) == t.test() and "validation_accuracy_leg_3" not in found


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adagrad"])
def test_optimisers(name):
    t = training(f"r2-opt-{name}", small_images)
    assert type(t.optimizer).__name__.lower() == name
    assert t.optimizer.param_groups[0]["lr"] == {"sgd": 0.1, "adam": 0.1, "rmsprop": 0.001, "adagrad": 0.01}[name]
    before = weights(t.model)
    assert weights(go(t, 1).model) != before


def test_it_learns():
    assert go(training("r2-baseline", epochs=24), 24).conclude()["test_accuracy"] > 90


def test_a_run_leaves_its_figures(tmp_path):
    options = Options(mode="corrected", epochs=3, out=str(tmp_path))
    found = runner.carry_out(RUNS["r2-baseline"], options, many_images()).metrics
    assert list(found)[:18] == [
        "run", "mode", "seed", "epochs", "test_accuracy", "test_loss", "validation_accuracy", "validation_loss",
        "train_loss", "train_accuracy", "best_validation_accuracy", "best_epoch", "validation_accuracy_leg_1",
        "validation_accuracy_leg_2", "train_seconds", "backend", "threads", "report_accuracy",
    ]  # fmt: skip
    log = [json.loads(line) for line in (tmp_path / "r2-baseline-corrected" / "log.jsonl").read_text().splitlines()]
    assert set(log[0]) == {
        "epoch", "seconds", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"
    }  # fmt: skip
    assert found["validation_accuracy_leg_2"] == log[1]["validation_accuracy"] and found["report_accuracy"] == 51.94


def test_the_table_compares_only_what_can_be_compared():
    run, history = RUNS["r2-baseline"], [{"epoch": 30, "seconds": 27.3}]
    metrics = {"validation_accuracy": 52.28, "validation_accuracy_leg_1": 47.56, "test_accuracy": 52.6}
    metrics |= {"best_validation_accuracy": 52.32, "best_epoch": 29}
    chosen = {**settings(run, Options()), "data": "CIFAR10"}
    whole = table(Result(run, chosen, history, metrics=metrics))
    assert all(text in whole for text in ("52.28", "51.04", "47.56", "44.14", "50.50", "52.60", "51.94", "27.3"))
    short = table(Result(run, chosen, [{**history[0], "epoch": 3}], metrics=metrics))
    assert "52.28" in short and not any(text in short for text in ("51.04", "44.14", "51.94"))
    one = table(Result(RUNS["r2-epochs-25"], chosen, [{**history[0], "epoch": 25}], metrics=metrics))
    assert "48.68" in one and "50.22" in one


REAL = CIFAR10.source.find(CIFAR10.batches[True][0], None)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="CIFAR-10 is not on this machine")
def test_the_baseline_on_cifar10():
    t = go(training("r2-baseline", lambda: (CIFAR10(), CIFAR10(train=False))), 30)
    assert t.conclude()["test_accuracy"] == pytest.approx(51.94, abs=1.5)
