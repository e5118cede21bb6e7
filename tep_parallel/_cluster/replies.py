"""The reply to a chunk as bytes, with a MAC under the key of its call."""

from __future__ import annotations

import hmac
import struct
from array import array

from tep_parallel._cluster.wire import VERSION, Chunk, ForeignError, Record, Reply

_MAC = 32  # bytes
_HEAD = struct.Struct("<16sQBBqq16sIQQQ")
_RECORD = struct.Struct("<QiiiiIqqqqQ")
_OTHER = b"tep_parallel: another version\n"  # what follows says which is there; it has no MAC
UNREAD = b"tep_parallel: a chunk that was damaged\n"  # the reply to that: it has no MAC
_RECORDED, _DROPPED = -1, -2  # in place of a text's length


class ForgedError(Exception):
    """A reply is not the one that was sent for this chunk."""


def refusal() -> bytes:
    """The reply to what another version has sent."""
    return _OTHER + VERSION.encode()


def packed_reply(reply: Reply, chunk: Chunk) -> bytes:
    """The bytes that travel for the reply to a chunk."""
    lengths = array("q", [_RECORDED if text is None else len(text) for text in reply.texts])
    for index in range(len(lengths)):
        if reply.texts[index] is None and index not in reply.records:
            lengths[index] = _DROPPED
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
        there = data[len(_OTHER) :].decode("ascii", "replace")[:60]
        if there == VERSION:  # it has not known its own: that was damaged
            raise ForgedError
        msg = f"the executor's workers have {there}, and here is {VERSION}"
        raise ForeignError(msg)
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
    return Reply(kind, texts, records, host, place, now, spent, bool(overdue), len(body))


def _texts(text: str, lengths: array[int], records: dict[int, Record]) -> list[str | None]:
    texts: list[str | None] = []
    end = 0
    for index, length in enumerate(lengths):
        if length >= 0:
            begin, end = end, end + length
            texts.append(text[begin:end])
        elif (length == _RECORDED) != (index in records):
            raise ForgedError
        else:
            texts.append(None)
    if end != len(text):
        raise ForgedError
    return texts
