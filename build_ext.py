"""Build the extension: read the declaration, emit the cffi module, refuse where neither helps.

And what an index shows of the package: README.md, with links that work outside the repository.
"""

from __future__ import annotations

import os
import platform
import posixpath
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cffi import FFI
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.egg_info import egg_info
from setuptools.errors import BaseError, CCompilerError

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = "tep_parallel._sphttp"
CSRC = Path("csrc")
NEEDED = (
    "tep_parallel needs a C compiler and Python's headers: "
    "Debian: apt-get install gcc libc6-dev python3-dev; Fedora: dnf install gcc python3-devel"
)
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
ALL_THE_SAME = "TEP_PARALLEL_FREE_THREADED"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")

# cffi gives the GIL up round every call, and in a host with busy threads it then takes
# 5 ms for each of them to get it back: a short call must not pay that, and fork must not
# happen without the GIL at all. So cffi's wrappers keep it; the functions named py_
# give it up themselves, where they sleep or compute for long. Nor does anybody here read
# ffi.errno, and to keep it costs every child two pages.
PREAMBLE = """
#include <stddef.h>
#include <stdint.h>
#include "sphttp_fork.cdef.h"

#undef Py_BEGIN_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#undef Py_END_ALLOW_THREADS
#define Py_END_ALLOW_THREADS }

#undef _cffi_restore_errno
#define _cffi_restore_errno() ((void)0)
#undef _cffi_save_errno
#define _cffi_save_errno() ((void)0)
"""


def refusal() -> str | None:
    """Why there is no extension for this interpreter, and what to do instead; or None."""
    if sys.platform == "win32":
        return "tep_parallel needs Linux, and this is Windows: install it in WSL or in a container"
    if not sys.platform.startswith("linux"):
        system = "macOS" if sys.platform == "darwin" else sys.platform
        return f"tep_parallel needs Linux, and this is {system}: install it in a Linux container"
    python = platform.python_implementation()
    if python != "CPython":
        return (
            f"tep_parallel needs CPython, and this is {python}: install it with CPython's python3"
        )
    if FREE_THREADED and os.environ.get(ALL_THE_SAME) != "1":
        name = f"python3.{sys.version_info.minor}"
        return (
            f"tep_parallel needs a CPython with a GIL, and this one has none: install it with "
            f"{name} in place of {name}t ({ALL_THE_SAME}=1 builds it here, untested)"
        )
    return None


class BdistWheel(bdist_wheel):
    """setuptools' bdist_wheel. pip comes here first, whatever it installs."""

    def finalize_options(self) -> None:
        why = refusal()
        if why is not None:
            raise BaseError(why)
        if FREE_THREADED:
            self.py_limited_api = False
        super().finalize_options()


class BuildExt(build_ext):
    """setuptools' build_ext, with the cffi module emitted into the build folder first."""

    def build_extensions(self) -> None:
        temp = Path(self.build_temp)
        temp.mkdir(parents=True, exist_ok=True)
        self._probe(temp)
        ffi = FFI()
        ffi.cdef((CSRC / "sphttp_fork.cdef.h").read_text())
        ffi.set_source(MODULE, PREAMBLE)
        emitted = temp / "_sphttp.c"
        ffi.emit_c_code(str(emitted))
        # Where this Python's own libraries were is nobody's business elsewhere.
        os.environ.pop("LD_RUN_PATH", None)
        self.compiler.linker_so = without_rpath(self.compiler.linker_so)
        for extension in self.extensions:
            if FREE_THREADED:
                extension.py_limited_api = False
                extension.define_macros = [("_CFFI_NO_LIMITED_API", "1"), ("_GNU_SOURCE", "1")]
            extension.sources += [*map(str, sorted(CSRC.rglob("*.c"))), str(emitted)]
            extension.depends += [*map(str, sorted(CSRC.rglob("*.*"))), __file__]
        super().build_extensions()

    def _probe(self, temp: Path) -> None:
        source = temp / "probe.c"
        source.write_text("#include <Python.h>\n")
        try:
            self.compiler.compile([str(source)], str(temp), include_dirs=self.include_dirs)
        except (CCompilerError, BaseError, OSError) as error:
            msg = f"{NEEDED} ({error})"
            raise BaseError(msg) from error


def without_rpath(arguments: list[str]) -> list[str]:
    """Return a linker's arguments without those that name a folder for the time of a run."""
    kept = []
    folder_follows = False
    for one in arguments:
        if not folder_follows and "-rpath" not in one:
            kept.append(one)
        folder_follows = one in ("-rpath", "-Wl,-rpath")
    return kept


def absolute(
    text: str, base: str, folder: str = "", keep: Callable[[str], bool] = lambda _path: False
) -> str:
    """Return the page of `folder` with `base` before its links, but those that it shall keep."""

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[1]))
        return found[1] if keep(path) else base + path

    return LINK.sub(link, text)


class EggInfo(egg_info):
    """setuptools' egg_info, from which the sdist and the wheel have their metadata."""

    def run(self) -> None:
        metadata: Any = self.distribution.metadata
        base = f"{metadata.project_urls['Source']}/blob/v{metadata.version}/"
        metadata.long_description = absolute(metadata.long_description, base)
        super().run()
