"""The four functions of the C core that a program may call by themselves."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Buffer

_HEX_DIGITS = 64


@functools.cache
def _native() -> ModuleType:
    """The extension, loaded at the first call: importing tep_parallel must stay cheap."""
    from tep_parallel import _native

    return _native


class Sock:
    """Processes and digests, straight from C. Nothing is kept: all methods are static."""

    @staticmethod
    def sphttp_fork() -> int:
        """Fork this process: 0 in the child, the child's pid in the parent.

        The caller ends the child, with sphttp_exit, and waits for it.

        Raises:
            OSError: The system refused another process.
            RuntimeError: This is not the main interpreter.

        Source: os.fork, whose at-fork hooks run here too; POSIX fork().
        """
        pid: int = _native().lib.py_fork()
        if pid < 0:
            _native().fail(pid, "forking")
        return pid

    @staticmethod
    def sphttp_exit(status: int) -> NoReturn:
        """End this process at once: no exit handlers, nothing flushed.

        Args:
            status: The exit status, 0 to 255.

        Raises:
            TypeError, ValueError: It is no int, or out of range; the process goes on.

        Source: POSIX _exit().
        """
        if not isinstance(status, int):
            msg = f"status: expected an int, got {type(status).__name__}"
            raise TypeError(msg)
        if not 0 <= status <= 255:
            msg = f"status: expected 0 to 255, got {status}"
            raise ValueError(msg)
        _native().lib.sphttp_exit(status)
        raise AssertionError  # not reached; it tells type checkers so

    @staticmethod
    def sphttp_getpid() -> int:
        """The number of this process. Source: POSIX getpid()."""
        pid: int = _native().lib.sphttp_getpid()
        return pid

    @staticmethod
    def sphttp_hmac_sha256_hex(key: str | Buffer, message: str | Buffer) -> str:
        """HMAC-SHA256 as 64 lower-case hexadecimal digits.

        Args:
            key: str is taken as UTF-8, anything bytes-like as it is; it may be empty.
            message: Likewise.

        Raises:
            TypeError: One is neither str nor bytes-like.
            UnicodeEncodeError: A str has no UTF-8 form (a lone surrogate).
            OSError: libcrypto failed, or the key is longer than 2 GiB.

        Source: RFC 2104, FIPS 180-4; computed by OpenSSL, EVP_MAC(3).
        """
        native = _native()
        keyed: Any = key if type(key) is bytes else _buffer(native.ffi, "key", key)
        told: Any = message if type(message) is bytes else _buffer(native.ffi, "message", message)
        out = native.ffi.new("char[65]")
        error = native.lib.py_hmac_sha256_hex(keyed, len(keyed), told, len(told), out)
        if error != 0:
            native.fail(error, "computing an HMAC")
        digits: str = native.ffi.unpack(out, _HEX_DIGITS).decode("ascii")
        return digits


def _buffer(ffi: Any, name: str, value: str | Buffer) -> Any:
    """The bytes of `value`, without a copy where they are bytes already."""
    if isinstance(value, str):
        return value.encode()
    try:
        return ffi.from_buffer("char[]", value)
    except TypeError:
        msg = f"{name}: expected str or a bytes-like object, got {type(value).__name__}"
        raise TypeError(msg) from None
