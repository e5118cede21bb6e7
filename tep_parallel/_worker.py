"""ParallelWorker, and what is asked of a worker."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from tep_parallel._errors import shown
from tep_parallel._typing import Any, public


@public
class ParallelWorker:
    """The base class of workers. Override `process`.

    A call has one instance. Every child inherits it as it is at the fork. What a child
    changes in it stays in that child.
    """

    def process(self, item: Any) -> Any:  # noqa: ARG002  # subclasses use it
        """Process one item, in a child process, and return what the caller gets.

        Args:
            item: One of the call's items.

        Returns:
            A str; with a codec, anything that the codec can encode.
        """
        return ""

    def setup(self) -> None:
        """Run once in every child, before its first item.

        If it raises, the call fails with that exception; if it calls `sys.exit`, the call
        fails with DeadWorkerError.
        """

    def teardown(self) -> None:
        """Run once in every child, after its last item.

        If it raises or calls `sys.exit`, the call fails, as with `setup`. It does not run in
        a child that is killed, or that ends by itself.
        """


# Of inspect, which takes 10 ms to import.
_CO_COROUTINE, _CO_ITERABLE_COROUTINE, _CO_ASYNC_GENERATOR = 0x80, 0x100, 0x200

# What a child calls first and last; None: there is nothing to call.
SetupAndTeardown = tuple[Callable[[], object] | None, Callable[[], object] | None]


def setup_and_teardown_of(worker: ParallelWorker | Process) -> SetupAndTeardown:
    """The worker's own setup and teardown; None in place of one that it does not override."""
    if not isinstance(worker, ParallelWorker):
        return None, None
    return (
        None if _own(worker.setup) is ParallelWorker.setup else worker.setup,
        None if _own(worker.teardown) is ParallelWorker.teardown else worker.teardown,
    )


def _own(method: Callable[[], object]) -> object:
    return getattr(method, "__func__", method)


Process = Callable[[Any], Any]


def process_of(worker: ParallelWorker | Process) -> Process:
    """The function of one item that `worker` stands for.

    Raises:
        TypeError: `worker` is a class of workers and not an instance, or cannot be called.
    """
    if isinstance(worker, ParallelWorker):
        return worker.process
    if isinstance(worker, type) and issubclass(worker, ParallelWorker):
        name = worker.__name__
        msg = f"worker: expected an instance, got the class {name}; write {name}()"
        raise TypeError(msg)
    if not callable(worker):
        kind = type(worker).__name__
        msg = f"worker: expected a ParallelWorker or a callable of one item, got {kind}"
        raise TypeError(msg)
    return worker


def refuse_coroutines(worker: ParallelWorker | Process) -> None:
    """Refuse a worker whose `process` is an async def, or has a yield in it.

    Raises:
        TypeError: It is such a one.
    """
    function = process_of(worker)
    while hasattr(function, "func"):  # of functools.partial
        function = function.func
    function = getattr(function, "__func__", function)  # of a method
    if not hasattr(function, "__code__"):
        function = getattr(type(function), "__call__", function)  # noqa: B004  # an object's
    flags: int = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & (_CO_COROUTINE | _CO_ASYNC_GENERATOR | _CO_ITERABLE_COROUTINE):
        msg = "worker: its process is an async def, and a child runs no event loop: write a def, "
        msg += "and asyncio.run() in it if it has to await"
        raise TypeError(msg)


def warn_of_misspelling(worker: ParallelWorker | Process) -> None:
    """Warn the caller's caller of a worker that has methods, but no `process`."""
    if not isinstance(worker, ParallelWorker):
        return
    if getattr(worker.process, "__func__", None) is not ParallelWorker.process:
        return
    names = [
        name
        for kind in type(worker).__mro__
        if kind not in ParallelWorker.__mro__
        for name, member in vars(kind).items()
        if _is_public_method(name, member)
    ]
    if names:
        name = type(worker).__qualname__
        msg = f"{name} has {', '.join(names)} and no process: each of its results is ''"
        warnings.warn(msg, UserWarning, stacklevel=3)


def _is_public_method(name: str, member: object) -> bool:
    if name in ("setup", "teardown") or (name.startswith("_") and name != "__call__"):
        return False
    function = isinstance(member, staticmethod | classmethod) or callable(member)
    return function and not isinstance(member, type)


def not_text(worker: ParallelWorker | Process, index: int, item: object, kind: str) -> TypeError:
    """The error for a result that is not a str; its type is named `kind`."""
    if isinstance(worker, ParallelWorker):
        name = f"{type(worker).__qualname__}.process"
    else:
        name = str(getattr(worker, "__qualname__", type(worker).__qualname__))
    msg = f"{name}: expected a str for item {index} ({shown(item)}), got {kind}; give codec=json"
    return TypeError(f"{msg} or codec=pickle for such results, or call each_process for none")
