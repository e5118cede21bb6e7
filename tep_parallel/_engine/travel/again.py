"""Make an exception again from its pieces, in the process that will raise it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

from tep_parallel._engine.travel import pickles
from tep_parallel._engine.travel.apart import Piece
from tep_parallel._engine.travel.pickles import ARGS, CAUSE, CONTEXT, DICT, SUPPRESS, Shown
from tep_parallel._errors import WorkerError, message_of

_LONGEST = 1000  # characters of a text in a note


def add_note(error: BaseException, note: str) -> None:
    """Like BaseException.add_note; before Python 3.11 nobody shows the note (PEP 678).

    The method itself is not called, since a class may override it.
    """
    state = DICT.__get__(error)
    former = state.get("__notes__")
    state["__notes__"] = [*former, note] if isinstance(former, list) else [note]


def again(pieces: list[Piece], *, elsewhere: bool) -> tuple[BaseException, bool]:
    """The exception of the first piece, and whether it is as it was in every part.

    Args:
        elsewhere: See pickles.loads.

    Raises:
        BaseException: It cannot be made here. Code of its class may raise anything.
    """
    made = _Again(pieces, partial(pickles.loads, elsewhere=elsewhere))
    return made.root(), made.whole


class _Again:
    def __init__(self, pieces: list[Piece], load: Callable[..., Any]) -> None:
        self.whole = True
        self._load = load
        self._pieces = pieces
        self._made: dict[int, BaseException] = {}
        self._new_ones: list[int] = []

    def root(self) -> BaseException:
        self._made[0] = root = self._new(self._pieces[0])
        self._new_ones.append(0)
        # All are made before any is filled: they may refer to each other, in a circle too. All
        # are filled before any is looked at: the text of one may have the text of another.
        left_out = [self._fill(self._made[place], self._pieces[place]) for place in self._new_ones]
        for place, names in zip(self._new_ones, left_out, strict=True):
            self._tell(self._made[place], self._pieces[place], names)
        return root

    def _node(self, place: int) -> BaseException:
        if place not in self._made:
            piece = self._pieces[place]
            try:
                error = self._new(piece)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001  # this process has no such class, or cannot make one
                self.whole = False
                self._made[place] = stand_in(piece)
            else:
                self._made[place] = error
                self._new_ones.append(place)
        return self._made[place]

    def _new(self, piece: Piece) -> BaseException:
        if piece.own is not None:
            error = self._load(piece.own, pickles.node_at)
        elif piece.kind is not None:
            kind = self._load(piece.kind, pickles.node_at)
            group = piece.group
            members = () if group is None else (group[0], [*map(self._node, group[1])])
            error = pickles.bare(kind, *members)
        else:
            raise pickle.UnpicklingError(piece.name)
        if not issubclass(type(error), BaseException):
            msg = f"{piece.name} came back as {type(error).__name__}"
            raise TypeError(msg)
        return error  # type: ignore[no-any-return]

    def _fill(self, error: BaseException, piece: Piece) -> list[str]:
        """Put into `error` what its piece has. Returns the names of what cannot be put there."""
        left_out = [*piece.left_out]
        if piece.args is not None:
            ARGS.__set__(error, tuple(self._args(piece.args, left_out)))
        mro = type(error).__mro__
        state = DICT.__get__(error)
        for name, pickled in piece.attributes:
            try:
                state[name] = self._value(pickled)
            except _Unloadable:
                left_out.append(name)
        for (at, name), pickled in piece.fields:
            try:
                vars(mro[at])[name].__set__(error, self._value(pickled))
            except (_Unloadable, LookupError, AttributeError, TypeError, ValueError):
                left_out.append(name)
        CAUSE.__set__(error, None if piece.cause is None else self._node(piece.cause))
        CONTEXT.__set__(error, None if piece.context is None else self._node(piece.context))
        SUPPRESS.__set__(error, piece.suppress)
        return left_out

    def _args(self, args: tuple[bytes, ...], left_out: list[str]) -> list[Any]:
        values: list[Any] = []
        for at, pickled in enumerate(args):
            try:
                values.append(self._value(pickled))
            except _Unloadable:
                values.append(Shown("<left out>"))
                left_out.append(f"args[{at}]")
        return values

    def _value(self, pickled: bytes) -> Any:
        try:
            return self._load(pickled, self._node)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a class may raise anything; a note tells
            raise _Unloadable from error

    def _tell(self, error: BaseException, piece: Piece, left_out: list[str]) -> None:
        """Add notes that say what is not as it was."""
        told = []
        if piece.replaced:
            told.append(f"not sent, its repr stands in its place: {', '.join(piece.replaced)}")
        if left_out:
            told.append(f"not sent, left out: {', '.join(left_out)}")
        text = pickles.without_addresses(message_of(error))
        if text != pickles.without_addresses(piece.message):
            told.append(f"in the child its text was: {piece.message[:_LONGEST]}")
        for note in told:
            self.whole = False
            add_note(error, f"tep_parallel: {note}")


class _Unloadable(Exception):  # noqa: N818  # it never leaves this module
    pass


def stand_in(piece: Piece) -> WorkerError:
    """What takes the place of an exception, within another, that cannot be made here."""
    return WorkerError(f"{piece.name}: {piece.message}", remote_type=piece.name)
