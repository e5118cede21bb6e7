"""How an exception travels: always as text, and also in pieces if it can be made again."""

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

# If these were raised in the host they would end an iterator, a generator or the program.
_OF_THE_INTERPRETER = (
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    KeyboardInterrupt,
    SystemExit,
)


class RemoteTraceback(Exception):  # noqa: N818  # it is shown as a cause, and never caught
    """The cause of an exception from a child: the traceback there, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def pack(error: BaseException, *, rebuild: bool) -> tuple[bytes, bool]:
    """The payload for `error`, and whether it ends in pieces that can be loaded."""
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
    """Whether `error` means the same in another process."""
    kind = type(error)
    return issubclass(kind, Exception) and not issubclass(kind, _OF_THE_INTERPRETER)


def _traceback_of(error: BaseException) -> str:
    frames = TRACEBACK.__get__(error)
    if frames is not None:
        frames = frames.tb_next  # the first frame is this library's
    try:
        return "".join(traceback.format_exception(type(error), error, frames))
    # Attributes of an exception may raise anything. And traceback loads modules, which a child
    # that has become another user may not be allowed to read.
    except Exception:  # noqa: BLE001
        places = [
            f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}\n'
            for frame, line in traceback.walk_tb(frames)  # it reads no source, loads no module
        ]
        return "".join([*places, f"{name_of(type(error))}: {message_of(error)}\n"])


def unpack(
    payload: bytes,
    *,
    rebuild: bool,
    index: int | None = None,
    item: object = None,
    where: str | None = None,
    elsewhere: bool = False,
) -> Exception:
    """The exception that pack was given, or a WorkerError in its place.

    Args:
        payload: What pack made. Its MAC has been checked if `rebuild` is true.
        rebuild: Whether to load the pieces at its end.
        index: The item's place in the input.
        item: The item.
        where: What raised the exception; None: the item.
        elsewhere: See pickles.loads.
    """
    kind, message, text, tail = _split(payload)
    if rebuild:
        try:
            error, _ = _loaded(tail, elsewhere=elsewhere)
        except KeyboardInterrupt:
            raise
        except BaseException as failed:  # noqa: BLE001  # a class may raise anything; the text tells all
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
    """The type's name, the message, the traceback, and the pieces of a payload."""
    texts = []
    start = 0
    for _ in range(3):
        end = start + _LENGTH
        size = int.from_bytes(payload[start:end], "big")
        start = end + size
        texts.append(payload[end:start].decode("utf-8", "surrogatepass"))
    return texts[0], texts[1], texts[2], payload[start:]


def _loaded(tail: bytes, *, elsewhere: bool = False) -> tuple[Exception, bool]:
    """The exception, and whether it is as it was in every part."""
    pieces = pickle.loads(tail)  # noqa: S301  # its MAC has been checked
    error, whole = again([Piece(*piece) for piece in pieces], elsewhere=elsewhere)
    if not _may_be_raised(error):
        msg = f"it came back as {name_of(type(error))}"
        raise TypeError(msg)
    return error, whole


def _explain(error: Exception, text: str) -> None:
    """Make `text` the cause of `error`; the cause that it had is the cause of `text` then."""
    remote = RemoteTraceback(text)
    cause, suppress = CAUSE.__get__(error), SUPPRESS.__get__(error)
    if cause is not error:
        CAUSE.__set__(remote, cause)
    CAUSE.__set__(error, remote)
    SUPPRESS.__set__(error, suppress)  # to set a cause has changed it


def as_if_sent(
    error: BaseException,
    *,
    rebuild: bool,
    index: int | None = None,
    item: object = None,
    where: str | None = None,
) -> Exception:
    """What the caller would get if a child had raised `error`; for in_processes=0.

    This is `error` itself if it would arrive unchanged. Otherwise it is what would arrive. Both
    have the traceback that `error` has here.
    """
    payload, in_pieces = pack(error, rebuild=rebuild)
    if in_pieces and _may_be_raised(error):
        try:
            arrived, whole = _loaded(_split(payload)[-1])
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # unpack gets the same exception, and says so
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
    """What the caller gets for an exception of a codec's `loads`, which runs in this process.

    The exception is kept in an Outcome, and its frames would keep all that they hold, such as
    the other results. So the text of the traceback takes the place of the frames.
    """
    if not _may_be_raised(error):
        return unpack(pack(error, rebuild=False)[0], rebuild=False, index=index, item=item)
    text = _traceback_of(error)
    for one in _all_of(error):
        TRACEBACK.__set__(one, None)
    _explain(error, text)
    return error


def _all_of(error: BaseException) -> list[BaseException]:
    """An exception, and all its causes, contexts and members, each once."""
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
    """The failures of a call that are not raised. They stay in this process."""

    def __reduce__(self) -> tuple[object, ...]:
        # If these cannot be pickled, the exception that is raised could not be pickled either.
        return OtherFailures, ()


def add_others(error: BaseException, others: list[Failure]) -> None:
    """Give the exception that is raised its `other_failures`."""
    DICT.__get__(error)["other_failures"] = OtherFailures(others)
