"""How an exception travels: as text always, and in pieces where it can be made again."""

from __future__ import annotations

import pickle
import traceback
from typing import TypeGuard

from tep_parallel._engine.travel.again import add_note as add_note  # for those who know this module
from tep_parallel._engine.travel.again import again
from tep_parallel._engine.travel.apart import Piece, apart, name_of
from tep_parallel._engine.travel.pickles import (
    CAUSE,
    CONTEXT,
    DICT,
    GROUP,
    SUPPRESS,
    TRACEBACK,
    is_group,
)
from tep_parallel._errors import Failure, WorkerError, message_of, shown

_LENGTH = 8  # bytes of the number before each of the three texts

# Raised here they would end an iterator, a generator or the program.
_OF_THE_INTERPRETER = (
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    KeyboardInterrupt,
    SystemExit,
)


class RemoteTraceback(Exception):  # noqa: N818  # a cause to be shown, never to be caught
    """The cause of an exception that was raised in a child: its traceback, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def pack(error: BaseException, *, rebuild: bool) -> tuple[bytes, bool]:
    """The payload for `error`, and whether it ends in pieces to be loaded."""
    text = _traceback_of(error)
    tail = b""
    if rebuild and _may_be_raised(error):
        try:
            pieces = apart(error)
            tail = pickle.dumps([tuple(piece) for piece in pieces]) if pieces[0].travels else b""
        except KeyboardInterrupt:
            raise
        except BaseException as failed:  # noqa: BLE001  # a class may raise anything
            text += f"\nIt could not be taken apart: {name_of(type(failed))}\n"
    texts = [name_of(type(error)), message_of(error), text]
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    payload = b"".join(len(text).to_bytes(_LENGTH, "big") + text for text in encoded)
    return payload + tail, tail != b""


def _may_be_raised(error: BaseException) -> TypeGuard[Exception]:
    """Whether it means to the caller what it means here."""
    kind = type(error)
    return issubclass(kind, Exception) and not issubclass(kind, _OF_THE_INTERPRETER)


def _traceback_of(error: BaseException) -> str:
    frames = TRACEBACK.__get__(error)
    if frames is not None:
        frames = frames.tb_next  # the first is this library's
    try:
        return "".join(traceback.format_exception(type(error), error, frames))
    # Its attributes may raise anything; and it loads modules, which a child that has become
    # another user may not be allowed to read.
    except Exception:  # noqa: BLE001
        places = [
            f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}\n'
            for frame, line in traceback.walk_tb(frames)  # this asks for no source, and no module
        ]
        return "".join([*places, f"{name_of(type(error))}: {message_of(error)}\n"])


def unpack(
    payload: bytes,
    *,
    rebuild: bool,
    index: int | None = None,
    item: object = None,
    where: str | None = None,
) -> Exception:
    """The exception that pack was given, or a WorkerError.

    Args:
        payload: What pack made; authenticated, where `rebuild`.
        rebuild: Whether it ends in a pickle that is to be loaded.
        index: The item's place in the input.
        item: The item.
        where: What raised it; None: the item.
    """
    kind, message, text, tail = _split(payload)
    if rebuild:
        try:
            error, _ = _loaded(tail)
        except KeyboardInterrupt:
            raise
        except BaseException as failed:  # noqa: BLE001  # as above; the text tells it all
            text += f"\nIt could not be rebuilt here: {name_of(type(failed))}: "
            text += f"{message_of(failed)}\n"
        else:
            _explain(error, text)
            return error
    summary = f"{where or f'item {index} ({shown(item)})'} raised {kind}: {message}"
    failure = WorkerError(summary, index=index, item=item, remote_type=kind, remote_traceback=text)
    failure.__cause__ = RemoteTraceback(text)
    return failure


def _split(payload: bytes) -> tuple[str, str, str, bytes]:
    """Its type's name, its message, its traceback, and the pieces."""
    texts = []
    start = 0
    for _ in range(3):
        end = start + _LENGTH
        size = int.from_bytes(payload[start:end], "big")
        start = end + size
        texts.append(payload[end:start].decode("utf-8", "surrogatepass"))
    return texts[0], texts[1], texts[2], payload[start:]


def _loaded(tail: bytes) -> tuple[Exception, bool]:
    """The exception, and whether all of it is as it was."""
    pieces = pickle.loads(tail)  # noqa: S301  # its MAC was right
    error, whole = again([Piece(*piece) for piece in pieces])
    if not _may_be_raised(error):
        msg = f"it came back as {name_of(type(error))}"
        raise TypeError(msg)
    return error, whole


def _explain(error: Exception, text: str) -> None:
    """Make `text` its first cause, before its own."""
    remote = RemoteTraceback(text)
    cause, suppress = CAUSE.__get__(error), SUPPRESS.__get__(error)
    if cause is not error:
        CAUSE.__set__(remote, cause)
    CAUSE.__set__(error, remote)
    SUPPRESS.__set__(error, suppress)  # which setting a cause has changed


def as_if_sent(
    error: BaseException,
    *,
    rebuild: bool,
    index: int | None = None,
    item: object = None,
    where: str | None = None,
) -> Exception:
    """What the caller would get, had `error` been raised in a child; for in_processes=0.

    An exception that would arrive as it is is itself, with the traceback that it has here;
    one that would not is what would arrive, with that traceback.
    """
    payload, in_pieces = pack(error, rebuild=rebuild)
    if in_pieces and _may_be_raised(error):
        try:
            arrived, whole = _loaded(_split(payload)[-1])
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # unpack meets it too, and says so
            pass
        else:
            if whole:
                return error
            for place in (TRACEBACK, CAUSE, CONTEXT, SUPPRESS):
                place.__set__(arrived, place.__get__(error))
            return arrived
    failure = unpack(payload, rebuild=in_pieces, index=index, item=item, where=where)
    failure.__cause__ = error
    return failure


def of_this_process(error: BaseException, *, index: int, item: object) -> Exception:
    """What the caller gets for an exception that was raised here, but not by its program.

    Its frames would keep all that they hold, the other results too, for as long as it is
    kept in an Outcome: their text stands in their place.
    """
    if not _may_be_raised(error):
        return unpack(pack(error, rebuild=False)[0], rebuild=False, index=index, item=item)
    text = _traceback_of(error)
    for one in _all_of(error):
        TRACEBACK.__set__(one, None)
    _explain(error, text)
    return error


def _all_of(error: BaseException) -> list[BaseException]:
    """It, and its causes, contexts and members, each once."""
    found = {id(error): error}
    left = [error]
    while left:
        one = left.pop()
        others = [CAUSE.__get__(one), CONTEXT.__get__(one)]
        if is_group(type(one)):
            others += GROUP.exceptions.__get__(one)
        for other in others:
            if other is not None and id(other) not in found:
                found[id(other)] = other
                left.append(other)
    return list(found.values())


class OtherFailures(list[Failure]):
    """The failures of a call beside the one that is raised; they stay in this process."""

    def __reduce__(self) -> tuple[object, ...]:
        # Items and exceptions may not survive a pickle, and would keep the one raised from it.
        return OtherFailures, ()


def add_others(error: BaseException, others: list[Failure]) -> None:
    """Let the failures that are not raised be reached from the one that is."""
    DICT.__get__(error)["other_failures"] = OtherFailures(others)
