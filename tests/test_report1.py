"""Report 1: its networks, what each mode computes, and that training equals the plain NumPy loop."""

from __future__ import annotations

import numpy as np
import pytest
from small_images import small_images

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.datasets import FashionMNIST
from tinygrad_edu.reports import RUNS, find, report1
from tinygrad_edu.reports.report import Options
from tinygrad_edu.reports.report1 import Training, draw_as_reported, network, reported_error
from tinygrad_edu.train import nll_with_floor

SMALL = [
    {"input_nodes": 36, "activation": "relu"},
    {"input_nodes": 20, "activation": "relu"},
    {"input_nodes": 10, "activation": "softmax"},
]


def test_the_reports_own_list_makes_the_network():
    listed = [
        {"input_nodes": 784, "activation": "relu"},
        {"input_nodes": 64, "activation": "relu"},
        {"input_nodes": 10, "activation": "softmax"},
    ]
    assert RUNS["r1-arch-1"].layers == listed
    model = network(listed)
    assert [tuple(p.shape) for p in model.parameters()] == [(64, 784), (64,), (10, 64), (10,)]
    assert [type(m) for m in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert len(list(network(listed, bias=False).parameters())) == 2
    assert [type(m) for m in network(RUNS["r1-arch-3"].layers)][1::2] == [nn.Sigmoid, nn.Sigmoid]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least two layers"),
        ([SMALL[0]], "at least two layers"),
        ("relu", "layer 0"),
        ([SMALL[0], {"input_nodes": 10}], "layer 1"),
        ([SMALL[0], {**SMALL[1], "bias": True}, SMALL[2]], "layer 1.*bias"),
        ([SMALL[0], {**SMALL[1], "input_nodes": 0}, SMALL[2]], "layer 1.*positive"),
        ([SMALL[0], {**SMALL[1], "input_nodes": "64"}, SMALL[2]], "layer 1.*'64'"),
        ([SMALL[0], {**SMALL[1], "activation": "rleu"}, SMALL[2]], "layer 1.*'rleu'.*relu, sigmoid"),
        ([SMALL[0], SMALL[1]], "layer 1, the output.*softmax"),
    ],
)
def test_lists_that_describe_no_network_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        network(layers)


def test_networks_that_do_not_fit_the_data_are_refused():
    train, test = small_images()
    with pytest.raises(ValueError, match=r"784 inputs and 10 outputs.*36 pixels"):
        Training(RUNS["r1-arch-1"].layers, train, test)
    with pytest.raises(ValueError, match="mode 'reported'"):
        Training(SMALL, train, test, mode="reported")


def test_the_table_of_runs():
    assert all(name == run.name for name, run in report1.RUNS.items())
    assert len([run for run in report1.RUNS.values() if run.accuracy is not None]) == 22
    extra = [run for run in report1.RUNS.values() if run.accuracy is None]
    assert [(run.name, run.lr) for run in extra] == [(f"r1-lr-{lr}-clip", lr) for lr in (0.1, 0.01, 0.005)]
    assert all("clipped to norm 1" in run.about and run.loss is run.seconds is None for run in extra)
    assert all(report1.settings(run, Options())["clip_grad_norm"] == 1.0 for run in extra)
    assert report1.settings(extra[0], Options(clip_grad_norm=0.5))["clip_grad_norm"] == 0.5
    assert report1.settings(RUNS["r1-lr-0.1"], Options())["clip_grad_norm"] is None
    assert [RUNS[f"r1-arch-{i}"].sizes[1:-1] for i in range(1, 9)] == [
        (64,), (64,), (128, 64), (64, 64), (128, 64), (512, 64), (512, 128, 64), (512, 256, 128, 64)
    ]  # fmt: skip
    assert all(RUNS[f"r1-batch-{b}"].batch == b for b in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096))
    assert all(RUNS[f"r1-lr-{lr}"].lr == float(lr) for lr in ("0.1", "0.01", "0.005", "0.001"))
    with pytest.raises(ValueError, match="did you mean r1-arch-8"):
        find("r1-arch8")


def test_weights_are_drawn_as_numpy_draws_them():
    model = network(SMALL, bias=False)
    draw_as_reported(model, 42)
    np.random.seed(42)
    for p in model.parameters():
        m, k = p.shape
        expected = (np.random.randn(m, k) * np.sqrt(2 / k)).astype(np.float32)
        assert np.array_equal(p.detach().numpy(), expected)


def test_the_reported_error_and_loss():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(7, 10)), rng.integers(0, 10, 7)
    e = np.exp(z - z.max(1, keepdims=True))
    p, one_hot = e / e.sum(1, keepdims=True), np.eye(10)[y]
    error = reported_error(tg.tensor(z, dtype=tg.float64), tg.tensor(one_hot, dtype=tg.float64))
    np.testing.assert_allclose(error.numpy(), 2 * (p - one_hot) / 10 * p * (1 - p), rtol=1e-12)
    loss = nll_with_floor(tg.tensor(z, dtype=tg.float64), tg.tensor(y))
    assert loss.item() == pytest.approx(-np.log(p[np.arange(7), y] + 1e-15).sum(), rel=1e-12)
    sure = tg.tensor([[1000.0, 0.0]])
    assert nll_with_floor(sure, tg.tensor([1])).item() == pytest.approx(34.54, abs=0.01)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 32, 300, 400])
