"""Report 3: its networks, its split, what an epoch's figures are, best model, early stopping, schedules, its files."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from killed_run import many_images
from small_images import small_images

import tinygrad_edu as tg
from tinygrad_edu import cli, nn
from tinygrad_edu.datasets import FashionMNIST
from tinygrad_edu.nn import functional as F
from tinygrad_edu.reports import runner
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.report3 import NETWORKS, RUNS, Training, settings
from tinygrad_edu.reports.tables import table
from tinygrad_edu.train import BatchNormStatistics, class_metrics


def training(name, data=many_images, **options):
    """What the runner starts."""
    tg.manual_seed(options.get("seed", 42))
    return Training(settings(RUNS[name], Options(**options)), *data())


def weights(model):
    return [p.detach().numpy().copy() for p in model.state_dict().values()]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_table_of_runs():
    assert list(RUNS) == [
        "r3-ann", "r3-ann-modified", "r3-ann-modified-aug", "r3-cnn", "r3-cnn-aug",
        "r3-opt-adam", "r3-opt-rmsprop", "r3-opt-sgd", "r3-opt-adagrad",
        "r3-opt-sgd-0.1", "r3-opt-adagrad-0.01", "r3-ann-modified-60",
    ]  # fmt: skip
    own_rates = {"r3-opt-sgd-0.1": 0.1, "r3-opt-adagrad-0.01": 0.01}
    for name, run in RUNS.items():
        chosen = settings(run, Options())
        assert name == run.name and run.epochs == (60 if run.augmented or name.endswith("60") else 30)
        assert chosen["optimizer"] == (name.split("-")[2] if "opt" in name else "adam")
        assert chosen["batch"] == (64 if "cnn" in name else 128)
        assert chosen["schedule"] == ("onecycle" if "cnn" in name else "constant")
        assert chosen["epochs"] == run.epochs or "cnn" in name
        assert chosen["lr"] == own_rates.get(name, 0.003 if "cnn" in name else 0.001)
        assert (run.lr is None) == (name not in own_rates) == ("learning rate" not in run.about)
        other = settings(run, Options(schedule="constant", lr=0.5, epochs=2))
        assert (other["schedule"], other["lr"], other["epochs"]) == ("constant", 0.5, 2)
        assert settings(run, Options(schedule="constant"))["epochs"] == run.epochs
    adam, ann = (settings(RUNS[name], Options()) for name in ("r3-opt-adam", "r3-ann"))
    assert {**adam, "run": ""} == {**ann, "run": ""}


def test_the_networks_are_the_reports():
    plain = NETWORKS["ann"](784, 10)
    assert [tuple(p.shape) for p in plain.parameters() if p.ndim == 2] == [(392, 784), (196, 392), (98, 196), (10, 98)]
    assert [type(m) for m in plain] == [nn.Flatten, *[nn.Linear, nn.ReLU] * 3, nn.Linear, nn.LogSoftmax]
    modified = NETWORKS["ann-modified"](784, 10)
    layer = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert [type(m) for m in modified] == [nn.Flatten, *layer * 3, nn.Linear, nn.LogSoftmax]
    cnn, layer = NETWORKS["cnn"](784, 10), [nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout]
    layer2 = [nn.Conv2d, nn.ReLU, nn.BatchNorm2d, nn.Dropout]
    assert [type(m) for m in cnn] == [
        *layer2 * 2, nn.MaxPool2d, *layer2 * 2, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Flatten,
        *layer * 2, nn.Linear, nn.LogSoftmax,
    ]  # fmt: skip
    assert [tuple(p.shape) for p in cnn.parameters() if p.ndim == 4] == [
        (128, 1, 3, 3), (128, 128, 3, 3), (256, 128, 3, 3), (256, 256, 3, 3)
    ]  # fmt: skip
    assert [m.p for m in cnn if isinstance(m, nn.Dropout)] == [0.25] * 6


def test_the_cnns_maps_shrink_from_28_to_14_to_7_to_1():
    cnn, x, sizes = NETWORKS["cnn"](784, 10).eval(), tg.rand(2, 1, 28, 28), []
    with tg.no_grad():
        for module in cnn:
            y = module(x)
            if isinstance(module, nn.AdaptiveAvgPool2d):
                assert tg.allclose(y, nn.AvgPool2d(7)(x), atol=1e-6)
            x = y
            if x.ndim == 4:
                sizes.append(tuple(x.shape[1:]))
    assert list(dict.fromkeys(sizes)) == [
        (128, 28, 28), (128, 14, 14), (256, 14, 14), (256, 7, 7), (256, 1, 1)
    ]  # fmt: skip
    assert x.shape == (2, 10) and np.allclose(x.exp().sum(1).tolist(), 1, atol=1e-5)


def test_the_split_is_random_seeded_and_kept():
    first, again, other = (training("r3-ann", seed=s) for s in (1, 1, 2))
    held_out = [np.concatenate([b.numpy() for b in t.validate.batches]) for t in (first, again, other)]
    assert len(held_out[0]) == 500 and len(first.rows) == 2500
    assert sorted([*held_out[0], *first.rows.tolist()]) == list(range(3000))
    assert np.array_equal(held_out[0], held_out[1]) and not np.array_equal(held_out[0], held_out[2])
    orders = []
    for _ in range(2):
        for t in (first, again):
            t.epoch()
        orders.append(first.order.tolist())
        assert sorted(orders[-1]) == sorted(first.rows.tolist()) and orders[-1] == again.order.tolist()
    assert orders[0] != orders[1] and same(weights(first.model), weights(again.model))


def test_an_epochs_figures_are_those_of_its_steps():
    """Against a plain loop, eager, whose sums are Python's."""
    ours, loop = (training("r3-ann-modified", seed=5) for _ in range(2))
    tg.manual_seed(5)
    ours.epoch()
    record = ours.measure()

    tg.manual_seed(5)
    loop.begin_epoch()
    train_set = many_images()[0]
    loss_sum, hits = 0.0, 0
    for rows in loop.order.split(128):
        x, y = train_set.data.unsqueeze(1)[rows].float() / 255, train_set.targets[rows]
        scores = loop.model(x)
        loss = F.nll_loss(scores, y)
        loop.optimizer.zero_grad()
        loss.backward()
        loop.optimizer.step()
        loss_sum, hits = loss_sum + loss.item() * len(rows), hits + int((scores.argmax(1) == y).sum())
    assert record["train_loss"] == pytest.approx(loss_sum / 2500, rel=1e-3)
    assert record["train_accuracy"] == pytest.approx(100 * hits / 2500, abs=0.1)

    ours.model.eval()
    held_out = tg.cat(ours.validate.batches)
    with tg.no_grad():
        scores = ours.model(train_set.data.unsqueeze(1)[held_out].float() / 255).numpy()
    y = train_set.targets[held_out].numpy()
    assert record["validation_accuracy"] == pytest.approx(100 * (scores.argmax(1) == y).mean(), abs=0.21)
    assert record["validation_loss"] == pytest.approx(-scores[np.arange(500), y].mean(), rel=1e-4)
    ours.model.train()
    ours.epoch()  # the sums start anew
    assert ours.measure()["train_loss"] < record["train_loss"]


