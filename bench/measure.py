"""How everything here is measured: candidates take turns in one process, and only medians of many turns count.

A shared machine drifts by half within minutes, so a time alone says little; the ratio of two medians of one run does.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Seconds of rest before each turn: the threads of the library that was last at work go on spinning, on the cores that
# the next one needs, OpenBLAS's for up to 2^28 cycles.
SETTLE = 0.2


def known(parser: argparse.ArgumentParser, names: Sequence[str], all_names: Iterable[str]) -> list[str]:
    """The names given on the command line, all where none is. An unknown one ends the program, with those there are."""
    for name in names:
        if name not in all_names:
            parser.error(f"there is no {name!r}; there are {', '.join(all_names)}")
    return list(names or all_names)


@dataclass
class Timing:
    """Seconds a call: median over the turns, and the spread from the first to the third quartile."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{scaled(self.median)} ({scaled(self.low)} to {scaled(self.high)})"


def scaled(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def interleave(
    candidates: dict[str, Callable[[], object]], turns: int = 15, seconds: float = 0.05, threads: bool = True
) -> dict[str, Timing]:
    """Time each candidate in turn, `turns` times for about `seconds`; a turn's first calls warm up and don't count.

    threads=False: the candidates use this thread only, so its CPU time is what counts, and none needs a rest."""
    clock, settle = (time.perf_counter, SETTLE) if threads else (time.thread_time, 0.0)
    calls = {}
    for name, run in candidates.items():
        run()
        start = clock()
        for _ in range(3):
            run()
        one = (clock() - start) / 3
        calls[name] = max(1, int(seconds / max(one, 1e-8)))
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(turns):
        for name, run in candidates.items():
            n = calls[name]
            time.sleep(settle)
            for _ in range(max(1, n // 5)):
                run()
            start = clock()
            for _ in range(n):
                run()
            samples[name].append((clock() - start) / n)
    return {name: _timing(values) for name, values in samples.items()}


def _timing(values: list[float]) -> Timing:
    low, _, high = statistics.quantiles(values, n=4)
    return Timing(statistics.median(values), low, high)


def machine() -> str:
    """The processor's name and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"


PEAK = r"""
#include <stdint.h>
typedef float v __attribute__((vector_size(WIDTH)));
/* 24 independent chains of multiply-adds in registers: nothing but the units themselves can bound this. */
double peak(int64_t rounds) {
    v a[24], x, y;
    for (int i = 0; i < 24; i++) a[i] = (v){0} + (float)i;
    x = (v){0} + 0.999f, y = (v){0} + 0.001f;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < 24; i++) a[i] = a[i] * x + y;
    }
    double s = 0;
    for (int i = 0; i < 24; i++) s += a[i][0];
    return s;
}
"""


def peak_gflops(isa: str, threads: int) -> float | None:
    """GFLOP/s of pure float32 multiply-adds on `threads` threads now, or None where there is no compiler."""
    import ctypes
    from concurrent.futures import ThreadPoolExecutor

    width, flags = {"avx512": (64, ["-mavx512f", "-mprefer-vector-width=512"]), "avx2": (32, ["-mavx2", "-mfma"])}.get(
        isa, (16, [])
    )
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "peak.c"), Path(folder, "peak.so")
        source.write_text(PEAK)
        command = [
            "cc",
            "-O3",
            "-ffp-contract=fast",
            f"-DWIDTH={width}",
            *flags,
            "-shared",
            "-fPIC",
            "-o",
            library,
            source,
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        run = ctypes.CDLL(str(library)).peak
        run.argtypes, run.restype = [ctypes.c_int64], ctypes.c_double
        rounds = 3_000_000
        best = 0.0
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(5):
                start = time.perf_counter()
                list(pool.map(run, [rounds] * threads))
                best = max(best, threads * rounds * 24 * (width // 4) * 2 / (time.perf_counter() - start) / 1e9)
        return best


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    line = lambda cells: "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"
    return "\n".join([line(header), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows)])
