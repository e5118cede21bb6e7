"""What travels between a call and an executor's workers: a chunk there, a reply back.

A chunk is unpickled there: it comes from the caller, whose worker runs there anyway. A reply is
unpickled by nobody. It has a MAC under a key that was drawn for the call.
"""

from __future__ import annotations

import hmac
import pickle
import struct
from array import array
from typing import NamedTuple

from tep_parallel._version import __version__

MAGIC = f"tep_parallel {__version__} chunk\n".encode()
_PROTOCOL = 5  # of pickle
_MAC = 32  # bytes
_HEAD = struct.Struct("<16sQBBqq16sIQQQ")
_RECORD = struct.Struct("<QiiiiIqqqqQ")

# Kinds of replies.
DONE = 0
MISSING = 1  # the worker is not known there: send its bytes
FAILED = 2  # the payload says why; see travel.raised
_OTHER = b"tep_parallel other\n"  # what follows says which library there is; it has no MAC

RECORDED, DROPPED = -1, -2  # in place of a text's length


class Chunk(NamedTuple):
    """Some items of a call.

    Attributes:
        call: Which call it is, 16 bytes.
        number: Of this chunk in the call; a chunk that is sent again has another.
        nonce: 16 bytes. No two chunks are equal: an engine may run equal tasks once.
        key: Of the MAC of the reply.
        worker: The hash of what `bundle` is.
        bundle: Worker and codec, pickled; None: they are known there.
        options: The caller's, as far as they are kept there; by name.
        key_of_digests: What C is to digest files with: a key of HMAC, or None for SHA-256; False:
            the worker has to.
        on_error: See run.
        discard: See run.
        told: Whether the caller is told of more than texts.
        left: Seconds to the call's deadline; None: it has none.
        items: Each is a text, or the pickle of another object.
    """

    call: bytes
    number: int
    nonce: bytes
    key: bytes
    worker: bytes
    bundle: bytes | None
    options: dict[str, object]
    key_of_digests: bytes | bool | None
    on_error: str
    discard: bool
    told: bool
    left: float | None
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
    """

    kind: int
    texts: list[str | None] = []  # noqa: RUF012  # nobody appends to it
    records: dict[int, Record] = {}  # noqa: RUF012
    host: str = ""
    place: bytes = bytes(16)
    now_ns: int = 0
    spent_ns: int = 0
    overdue: bool = False


class ForeignError(Exception):
    """The other side has another version of this library, or what it sent is something else."""


class ForgedError(Exception):
    """A reply is not the one that was sent for this chunk."""


def packed_chunk(chunk: Chunk) -> bytes:
    """The bytes that travel for a chunk."""
    return MAGIC + pickle.dumps(tuple(chunk), _PROTOCOL)


def chunk_of(data: bytes) -> Chunk:
    """The chunk that was sent.

    Raises:
        ForeignError: Another version of this library has sent it.
    """
    if not data.startswith(MAGIC):
        raise ForeignError
    return Chunk(*pickle.loads(memoryview(data)[len(MAGIC) :]))  # noqa: S301  # the caller's


def refusal() -> bytes:
    """The reply to what another version has sent."""
    return _OTHER + __version__.encode()


def packed_reply(reply: Reply, chunk: Chunk) -> bytes:
    """The bytes that travel for the reply to a chunk."""
    lengths = array("q", [RECORDED if text is None else len(text) for text in reply.texts])
    for index in range(len(lengths)):
        if reply.texts[index] is None and index not in reply.records:
            lengths[index] = DROPPED
    text = "".join(filter(None, reply.texts)).encode("utf-8", "surrogatepass")
    host = reply.host.encode("utf-8", "surrogateescape")
    head = _HEAD.pack(
        chunk.nonce,
        chunk.number,
        reply.kind,
        reply.overdue,
        reply.now_ns,
        reply.spent_ns,
        reply.place,
        len(host),
        len(lengths),
        len(reply.records),
        len(text),
    )
    parts = [head, host, lengths.tobytes()]
    parts += [
        _RECORD.pack(index, *record[:-1], len(record.said))
        for index, record in reply.records.items()
    ]
    parts += [record.said for record in reply.records.values()]
    parts.append(text)
    return _signed(chunk.key, parts)


def _signed(key: bytes, parts: list[bytes]) -> bytes:
    mac = hmac.new(key, digestmod="sha256")
    for part in parts:
        mac.update(part)
    return b"".join([*parts, mac.digest()])


def reply_of(data: object, chunk: Chunk) -> Reply:
    """The reply that was sent for `chunk`.

    Raises:
        ForeignError: Another version of this library has sent it; its argument says which.
        ForgedError: It is not what was sent for this chunk.
    """
    if not isinstance(data, bytes):
        raise ForgedError
    if data.startswith(_OTHER):
        raise ForeignError(data[len(_OTHER) :].decode("ascii", "replace")[:40])
    view = memoryview(data)
    body = view[:-_MAC]
    if len(data) < _HEAD.size + _MAC or not hmac.compare_digest(
        hmac.digest(chunk.key, body, "sha256"), view[-_MAC:]
    ):
        raise ForgedError
    return _parsed(body, chunk)


def _parsed(body: memoryview, chunk: Chunk) -> Reply:
    """What a reply says whose MAC is right: a worker that holds the key may have made it, too."""
    nonce, number, kind, overdue, now, spent, place, *sizes = _HEAD.unpack_from(body)
    hosts, count, recorded, size = sizes
    start = _HEAD.size
    records_at = start + hosts + 8 * count
    said_at = records_at + _RECORD.size * recorded
    own = (nonce, number) == (chunk.nonce, chunk.number)
    if not own or said_at + size > len(body) or count not in (0, len(chunk.items)):
        raise ForgedError
    records = {}
    end = said_at
    for index, *facts, length in _RECORD.iter_unpack(body[records_at:said_at]):
        begin, end = end, end + length
        if index > len(chunk.items) or end > len(body):
            raise ForgedError
        records[index] = Record._make([*facts, bytes(body[begin:end])])
    if end + size != len(body):
        raise ForgedError
    host = bytes(body[start : start + hosts]).decode("utf-8", "surrogateescape")
    lengths = array("q", bytes(body[start + hosts : records_at]))
    try:
        texts = _texts(str(body[end:], "utf-8", "surrogatepass"), lengths, records)
    except UnicodeDecodeError:
        raise ForgedError from None
    return Reply(kind, texts, records, host, place, now, spent, bool(overdue))


def _texts(text: str, lengths: array[int], records: dict[int, Record]) -> list[str | None]:
    texts: list[str | None] = []
    end = 0
    for index, length in enumerate(lengths):
        if length >= 0:
            begin, end = end, end + length
            texts.append(text[begin:end])
        elif (length == RECORDED) != (index in records):
            raise ForgedError
        else:
            texts.append(None)
    if end != len(text):
        raise ForgedError
    return texts
