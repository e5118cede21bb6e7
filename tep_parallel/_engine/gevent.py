"""A host that runs on gevent: how its calls wait, and how its children leave its loop behind.

Imported only where the host has imported gevent itself.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import gevent
from gevent import hub as hubs
from gevent._hub_local import get_hub_if_exists, set_hub, set_loop
from gevent.socket import wait_read
from greenlet import error as greenlet_error
from greenlet import getcurrent, gettrace, greenlet, settrace

Trace = Callable[[str, Any], object]


def waiter() -> Callable[[int], None] | None:
    """Just before the fork: what waits for a descriptor and lets other greenlets run; None:
    gevent has not patched the host, and whoever calls wants to block."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("select"):
        return None
    return _Waiter()


class _Waiter:
    """Waits for a descriptor. From now until it does, no child may run the host's loop: at-fork
    hooks come before destroy_hub, and some of them wait."""

    def __init__(self) -> None:
        self._before: Trace | None = gettrace()
        self._refuse = _refusal(os.getpid(), self._before)
        settrace(self._refuse)

    def __call__(self, descriptor: int) -> None:
        self._allow()
        wait_read(descriptor)

    def __del__(self) -> None:
        self._allow()  # there was nothing to wait for: no child could be forked

    def _allow(self) -> None:
        if gettrace() is self._refuse:
            settrace(self._before)


def _refusal(host: int, before: Trace | None) -> Trace:
    def refuse(event: str, pair: tuple[greenlet, greenlet]) -> None:
        origin, target = pair
        while isinstance(target, hubs.Hub) and os.getpid() != host:
            origin.switch()  # who waits there sees that nothing has happened
        if before is not None:
            before(event, pair)

    return refuse


class _Left(hubs.Hub):  # type: ignore[misc]
    """The host's hub, in a child: who still knows it is sent to the child's own.

    Locks look whether their hub is dead, and then choose another.
    """

    dead = True

    def switch(self) -> Any:
        return gevent.get_hub().switch()

    def wait(self, watcher: Any) -> None:
        """As `watcher` would have waited, which belongs to the loop that is left."""
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
        """A file is closed: who waits for it are the host's greenlets, on the loop that is left."""
        then(*arguments)

    def cancel_wait(self, *arguments: object) -> None:
        """The same, where there is no more to do."""


def destroy_hub() -> None:
    """In a child: put a hub of its own in the place of the host's.

    To make a hub end it must be switched to. But it stands in the middle of its loop, which
    goes on with the greenlets whose turn it is, and those are the host's. So nothing ever
    switches to it again.
    """
    _keep_from_running()
    inherited = _inherited_hubs()
    if inherited:
        _replace(inherited)


def _keep_from_running() -> None:
    """Let no greenlet run but this one and those that are made from now on.

    The host's are reached without its hub, too: by what they wait for, where a child puts
    something into their queue or sets their event.
    """
    here = getcurrent()

    def guard(event: str, pair: tuple[greenlet, greenlet]) -> None:  # noqa: ARG001
        """In the greenlet that is being switched to, before it goes on."""
        origin, target = pair
        root: greenlet | None = target
        while root is not here:  # there end the parents of whatever this child has made
            if root is None or type(root) is _Left:
                while True:
                    back = gevent.get_hub() if origin.dead else origin
                    greenlet.switch(back)
            root = root.parent

    settrace(guard)


def _inherited_hubs() -> list[hubs.Hub]:
    """The one of this thread; and where that was not gevent's main thread, those of all, since
    this one is the main thread now, and has a right to the default loop."""
    ident = hubs.get_thread_ident()
    if ident == hubs.MAIN_THREAD_IDENT:
        hub = get_hub_if_exists()
        return [] if hub is None else [hub]
    hubs.MAIN_THREAD_IDENT = ident
    # By type: isinstance would ask proxies, and those may raise.
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
    """Let the loop share nothing with the host's, and run nothing of it."""
    if _is_libuv(type(loop)):
        # To destroy it would be to run it. But it must not have the host's epoll descriptor:
        # whoever closed a socket here would take it out of the host's loop.
        loop.reinit()
        loop.reset_sigchld()
    else:
        loop.destroy()


def _fresh(kind: type) -> Any:
    """A loop that may wait for processes, as only the default one may."""
    if _is_libuv(kind):
        loop = kind(default=False)
        loop._default = True
    else:
        loop = kind(default=True)  # the inherited one is destroyed
        # But it has that one's memory. Where another thread of the host was waiting in the
        # loop, it says so, and the loop refuses to run a second time.
        loop.break_()
    return loop


def _tell(
    handle_error: Callable[..., None],
    context: object,
    kind: type[BaseException],
    error: BaseException,
    frames: TracebackType | None,
) -> None:
    """Tell of an error in a callback; not that a greenlet of the host's cannot be reached."""
    of_other_thread = kind is greenlet_error
    of_other_hub = kind is AssertionError and "Waiter.switch" in str(error)
    if not (of_other_thread or of_other_hub):
        handle_error(context, kind, error, frames)
