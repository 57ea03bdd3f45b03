"""What one small op with recording costs in eager mode, against PyTorch's; and what importing costs.

python -m bench.eager
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from .measure import interleave, machine, scaled, table

OPS = (
    *("a + b", "a * 2.0", "a @ b", "a.relu()", "a.exp()", "a.sum()", "a.softmax(-1)", "a.view(16)", "a.T", "a[0]"),
    *("a.norm()", "a.logsumexp(-1)", "a[i]", "a[i, j]", "a[mask]", "a[[0, 2]]", "F.cross_entropy(a, classes)"),
)


def operands(library: Any) -> dict[str, Any]:
    """What the names in OPS stand for."""
    i, j = library.tensor([0, 2, 1]), library.tensor([1, 3, 0])
    a, b = (library.ones(4, 4).requires_grad_() for _ in range(2))
    mask, classes = library.tensor([[True, False, True, False]] * 4), library.tensor([0, 1, 2, 3])
    return {"a": a, "b": b, "i": i, "j": j, "mask": mask, "classes": classes, "F": library.nn.functional}


def compare(turns: int = 15) -> list[list[str]]:
    import torch

    import tinygrad_edu as tg

    ours, rival = operands(tg), operands(torch)
    rows = []
    for op in OPS:
        code = f"lambda: {op}"  # what both libraries understand
        times = interleave({"ours": eval(code, ours), "torch": eval(code, rival)}, turns=turns, seconds=0.02)
        ratio = times["torch"].median / times["ours"].median
        rows.append([op, str(times["ours"]), scaled(times["torch"].median), f"{ratio:.2f}"])
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
