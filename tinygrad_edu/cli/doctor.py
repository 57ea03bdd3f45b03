"""tinygrad-edu doctor: what this installation runs on, how fast it is, what is missing and how to get it.

The settings are config.py's to tell. Read next: ../config.py; bench/, for measurements to rely on.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .arguments import data_argument

SECONDS = 0.1  # for each measurement; the fastest of as many calls as fit counts
DEVELOPERS = ("test", "bench", "dev", "all")  # extras that are no user's
SIZE = 512  # of the matrices
EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)""")
MISSING = "missing"
LENGTH = 4_000_000  # of the vectors: 48 MB for a sum, more than caches hold


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="what this installation runs on, how fast, what is missing",
        description="Show the backend, the threads, versions, the speed of two kernels, and what is missing.",
    )
    parser.set_defaults(command=doctor_command)
    data_argument(parser.add_argument)


def doctor_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu doctor"""
    from .. import show_config

    show_config()
    print("\nOptional packages")
    for name, packages in extras().items():
        states = [f"{package} {version(package)}" for package in packages]
        print(f"  {name:9} {', '.join(states)}")
        if any(state.endswith(MISSING) for state in states):
            print(f"  {'':9} to get what is missing: pip install 'tinygrad_edu[{name}]'")
    print("\nSpeed, best of 0.1 s")
    for line in speeds():
        print(f"  {line}")
    print("\nData sets")
    for line in data_lines(args.data):
        print(f"  {line}")
    return 0


def extras() -> dict[str, list[str]]:
    """The packages of each extra that users may want, as the installation, or else the source tree, declares them."""
    source = Path(__file__).parents[2] / "pyproject.toml"
    try:
        metadata = importlib.metadata.metadata("tinygrad_edu")
        needed = [(m[1], text) for text in metadata.get_all("Requires-Dist") or () if (m := EXTRA.search(text))]
    except importlib.metadata.PackageNotFoundError:
        if not source.exists():
            return {}
        declared = tomllib.loads(source.read_text())["project"]["optional-dependencies"]
        needed = [(name, text) for name, texts in declared.items() for text in texts]
    found: dict[str, list[str]] = {}
    for extra, text in needed:
        if extra not in DEVELOPERS:
            found.setdefault(extra, []).append(re.split(r"[^\w.-]", text)[0])
    return found


def version(package: str) -> str:
    """The installed version, or that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return MISSING


def best(step: Callable[[], Any]) -> float:
    """Seconds of the fastest call."""
    step()
    end, fastest = time.perf_counter() + SECONDS, math.inf
    while fastest == math.inf or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def speeds() -> list[str]:
    """A matrix product and a sum, on one thread and on as many as are used."""
    from .. import get_num_threads, rand, replay, set_num_threads

    a, b, u, v = rand(SIZE, SIZE), rand(SIZE, SIZE), rand(LENGTH), rand(LENGTH)
    product, total = replay(lambda: a @ b), replay(lambda: u + v)
    lines, threads = [], get_num_threads()
    try:
        for count in sorted({1, threads}):
            set_num_threads(count)
            flops, size = 2 * SIZE**3 / best(product), 3 * 4 * LENGTH / best(total)
            lines.append(
                f"{count} thread{'s' * (count > 1)}:  product of {SIZE} x {SIZE} matrices {flops / 1e9:.1f} GFLOP/s, "
                f"sum of {LENGTH // 10**6} million floats {size / 1e9:.1f} GB/s"
            )
    finally:
        set_num_threads(threads)
    return lines


def data_lines(root: str | None) -> list[str]:
    """Each data set: the folder of its files, or how to get it."""
    from .data import files_of, look, sets_of

    lines = []
    for kind in sets_of(()):
        paths = [look(kind, resource, root, read=False)[0] for resource in files_of(kind)]
        where = str(Path(paths[0]).parent) if all(paths) else f"missing; tinygrad-edu data fetch {kind.__name__}"
        lines.append(f"{kind.__name__:12}  {where}")
    return lines