def test_the_best_model_is_kept_and_tested_and_the_last_stays():
    t = training("r3-ann", small_images)
    kept = []
    for k, accuracy in enumerate([10.0, 30.0, 20.0, 30.0], 1):
        t.epoch()
        kept.append(weights(t.model))
        t.note({**t.measure(), "epoch": k, "validation_accuracy": accuracy})
    assert t.best["epoch"] == 2 and t.best["value"] == 30.0  # of equals the first
    with t.best_model() as model:
        assert same(weights(model), kept[1])
        best = t.test()
    assert same(weights(t.model), kept[3])
    found = t.conclude()
    assert same(weights(t.model), kept[3]) and found["best_epoch"] == 2
    assert (found["test_accuracy"], found["test_loss"]) == best
    assert (found["last_test_accuracy"], found["last_test_loss"]) == t.test() != best
    assert not t.stalled(3) and t.stalled(2) and t.stalled(1)


def test_early_stopping(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "load", lambda name, root: small_images())
    arguments = [
        "run",
        "r3-ann",
        "--lr",
        "1e-30",
        "--epochs",
        "9",
        "--out",
        str(tmp_path),
    ]  # never better than at first
    assert cli.main([*arguments, "--patience", "2"]) == 0
    log = tmp_path / "r3-ann" / "log.jsonl"
    assert len(log.read_text().splitlines()) == 3
    assert cli.main([*arguments, "--resume"]) == 0  # off by default
    assert len(log.read_text().splitlines()) == 9


