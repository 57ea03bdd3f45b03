"""Whole training steps, replayed, against PyTorch's eager step with a fused optimiser.

    python -m bench.steps [--threads 2] [--turns 15] [NAME ...]

Both sides: zero_grad, forward, mean cross-entropy, backward, SGD step, on the same data in memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from .measure import interleave, machine, peak_gflops, scaled, table

MODELS = {  # layer sizes, batch, the ratio that the project holds itself to
    "r1-arch-1": ((784, 64, 10), 128, 3.0),
    "r1-arch-8": ((784, 512, 256, 128, 64, 10), 128, 1.4),
    "mlp-16-16-16-4": ((16, 16, 16, 4), 16, 20.0),
}


def mlp(nn: Any, sizes: tuple[int, ...]) -> Any:
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def stepper(library: Any, nn: Any, optimizer: Any, x: Any, y: Any, sizes: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """The same lines for both libraries."""
    model = mlp(nn, sizes)
    optim = optimizer(model.parameters(), lr=0.01, fused=True)
    loss_function = nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optim.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optim.step()
        return loss

    return step


def flops(sizes: tuple[int, ...], batch: int) -> int:
    """Of the products of a step: forward, weight gradients, input gradients of all layers but the first."""
    products = [a * b for a, b in pairwise(sizes)]
    return 2 * batch * (3 * sum(products) - products[0])


def compare(names: list[str], threads: int, turns: int) -> list[list[str]]:
    import torch

    import tinygrad_edu as tg

    torch.set_num_threads(threads)
    tg.set_num_threads(threads)
    isa = tg.backends.c.isa()
    rows = []
    for name in names:
        sizes, batch, goal = MODELS[name]
        generator = np.random.default_rng(0)
        x = generator.standard_normal((batch, sizes[0]), dtype=np.float32)
        y = generator.integers(0, sizes[-1], batch)
        ours_x, ours_y = tg.tensor(x), tg.tensor(y)
        rival_x, rival_y = torch.tensor(x), torch.tensor(y)
        ours = tg.replay(stepper(tg, tg.nn, tg.optim.SGD, ours_x, ours_y, sizes))
        rival = stepper(torch, torch.nn, torch.optim.SGD, rival_x, rival_y, sizes)
        calls = {"ours": partial(ours, ours_x, ours_y), "torch": partial(rival, rival_x, rival_y)}
        times = interleave(calls, turns=turns, seconds=0.1)
        peak = peak_gflops(isa, threads)
        done = flops(sizes, batch) / times["ours"].median / 1e9
        share = f"{done:.0f} GFLOP/s, {done / peak:.0%}" if peak else f"{done:.0f} GFLOP/s"
        ratio = times["torch"].median / times["ours"].median
        rows.append(
            [
                f"{name}, batch {batch}",
                str(times["ours"]),
                scaled(times["torch"].median),
                f"{ratio:.2f}",
                f"{goal}",
                share,
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; default all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    rows = compare(options.names or list(MODELS), options.threads, options.turns)
    print(f"training step, {options.threads} threads, {machine()}\n")
    print(
        table(["step", "tinygrad_edu (quartiles)", "PyTorch", "PyTorch/ours", "goal", "products, share of peak"], rows)
    )


if __name__ == "__main__":
    main()
