"""The matrix product of csrc/ against NumPy's and PyTorch's, float32, in the three forms that training uses.

    python -m bench.gemm [--threads 1 2]

NN is the input gradient, NT the forward pass, TN the weight gradient. NumPy's threads are set by its library before it
is loaded (OPENBLAS_NUM_THREADS), so it takes part at the thread count that it was started with.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

from .measure import interleave, machine, peak_gflops, table

SHAPES = [(128, 512, 784), (512, 512, 512), (128, 10, 512)]


def compare(threads: int, turns: int = 7) -> list[list[str]]:
    import torch

    import tinygrad_edu as tg

    torch.set_num_threads(threads)
    tg.set_num_threads(threads)
    with_numpy = int(os.environ.get("OPENBLAS_NUM_THREADS", os.cpu_count() or 1)) == threads
    peak = peak_gflops(tg.backends.c.isa(), threads)
    rows = []
    for m, n, k in SHAPES:
        for form in ("NN", "NT", "TN"):
            a = np.random.default_rng(0).standard_normal((k, m) if form[0] == "T" else (m, k), dtype=np.float32)
            b = np.random.default_rng(1).standard_normal((n, k) if form[1] == "T" else (k, n), dtype=np.float32)
            turn = lambda x, transposed: x.T if transposed else x
            sides = {"ours": (tg.tensor(a), tg.tensor(b)), "torch": (torch.tensor(a), torch.tensor(b))}
            outs = {"ours": tg.empty(m, n), "torch": torch.empty(m, n)}
            left, right = ({s: turn(p[i], form[i] == "T") for s, p in sides.items()} for i in (0, 1))
            ours = tg.replay(lambda x, y: x @ y)
            candidates = {
                "ours": lambda o=ours, x=left["ours"], y=right["ours"]: o(x, y),
                "torch": lambda x=left["torch"], y=right["torch"], o=outs["torch"]: torch.mm(x, y, out=o),
            }
            if with_numpy:
                x, y, out = turn(a, form[0] == "T"), turn(b, form[1] == "T"), np.empty((m, n), np.float32)
                candidates["numpy"] = lambda x=x, y=y, o=out: np.matmul(x, y, out=o)
            times = interleave(candidates, turns=turns, seconds=0.06)
            rate = {s: 2 * m * n * k / t.median / 1e9 for s, t in times.items()}
            best = max(rate[s] for s in rate if s != "ours")
            rows.append(
                [
                    f"{m}x{n}x{k} {form}",
                    *(f"{rate[s]:.0f}" if s in rate else "-" for s in ("ours", "torch", "numpy")),
                    f"{rate['ours'] / best:.2f}",
                    f"{rate['ours'] / peak:.0%}" if peak else "-",
                ]
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    for threads in parser.parse_args().threads:
        print(f"matrix product, {threads} threads, GFLOP/s, {machine()}\n")
        print(
            table(["m x n x k", "tinygrad_edu", "PyTorch", "NumPy", "ours/best", "share of peak"], compare(threads)),
            "\n",
        )


if __name__ == "__main__":
    main()
