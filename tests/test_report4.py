"""Report 4: its mixer, what an epoch's figures are, the schedule, resuming, its files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from killed_run import many_images
from small_images import small_images

import tinygrad_edu as tg
from tinygrad_edu import cli, nn
from tinygrad_edu.nn import functional as F
from tinygrad_edu.reports import REPORTS, report_of, runner
from tinygrad_edu.reports.report import Options
from tinygrad_edu.reports.report4 import NETWORKS, RUNS, Mixer, Training, settings


def training(name, data=many_images, patch=3, **options):
    """What the runner starts, with patches that fill images of 6 x 6."""
    tg.manual_seed(options.get("seed", 42))
    return Training({**settings(RUNS[name], Options(**options)), "patch": patch}, *data())


def test_the_table_of_runs():
    extra = {"r4f-sgd-tuned", "r4f-adam-0.0003", "r4f-adam-0.003", "r4k-lr-0.0003", "r4k-lr-0.003", "r4k-batch-64"}
    extra |= {"r4k-constant", *(f"r4k-patch-{size}" for size in (2, 7, 14))}
    assert {name for name, run in RUNS.items() if run.accuracy is None} == extra
    told = {
        "r4f-sgd": (256, 30, None, 83, None),
        "r4f-adam-0.01": (256, 30, 85.08, 83.72, None),
        "r4f-adam-0.001": (256, 30, 94.13, 87.93, None),
        "r4k-64": (64, 20, 96.45, 89.26, 89.32),
        "r4k-128": (128, 30, 97.72, 90.73, 91.23),
        "r4k-256": (256, 30, 99.98, 92.78, 92.78),
        "r4k-final": (128, 20, 99.88, 93.02, 93.13),
    }
    for name, run in RUNS.items():
        assert name == run.name and report_of(name) is REPORTS["r4"]
        assert run.data == ("FashionMNIST" if name.startswith("r4f") else "KMNIST")
        row = (run.batch, run.epochs, run.train_accuracy, run.accuracy, run.best_accuracy)
        assert name in extra or row == told[name]
        chosen = settings(run, Options())
        adam = 0.001 if run.data == "FashionMNIST" else 0.0005
        assert chosen["weight_decay"] == (0 if "sgd" in name else adam) and f"{chosen['lr']:g}" in run.about
        assert chosen["patch"] == (int(name.rpartition("-")[2]) if "patch" in name else 4)
        assert chosen["plateau"] == (None if run.data == "FashionMNIST" or name == "r4k-constant" else 15)
        assert (chosen["d"], *chosen["hidden"], chosen["blocks"]) == (16, 512, 512, 2) or run.data == "FashionMNIST"
        assert settings(run, Options(lr=0.5, epochs=2)) == {**chosen, "lr": 0.5, "epochs": 2}
    final, constant = (settings(RUNS[f"r4k-{name}"], Options()) for name in ("final", "constant"))
    assert {**final, "run": "r4k-constant", "plateau": None} == constant


def by_hand(model, images, patch):
    """The scores, an image at a time, in NumPy; of a model whose dropout is off and which has no batch norm."""

    def linear(x, layer):
        return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    def mlp(x, layers):
        return linear(np.maximum(linear(x, layers[0]), 0), layers[-1])

    side, scores = images.shape[1] // patch, []
    for image in images:
        cut = [image[r * patch :, c * patch :][:patch, :patch].ravel() for r in range(side) for c in range(side)]
        x = linear(np.stack(cut), model.stem)  # (patches, d)
        for patches, features in zip(model.patches, model.features, strict=True):
            x = mlp(x.T, patches).T
            x = mlp(x, features)
        scores.append(linear(x.mean(0), model.head))
    return np.stack(scores)


@pytest.mark.parametrize("patch", [2, 3, 6])
def test_the_mixer_cuts_and_mixes(patch):
    tg.manual_seed(0)
    model = Mixer((6, 6), 10, patch, d=5, hidden=(7, 8), blocks=2, norm=False, dropout=(0.5, 0.5), he=False).eval()
    images = np.random.default_rng(0).random((4, 6, 6)).astype(np.float32)
    with tg.no_grad():
        np.testing.assert_allclose(
            model(tg.tensor(images)).numpy(), by_hand(model, images, patch), rtol=1e-4, atol=1e-6
        )


def test_the_two_networks():
    fashion, kmnist = (Mixer((28, 28), 10, 4, **NETWORKS[data]) for data in ("FashionMNIST", "KMNIST"))
    shapes = [tuple(p.shape) for p in kmnist.parameters() if p.ndim == 2]
    assert shapes == [(16, 16), *[(512, 49), (49, 512)] * 2, *[(512, 16), (16, 512)] * 2, (10, 16)]
    assert isinstance(kmnist.norm, nn.BatchNorm1d) and kmnist.norm.num_features == 49
    assert isinstance(fashion.norm, nn.Identity)
    drops = [[m.p for m in net.modules() if isinstance(m, nn.Dropout)] for net in (fashion, kmnist)]
    stem, inner = NETWORKS["KMNIST"]["dropout"]
    assert drops == [[0.0] * 9, [stem, *[inner] * 4]] and 0 < stem < inner
    weight = fashion.patches[0][0].weight  # He's: normal, of variance 2 / inputs
    assert abs(float(weight.var().item()) * 49 / 2 - 1) < 0.1 and not fashion.head.bias.any().item()
    assert kmnist.patches[0][0].weight.abs().max().item() <= 1 / 7 and kmnist.head.bias.any().item()
    with pytest.raises(ValueError, match="patches of 5x5 pixels do not fill an image of 28x28"):
        Mixer((28, 28), 10, 5, **NETWORKS["KMNIST"])


@pytest.mark.parametrize("name", ["r4k-final", "r4f-sgd"])
def test_an_epochs_figures_are_those_of_its_steps(name):
    """Against a plain loop, eager, whose sums are Python's."""
    ours, loop = (training(name, seed=5, lr=0.001) for _ in range(2))
    tg.manual_seed(5)
    ours.epoch()
    record = ours.measure()

    tg.manual_seed(5)
    loop.begin_epoch()
    train_set, test_set = many_images()
    loss_sum, hits = 0.0, 0
    for rows in loop.order.split(RUNS[name].batch):
        x, y = train_set.data[rows].float() / 255, train_set.targets[rows]
        scores = loop.model(x)
        loss = F.cross_entropy(scores, y)
        loop.optimizer.zero_grad()
        loss.backward()
        loop.optimizer.step()
        loss_sum, hits = loss_sum + loss.item() * len(rows), hits + int((scores.argmax(1) == y).sum())
    assert record["train_loss"] == pytest.approx(loss_sum / 3000, rel=1e-3)
    assert record["train_accuracy"] == pytest.approx(100 * hits / 3000, abs=0.1)
    loop.model.eval()
    with tg.no_grad():
        scores = loop.model(test_set.data.float() / 255)
    assert record["test_loss"] == pytest.approx(F.cross_entropy(scores, test_set.targets).item(), rel=1e-3)
    ours.epoch()  # the sums start anew, the order is another
    assert ours.measure()["train_loss"] < record["train_loss"]


