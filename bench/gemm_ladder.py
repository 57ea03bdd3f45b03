"""The GEMM ladder: what each idea behind a fast matrix product is worth, from three loops to the library's kernel.

`python bench/gemm_ladder.py [--size N] [--isa NAME]` compiles bench/gemm_ladder.c, checks every rung against NumPy in
double precision, times the rungs in turn on one thread and prints a table. It needs a C compiler that takes GCC's
flags. The rungs are explained where they are written. Read next: gemm_ladder.c, then csrc/gemm.h.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent / "csrc"
sys.path.insert(0, str(CSRC))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # NumPy reads them when it is imported

import numpy as np  # noqa: E402 (after the variables)

import build  # noqa: E402 (found by the path above)

RUNGS = (
    "three loops",
    "loops in memory's order",
    "k in blocks",
    "tiles in registers",
    "B packed",
    "the library's kernel",
)


def best_isa() -> str:
    """The last instruction set of csrc/build.py that this machine has, by /proc/cpuinfo; the plainest elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    names = list(build.isas())
    needs = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "fma"}}
    return [name for name in names if needs.get(name, set()) <= flags][-1]


def compile_ladder(folder: Path, isa: str) -> ctypes.CDLL:
    """Compile gemm_ladder.c for an instruction set, with the flags of the library, and load it."""
    library = folder / "ladder.so"
    flags = [flag for flag in build.FLAGS if not flag.startswith("-fvisibility")] + ["-ffp-contract=fast"]
    defines = [f"-DTG_ISA={isa}", "-DTG_TYPE=f32", f"-I{CSRC}"]
    command = [os.environ.get("CC", "cc"), *flags, *build.isas()[isa], *defines, "-shared", "-o", str(library)]
    subprocess.run([*command, str(HERE / "gemm_ladder.c"), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Build, check, time, print."""
    parser = argparse.ArgumentParser(description="What each idea behind a fast matrix product is worth.")
    parser.add_argument("--size", type=int, default=768, help="m = n = k, a multiple of 192 (default 768)")
    parser.add_argument("--isa", choices=list(build.isas()), default=best_isa())
    parser.add_argument("--rounds", type=int, default=7, help="every rung is timed so often; the median counts")
    options = parser.parse_args()
    size = options.size
    if size <= 0 or size % 192:
        parser.error(f"--size must be a positive multiple of 192, since the rungs have no code for edges; got {size}")

    with tempfile.TemporaryDirectory() as folder:
        ladder = compile_ladder(Path(folder), options.isa)
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    c = np.empty_like(a)
    truth = a.astype(np.float64) @ b.astype(np.float64)
    arguments = [ctypes.c_int64(size)] * 3 + [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]

    def rung(number: int) -> Callable[[], object]:
        function = getattr(ladder, f"ladder_{number}")
        return lambda: function(*arguments)

    calls = {f"{i}. {name}": rung(i) for i, name in enumerate(RUNGS, 1)}
    calls["NumPy's library"] = lambda: np.matmul(a, b, out=c)
    for name, call in calls.items():
        c[:] = np.nan
        call()
        worst = float(np.abs(c - truth).max())
        if not worst < 1e-6 * size:
            raise SystemExit(f"{name}: wrong by {worst:g}")

    turns = 20_000_000
    ladder.ladder_peak.restype = ctypes.c_int64
    operations = ladder.ladder_peak(ctypes.c_int64(turns))
    times: dict[str, list[float]] = {name: [] for name in calls}
    peaks = []
    for _ in range(options.rounds):
        peaks.append(seconds(lambda: ladder.ladder_peak(ctypes.c_int64(turns))))
        for name, call in calls.items():
            times[name].append(seconds(call))
    peak = operations / float(np.median(peaks)) / 1e9

    print(f"C = A B, {size} x {size} x {size}, float32, one thread, {options.isa}, peak {peak:.0f} GFLOP/s")
    before = None
    for name, taken in times.items():
        rate = 2 * size**3 / float(np.median(taken)) / 1e9
        gain = f"{rate / before:5.1f} x" if before and name in calls and name[0].isdigit() else ""
        print(f"{name:28}{rate:9.2f} GFLOP/s{rate / peak:7.1%} of peak   {gain}".rstrip())
        before = rate


if __name__ == "__main__":
    main()
