"""How an exception travels: as text always, and as a pickle where it survives one."""

from __future__ import annotations

import contextlib
import pickle
import traceback
from typing import Any

from tep_parallel._errors import Failure, WorkerError, message_of, shown

_DEEPEST = 4  # of a chain of causes
_LENGTH = 8  # bytes of the number before each of the three texts


class RemoteTraceback(Exception):  # noqa: N818  # a cause to be shown, never to be caught
    """The cause of an exception that was raised in a child: its traceback, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def pack(error: BaseException, *, rebuild: bool) -> tuple[bytes, bool]:
    """The payload for `error`, and whether it ends in a pickle that can be loaded."""
    frames = error.__traceback__
    if frames is not None:
        frames = frames.tb_next  # the first is this library's
    lines = traceback.format_exception(type(error), error, frames)
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    texts = [name, message_of(error), "".join(lines)]
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    payload = b"".join(len(text).to_bytes(_LENGTH, "big") + text for text in encoded)
    chain = _chain(error) if rebuild else None
    return payload + (pickle.dumps(chain) if chain else b""), chain is not None


# An exception's pickle, and the chains of its __cause__ and __context__, where they survive one.
_Chain = tuple[bytes, Any, Any]


def _chain(error: BaseException | None, depth: int = 0) -> _Chain | None:
    pickled = _pickle(error) if isinstance(error, Exception) and depth < _DEEPEST else None
    if error is None or pickled is None:
        return None
    cause, context = error.__cause__, error.__context__
    causes = _chain(cause, depth + 1)
    # After `raise ... from` in an except clause they are one.
    return pickled, causes, causes if context is cause else _chain(context, depth + 1)


def _pickle(error: Exception) -> bytes | None:
    """Its pickle; None: it does not survive one.

    Many classes dump and do not load, or load with their message put into their message.
    """
    try:
        pickled = pickle.dumps(error)
        copy = pickle.loads(pickled)  # noqa: S301  # our own
        survived = type(copy) is type(error) and str(copy) == str(error)
    except Exception:  # noqa: BLE001  # a __reduce__ may raise anything; the text travels
        return None
    return pickled if survived else None


def _rebuilt(chain: _Chain | None) -> Exception | None:
    if chain is None:
        return None
    pickled, cause, context = chain
    error = pickle.loads(pickled)  # noqa: S301  # its MAC was right
    assert isinstance(error, Exception)
    error.__cause__ = _rebuilt(cause)
    error.__context__ = error.__cause__ if context is cause else _rebuilt(context)
    return error


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
    texts = []
    start = 0
    for _ in range(3):
        end = start + _LENGTH
        size = int.from_bytes(payload[start:end], "big")
        start = end + size
        texts.append(payload[end:start].decode("utf-8", "surrogatepass"))
    kind, message, text = texts
    if rebuild:
        try:
            error = _rebuilt(pickle.loads(payload[start:]))  # noqa: S301  # its MAC was right
            assert error is not None
            remote = RemoteTraceback(text)
            remote.__cause__ = error.__cause__
            error.__cause__ = remote
        except Exception as failed:  # noqa: BLE001  # as above; the text tells it all
            text += f"\nIt could not be rebuilt here: {failed!r}\n"
        else:
            return error
    summary = f"{where or f'item {index} ({shown(item)})'} raised {kind}: {message}"
    failure = WorkerError(summary, index=index, item=item, remote_type=kind, remote_traceback=text)
    failure.__cause__ = RemoteTraceback(text)
    return failure


def as_if_sent(
    error: BaseException,
    *,
    rebuild: bool,
    index: int | None = None,
    item: object = None,
    where: str | None = None,
) -> Exception:
    """What the caller would get, had `error` been raised in a child; for in_processes=0.

    An exception that would travel is itself, with the traceback that it has here.
    """
    payload, pickled = pack(error, rebuild=rebuild)
    if pickled and isinstance(error, Exception):
        return error
    failure = unpack(payload, rebuild=False, index=index, item=item, where=where)
    failure.__cause__ = error
    return failure


def add_note(error: BaseException, note: str) -> None:
    """BaseException.add_note; before 3.11 the note only stands in __notes__ (PEP 678)."""
    with contextlib.suppress(Exception):  # a class may forbid it, and the error matters more
        error.__notes__ = [*getattr(error, "__notes__", []), note]


class OtherFailures(list[Failure]):
    """The failures of a call beside the one that is raised; they stay in this process."""

    def __reduce__(self) -> tuple[object, ...]:
        # Items and exceptions may not survive a pickle, and would keep the one raised from it.
        return OtherFailures, ()


def add_others(error: BaseException, others: list[Failure]) -> None:
    """Let the failures that are not raised be reached from the one that is."""
    with contextlib.suppress(Exception):  # as above
        error.other_failures = OtherFailures(others)  # type: ignore[attr-defined]
