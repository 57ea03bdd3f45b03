"""What this installation runs on: show_config(), the number of threads, and the environment variables.

TG_BACKEND chooses the backend, TG_ISA the C core's instruction set, TG_THREADS its threads; TG_WINOGRAD=0 turns one way
to convolve off; TG_DEBUG says what is checked on the way (see DEBUG). They are read once, on import, and a value
that means nothing raises. Read next: backends.
"""

from __future__ import annotations

import os
import platform
import warnings

import numpy as np

from . import backends
from .op import forget_specs

ISAS = ("baseline", "avx2", "avx512", "neon")
DEBUG = {
    "check": "replayed steps are searched for NaN and for writes outside of their buffers",
    "trace": "the command line shows the whole traceback of an error",
}
NOTE = os.path.join(os.path.dirname(__file__), "_core_error.txt")  # left by setup.py when the core could not be built

try:
    from ._core import ffi, lib
except ImportError:
    lib = None


def start() -> None:
    """Read the environment and make a backend current; called on import.

    Raises RuntimeError for a value that means nothing. Warns where the C core is missing and nobody chose another."""
    debug_words()
    threads = os.environ.get("TG_THREADS", "")
    if threads and not (threads.isdecimal() and int(threads) > 0):
        raise RuntimeError(f"TG_THREADS={threads}: expected a number of threads, 1 or more")
    isa = os.environ.get("TG_ISA", "")
    if isa and isa not in ISAS:
        raise RuntimeError(f"TG_ISA={isa}: unknown instruction set; expected one of {', '.join(ISAS)}")
    if isa and lib is not None and not lib.tg_isa_available(isa.encode()):
        raise RuntimeError(f"TG_ISA={isa}: not available here; available are {', '.join(available_isas())}")
    winograd = os.environ.get("TG_WINOGRAD", "")
    if winograd not in ("", "0", "1"):
        raise RuntimeError(f"TG_WINOGRAD={winograd}: expected 0 or 1")
    backends.start()
    if lib is None and not os.environ.get("TG_BACKEND"):
        warnings.warn(
            f"tinygrad_edu runs on its {backends.current()} backend, far slower than its C core, which is missing "
            f"({why_no_core().splitlines()[0]}); tinygrad_edu.show_config() says more, TG_BACKEND={backends.current()} "
            "silences this",
            RuntimeWarning,
            stacklevel=3,
        )


def debug_words() -> set[str]:
    """The words in TG_DEBUG, which are separated by commas. Raises RuntimeError for an unknown one."""
    words = {word.strip() for word in os.environ.get("TG_DEBUG", "").split(",")} - {""}
    unknown = words - set(DEBUG)
    if unknown:
        raise RuntimeError(f"TG_DEBUG: unknown {', '.join(sorted(unknown))}; expected any of {', '.join(DEBUG)}")
    return words


def why_no_core() -> str:
    """What the compiler, or else the loader, said."""
    if not os.path.exists(NOTE):
        return str(backends.why_not("c"))
    with open(NOTE) as note:
        return note.read().strip()


def why_this_backend() -> str:
    """Why the backend in use is."""
    if backends.current() == os.environ.get("TG_BACKEND"):
        return "as TG_BACKEND says"
    return "the fastest there is" if backends.current() == "c" or lib is None else "as the program says"


def available_isas() -> list[str]:
    """The instruction sets that both the core and this machine have."""
    return [] if lib is None else [isa for isa in ISAS if lib.tg_isa_available(isa.encode())]


def get_num_threads() -> int:
    """The number of threads that the C core works with, this one included; 1 without it."""
    return 1 if lib is None else int(lib.tg_threads_get())


def set_num_threads(threads: int) -> None:
    """Let the C core work with so many threads, this one included. Results stay the same to the bit.

    Raises TypeError, ValueError for anything but an int of 1 or more."""
    if not isinstance(threads, int) or isinstance(threads, bool):
        raise TypeError(f"set_num_threads: expected an int, got {type(threads).__name__}")
    if threads < 1:
        raise ValueError(f"set_num_threads: expected 1 or more, got {threads}")
    if lib is not None:
        lib.tg_threads_set(threads)


def get_winograd() -> bool:
    """Whether the C core may compute 3x3 convolutions of stride 1 by Winograd's method; False without it."""
    return lib is not None and bool(lib.tg_winograd_get())


def set_winograd(on: bool) -> None:
    """Let the C core use Winograd's method for 3x3 convolutions of stride 1, or not. Steps recorded before stay as
    they are. The method is about three times faster; its error in float32, largest over the result's rms, is about
    1e-5 where the direct method's is 2e-6.

    Raises TypeError for anything but a bool."""
    if not isinstance(on, bool):
        raise TypeError(f"set_winograd: expected a bool, got {type(on).__name__}")
    if lib is not None:
        lib.tg_winograd_set(on)
        forget_specs()


def show_config() -> None:
    """Print the backend in use, why not the others, the instruction set, the threads, the versions, the environment."""
    from . import __version__

    print(f"tinygrad_edu {__version__}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    print(f"backend: {backends.current()} ({why_this_backend()})")
    for name in backends.NAMES:
        if name != backends.current():
            reason = why_no_core() if name == "c" and lib is None else backends.why_not(name)
            print(f"  {name}: {'available' if reason is None else 'not available: ' + reason}")
    if lib is not None:
        print(f"instruction set: {ffi.string(lib.tg_isa_name()).decode()} (available: {', '.join(available_isas())})")
        print(f"threads: {get_num_threads()}")
        print(f"Winograd's convolution: {'on' if get_winograd() else 'off'}")
    for variable, meaning in (
        ("TG_BACKEND", f"one of {', '.join(backends.NAMES)}"),
        ("TG_ISA", f"one of {', '.join(available_isas()) or 'none without the C core'}"),
        ("TG_THREADS", "1 or more"),
        ("TG_WINOGRAD", "1, or 0 for direct convolution alone"),
        ("TG_DEBUG", f"any of {', '.join(DEBUG)}"),
    ):
        print(f"{variable}: {os.environ.get(variable) or 'not set'} ({meaning})")
