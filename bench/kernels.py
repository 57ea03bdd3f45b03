"""Kernel by kernel against PyTorch: convolutions, pools, batch norm, dropout, forward and each gradient.

    python -m bench.kernels [--threads 2] [--turns 9] [NAME ...]

Both sides call the function, or autograd.grad for one gradient through a graph that is kept; PyTorch's figure is the
better of NCHW and channels-last. The share is of the peak of multiply-adds for convolutions (counted as the direct
method's, so that Winograd's can pass 100 %), of the speed of a copy for what memory bounds. Read next: steps.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .measure import Timing, interleave, known, machine, peak_gflops, scaled, table


@dataclass(frozen=True)
class Case:
    """call(library, *tensors); shapes of the tensors; which gradients to time, by name; what a call costs."""

    call: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    gradients: dict[str, int]
    flops: int = 0  # of a convolution; 0: memory bounds it


def conv(n: int, c: int, k: int, size: int, kernel: int = 3, stride: int = 1, first: bool = False) -> Case:
    padding = kernel // 2
    out = (size + 2 * padding - kernel) // stride + 1
    call = lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, stride=stride, padding=padding)
    gradients = {"weight gradient": 1} if first else {"input gradient": 0, "weight gradient": 1}
    shapes = ((n, c, size, size), (k, c, kernel, kernel), (k,))
    return Case(call, shapes, gradients, 2 * n * c * k * out * out * kernel * kernel)


def batch_norm(t: Any, x: Any, w: Any, b: Any) -> Any:
    return t.nn.functional.batch_norm(x, None, None, w, b, training=True)


PLANES = (64, 128, 28, 28)
CASES = {
    "conv 1>128 3x3 at 28x28": conv(64, 1, 128, 28, first=True),
    "conv 128>128 3x3 at 28x28": conv(64, 128, 128, 28),
    "conv 128>256 3x3 at 14x14": conv(64, 128, 256, 14),
    "conv 256>256 3x3 at 14x14": conv(64, 256, 256, 14),
    "conv 32>64 5x5 stride 2 at 28x28": conv(64, 32, 64, 28, 5, 2),
    "conv 256>128 1x1 at 14x14": conv(64, 256, 128, 14, 1),
    "max pool 2x2": Case(lambda t, x: t.nn.functional.max_pool2d(x, 2), (PLANES,), {"gradient": 0}),
    "max pool 3x3 stride 2": Case(lambda t, x: t.nn.functional.max_pool2d(x, 3, 2, 1), (PLANES,), {"gradient": 0}),
    "average pool 2x2": Case(lambda t, x: t.nn.functional.avg_pool2d(x, 2), (PLANES,), {"gradient": 0}),
    "global average pool": Case(
        lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, 1), ((64, 256, 7, 7),), {"gradient": 0}
    ),
    "batch norm": Case(batch_norm, (PLANES, (128,), (128,)), {"gradient": 0}),
    "batch norm of rows": Case(batch_norm, ((128, 392), (392,), (392,)), {"gradient": 0}),
    "dropout": Case(lambda t, x: t.nn.functional.dropout(x, 0.25), (PLANES,), {"gradient": 0}),
}


def calls(library: Any, case: Case, last: bool = False) -> dict[str, Callable[[], Any]]:
    """The forward call and each gradient's, ready to be timed; last: with pictures channels-last."""
    rng = np.random.default_rng(0)
    tensors = [library.tensor(rng.standard_normal(shape, dtype=np.float32)) for shape in case.shapes]
    if last:
        tensors = [x.to(memory_format=library.channels_last) if x.ndim == 4 else x for x in tensors]
    for x in tensors:
        x.requires_grad_()
    y = case.call(library, *tensors)
    g = library.ones_like(y)
    found: dict[str, Callable[[], Any]] = {"forward": partial(case.call, library, *tensors)}
    for name, place in case.gradients.items():
        found[name] = partial(library.autograd.grad, y, tensors[place], g, retain_graph=True)
    return found


def copy_speed(turns: int) -> float:
    """Bytes a second of a copy as large as PLANES, read and written."""
    import tinygrad_edu as tg

    x = tg.ones(PLANES)
    return 2 * x.nbytes / interleave({"copy": x.clone}, turns=turns)["copy"].median


def compare(names: list[str], threads: int, turns: int) -> list[list[str]]:
    import torch

    import tinygrad_edu as tg

    torch.set_num_threads(threads)
    tg.set_num_threads(threads)
    peak, copy = peak_gflops(tg.backends.c.isa(), threads), copy_speed(turns)
    rows = []
    for name in names:
        case = CASES[name]
        sides = {"ours": calls(tg, case), "torch": calls(torch, case)}
        if len(case.shapes[0]) == 4:
            sides["channels last"] = calls(torch, case, last=True)
        for what in sides["ours"]:
            times = interleave({side: found[what] for side, found in sides.items()}, turns=turns, seconds=0.05)
            mine = times.pop("ours")
            best = min(t.median for t in times.values())
            rows.append([name, what, scaled(mine.median), scaled(best), f"{best / mine.median:.2f}"])
            rows[-1].append(share(case, what, mine, peak, copy))
    return rows


def share(case: Case, what: str, time: Timing, peak: float | None, copy: float) -> str:
    if case.flops:
        rate = case.flops / time.median / 1e9
        return f"{rate:.0f} GFLOP/s" + (f", {rate / peak:.0%}" if peak else "")
    rate = 2 * 4 * np.prod(case.shapes[0]) / time.median
    return f"{rate / 1e9:.1f} GB/s, {rate / copy:.0%} of a copy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    rows = compare(known(parser, options.names, CASES), options.threads, options.turns)
    print(f"kernels, float32, {options.threads} threads, {machine()}\n")
    print(table(["kernel", "", "tinygrad_edu", "PyTorch, its best", "PyTorch/ours", "rate, share"], rows))


if __name__ == "__main__":
    main()
