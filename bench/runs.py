"""Whole runs of report 1 (shuffling and test metrics included) against the plain NumPy loop, taking turns.

python -m bench.runs [--epochs 30] [--turns 3] [RUN ...]
"""

from __future__ import annotations

import argparse
import statistics
import time

from tinygrad_edu.datasets import FashionMNIST
from tinygrad_edu.reports.report1 import RUNS, Training

from .measure import machine, table
from .numpy_loop import fashion_mnist, train


def ours(name: str, sets: tuple[FashionMNIST, FashionMNIST], epochs: int) -> tuple[float, float]:
    """Test accuracy in percent and seconds of an as-reported run."""
    run = RUNS[name]
    start = time.perf_counter()
    training = Training(run.layers, *sets, batch=run.batch, lr=run.lr)
    for _ in range(epochs):
        training.epoch()
        accuracy, _ = training.test()
    return accuracy, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", default=["r1-arch-1", "r1-arch-8"])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    sets = FashionMNIST(train=True, download=True), FashionMNIST(train=False, download=True)
    arrays = fashion_mnist()
    rows = []
    for name in options.runs:
        run, mine, rival = RUNS[name], [], []
        for _ in range(options.turns):
            mine.append(ours(name, sets, options.epochs))
            log, seconds = train(arrays, run.sizes, run.activation, run.batch, run.lr, options.epochs)
            rival.append((log[-1][0], seconds))
        a, b = (statistics.median(seconds for _, seconds in side) for side in (mine, rival))
        rows.append([name, f"{a:.2f}", f"{b:.2f}", f"{b / a:.2f}", f"{mine[-1][0]:.2f}", f"{rival[-1][0]:.2f}"])
    print(f"{options.epochs} epochs as reported, medians of {options.turns} turns, {machine()}\n")
    header = ["run", "tinygrad_edu (s)", "NumPy loop (s)", "NumPy/ours", "our accuracy (%)", "NumPy's (%)"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
