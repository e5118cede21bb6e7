"""What a host finds out for its children before it forks them."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable
from functools import partial

from tep_parallel._engine import streams
from tep_parallel._engine.call import item_of, setup_done, slot
from tep_parallel._engine.child import EACH, Prepared
from tep_parallel._engine.native import fail
from tep_parallel._engine.plan import Plan
from tep_parallel._typing import Any
from tep_parallel._worker import process_of, setup_and_teardown_of

# A child resets the handlers of these that are Python's. A handler of a C library's (faulthandler)
# survives the fork.
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)


class Sent:
    """The items of a fed call, as its children find them: each by its cell."""

    def __init__(self, handle: object, loads: Callable[[bytes], Any]) -> None:
        self._handle = handle
        self._loads = loads
        self._box: list[Any] = [None]

    def __getitem__(self, cell: int) -> Any:
        """The item in `cell`.

        Raises:
            OSError: It cannot be read.
            Exception: What unpickling it raised.
        """
        kind = item_of(self._handle, cell, id(self._box))
        if kind < 0:
            fail(kind, "reading an item")
        item, self._box[0] = self._box[0], None
        return self._loads(item) if kind else item


def loaded(pickled: bytes) -> Any:
    """In a child of a block: an item that the host has sent.

    Raises:
        AttributeError, ImportError: Its class or its module did not exist when the block was
            entered.
        Exception: What unpickling it raised.
    """
    try:
        return pickle.loads(pickled)  # noqa: S301  # the host has made it
    except (AttributeError, ImportError) as error:
        frames = error.__traceback__
        own = frames is not None and frames.tb_next is not None  # code of the caller's raised it
        if own or type(error) not in (AttributeError, ImportError, ModuleNotFoundError):
            raise
        msg = f"{error}: the children of a block know the classes and the modules that there were"
        msg += " when it was entered; define or import it before that, or send text"
        raise type(error)(msg) from None


def prepare(handle: object, plan: Plan) -> Prepared:
    """In the host, before the fork: find out all that can be found out for the children.

    These are the steps that need Python. The nursery does those that need none.
    """
    options = plan.options
    # The host may run code of the caller's between this and a fork.
    streams.prepare_writers(handle, renew=options.watched or plan.fed)
    steps: list[Callable[[], object]] = []
    for number in _FAULTS:
        if callable(signal.getsignal(number)):
            steps.append(partial(signal.signal, number, signal.SIG_DFL))
    if "gevent" in sys.modules:
        from tep_parallel._engine import gevent

        steps.append(gevent.destroy_hub)
    if "numpy.random" in sys.modules:
        # `random` has an at-fork hook that does this; numpy has none.
        steps.append(sys.modules["numpy.random"].seed)
    if "multiprocessing.util" in sys.modules:
        from tep_parallel._engine import multiprocessing

        host = os.getpid()
        steps.append(lambda: multiprocessing.enter(host, slot(handle)))
    if plan.pool:
        # Later collections leave alone what is inherited, and so do not copy its pages.
        steps.append(gc.freeze)
    loads = pickle.loads if plan.discard is not None else loaded
    setup, teardown = setup_and_teardown_of(plan.worker)
    if setup is not None:
        steps += [setup, partial(setup_done, handle)]
    return (
        streams.prepare_stdin(),
        steps,
        process_of(plan.worker),
        Sent(handle, loads) if plan.fed else plan.items,
        id(loads) if plan.fed else 0,
        teardown,
        plan.pool,
        EACH if plan.discard is None else int(plan.discard),
        options.codec,
        options.rebuild,
    )
