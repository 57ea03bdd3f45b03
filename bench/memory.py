"""The most memory that a process takes to train a network for a few steps, against PyTorch.

    python -m bench.memory [--steps 5] [NAME ...]

Each library trains in a process of its own, whose peak resident size the system tells at the end.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

from .measure import known, machine, table
from .models import MODELS, stepper
from .steps import data, rival


def train(library: str, name: str, steps: int) -> None:
    """Print the peak in KiB after some steps."""
    model = MODELS[name]
    if library == "tinygrad_edu":
        import tinygrad_edu as tg

        x, y = map(tg.tensor, data(model))
        step = tg.replay(stepper(tg, model, model.build(tg.nn)))
        for _ in range(steps):
            step(x, y)
    else:
        run = rival(model, library)
        for _ in range(steps):
            run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def peak_mib(library: str, name: str, steps: int) -> float:
    command = [sys.executable, "-m", "bench.memory", "--library", library, "--steps", str(steps), name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["r3-cnn"], metavar="NAME", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--library", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.library:
        train(options.library, options.names[0], options.steps)
        return
    rows = []
    for name in known(parser, options.names, MODELS):
        kinds = (
            ("tinygrad_edu", "eager", "channels_last") if len(MODELS[name].shape) == 3 else ("tinygrad_edu", "eager")
        )
        peaks = [peak_mib(kind, name, options.steps) for kind in kinds]
        best = min(peaks[1:])
        rows.append([f"{name}, batch {MODELS[name].batch}", f"{peaks[0]:.0f}", f"{best:.0f}", f"{best / peaks[0]:.2f}"])
    print(f"peak resident memory of a process after {options.steps} steps, MiB, {machine()}\n")
    print(table(["network", "tinygrad_edu", "PyTorch, its best", "PyTorch/ours"], rows))


if __name__ == "__main__":
    main()
