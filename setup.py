"""Build the optional extension tinygrad_edu._core; everything else about the package is in pyproject.toml.

The build itself is csrc/build.py. Where it fails (no compiler), the install goes on without the extension, and
the reason is left in tinygrad_edu/_core_error.txt for the package to show.
"""

import os
import platform
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent / "csrc"))
import build as core

NOTE = "_core_error.txt"
PACKAGE = "tinygrad_edu"


class BuildCore(build_ext):
    """Compiles through csrc/build.py instead of file by file, and lets the install go on when that fails."""

    def run(self) -> None:
        """Build; when building in place, put the note beside the sources or take an old one away."""
        self.note = Path(self.build_lib) / PACKAGE / NOTE
        super().run()
        if self.inplace:
            here = Path(PACKAGE) / NOTE
            here.unlink(missing_ok=True)
            if self.note.exists():
                Path(PACKAGE, "_core.abi3.so").unlink(missing_ok=True)  # it no longer is what the sources say
                self.copy_file(str(self.note), str(here))

    def build_extension(self, ext: Extension) -> None:
        """Generate cffi's wrapper, compile, link; on failure write the reason into the note."""
        self.note.parent.mkdir(parents=True, exist_ok=True)
        self.note.unlink(missing_ok=True)
        library = Path(self.get_ext_fullpath(ext.name))
        try:
            self.build_library(library)
        except core.BuildError as error:
            library.unlink(missing_ok=True)
            self.note.write_text(f"{error}\n")
            print(f"{PACKAGE}: the C core was not built, other backends will run:\n{error}", file=sys.stderr)
            if os.environ.get("TG_REQUIRE_CORE"):  # continuous integration sets it
                raise SystemExit(1) from error

    def build_library(self, library: Path) -> None:
        """Compile the wrapper and the core, link them into `library`; every way to install shares the objects."""
        from cffi import FFI

        ffi = FFI()
        ffi.cdef(core.cdef())
        ffi.set_source(f"{PACKAGE}._core", '#include <stdint.h>\n#include "tg.h"')
        temp = Path("build", f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}").resolve()
        temp.mkdir(parents=True, exist_ok=True)
        wrapper = temp / "_core.c"
        ffi.emit_c_code(str(wrapper))

        # The interpreter's own flags come first and tell how to make an extension here; -g is worth 20 MB to no one.
        warnings = [*core.WARNINGS, "-Werror"] if os.environ.get("TG_REQUIRE_CORE") else []
        compiler = [*self.compiler.compiler_so, *core.FLAGS, "-g0"]
        python = (f"-I{sysconfig.get_path('include')}", f"-I{core.CSRC}", "-DPy_LIMITED_API=0x030b0000")
        core.compile_unit(compiler, core.Unit(wrapper, temp / "_core.o", python))
        objects = [temp / "_core.o", *core.core_objects([*compiler, *warnings], temp / "core")]
        part = library.with_suffix(f".{os.getpid()}")
        core.run([*self.compiler.linker_so, "-pthread", *map(str, objects), "-o", str(part), "-lm"])
        part.replace(library)


if sys.platform == "darwin":  # build for this machine, not for both kinds: the instruction sets differ
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")

setup(
    # Sources only so that sdist and setuptools know them; BuildCore finds its own.
    ext_modules=[Extension(f"{PACKAGE}._core", sources=["csrc/registry.c"], py_limited_api=True, optional=True)],
    cmdclass={"build_ext": BuildCore},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
