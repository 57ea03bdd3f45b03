"""The rival of whole runs: report 1's network as a plain NumPy float32 loop, the way one writes it by hand.

    python -m bench.numpy_loop r1-arch-1 r1-arch-8

It computes what the report's code computed (mode as-reported, see tinygrad_edu/reports/report1.py): weights drawn as
(fan_out, fan_in) from seed 42, the same shuffle of the official file order every epoch, metrics on the test set after
each. The pixels are floats from the start, and each epoch's order is gathered once, which is the fastest way in NumPy.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def forward(x: Array, weights: list[Array], activation: str) -> list[Array]:
    """The input, the output of every hidden layer, and the softmax."""
    outputs = [x]
    for w in weights[:-1]:
        z = outputs[-1] @ w.T
        outputs.append(np.maximum(z, 0) if activation == "relu" else 1 / (1 + np.exp(-z)))
    z = outputs[-1] @ weights[-1].T
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return [*outputs, e / e.sum(axis=1, keepdims=True)]


def train(
    data: tuple[Array, Array, Array, Array],
    sizes: Sequence[int],
    activation: str,
    batch: int,
    lr: float,
    epochs: int,
    seed: int = 42,
) -> tuple[list[tuple[float, float]], float]:
    """Test accuracy (percent) and loss after each epoch, and the seconds that training with these metrics took.

    data: training pixels float32 (n, inputs) in 0..1, training labels (n,), and the same of the test set.
    """
    x_all, labels, x_test, y_test = data
    rng = np.random.RandomState(seed)
    weights = [(rng.randn(m, k) * np.sqrt(2 / k)).astype(np.float32) for k, m in itertools.pairwise(sizes)]
    y_all = np.eye(10, dtype=np.float32)[labels]
    log = []
    start = time.perf_counter()
    for _ in range(epochs):
        order = np.random.RandomState(seed).permutation(len(x_all))
        xs, ys = x_all[order], y_all[order]
        for i in range(0, len(xs), batch):
            outputs, y = forward(xs[i : i + batch], weights, activation), ys[i : i + batch]
            p = outputs[-1]
            error = 2 * (p - y) / 10 * p * (1 - p)
            for k in reversed(range(len(weights))):
                gradient, h = error.T @ outputs[k], outputs[k]
                if k:
                    error = (error @ weights[k]) * ((h > 0) if activation == "relu" else h * (1 - h))
                weights[k] -= np.float32(lr) * gradient
        p = forward(x_test, weights, activation)[-1]
        accuracy = 100 * float(np.mean(p.argmax(axis=1) == y_test))
        log.append((accuracy, float(-np.log(p[np.arange(len(p)), y_test] + 1e-15).mean())))
    return log, time.perf_counter() - start


def fashion_mnist(root: str | None = None) -> tuple[Array, Array, Array, Array]:
    """Training and test set as `train` takes them."""
    from tinygrad_edu.datasets import FashionMNIST

    parts = []
    for part in (True, False):
        data = FashionMNIST(root, train=part, download=True)
        parts += [data.data.numpy().reshape(len(data), -1).astype(np.float32) / np.float32(255), data.targets.numpy()]
    return parts[0], parts[1], parts[2], parts[3]


def main() -> None:
    from tinygrad_edu.reports.report1 import RUNS

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("runs", nargs="+", choices=RUNS, metavar="RUN")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--data", metavar="ROOT")
    args = parser.parse_args()
    data = fashion_mnist(args.data)
    for name in args.runs:
        run = RUNS[name]
        log, seconds = train(data, run.sizes, run.activation, run.batch, run.lr, args.epochs)
        print(f"{name}: {log[0][0]:.2f} % after epoch 1, {log[-1][0]:.2f} % and loss {log[-1][1]:.3f}, {seconds:.1f} s")


if __name__ == "__main__":
    main()
