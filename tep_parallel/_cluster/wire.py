"""What travels between a call and an executor's workers: a chunk there, a reply back.

A chunk is unpickled there: it comes from the caller, whose worker runs there anyway. A reply is
unpickled by nobody. It has a MAC under a key that was drawn for the call. What was damaged on
its way there is not unpickled either, and not taken for what was sent.
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
import sys
from typing import NamedTuple

from tep_parallel._cluster.deadline import Deadline
from tep_parallel._version import __version__

_PYTHON = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
# What is in a chunk means the same only to this version, and its functions only to this Python.
VERSION = f"tep_parallel {__version__} on {_PYTHON}"
MAGIC = f"{VERSION}: a chunk\n".encode()
_PROTOCOL = 5  # of pickle
_DIGEST = 32  # bytes

# Kinds of replies.
DONE = 0
MISSING = 1  # the worker is not known there: send its bytes
FAILED = 2  # the payload says why; see travel.raised


class Chunk(NamedTuple):
    """Some items of a call.

    Attributes:
        call: Which call it is, 16 bytes.
        number: Of this chunk in the call; a chunk that is sent again has another.
        first: The serial number of its first item in the call.
        nonce: 16 bytes. No two chunks are equal: an engine may run equal tasks once.
        key: Of the MAC of the reply; see signed.
        worker: The hash of what `bundle` is.
        bundle: Worker and codec, pickled; None: they are known there.
        options: The caller's, as far as they are kept there; by name.
        key_of_digests: What C is to digest files with: a key of HMAC, or None for SHA-256; False:
            the worker has to.
        on_error: See run.
        discard: See run.
        told: Whether the caller is told of more than texts.
        deadline: The call's; None: it has none.
        items: Each is a text, or the pickle of another object.
    """

    call: bytes
    number: int
    first: int
    nonce: bytes
    key: bytes
    worker: bytes
    bundle: bytes | None
    options: dict[str, object]
    key_of_digests: bytes | bool | None
    on_error: str
    discard: bool
    told: bool
    deadline: Deadline | None
    items: list[str | bytes]


class Record(NamedTuple):
    """What became of an item; the names are those of sphttp_result.

    Attributes:
        fate: Of enum sphttp_fate, or of sphttp_status.
        started_ns: By the monotonic clock of the machine where the record is.
    """

    fate: int
    error: int = 0
    pid: int = 0
    wait_status: int = -1
    attempts: int = 0
    started_ns: int = 0
    ended_ns: int = 0
    cpu_ns: int = 0
    max_rss: int = 0
    said: bytes = b""


class Reply(NamedTuple):
    """What became of a chunk.

    Attributes:
        kind: DONE, MISSING or FAILED.
        texts: What the items returned; None: see records, or nobody wants to know.
        records: By the item's place in the chunk. That behind the last item is the call's: a setup
            or teardown that failed.
        host: The name of the machine.
        place: Of the process, 16 bytes.
        now_ns: The monotonic clock there when it was sent.
        spent_ns: What the items took.
        overdue: Whether the call's deadline has ended it.
        length: Of its bytes.
    """

    kind: int
    texts: list[str | None] = []  # noqa: RUF012  # nobody appends to it
    records: dict[int, Record] = {}  # noqa: RUF012
    host: str = ""
    place: bytes = bytes(16)
    now_ns: int = 0
    spent_ns: int = 0
    overdue: bool = False
    length: int = 0


class DamagedError(Exception):
    """A chunk is not as it was sent."""


class ForeignError(Exception):
    """The other side has another version of this library, or what it sent is something else."""


def packed_chunk(chunk: Chunk) -> bytes:
    """The bytes that travel for a chunk."""
    body = pickle.dumps(tuple(chunk), _PROTOCOL)
    return b"".join((MAGIC, hashlib.sha256(body).digest(), body))


def signed(chunk: Chunk, data: bytes) -> Chunk:
    """The chunk with the key of the reply to it, which is for these bytes alone."""
    digest = data[len(MAGIC) : len(MAGIC) + _DIGEST]
    return chunk._replace(key=hmac.digest(chunk.key, digest, "sha256"))


def chunk_of(data: bytes) -> Chunk:
    """The chunk that was sent, as `signed` returns it.

    Raises:
        ForeignError: Another version of this library has sent it.
        DamagedError: It is not as it was sent.
    """
    if not data.startswith(MAGIC):
        raise ForeignError
    body = memoryview(data)[len(MAGIC) + _DIGEST :]
    if hashlib.sha256(body).digest() != data[len(MAGIC) : len(MAGIC) + _DIGEST]:
        raise DamagedError
    return signed(Chunk(*pickle.loads(body)), data)  # noqa: S301  # the caller's
