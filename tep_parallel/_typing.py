"""What type checkers know of results: their type, and whether a call can return them.

For type checkers Parallel has two type parameters. The first is the type of the results. The
second is what the worker returns if there is no codec, and str otherwise. So type checkers
refuse map_processes for a worker that returns no text and has no codec, and accept
each_process. At run time there is only the first parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=str)  # without a codec
    W_co = TypeVar("W_co", default=str, covariant=True)

    class GenericOf(Generic[T, W_co]):
        """The type parameters of Parallel."""

else:
    from typing import TypeVar

    T = TypeVar("T")
    W_co = TypeVar("W_co", covariant=True)

    class GenericOf:
        def __class_getitem__(cls, parameters):
            return Generic[parameters[0]]


R_co = TypeVar("R_co", covariant=True)


class Returning(Protocol[R_co]):
    """A ParallelWorker, by the type that its `process` returns."""

    def process(self, item: Any, /) -> R_co: ...

    def setup(self) -> None: ...

    def teardown(self) -> None: ...
