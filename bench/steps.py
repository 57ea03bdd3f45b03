"""Whole training steps, replayed, against the best that PyTorch does with a fused optimiser: eager, with pictures
channels-last, compiled.

    python -m bench.steps [--threads 2] [--turns 15] [--rivals eager channels_last compile] [NAME ...]

Both sides: zero_grad, forward, loss, backward, optimiser step, on the same data in memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .measure import interleave, known, machine, peak_gflops, scaled, table
from .models import MODELS, Model, stepper

RIVALS = ("eager", "channels_last", "compile")


def data(model: Model) -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((model.batch, *model.shape), dtype=np.float32)
    return x, generator.integers(0, model.classes, model.batch)


def rival(model: Model, kind: str) -> Callable[[], Any]:
    import torch

    network: Any = model.build(torch.nn)
    x, y = map(torch.tensor, data(model))
    if kind == "channels_last":
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if kind == "compile":
        network = torch.compile(network)
    return partial(stepper(torch, model, network), x, y)


def compare(names: list[str], rivals: list[str], threads: int, turns: int) -> list[list[str]]:
    import torch

    import tinygrad_edu as tg

    torch.set_num_threads(threads)
    tg.set_num_threads(threads)
    isa = tg.backends.c.isa()
    rows = []
    for name in names:
        model = MODELS[name]
        x, y = map(tg.tensor, data(model))
        ours = tg.replay(stepper(tg, model, model.build(tg.nn)))
        calls: dict[str, Callable[[], Any]] = {"ours": partial(ours, x, y)}
        for kind in rivals:
            if kind != "channels_last" or len(model.shape) == 3:
                calls[kind] = rival(model, kind)
        times = interleave(calls, turns=turns, seconds=0.1)
        mine = times.pop("ours")
        best = min(times, key=lambda kind: times[kind].median)
        peak = peak_gflops(isa, threads)
        done = sum(step.spec.op.flops(step.spec) for step in ours.tape.steps) / mine.median / 1e9
        rows.append(
            [
                f"{name}, batch {model.batch}",
                str(mine),
                f"{scaled(times[best].median)} ({best})",
                f"{times[best].median / mine.median:.2f}",
                f"{model.goal}",
                f"{done:.0f} GFLOP/s" + (f", {done / peak:.0%}" if peak else ""),
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; default all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    options = parser.parse_args()
    rows = compare(known(parser, options.names, MODELS), options.rivals, options.threads, options.turns)
    print(f"training step, {options.threads} threads, {machine()}\n")
    header = [
        "step",
        "tinygrad_edu (quartiles)",
        "PyTorch, its best",
        "PyTorch/ours",
        "goal",
        "products, share of peak",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
