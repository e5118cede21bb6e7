"""Pickles of exceptions, of their classes and of their parts.

Two things differ from other pickles. A class that cannot be imported, for example one defined in
a function, is named by its address, which a fork does not change. And an exception within a part
is named by its place in a list, so that each exception is taken apart only once.
"""

from __future__ import annotations

import builtins
import io
import pickle
import re
import sys
from collections.abc import Callable
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

# Exceptions are read and written by these, and not by getattr: a class may override a name.
ARGS: Any = vars(BaseException)["args"]
DICT: Any = vars(BaseException)["__dict__"]
CAUSE: Any = vars(BaseException)["__cause__"]
CONTEXT: Any = vars(BaseException)["__context__"]
SUPPRESS: Any = vars(BaseException)["__suppress_context__"]
TRACEBACK: Any = vars(BaseException)["__traceback__"]
GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)  # from 3.11 on

_ADDRESS = re.compile("0x[0-9a-fA-F]{6,}")


class Shown(str):
    """The repr that takes the place of a value which cannot be pickled. Its own repr is itself."""

    __slots__ = ()

    __repr__ = str.__str__


def is_built_in(kind: type) -> bool:
    """Whether a class is built into the interpreter."""
    return vars(builtins).get(kind.__name__) is kind


def is_group(kind: type) -> bool:
    return GROUP is not None and issubclass(kind, GROUP)


def is_field(owner: type, found: object) -> bool:
    """Whether `found`, in `owner`'s namespace, is a place for a value outside __dict__."""
    if owner in (object, BaseException, GROUP):
        return False  # their fields are known by name, and have places of their own
    descriptor = type(found)
    return descriptor is MemberDescriptorType or (
        descriptor is GetSetDescriptorType and is_built_in(owner)
    )


def bare(kind: type[BaseException], *group: Any) -> Any:
    """A new exception with nothing in it, made by its nearest base that is built in.

    Args:
        kind: Its class, of which no code runs.
        group: Of a group of exceptions: its message and its members.

    Raises:
        TypeError: That base cannot make it: it also inherits from a class of a C extension.
    """
    base: Any = kind
    while not is_built_in(base):
        base = base.__base__
    return base.__new__(kind, *group)


def without_addresses(text: str) -> str:
    return _ADDRESS.sub("0x", text)


def dumps(value: object, place: Callable[[BaseException], int] | None = None) -> bytes:
    """A pickle of `value`.

    Args:
        place: Gives the place of an exception within `value`. None: exceptions are pickled
            like all else.

    Raises:
        BaseException: Code of a class may raise anything.
    """
    file = io.BytesIO()
    _Pickler(file, place).dump(value)
    return file.getvalue()


def loads(pickled: bytes, node: Callable[[int], BaseException], *, elsewhere: bool = False) -> Any:
    """What dumps was given.

    Args:
        node: Returns the exception that has a place.
        elsewhere: Whether it was pickled by a process that is no fork of this one: then addresses
            say nothing.

    Raises:
        BaseException: Code of a class may raise anything.
    """
    return _Unpickler(pickled, node, elsewhere=elsewhere).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, place: Callable[[BaseException], int] | None) -> None:
        super().__init__(file)
        self._place = place

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if issubclass(kind, type) and issubclass(value, BaseException):
            if not _has_a_name(value):
                return inherited, (id(value), value.__module__, value.__qualname__)
        elif self._place is not None and issubclass(kind, BaseException):
            return node_at, (self._place(value),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, pickled: bytes, node: Callable[[int], BaseException], *, elsewhere: bool
    ) -> None:
        super().__init__(io.BytesIO(pickled))
        self._node = node
        self._elsewhere = elsewhere

    def find_class(self, module: str, name: str, /) -> Any:
        if module == __name__ and name == node_at.__name__:
            return self._node
        if module == __name__ and name == inherited.__name__ and self._elsewhere:
            return named_so
        return super().find_class(module, name)


def node_at(place: int) -> BaseException:
    """The name, in a pickle, of the `node` that loads was given."""
    raise pickle.UnpicklingError(place)


def _has_a_name(kind: type[BaseException]) -> bool:
    """Whether pickle can find a class by its name, in its module."""
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


def inherited(address: int, module: str, qualname: str) -> type[BaseException]:
    """The exception class of that name which is at `address`, and was there at the fork.

    The address comes from a child, so it is only compared with those of all exception classes.

    Raises:
        LookupError: There is no such class.
    """
    for kind in _named(module, qualname):
        if id(kind) == address:
            return kind
    msg = f"no class {module}.{qualname} of before the fork"
    raise LookupError(msg)


def named_so(address: int, module: str, qualname: str) -> type[BaseException]:  # noqa: ARG001
    """In place of `inherited`, for what comes from elsewhere: the one class of that name.

    Raises:
        LookupError: There is no such class, or more than one.
    """
    named = _named(module, qualname)
    if len(named) == 1:
        return named[0]
    msg = f"{len(named)} classes are called {module}.{qualname} here"
    raise LookupError(msg)


def _named(module: str, qualname: str) -> list[type[BaseException]]:
    """All exception classes of that name."""
    named = []
    seen: set[int] = set()
    left: list[type[BaseException]] = [BaseException]
    while left:
        kind = left.pop()
        if id(kind) in seen:
            continue
        seen.add(id(kind))
        if (kind.__module__, kind.__qualname__) == (module, qualname):
            named.append(kind)
        left += type.__subclasses__(kind)
    return named
