"""Take an exception apart in the process that raised it: what travels of it, and how."""

from __future__ import annotations

from collections.abc import Iterator

from tep_parallel._engine.travel import pickles
from tep_parallel._engine.travel.pickles import ARGS, CAUSE, CONTEXT, DICT, SUPPRESS, Shown
from tep_parallel._engine.travel.whole import (
    ARGS_NAME,
    Field,
    Name,
    fields_of,
    group_of,
    is_makeable,
    own_pickle,
)
from tep_parallel._errors import message_of, shown
from tep_parallel._typing import Any, NamedTuple

_DEEPEST = 32  # causes, groups and exceptions within each other
_LONGEST = 1000  # characters of a repr in place of a value
_MOST_PARTS = 1000  # parts of a container that is taken apart
_NESTED = 3  # containers within each other that are taken apart

_SCALARS = (str, bytes, int, float, bool, type(None))


class Piece(NamedTuple):
    """All that travels of one exception. Other exceptions are named by their place in a list.

    Attributes:
        name: The name of its class, with that of the module.
        message: Its text.
        own: The pickle that its class makes; None: it is made from `kind`, `group` and `args`.
        kind: Its class, pickled. If `own` and `kind` are None, it cannot travel.
        group: Of a group of exceptions: its message and its members.
        args: Its args, each pickled; None: `own` has them.
        attributes: Name and pickled value of what is in its __dict__, and not in `own`.
        fields: Place and pickled value of what is in slots or its built-in base, and not in
            `own`.
        cause: The place of its cause; None: it has none.
        context: The place of its context; None: it has none.
        suppress: Its __suppress_context__.
        replaced: The names of values that are here as their repr.
        left_out: The names of values that are not here at all.
    """

    name: str
    message: str
    own: bytes | None = None
    kind: bytes | None = None
    group: tuple[str, tuple[int, ...]] | None = None
    args: tuple[bytes, ...] | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()
    fields: tuple[tuple[Field, bytes], ...] = ()
    cause: int | None = None
    context: int | None = None
    suppress: bool = False
    replaced: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def travels(self) -> bool:
        return self.own is not None or self.kind is not None


def apart(error: BaseException) -> list[Piece]:
    """The pieces of `error`, which is the first, and of all exceptions that it refers to."""
    return _Apart(error).pieces


def name_of(kind: type) -> str:
    """The name of a class, as a traceback has it."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


class _TooDeep(Exception):  # noqa: N818  # it never leaves this module
    pass


class _Apart:
    def __init__(self, error: BaseException) -> None:
        self.pieces: list[Piece] = []
        self._found: list[tuple[BaseException, int]] = []  # exceptions, with their depth
        self._places: dict[int, int] = {}
        self._depth = 0
        self._place(error)
        for found, depth in self._found:  # the list grows meanwhile
            self._depth = depth + 1
            self._replaced: list[str] = []
            self._left_out: list[str] = []
            self.pieces.append(self._piece(found))

    def _place(self, error: BaseException) -> int:
        """The place of `error` in the list. It is added if it is new."""
        place = self._places.get(id(error))
        if place is None:
            if self._depth > _DEEPEST:
                raise _TooDeep
            place = self._places[id(error)] = len(self._found)
            self._found.append((error, self._depth))
        return place

    def _piece(self, error: BaseException) -> Piece:
        kind = type(error)
        piece = Piece(name_of(kind), message_of(error))
        try:
            makeable = is_makeable(error)
            own, has = own_pickle(error, makeable=makeable)
            if own is not None:
                piece = piece._replace(own=own)
            elif not makeable:
                return piece
            else:
                has = set()
                piece = piece._replace(kind=pickles.dumps(kind), group=self._group(error))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # a class may raise anything; the text travels
            return piece
        return piece._replace(
            args=None if ARGS_NAME in has else tuple(self._args(error)),
            attributes=tuple(self._attributes(error, has)),
            fields=tuple(self._fields(error, has)),
            cause=self._link("__cause__", CAUSE.__get__(error)),
            context=self._link("__context__", CONTEXT.__get__(error)),
            suppress=SUPPRESS.__get__(error),
            replaced=tuple(self._replaced),
            left_out=tuple(self._left_out),
        )

    def _group(self, error: BaseException) -> tuple[str, tuple[int, ...]] | None:
        group = group_of(error)
        return (group[0], tuple(map(self._place, group[1]))) if group else None

    def _args(self, error: BaseException) -> Iterator[bytes]:
        for at, value in enumerate(ARGS.__get__(error)):
            yield self._value(f"args[{at}]", value)

    def _link(self, name: str, error: BaseException | None) -> int | None:
        try:
            return None if error is None else self._place(error)
        except _TooDeep:
            self._left_out.append(name)
            return None

    def _attributes(self, error: BaseException, has: set[Name]) -> Iterator[tuple[str, bytes]]:
        for name, value in list(DICT.__get__(error).items()):
            if type(name) is not str:
                self._left_out.append(shown(name))
            elif name not in has:
                yield name, self._value(name, value)

    def _fields(self, error: BaseException, has: set[Name]) -> Iterator[tuple[Field, bytes]]:
        mro = type(error).__mro__
        for field, value in fields_of(error):
            if field in has:
                continue
            pickled = self._pickled(value)
            if pickled is not None:
                yield field, pickled
            elif pickles.is_built_in(mro[field[0]]):
                self._left_out.append(field[1])  # the interpreter needs its type, not a repr
            else:
                yield field, self._value(field[1], value)

    def _value(self, name: str, value: object) -> bytes:
        """The pickle of a value, or of what takes its place."""
        pickled = self._pickled(value)
        if pickled is None:
            self._replaced.append(name)
            pickled = self._pickled(self._in_part(value, _NESTED))
        return pickled if pickled is not None else pickles.dumps(_shown(value))

    def _in_part(self, value: Any, depth: int) -> object:
        """`value`, in which a repr takes the place of each part that cannot be pickled."""
        kind = type(value)
        if self._pickled(value) is not None:
            return value
        if depth > 0 and kind in (list, tuple, dict) and len(value) <= _MOST_PARTS:
            if kind is dict:
                pairs = value.items()
                return {key: self._in_part(part, depth - 1) for key, part in pairs}
            return kind(self._in_part(part, depth - 1) for part in value)
        return _shown(value)

    def _pickled(self, value: object) -> bytes | None:
        """The pickle of `value`; None: it cannot be pickled, or not loaded."""
        try:
            pickled = pickles.dumps(value, self._place)
            if type(value) not in _SCALARS:
                pickles.loads(pickled, lambda place: self._found[place][0])
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # a class may raise anything; a note tells
            return None
        return pickled


def _shown(value: object) -> Shown:
    try:
        text = repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # a __repr__ may raise anything; the text says so
        text = shown(value)
    return Shown(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
