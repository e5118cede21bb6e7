"""Sock: the functions of the C core that a program may call directly."""

from __future__ import annotations

import errno
import functools
import os
from types import ModuleType

from tep_parallel._typing import TYPE_CHECKING, Any, NoReturn, public

if TYPE_CHECKING:
    from typing_extensions import Buffer

    StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_HEX_DIGITS = 64


@functools.cache
def native() -> ModuleType:
    """The extension, loaded at the first call: importing tep_parallel must stay cheap."""
    from tep_parallel._engine import native as extension

    return extension


@functools.cache
def _for_messages() -> tuple[Any, Any, Any, Any]:
    """What a digest needs of the extension. To look it up takes a fifth of a short digest."""
    lib, ffi = native().lib, native().ffi
    return lib.py_hmac_sha256_hex, ffi.new, ffi.typeof("char[65]"), ffi.unpack


@public
class Sock:
    """Processes and digests, straight from C. All methods are static; no state is kept."""

    @staticmethod
    def sphttp_fork() -> int:
        """Fork this process. Return 0 in the child, and the child's pid in the parent.

        The caller has to end the child with sphttp_exit, and to wait for it.

        Raises:
            OSError: The system refused another process.
            RuntimeError: This is not the main interpreter.

        Source: POSIX fork(); os.fork, whose at-fork hooks run here too.
        """
        pid: int = native().lib.py_fork()
        if pid < 0:
            native().fail(pid, "forking")
        return pid

    @staticmethod
    def sphttp_exit(status: int) -> NoReturn:
        """End this process at once, without exit handlers and without a flush.

        Args:
            status: The exit status, 0 to 255.

        Raises:
            TypeError, ValueError: The status is not an int or out of range. The process goes on.

        Source: POSIX _exit().
        """
        if not isinstance(status, int):
            msg = f"status: expected an int, got {type(status).__name__}"
            raise TypeError(msg)
        if not 0 <= status <= 255:
            msg = f"status: expected 0 to 255, got {status}"
            raise ValueError(msg)
        native().lib.sphttp_exit(status)
        raise AssertionError  # not reached; type checkers need it

    @staticmethod
    def sphttp_getpid() -> int:
        """Return the number of this process. Source: POSIX getpid()."""
        pid: int = native().lib.sphttp_getpid()
        return pid

    @staticmethod
    def sphttp_hmac_sha256_hex(key: str | Buffer, message: str | Buffer) -> str:
        """Return HMAC-SHA256 of a message, as 64 lower-case hexadecimal digits.

        Args:
            key: str, encoded as UTF-8, or a bytes-like object. It may be empty.
            message: str, encoded as UTF-8, or a bytes-like object. It may be empty.

        Raises:
            TypeError: The key or the message is neither str nor bytes-like.
            UnicodeEncodeError: A str has no UTF-8 form: it has a lone surrogate.
            OSError: The key is longer than 2 GiB.

        Source: RFC 2104, FIPS 180-4.
        """
        hmac_hex, new, digits, unpack = _for_messages()
        keyed: Any = key if type(key) is bytes else buffer_of("key", key)
        told: Any = message if type(message) is bytes else buffer_of("message", message)
        out = new(digits)
        error = hmac_hex(keyed, len(keyed), told, len(told), out)
        if error != 0:
            native().fail(error, "computing an HMAC")
        return unpack(out, _HEX_DIGITS).decode()  # type: ignore[no-any-return]

    @staticmethod
    def sphttp_hmac_sha256_file_hex(key: str | Buffer, path: StrOrBytesPath) -> str:
        """Return HMAC-SHA256 of a file's content, as 64 lower-case hexadecimal digits.

        The file is read piece by piece, without the GIL. A larger file takes no more memory.

        Args:
            key: See sphttp_hmac_sha256_hex.
            path: Of a regular file: str, bytes or os.PathLike.

        Raises:
            TypeError: The key or the path is of the wrong type.
            ValueError: The path has a NUL in it.
            OSError: The file cannot be opened or read, or it is not a regular file; then
                nothing of it was read. `filename` is the path.

        Source: RFC 2104, FIPS 180-4.
        """
        return file_digest(key if type(key) is bytes else buffer_of("key", key), path)


def file_digest(key: Any, path: StrOrBytesPath) -> str:
    """HMAC-SHA256 of a file; its SHA-256 if there is no key. Raises: see the method of Sock."""
    lib, ffi = native().lib, native().ffi
    name = os.fsencode(path)
    if b"\0" in name:
        msg = f"path: a NUL in {path!r}"
        raise ValueError(msg)
    size, key = (0, ffi.NULL) if key is None else (len(key), key)
    out = ffi.new("char[65]")
    box = ffi.new("sphttp_file **")
    try:
        code = -errno.EINTR
        while code == -errno.EINTR:  # Python has run its signal handlers on the way here
            code = lib.py_hmac_sha256_file_hex(box, key, size, name, out)
    finally:
        lib.sphttp_file_free(box[0])
    if code != 0:
        raise native().file_error(code, path)
    digits: str = ffi.unpack(out, _HEX_DIGITS).decode("ascii")
    return digits


def buffer_of(name: str, value: str | Buffer) -> Any:
    """The bytes of `value`. What is bytes-like is not copied."""
    if isinstance(value, str):
        return value.encode()
    try:
        return native().ffi.from_buffer("char[]", value)
    except TypeError:
        msg = f"{name}: expected str or a bytes-like object, got {type(value).__name__}"
        raise TypeError(msg) from None


def bytes_of(name: str, value: str | Buffer) -> bytes:
    """A copy of the bytes of `value`."""
    found = buffer_of(name, value)
    return found if isinstance(found, bytes) else bytes(native().ffi.buffer(found))
