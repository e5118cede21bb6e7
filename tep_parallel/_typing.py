"""What the package uses of typing, and what type checkers know of results.

To import typing takes a quarter of the time in which Python starts. At run time, where nothing
of it is needed, there are stand-ins here. What users may inherit from is in _protocols.py.

For type checkers Parallel has two type parameters. The first is the type of the results. The
second is what the worker returns if there is no codec, and str otherwise. So type checkers
refuse map_processes for a worker that returns no text and has no codec, and accept
each_process. At run time nobody counts the parameters.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for True, by its name

if TYPE_CHECKING:
    from typing import (
        IO,
        Any,
        Generic,
        Literal,
        NamedTuple,
        NoReturn,
        Protocol,
        SupportsFloat,
        SupportsIndex,
        TypeGuard,
        overload,
    )

    from typing_extensions import TypeVar
else:

    class Generic:
        """`Generic[T]`, and each class that has it as a base."""

        __slots__ = ()

        __class_getitem__ = classmethod(type(list[int]))  # GenericAlias, which types has

    class Protocol(Generic):
        """Of no use at run time."""

    class _Tuples(type):
        def __new__(cls, name, bases, space):  # noqa: ARG004
            from collections import namedtuple

            fields = space["__annotations__"]
            defaults = [space.pop(field) for field in fields if field in space]
            base = namedtuple(name, fields, defaults=defaults)
            return type(name, (base,), {"__slots__": (), **space})

    NamedTuple = type.__new__(_Tuples, "NamedTuple", (), {})

    def TypeVar(name, **kinds):  # noqa: ARG001, N802
        """Any type: so that typing.get_type_hints finds one."""
        return object

    def overload(function):
        """What stands behind it replaces the function."""
        return function

    IO = Literal = TypeGuard = Generic
    Any = SupportsFloat = SupportsIndex = object
    NoReturn = None

__all__ = [
    "IO",
    "TYPE_CHECKING",
    "Any",
    "Generic",
    "GenericOf",
    "Literal",
    "NamedTuple",
    "NoReturn",
    "Protocol",
    "R_co",
    "Returning",
    "SupportsFloat",
    "SupportsIndex",
    "T",
    "TypeGuard",
    "TypeVar",
    "W_co",
    "overload",
    "public",
]

Public = TypeVar("Public")


def public(thing: Public) -> Public:
    """Tracebacks, logs and pickles shall name what a user can import."""
    thing.__module__ = __package__
    return thing


T = TypeVar("T", default=str)  # without a codec
W_co = TypeVar("W_co", default=str, covariant=True)
R_co = TypeVar("R_co", covariant=True)


class GenericOf(Generic[T, W_co]):
    """The type parameters of Parallel."""


class Returning(Protocol[R_co]):
    """A ParallelWorker, by the type that its `process` returns."""

    def process(self, item: Any, /) -> R_co: ...

    def setup(self) -> None: ...

    def teardown(self) -> None: ...