def test_a_loss_that_is_lost_is_told_once(tmp_path):
    told = []
    options = Options(epochs=3, lr=1e30, out=str(tmp_path))
    found = runner.carry_out(RUNS["r4k-patch-2"], options, small_images(), told.append, show=False)
    assert (
        len(found.history) == 3 and [line for line in told if "test loss is nan after epoch 1;" in line] == told != []
    )
    assert json.loads((tmp_path / "r4k-patch-2" / "metrics.json").read_text())["test_loss"] is None


def test_the_order_is_seeded_and_another_each_epoch():
    first, again, other = (training("r4f-sgd", seed=seed) for seed in (1, 1, 2))
    orders = []
    for _ in range(2):
        for t in (first, again, other):
            t.begin_epoch()
        assert first.order.tolist() == again.order.tolist() != other.order.tolist()
        orders.append(first.order.tolist())
    assert orders[0] != orders[1] and sorted(orders[1]) == list(range(3000))


def test_the_schedule_waits_for_a_fall_of_what_rises():
    """Told accuracies that rise from epoch to epoch, it reduces the rate after 15 more than the first and one."""
    for name, expected in (("r4k-final", [0.001] * 17 + [0.0001] * 3), ("r4k-constant", [0.001] * 20)):
        t, rates = training(name, small_images), []
        for k in range(1, 21):
            rates.append(t.optimizer.param_groups[0]["lr"])
            t.note({"epoch": k, "train_accuracy": 70.0 + k, "train_loss": 1 / k, "test_accuracy": 60.0})
        assert rates == pytest.approx(expected)
        assert (t.epochwise is None) == (name == "r4k-constant")


def test_the_best_epoch_and_the_last():
    t = training("r4f-sgd", small_images)
    for k, accuracy in enumerate([10.0, 30.0, 20.0, 30.0, 25.0], 1):
        numbers = {"train_loss": 2.0 - k / 10, "train_accuracy": 9.0 + k, "test_loss": 2.0 + k / 10, "lr": 0.1}
        t.note({"epoch": k, "test_accuracy": accuracy, **numbers})
    assert t.conclude() == {
        "test_accuracy": 25.0, "test_loss": 2.5, "train_accuracy": 14.0, "train_loss": 1.5,
        "best_test_accuracy": 30.0, "best_epoch": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "epochs"), [("r4k-final", 6), ("r4f-adam-0.001", 4)])
def test_it_learns(name, epochs):
    t = training(name)
    for k in range(1, epochs + 1):
        t.epoch()
        t.note({"epoch": k, **t.measure()})
    assert t.conclude()["test_accuracy"] > 90 and t.history[-1]["train_loss"] < t.history[0]["train_loss"] / 2


def test_a_run_leaves_its_figures(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(runner, "load", lambda name, root: many_images())
    assert cli.main(["run", "r4k-patch-2", "--epochs", "2", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    log = [json.loads(line) for line in (tmp_path / "r4k-patch-2" / "log.jsonl").read_text().splitlines()]
    assert set(log[0]) == {
        "epoch", "seconds", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "lr"
    }  # fmt: skip
    assert found["test_accuracy"] == log[-1]["test_accuracy"] and found["best_epoch"] in (1, 2)
    assert "test" in (tmp_path / "r4k-patch-2" / "figure.svg").read_text()
    assert not (tmp_path / "r4k-patch-2" / "best.safetensors").exists()


def test_patches_that_do_not_fill_the_images_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "load", lambda name, root: small_images())
    assert cli.main(["run", "r4k-final", "--out", str(tmp_path)]) in (1, 2)
    text = capsys.readouterr().err
    assert "patches of 4x4 pixels do not fill an image of 6x6" in text and "Traceback" not in text
