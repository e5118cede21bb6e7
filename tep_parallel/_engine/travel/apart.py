"""An exception taken apart, where it was raised: what of it travels, and as what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

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

_DEEPEST = 32  # of causes, groups and exceptions within each other
_LONGEST = 1000  # characters of a repr that stands for a value
_MOST_PARTS = 1000  # of a container whose parts are looked at one by one
_NESTED = 3  # containers within each other, likewise

_SCALARS = (str, bytes, int, float, bool, type(None))


class Piece(NamedTuple):
    """All that travels of one exception. The others are named by their place in the list.

    Attributes:
        name: Its class's, with the module's.
        message: What str() says of it.
        own: Its own pickle; None: it is made from `kind`, `group` and `args`.
        kind: Its class, pickled; None, as `own`: it cannot travel.
        group: Its message and its members, if it is one.
        args: Each pickled, as are the values that follow; None: `own` brings them back.
        attributes: Those in __dict__; beside `own` those that it lacks.
        fields: Those elsewhere, in slots or its built-in base; beside `own` likewise.
        cause: None: it has none.
        context: Likewise.
        suppress: Its __suppress_context__.
        replaced: Names of what is here as its repr.
        left_out: Names of what is not here at all.
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
    """The pieces for `error`, which is the first, and for all that it refers to."""
    return _Apart(error).pieces


def name_of(kind: type) -> str:
    """As a traceback names it."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


class _TooDeep(Exception):  # noqa: N818  # it never leaves this module
    pass


class _Apart:
    def __init__(self, error: BaseException) -> None:
        self.pieces: list[Piece] = []
        self._found: list[tuple[BaseException, int]] = []  # each with its depth
        self._places: dict[int, int] = {}
        self._depth = 0
        self._place(error)
        for found, depth in self._found:  # it grows meanwhile
            self._depth = depth + 1
            self._replaced: list[str] = []
            self._left_out: list[str] = []
            self.pieces.append(self._piece(found))

    def _place(self, error: BaseException) -> int:
        """Where in the list it stands, or will."""
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
                self._left_out.append(field[1])  # what it is matters there: no repr would do
            else:
                yield field, self._value(field[1], value)

    def _value(self, name: str, value: object) -> bytes:
        """Its pickle, or one of what stands for it."""
        pickled = self._pickled(value)
        if pickled is None:
            self._replaced.append(name)
            pickled = self._pickled(self._in_part(value, _NESTED))
        return pickled if pickled is not None else pickles.dumps(_shown(value))

    def _in_part(self, value: Any, depth: int) -> object:
        """`value`, with the repr of what of it cannot be pickled."""
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
        """None: it does not survive a pickle."""
        try:
            pickled = pickles.dumps(value, self._place)
            if type(value) not in _SCALARS:
                pickles.loads(pickled, lambda place: self._found[place][0])
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # its class may raise anything; a note tells
            return None
        return pickled


def _shown(value: object) -> Shown:
    try:
        text = repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # a __repr__ may raise anything; shown says so
        text = shown(value)
    return Shown(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
