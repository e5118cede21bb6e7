"""What C needs to digest files in children that never run Python."""

from __future__ import annotations

import os

from tep_parallel._engine.native import ffi, lib
from tep_parallel._typing import Any, NamedTuple

_KERNEL = "TEP_PARALLEL_SHA256"


class Job(NamedTuple):
    """The digests of a call's items.

    Attributes:
        paths: The files' names, with a NUL behind each.
        key: Of HMAC; None: SHA-256 without a key.
        kernel: The name of the SHA-256 routine; empty: the fastest.
    """

    paths: bytes
    key: bytes | None
    kernel: bytes


def joined(paths: list[Any]) -> bytes | None:
    """The names as the system knows them, with a NUL behind each; None: one is no such name."""
    try:
        try:
            names = os.fsencode("\0".join(paths))  # this is so fast that trying it costs nothing
        except TypeError:  # some are bytes or os.PathLike
            names = b"\0".join(map(os.fsencode, paths))
    except (TypeError, UnicodeEncodeError):
        return None
    if names.count(b"\0") != max(len(paths) - 1, 0):
        return None
    return names + b"\0" if paths else b""


def wanted_kernel() -> bytes:
    """The name of the SHA-256 routine that the environment asks for; empty if it asks for none.

    Raises:
        ValueError: This processor has no SHA-256 routine of that name.
    """
    wanted = os.environ.get(_KERNEL, "")
    name = os.fsencode(wanted)
    if name and lib.sphttp_sha256_kernel(name) == ffi.NULL:
        msg = f"{_KERNEL}: this processor has no kernel {wanted!r}; alone is everywhere"
        raise ValueError(msg)
    return name