def test_as_reported_equals_the_numpy_loop(activation, batch):
    numpy_loop = pytest.importorskip("bench.numpy_loop", reason="bench is not part of the package")
    train, test = small_images()
    sizes = (36, 20, 15, 10)
    layers = [{"input_nodes": n, "activation": activation} for n in sizes[:-1]]
    training = Training([*layers, {"input_nodes": 10, "activation": "softmax"}], train, test, batch=batch, lr=0.02)
    arrays = [
        array
        for part in (train, test)
        for array in (part.data.numpy().reshape(len(part), -1) / np.float32(255), part.targets.numpy())
    ]
    log, _ = numpy_loop.train(arrays, sizes, activation, batch, 0.02, 4)
    for accuracy, loss in log:
        training.epoch()
        ours = training.test()
        assert abs(ours[0] - accuracy) <= 1.001 and ours[1] == pytest.approx(loss, rel=2e-4)
    assert activation == "sigmoid" or log[-1][1] < log[0][1]  # it learned something


def test_corrected_takes_the_gradient_of_the_mean_loss():
    train, test = small_images()
    training = Training(SMALL, train, test, "corrected", batch=50, lr=0.5, seed=1)
    before = [p.detach().numpy().copy() for p in training.model.parameters()]
    rows = tg.arange(50)
    training.step(rows)
    after = [p.detach().numpy().copy() for p in training.model.parameters()]
    w1, b1, w2, b2 = (b.astype(np.float64) for b in before)
    x, y = train.data.numpy().reshape(-1, 36)[:50] / 255, np.eye(10)[train.targets.numpy()[:50]]
    h = np.maximum(x @ w1.T + b1, 0)
    z = h @ w2.T + b2
    e = np.exp(z - z.max(1, keepdims=True))
    g = (e / e.sum(1, keepdims=True) - y) / 50
    gh = g @ w2 * (h > 0)
    for old, new, gradient in zip(before, after, (gh.T @ x, gh.sum(0), g.T @ h, g.sum(0)), strict=True):
        np.testing.assert_allclose((old - new) / 0.5, gradient, rtol=1e-3, atol=1e-6)


def test_corrected_is_seeded_shuffles_anew_and_learns():
    train, test = small_images()
    first, second, other = (Training(SMALL, train, test, "corrected", 32, seed=s) for s in (1, 1, 2))
    orders = []
    for _ in range(3):
        first.epoch()
        second.epoch()
        other.epoch()
        orders.append(first.order.tolist())
    assert sorted(orders[0]) == list(range(300)) and orders[0] != orders[1]
    weights = [next(t.model.parameters()).detach().numpy() for t in (first, second, other)]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])
    for _ in range(10):
        first.epoch()
    accuracy, loss = first.test()
    assert accuracy > 80 and loss < 1


def test_as_reported_keeps_one_order():
    training = Training(SMALL, *small_images(), batch=64)
    before = training.order.tolist()
    training.epoch()
    assert training.order.tolist() == before == np.random.RandomState(42).permutation(300).tolist()


@pytest.mark.parametrize("mode", report1.MODES)
def test_clipping_bounds_the_step(mode):
    def moved(limit):
        training = Training(SMALL, *small_images(), mode, batch=100, lr=1.0, clip_grad_norm=limit)
        before = [p.detach().numpy().copy() for p in training.model.parameters()]
        for _ in range(2):  # recorded, then replayed
            start = [p.detach().numpy().copy() for p in training.model.parameters()]
            training.step(tg.arange(100))
        parts = zip(training.model.parameters(), start, strict=True)
        return np.sqrt(sum(np.sum((p.detach().numpy() - b) ** 2) for p, b in parts)), before

    free, start = moved(None)
    clipped, same_start = moved(free / 2)
    assert all(np.array_equal(a, b) for a, b in zip(start, same_start, strict=True))
    assert clipped <= free / 2 * 1.001


def test_progress_is_told_of_every_image_once():
    training = Training(SMALL, *small_images(), batch=7)
    told = []
    training.epoch(told.append)
    assert sum(told) == 300


REAL = FashionMNIST.source.find(FashionMNIST.resources[True][0], None)


@pytest.mark.skipif(REAL is None, reason="Fashion-MNIST is not on this machine")
def test_first_epoch_on_fashion_mnist():
    """Each reported figure within what another order of additions changes; 40.25 is the report's own, to the digit."""
    train, test = FashionMNIST(REAL.parent), FashionMNIST(REAL.parent, train=False)
    for name, accuracy in (("r1-arch-1", 66.75), ("r1-arch-2", 40.25)):
        run = RUNS[name]
        training = Training(run.layers, train, test, batch=run.batch, lr=run.lr)
        training.epoch()
        assert training.test()[0] == pytest.approx(accuracy, abs=0.3)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="Fashion-MNIST is not on this machine")
@pytest.mark.parametrize(
    ("name", "mode", "low", "high"),
    [
        ("r1-arch-1", "as-reported", 82.4, 83.3),
        ("r1-arch-2", "as-reported", 74.6, 75.6),
        ("r1-arch-8", "corrected", 88.0, 91.0),
    ],
)
def test_thirty_epochs_on_fashion_mnist(name, mode, low, high):
    run = RUNS[name]
    lr = run.lr if mode == "as-reported" else None
    training = Training(
        run.layers, FashionMNIST(REAL.parent), FashionMNIST(REAL.parent, train=False), mode, run.batch, lr
    )
    accuracies = []
    for _ in range(30):
        training.epoch()
        accuracies.append(training.test()[0])
    assert low < np.mean(accuracies[-5:]) < high  # single epochs of the corrected run scatter by 0.3
