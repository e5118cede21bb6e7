"""The server of a block is killed: nests go on, and another server comes, with a warning.

kept_server_killed.py fresh|pool [nests]
"""

import contextlib
import os
import signal
import sys
import warnings

from support import alive, below, children, name_of, until

from tep_parallel import Kill, Parallel

OPTIONS = {"in_processes": 2} if sys.argv[1] == "pool" else {}


def work(item: object) -> str:
    if item == "kill":
        raise Kill("killed")
    return str(item)


def named(name: str) -> list[int]:
    """What is below this process and has this name; with a server dead, its nests are not."""
    return [pid for pid in below(os.getpid()) if name_of(pid) == name]


def kill(victims: list[int]) -> None:
    """They are gone when this returns."""
    assert victims
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):  # a nest that was retired has just ended
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(alive, victims)))


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with Parallel(work, max_calls=2, **OPTIONS) as p:
        assert p.map_processes([1, 2, 3]) == ["1", "2", "3"]
        assert caught == [], [str(one.message) for one in caught]
        for turn in range(3):
            nurseries = named("tep-nursery")
            kill(named("tep-server"))
            if sys.argv[2:] != ["nests"]:
                assert p.map_processes([4, 5]) == ["4", "5"]  # the nest is still there
            else:
                kill(nurseries)
            for _ in range(4):  # every nest is retired: the next one needs a server
                assert p.map_processes(["kill"]) == "killed"
                assert p.map_processes([6, 7, 8]) == ["6", "7", "8"]
            assert [one.category for one in caught] == [RuntimeWarning] * (turn + 1), [
                str(one.message) for one in caught
            ]
            assert "server" in str(caught[-1].message)
assert children(servers=True) == []
