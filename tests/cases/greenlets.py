"""A host whose greenlets wait for everything that a greenlet can wait for, while it makes calls.

python tests/cases/greenlets.py patched|imported main|greenlets|thread
Prints a line for each greenlet or callback of the host's that runs in a child: none.
"""

from __future__ import annotations

import sys
import time

PATCHED, PLACE = sys.argv[1] == "patched", sys.argv[2]
SLEEP = time.sleep  # which lets threads run, not greenlets
if PATCHED:
    from gevent import monkey

    monkey.patch_all()

import contextlib  # noqa: E402
import os  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable  # noqa: E402

import gevent  # noqa: E402
from gevent import event, lock, pool, queue, socket, subprocess  # noqa: E402
from greenlet import gettrace  # noqa: E402

from tep_parallel import Parallel  # noqa: E402

HOST = os.getpid()
CALLS = 6  # of each greenlet that calls
seen: Counter[str] = Counter()
hooked: list[int] = []
set_by_children, bell = event.Event(), event.Event()
filled_by_children: queue.Queue[int] = queue.Queue()
used_by_both = lock.BoundedSemaphore(1)
of_the_host = pool.Pool(3)
left, right = socket.socketpair()
for_children: queue.Queue[int] = queue.Queue()
noisy, watched = socket.socketpair()
watcher = gevent.get_hub().loop.io(watched.fileno(), 1)
near, far = socket.socketpair()  # that only children use


def runs(name: str) -> None:
    """What the host's greenlets do, wherever they are."""
    seen[name] += 1
    if os.getpid() != HOST:
        os.write(1, f"{name} runs in a child\n".encode())


def forever(name: str, wait: Callable[[], object]) -> None:
    while True:
        wait()
        runs(name)


def ring() -> None:
    bell.set()
    bell.clear()
    gevent.sleep(0)


def talk() -> None:
    left.sendall(b"x")
    gevent.sleep(0)


def lock_briefly() -> None:
    with used_by_both:
        gevent.sleep(0.001)


WAITS: dict[str, Callable[[], object]] = {
    "a timer": lambda: gevent.sleep(0.001),
    "a sleep of nothing": lambda: gevent.sleep(0),
    "a bell": bell.wait,
    "a ringer": ring,
    "a reader": lambda: right.recv(1),
    "a writer": talk,
    "a locker": lock_briefly,
    "an event": lambda: set_by_children.wait() and set_by_children.clear(),
    "a queue": filled_by_children.get,
}
ITEMS = ["light", "heavy", "inherited"]
# These wait for what only children do, each in a memory of its own.
NEVER = {"an event", "a queue"}


def let_threads_run_between_turns() -> None:
    """They do while libev waits; callbacks that were left over have started its timer then."""
    loop = gevent.get_hub().loop
    if os.environ.get("GEVENT_LOOP") == "libev-cffi":  # the one that shows its timer
        start_timer = loop._start_callback_timer
        loop._start_callback_timer = lambda: (start_timer(), SLEEP(0.0001))
        sys.setswitchinterval(1e-6)


def is_readable() -> None:
    watched.recv(1)
    runs("a watcher")


def use_gevent(item: str) -> str:
    """In a child: gevent does what it does elsewhere."""
    with contextlib.suppress(TypeError, ValueError):  # its loop is destroyed
        watcher.close()
    gevent.sleep(0.002)
    set_by_children.set()
    filled_by_children.put(1)
    gevent.sleep(0)
    gevent.sleep(0.002)
    if item == "heavy":
        sleepers = [gevent.spawn(gevent.sleep, 0.001) for _ in range(3)]
        gevent.joinall(sleepers, raise_error=True)
        one, other = socket.socketpair()
        echo = gevent.spawn(lambda: other.sendall(other.recv(5)))
        one.sendall(b"hello")
        assert one.recv(5) == b"hello"
        echo.get()
        assert subprocess.check_output(["echo", "said"]) == b"said\n"
        assert pool.Pool(2).map(len, ["a", "bb", "ccc"]) == [1, 2, 3]
        assert gevent.get_hub().threadpool.apply(len, ("four",)) == 4
        assert socket.getaddrinfo("localhost", 80, proto=socket.IPPROTO_TCP)
        assert Parallel(sleep_within).map_processes(["a", "b"]) == ["a", "b"]
    if item == "inherited":
        assert of_the_host.map(len, ["a", "bb", "ccc", "dddd"]) == [1, 2, 3, 4]
        mine = lock.Semaphore(0)
        with gevent.Timeout(20):  # a greenlet of the host's may hold it: then it stays held
            gevent.spawn_later(0.001, mine.release)
            mine.acquire()
        gevent.spawn_later(0.001, near.sendall, b"x")
        assert far.recv(1) == b"x"
        gevent.spawn_later(0.001, for_children.put, 1)
        assert for_children.get() == 1
        for end in (left, right):
            end.close()
    return item


def wait_in_a_hook() -> None:
    """A child has no loop to wait in yet, and may not use the host's."""
    if not hooked:  # what children fork themselves has gevent's own rules
        hooked.append(os.getpid())
        with contextlib.suppress(gevent.exceptions.InvalidSwitchError):
            gevent.sleep(0.001)


def sleep_within(item: str) -> str:
    gevent.sleep(0.001)
    return item


def call() -> None:
    fan_out = Parallel(use_gevent, timeout=30)
    for _ in range(CALLS):
        gevent.spawn(runs, "a greenlet that had not begun")
        gevent.get_hub().loop.run_callback(runs, "a callback")
        before = seen["a timer"]
        assert fan_out.map_processes(ITEMS) == ITEMS
        signalled = seen["a watcher"]
        gevent.spawn(noisy.sendall, b"x")
        while seen["a watcher"] == signalled and PLACE != "thread":
            gevent.sleep(0.001)
        assert not PATCHED or seen["a timer"] > before  # a call lets the host's greenlets run
        gevent.sleep(0.01)


assert of_the_host.map(len, ["a"]) == [1]
if PATCHED:
    os.register_at_fork(after_in_child=wait_in_a_hook)
assert subprocess.call(["true"]) == 0  # its loop hears of children from now on
waiting = [gevent.spawn(forever, name, wait) for name, wait in WAITS.items()]
watcher.start(is_readable)
gevent.sleep(0.01)
if PLACE == "main":
    call()
elif PLACE == "greenlets":
    gevent.joinall([gevent.spawn(call) for _ in range(4)], raise_error=True)
else:
    let_threads_run_between_turns()
    gevent.get_hub().threadpool.apply(call)
assert os.getpid() == HOST
assert gettrace() is None  # what a call has to look after is over with it
assert seen.keys() >= WAITS.keys() - NEVER, seen
assert not seen.keys() & NEVER, seen
os._exit(0)  # their ends are not of interest