def test_statistics_are_gathered_without_dropout():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 20), nn.BatchNorm1d(20), nn.Linear(20, 8))
    images = tg.tensor(np.random.default_rng(0).integers(0, 256, (60, 6, 6)).astype(np.uint8))
    gather = BatchNormStatistics(model, images, tg.arange(40), 20)
    before = weights(model[2])
    for _ in range(2):  # the second time as a replayed step
        model[3].running_mean.fill_(7.0)
        gather()
        x = model[2](model[0](images[:40].to(tg.float32) / 255)).detach().numpy()
        np.testing.assert_allclose(model[3].running_mean.numpy(), x.mean(0), rtol=1e-4, atol=1e-6)
        halves = [x[:20].var(0, ddof=1), x[20:].var(0, ddof=1)]
        np.testing.assert_allclose(model[3].running_var.numpy(), np.mean(halves, 0), rtol=1e-4)
    assert model.training and model[1].training and model[3].momentum == 0.1 and same(before, weights(model[2]))


def test_one_cycle_goes_once_up_and_down():
    t = training("r3-cnn", lambda: small_images(), lr=0.01, epochs=3)
    t.model = nn.Sequential()  # nothing is trained: the steps alone count
    rates = [t.optimizer.param_groups[0]["lr"]]
    t.step = type("Step", (), {"over": lambda self, size, rows: None})()
    t.optimizer.stepped = True
    for _ in range(3):
        t.epoch(lambda rows: rates.append(t.optimizer.param_groups[0]["lr"]))
    assert len(rates) == 1 + 3 * 4 and rates[0] == pytest.approx(0.01 / 25)
    del rates[-1]  # for a step that is not made
    peak = int(np.argmax(rates))
    assert 0.0095 < rates[peak] <= 0.01 and peak in (2, 3)
    assert rates == sorted(rates[:peak]) + sorted(rates[peak:], reverse=True) and rates[-1] < 1e-6


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd", "adagrad"])
def test_optimisers(name):
    t = training(f"r3-opt-{name}", small_images)
    assert type(t.optimizer).__name__.lower() == name and t.optimizer.param_groups[0]["lr"] == 0.001
    before = weights(t.model)
    t.epoch()
    assert not same(before, weights(t.model))


@pytest.mark.parametrize(("name", "epochs", "lr"), [("r3-ann", 6, 0.001), ("r3-ann-modified", 2, 0.001)])
def test_it_learns(name, epochs, lr):
    t = training(name, lr=lr)
    for k in range(1, epochs + 1):
        t.epoch()
        t.note({"epoch": k, **t.measure()})
    assert t.conclude()["test_accuracy"] > 90 and t.history[-1]["train_loss"] < t.history[0]["train_loss"] / 2


def test_augmentation():
    """The training images only, others each time, of the same sizes."""

    def batches(name):
        """What the network gets in two steps and in validation."""
        t, seen = training(name, seed=7), []
        t.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].numpy().copy()))
        t.begin_epoch()
        for step in (t.step, t.step, t.validate.step):
            step.function(t.order[:64])
        return seen

    first, second, measured = augmented = batches("r3-ann-modified-aug")
    assert same(augmented, batches("r3-ann-modified-aug"))
    original = batches("r3-ann-modified")[0]
    assert first.shape == original.shape == (64, 1, 6, 6) and not np.array_equal(first, second)
    assert np.array_equal(measured, original) and first.min() >= 0 and first.max() <= 1
    changed = np.abs(first - original).max((1, 2, 3)) > 0.05
    assert changed.mean() > 0.9


