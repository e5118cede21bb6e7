"""A host that runs on gevent: how its calls wait, and how its children leave its loop.

This module is imported only if the host has imported gevent.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable
from functools import partial
from types import TracebackType

import gevent
from gevent import hub as hubs
from gevent._hub_local import get_hub_if_exists, set_hub, set_loop
from gevent.socket import wait_read
from greenlet import error as greenlet_error
from greenlet import getcurrent, gettrace, greenlet, settrace

from tep_parallel._typing import Any

Trace = Callable[[str, Any], object]


class _LateError(Exception):
    """What was waited for has not come in time."""


class Waiter:
    """A function that waits for a descriptor while other greenlets run; made before the fork.

    From its making until it waits, no child can run the host's loop. At-fork hooks run before
    destroy_hub, and some of them wait, which would run the loop.
    """

    def __init__(self) -> None:
        self._before: Trace | None = gettrace()
        self._refuse = _refusal(os.getpid(), self._before)
        settrace(self._refuse)

    def __call__(self, descriptor: int, seconds: float | None = None) -> None:
        """Wait until it can be read, but for at most so many seconds. -1: for those."""
        self._allow()
        if descriptor < 0:
            gevent.sleep(seconds or 0)
            return
        with contextlib.suppress(_LateError):
            wait_read(descriptor, timeout=seconds, timeout_exc=_LateError())

    def __del__(self) -> None:
        self._allow()  # nobody waited: no child could be forked

    def _allow(self) -> None:
        if gettrace() is self._refuse:
            settrace(self._before)


def _refusal(host: int, before: Trace | None) -> Trace:
    def refuse(event: str, pair: tuple[greenlet, greenlet]) -> None:
        origin, target = pair
        while isinstance(target, hubs.Hub) and os.getpid() != host:
            origin.switch()  # the waiting greenlet sees that nothing has happened
        if before is not None:
            before(event, pair)

    return refuse


class _Left(hubs.Hub):  # type: ignore[misc]
    """The host's hub, in a child. Objects that still know it are sent to the child's own hub.

    Locks ask whether their hub is dead, and then choose another.
    """

    dead = True

    def switch(self) -> Any:
        return gevent.get_hub().switch()

    def wait(self, watcher: Any) -> None:
        """Wait as `watcher` would have: it belongs to the host's loop."""
        hub = gevent.get_hub()
        own = hub.loop.io(watcher.fd, watcher.events)
        try:
            hub.wait(own)
        finally:
            own.close()

    def cancel_waits_close_and_then(
        self,
        watchers: object,  # noqa: ARG002
        error: object,  # noqa: ARG002
        then: Callable[..., object],
        *arguments: object,
    ) -> None:
        """A file is closed. Only greenlets of the host wait for it, and on the host's loop."""
        then(*arguments)

    def cancel_wait(self, *arguments: object) -> None:
        """The same, with nothing to do afterwards."""


def destroy_hub() -> None:
    """In a child: put a new hub in the place of the hub of the host.

    A hub ends only if something switches to it. But the host's hub is in the middle of its
    loop, and would go on with greenlets of the host. So nothing ever switches to it again.
    """
    _keep_from_running()
    inherited = _inherited_hubs()
    if inherited:
        _replace(inherited)


def _keep_from_running() -> None:
    """Let no greenlets run except this one and those that are made from now on.

    A child can wake the host's greenlets without the hub, too, if it puts something into their
    queue or sets their event.
    """
    here = getcurrent()

    def guard(event: str, pair: tuple[greenlet, greenlet]) -> None:  # noqa: ARG001
        """Runs in the greenlet that is switched to, before that goes on."""
        origin, target = pair
        root: greenlet | None = target
        while root is not here:  # all greenlets of this child have it as an ancestor
            if root is None or type(root) is _Left:
                while True:
                    back = gevent.get_hub() if origin.dead else origin
                    greenlet.switch(back)
            root = root.parent

    settrace(guard)


def _inherited_hubs() -> list[hubs.Hub]:
    """The hub of this thread. If this was not gevent's main thread, the hubs of all threads:
    this is the main thread now, and needs the default loop for itself."""
    ident = hubs.get_thread_ident()
    if ident == hubs.MAIN_THREAD_IDENT:
        hub = get_hub_if_exists()
        return [] if hub is None else [hub]
    hubs.MAIN_THREAD_IDENT = ident
    # By type: isinstance would ask proxies for their class, which may raise.
    return [
        each
        for each in gc.get_objects()
        if issubclass(type(each), hubs.Hub) and each.loop is not None
    ]


def _replace(inherited: list[hubs.Hub]) -> None:
    for hub in inherited:
        _cut_off(hub.loop)
    set_hub(None)
    set_loop(_fresh(type(hub.loop)))
    own = gevent.get_hub()
    own.handle_error = partial(_tell, own.handle_error)
    for hub in inherited:
        hub.loop = own.loop  # queues keep their hub, and use its loop
        hub.__class__ = _Left


def _is_libuv(kind: type) -> bool:
    return kind.__module__.startswith("gevent.libuv")


def _cut_off(loop: Any) -> None:
    """Let the loop share nothing with that of the host, and run nothing of it."""
    if _is_libuv(type(loop)):
        # To destroy this loop would run it. But it must not keep the host's epoll descriptor:
        # a socket that is closed here would leave the host's loop.
        loop.reinit()
        loop.reset_sigchld()
    else:
        if hasattr(loop, "_stop_callback_timer"):
            # If it was started, destroy() raises TypeError (gevent 26.9, libev by cffi).
            loop._stop_callback_timer()
        loop.destroy()


def _fresh(kind: type) -> Any:
    """A loop that may wait for processes; only a default loop may."""
    if _is_libuv(kind):
        loop = kind(default=False)
        loop._default = True
    else:
        loop = kind(default=True)  # the inherited one is destroyed
        # But libev uses the same memory again. If another thread of the host was waiting in the
        # loop, the memory says so, and the loop would refuse to run.
        loop.break_()
    return loop


def _tell(
    handle_error: Callable[..., None],
    context: object,
    kind: type[BaseException],
    error: BaseException,
    frames: TracebackType | None,
) -> None:
    """Report an error in a callback, unless it says that a greenlet of the host is not here."""
    of_other_thread = kind is greenlet_error
    of_other_hub = kind is AssertionError and "Waiter.switch" in str(error)
    if not (of_other_thread or of_other_hub):
        handle_error(context, kind, error, frames)
