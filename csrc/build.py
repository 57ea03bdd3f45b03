"""Build the C core: every kernel family once an instruction set and type, the runtime once, all cores at work.

setup.py calls `core_objects` for the extension; run as a program, this file links the same core with C tests (see
`make sanitize`). It knows compilers that take GCC's flags, nothing else: elsewhere the package runs without the
extension. Objects are rebuilt when a file they include or their command line changed. Read next: registry.c.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CSRC = Path(__file__).resolve().parent
RUNTIME = ("registry", "tape", "chain", "threads", "memory")

# The families of kernels: a file csrc/<family>.c and the types that it is compiled for (see TG_TYPE in kernel.h).
NUMBERS = ("f32", "f64", "i32", "i64", "u8")
FLOATS = ("f32", "f64")
FAMILIES = {
    "elementwise": NUMBERS,
    "reduce": NUMBERS,
    "extremum": NUMBERS,
    "scan": NUMBERS,
    "move": NUMBERS,
    "create": NUMBERS,
    "pick": NUMBERS,
    "sort": NUMBERS,
    "matmul": FLOATS,
    "conv": FLOATS,
    "norm": FLOATS,
    "layer_norm": FLOATS,
    "batch_norm": FLOATS,
    "loss": FLOATS,
    "random": (*FLOATS, "i64"),
    "update": FLOATS,
    "batch": ("u8",),
    "fold": FLOATS,
    "max_pool": FLOATS,
    "avg_pool": FLOATS,
    "resample": FLOATS,
}

# Flags of each instruction set, the plainest first. NEON is part of every 64-bit ARM.
ISAS = {
    "x86_64": {
        "baseline": [],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
    },
    "aarch64": {"neon": []},
}

# No -ffast-math: NaN and Inf are part of the product. errno and floating-point traps are not, and cost vectorisation.
# Integers wrap as NumPy's do. OpenMP stands for its simd pragma alone, which lets a named sum be reordered.
FLAGS = ["-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread"]
FLAGS += ["-fwrapv", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
WARNINGS = ["-Wall", "-Wextra"]

# May a*b+c become one FMA? -std=c11 says no; it is asked for but where numbers must be the same on every machine, or
# the same in a loop's vectors and in its last elements.
CONTRACT = dict.fromkeys(("random", "create", "batch", "batch_norm", "elementwise", "loss", "update"), "off")


class BuildError(Exception):
    """A compiler is missing or refused a file; the message is what it said."""


@dataclass(frozen=True)
class Unit:
    """One compilation: a source, the object it makes, the flags beyond the common ones."""

    source: Path
    object: Path
    flags: Sequence[str]


def isas() -> dict[str, list[str]]:
    """The instruction sets of this machine's architecture, name to flags, the plainest first."""
    machine = platform.machine().lower()
    return ISAS.get({"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine), {"baseline": []})


def cdef() -> str:
    """What Python sees of the core: tg.h as it stands."""
    return (CSRC / "tg.h").read_text()


def write_if_changed(path: Path, text: str) -> None:
    """Write a generated file, but leave its time alone when nothing changed: objects depend on it."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def run(command: Sequence[str]) -> None:
    """Run a compiler; raise BuildError with its own words when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        said = f"{done.stdout}{done.stderr}\n{shlex.join(command)}".strip()
        raise BuildError(f"{command[0]} failed with exit status {done.returncode}\n{said}")
    print(done.stderr, end="")


def is_fresh(unit: Unit, command: Sequence[str]) -> bool:
    """Is the object newer than all it was made of, and was it made by this command?

    Beside the object lies its .d file: the command, then the files that the compiler read (its -MMD list).
    """
    note = unit.object.with_suffix(".d")
    if not (unit.object.exists() and note.exists()):
        return False
    made_by, _, read = note.read_text().partition("\n")
    files = read.partition(":")[2].replace("\\\n", " ").split()
    built = unit.object.stat().st_mtime
    return made_by == shlex.join(command) and all(os.path.exists(f) and os.path.getmtime(f) < built for f in files)


def compile_unit(compiler: Sequence[str], unit: Unit) -> None:
    """Compile one unit unless its object is up to date."""
    note = unit.object.with_suffix(".d")
    command = [*compiler, *unit.flags, "-c", str(unit.source)]
    if is_fresh(unit, command):
        return
    print(f"cc {unit.object.parent.name}/{unit.source.name}", flush=True)
    unit.object.parent.mkdir(parents=True, exist_ok=True)
    part = unit.object.with_suffix(f".{os.getpid()}.o")  # renamed when done: two builds may run in one folder
    deps = part.with_suffix(".d")
    run([*command, "-o", str(part), "-MMD", "-MF", str(deps)])
    note.write_text(f"{shlex.join(command)}\n{deps.read_text()}")
    deps.unlink()
    part.replace(unit.object)


def core_objects(compiler: Sequence[str], out: Path, extra: Sequence[Path] = ()) -> list[Path]:
    """Compile the runtime, every family that exists and the files in `extra`; return the objects to link.

    A file in `extra` whose name starts with `family_` is one more family of floating kernels, for tests.
    """
    out.mkdir(parents=True, exist_ok=True)
    families = {CSRC / f"{name}.c": types for name, types in FAMILIES.items() if (CSRC / f"{name}.c").exists()}
    families |= {path: FLOATS for path in extra if path.name.startswith("family_")}
    sources = [CSRC / f"{name}.c" for name in RUNTIME] + [path for path in extra if path not in families]

    units = [Unit(path, out / f"{path.stem}.o", (f"-I{CSRC}", f"-I{out}")) for path in sources]
    tables = []
    for path, types in families.items():
        contract = f"-ffp-contract={CONTRACT.get(path.stem, 'fast')}"
        for isa, isa_flags in isas().items():
            for kind in types:
                tables.append(f"TABLE({path.stem}, {isa}, {kind})\n")
                names = (f"-DTG_ISA={isa}", f"-DTG_TYPE={kind}", f"-I{CSRC}")
                units.append(Unit(path, out / f"{isa}-{kind}" / f"{path.stem}.o", (*isa_flags, contract, *names)))
    write_if_changed(out / "isas.def", "".join(f"ISA({isa})\n" for isa in isas()))
    write_if_changed(out / "tables.def", "".join(tables))

    units.sort(key=lambda unit: -unit.source.stat().st_size)  # the longest first, so that no core idles at the end
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda unit: compile_unit(compiler, unit), units))
    return [unit.object for unit in units]


def main() -> None:
    """Link the core with C sources into a program: what the sanitizer builds of tests/csrc use."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path, help="folder of the objects and of the program `test`")
    parser.add_argument("--flags", default="", help="more compiler flags, such as -fsanitize=thread")
    args = parser.parse_args()
    compiler = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, *WARNINGS, "-Werror", *shlex.split(args.flags)]
    try:
        objects = core_objects(compiler, args.out, [path.resolve() for path in args.sources])
        run([*compiler, *map(str, objects), "-o", str(args.out / "test"), "-lm"])
    except BuildError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
