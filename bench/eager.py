"""What small ops with recording cost in eager mode, against PyTorch's; and what importing costs.

python -m bench.eager times the usual ones, python -m bench.eager --all every call of calls.py (a few minutes).
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from .calls import CALLS, operands
from .measure import Timing, interleave, machine, scaled, table

USUAL = (
    *("a + b", "a * 2.0", "a @ b", "a.relu()", "a.exp()", "a.sum()", "a.softmax(-1)", "a.view(16)", "a.T", "a[0]"),
    *("a.norm()", "a.logsumexp(-1)", "a[i]", "a[i, j]", "a[m]", "a[[0, 2]]", "F.cross_entropy(a, t)"),
)


def prepared(call: str, library: Any) -> Callable[[], None]:
    """The call as a function."""
    scope = operands(library)
    exec(f"def f():\n    global x\n    {call}", scope)  # `x += y` would make x local
    return scope["f"]


def compare(call: str, turns: int) -> tuple[float, dict[str, Timing]]:
    """PyTorch's time over ours, and both times."""
    import torch

    import tinygrad_edu as tg

    torch.set_num_threads(1)  # for so little work both would only wait for their threads
    tg.set_num_threads(1)
    candidates = {"ours": prepared(call, tg), "torch": prepared(call, torch)}
    times = interleave(candidates, turns=turns, seconds=0.02, threads=False)
    return times["torch"].median / times["ours"].median, times


def import_seconds(module: str, times: int = 7) -> float:
    """Median seconds that `import module` adds to a bare interpreter that already has NumPy."""
    code = f"import time, numpy; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(times)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.eager")
    parser.add_argument("--all", action="store_true", help="every call of calls.py, the slowest beside PyTorch first")
    parser.add_argument("--only", default="", help="only calls that contain this text")
    every = (options := parser.parse_args()).all or options.only
    listed = [c.strip() for text in CALLS.values() for line in text.strip().split("\n") for c in line.split(" | ")]
    results = [(call, *compare(call, 9)) for call in (listed if every else USUAL) if options.only in call]
    if every:
        results.sort(key=lambda result: result[1])
    rows = [[c, str(t["ours"]), scaled(t["torch"].median), f"{ratio:.2f}"] for c, ratio, t in results]
    print(f"one eager op that records a gradient, 4x4 float32, {machine()}\n")
    print(table(["op", "tinygrad_edu (quartiles)", "PyTorch", "PyTorch/ours"], rows))
    mean = math.exp(statistics.fmean(math.log(ratio) for _, ratio, _ in results))
    slower = sum(ratio < 1 for _, ratio, _ in results)
    print(f"\n{slower} of {len(results)} take longer than PyTorch's; geometric mean of PyTorch/ours {mean:.2f}")
    print(f"import tinygrad_edu: {scaled(import_seconds('tinygrad_edu'))} after NumPy")


if __name__ == "__main__":
    main()
