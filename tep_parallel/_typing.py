"""What type checkers are told of results: whether a worker's can be had, and of what type.

For them a Parallel has two parameters: the type of the results, and what the worker returns
where no codec is given, else str. So a worker that returns no text can be run by each_process,
and its results cannot be asked for. At run time there is the first alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=str)  # without a codec
    W_co = TypeVar("W_co", default=str, covariant=True)

    class GenericOf(Generic[T, W_co]):
        """What Parallel is generic in."""

else:
    from typing import TypeVar

    T = TypeVar("T")
    W_co = TypeVar("W_co", covariant=True)

    class GenericOf:
        def __class_getitem__(cls, parameters):
            return Generic[parameters[0]]


R_co = TypeVar("R_co", covariant=True)


class Returning(Protocol[R_co]):
    """A ParallelWorker by what its `process` returns."""

    def process(self, item: Any, /) -> R_co: ...

    def setup(self) -> None: ...

    def teardown(self) -> None: ...
