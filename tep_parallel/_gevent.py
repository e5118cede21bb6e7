"""A host that runs on gevent: how its calls wait, and how its children leave its loop behind.

Imported only where the host has imported gevent itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import gevent
from gevent.socket import wait_read
from greenlet import getcurrent, greenlet

from tep_parallel._engine import leave


def waiter() -> Callable[[int], None] | None:
    """What waits for a descriptor and lets other greenlets run; None: gevent has not patched
    the host, and whoever calls wants to block."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("select"):
        return None
    return wait_read  # type: ignore[no-any-return]


def destroy_hub() -> None:
    """In a child: get rid of the host's hub, which would run the host's other greenlets.

    A hub that ends, and a greenlet that ends, go on in their parent: at the root of them all
    is the host's main greenlet, in the middle of the host's program. So a greenlet that only
    leaves stands in between.
    """
    here, hub = getcurrent(), gevent.get_hub()
    if here.parent is not None:
        wall = greenlet(_wall)
        wall.parent = hub.parent
        here.parent = wall
        wall.switch(here)
    hub.parent = here
    hub.destroy(destroy_loop=True)
    gevent.get_hub().parent = here


def _wall(here: greenlet) -> None:
    try:
        here.switch()
    finally:
        leave(1)
