"""What users may give to a call, as types: a codec, a progress, and hooks.

Users may inherit from these in protocols of their own, so typing itself makes them. No module
imports this one at run time, but the package when somebody asks it for such a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tep_parallel._typing import public

if TYPE_CHECKING:
    from tep_parallel._outcome import Outcome

T_co = TypeVar("T_co", covariant=True)


@public
class Codec(Protocol[T_co]):
    """A module or object with `dumps` and `loads`: json, pickle, orjson, or one of your own.

    The child calls `dumps`, which makes a str or bytes of a result. The host calls `loads`,
    which makes the result of that again.
    """

    def dumps(self, value: Any, /) -> str | bytes: ...

    def loads(self, data: Any, /) -> T_co: ...


@public
class Progress(Protocol):
    """An object that shows how far a call has come: a tqdm bar, or an object of your own.

    `update` is called with the number of items that have ended since it was called last. With
    digest_files that is the number of bytes that have been read.
    """

    def update(self, n: int, /) -> object: ...


@public
class OnStart(Protocol):
    """A function that is called with index and item, before that item may start."""

    def __call__(self, index: int, item: Any, /) -> object: ...


@public
class OnFinish(Protocol):
    """A function that is called with the Outcome of each item that has ended."""

    def __call__(self, outcome: Outcome[Any], /) -> object: ...


class HasFileno(Protocol):
    """An object that has a descriptor: a file, a socket."""

    def fileno(self) -> int: ...