def test_the_cnn_trains():
    """A few steps: on 6 x 6 images its maps end at one pixel."""
    t = training("r3-cnn", small_images, epochs=4, lr=0.003)
    for _ in range(4):
        t.epoch()
    assert t.measure()["train_accuracy"] > 80


def test_metrics_by_class():
    pytest.importorskip("sklearn")
    targets, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    found = class_metrics(targets, predicted, ("a", "b", "c"))
    assert found["confusion"] == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert found["classes"]["a"] == {"precision": 0.5, "recall": 2 / 3, "f1": pytest.approx(4 / 7), "images": 3}
    assert found["classes"]["b"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "images": 2}
    assert found["classes"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "images": 1}


def test_a_run_leaves_its_figures(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    monkeypatch.setattr(runner, "load", many_images)
    arguments = ["run", "r3-ann", "r3-opt-adagrad", "--epochs", "2", "--seed", "3", "--json", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    text = capsys.readouterr()
    found = [json.loads(line) for line in text.out.splitlines()[-2:]]
    assert [f["run"] for f in found] == ["r3-ann", "r3-opt-adagrad"] and text.err == ""
    assert "here" in text.out and "88.43" in text.out and (tmp_path / "figure-r3.svg").exists()
    folder = tmp_path / "r3-ann-seed3"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics.items() > found[0].items()
    assert {p.name for p in folder.glob("*.svg")} == {"figure.svg", "confusion.svg"}
    assert "validation" in (folder / "figure.svg").read_text() and (folder / "confusion.png").stat().st_size > 5000
    assert np.sum(metrics["confusion"]) == 1000 and np.trace(metrics["confusion"]) / 10 == found[0]["test_accuracy"]
    assert list(metrics["classes"]) == list("0123456789") and found[0]["report_accuracy"] == 88.43
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert set(log[0]) == {
        "epoch", "seconds", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"
    }  # fmt: skip
    best = max(log, key=lambda record: record["validation_accuracy"])
    assert found[0]["best_epoch"] == best["epoch"]

    from safetensors.numpy import load_file

    last, kept = (load_file(folder / f"{name}.safetensors") for name in ("weights", "best"))
    assert list(last) == list(kept) and last["1.weight"].shape == (392, 36)
    equal = all(np.array_equal(last[name], kept[name]) for name in last)
    assert equal == (found[0]["best_epoch"] == 2)


def test_without_scikit_learn_a_run_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    monkeypatch.setattr(runner, "load", lambda name, root: small_images())
    assert cli.main(["run", "r3-ann", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "no metrics by class" in capsys.readouterr().out
    assert "test_accuracy" in json.loads((tmp_path / "r3-ann" / "metrics.json").read_text())


def test_the_table_compares_only_what_can_be_compared():
    history = [{"epoch": 30, "train_loss": 0.0912, "validation_loss": 0.4712, "seconds": 30.0}]
    metrics = {"best_epoch": 9, "test_accuracy": 88.12, "last_test_accuracy": 88.34}
    run = RUNS["r3-ann"]
    chosen = {**settings(run, Options()), "data": "FashionMNIST"}
    whole = table(Result(run, chosen, history, metrics=metrics))
    assert all(text in whole for text in ("88.12", "88.34", "88.43", "0.093", "0.473", "0.50", "4.50"))
    short = table(Result(run, chosen, [{**history[0], "epoch": 3}], metrics=metrics))
    assert "88.43" in short and "0.093" not in short and "0.473" not in short
    other = table(Result(run, {**chosen, "data": "Digits"}, history, metrics=metrics))
    assert "88.12" in other and "88.43" not in other and "4.50" not in other


REAL = FashionMNIST.source.find(FashionMNIST.resources[True][0], None)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="Fashion-MNIST is not on this machine")
@pytest.mark.parametrize(("name", "low"), [("r3-ann", 87.43), ("r3-ann-modified", 88.94)])
def test_thirty_epochs_on_fashion_mnist(name, low):
    """At least a point below the report's."""
    t = training(name, lambda: (FashionMNIST(REAL.parent), FashionMNIST(REAL.parent, train=False)))
    for k in range(1, 31):
        t.epoch()
        t.note({"epoch": k, **t.measure()})
    assert t.conclude()["test_accuracy"] > low
