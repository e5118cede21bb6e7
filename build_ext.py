"""Build the extension: read the declaration, emit the cffi module, find libcrypto."""

import platform
import sys
from pathlib import Path

from cffi import FFI
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

MODULE = "tep_parallel._sphttp"
CSRC = Path("csrc")
NEEDED = (
    "tep_parallel needs a C compiler and the headers of Python and libcrypto (OpenSSL 3): "
    "Debian: apt-get install gcc libc6-dev python3-dev libssl-dev; "
    "Fedora: dnf install gcc python3-devel openssl-devel"
)

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

PROBE = """
#include <Python.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#if OPENSSL_VERSION_MAJOR < 3
#error "OpenSSL 3 is needed"
#endif
int main(void) { return EVP_MAC_fetch(NULL, "HMAC", NULL) == NULL; }
"""


class BuildExt(build_ext):
    """setuptools' build_ext, with the cffi module emitted into the build folder first."""

    def run(self) -> None:
        if platform.python_implementation() != "CPython" or sys.version_info < (3, 10):
            msg = "tep_parallel is for CPython 3.10 and later"
            raise BaseError(msg)
        if not sys.platform.startswith("linux"):
            msg = f"tep_parallel is for Linux; this is {sys.platform}"
            raise BaseError(msg)
        super().run()

    def build_extensions(self) -> None:
        temp = Path(self.build_temp)
        temp.mkdir(parents=True, exist_ok=True)
        self._probe(temp)
        ffi = FFI()
        ffi.cdef((CSRC / "sphttp_fork.cdef.h").read_text())
        ffi.set_source(MODULE, PREAMBLE)
        emitted = temp / "_sphttp.c"
        ffi.emit_c_code(str(emitted))
        for extension in self.extensions:
            extension.sources += [*map(str, sorted(CSRC.rglob("*.c"))), str(emitted)]
            extension.depends += [*map(str, sorted(CSRC.rglob("*.*"))), __file__]
        super().build_extensions()

    def _probe(self, temp: Path) -> None:
        source = temp / "probe.c"
        source.write_text(PROBE)
        try:
            objects = self.compiler.compile(
                [str(source)], output_dir=str(temp), include_dirs=self.include_dirs
            )
            self.compiler.link_executable(
                objects,
                "probe",
                output_dir=str(temp),
                libraries=["crypto"],
                # Python's own symbols are not there: an executable that only asks libcrypto.
                extra_postargs=["-Wl,--unresolved-symbols=ignore-all"],
            )
        except (CCompilerError, BaseError, OSError) as error:
            msg = f"{NEEDED} ({error})"
            raise BaseError(msg) from error
