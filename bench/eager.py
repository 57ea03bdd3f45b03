"""What one small op with recording costs in eager mode, against PyTorch's; and what importing costs.

python -m bench.eager
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from .measure import interleave, machine, scaled, table

OPS = {
    "a + b": lambda a, b: a + b,
    "a * 2.0": lambda a, b: a * 2.0,
    "a @ b": lambda a, b: a @ b,
    "a.relu()": lambda a, b: a.relu(),
    "a.exp()": lambda a, b: a.exp(),
    "a.sum()": lambda a, b: a.sum(),
    "a.softmax(-1)": lambda a, b: a.softmax(-1),
    "a.view(16)": lambda a, b: a.view(16),
    "a.T": lambda a, b: a.T,
    "a[0]": lambda a, b: a[0],
}


def compare(turns: int = 15) -> list[list[str]]:
    import torch

    import tinygrad_edu as tg

    def operands(library: Any) -> tuple[Any, Any]:
        return tuple(library.ones(4, 4).requires_grad_() for _ in range(2))

    ours, rival = operands(tg), operands(torch)
    rows = []
    for name, run in OPS.items():
        times = interleave(
            {"ours": lambda run=run: run(*ours), "torch": lambda run=run: run(*rival)}, turns=turns, seconds=0.02
        )
        ratio = times["torch"].median / times["ours"].median
        rows.append([name, str(times["ours"]), scaled(times["torch"].median), f"{ratio:.2f}"])
    return rows


def import_seconds(module: str, times: int = 7) -> float:
    """Median seconds that `import module` adds to a bare interpreter that already has NumPy."""
    code = f"import time, numpy; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(times)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    rows = compare()
    print(f"one eager op that records a gradient, 4x4 float32, {machine()}\n")
    print(table(["op", "tinygrad_edu (quartiles)", "PyTorch", "PyTorch/ours"], rows))
    print(f"\nimport tinygrad_edu: {scaled(import_seconds('tinygrad_edu'))} after NumPy")


if __name__ == "__main__":
    main()
