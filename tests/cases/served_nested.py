"""Blocks inside a call, and calls inside a block: nothing outlives its host.

    served_nested.py HOW FOLDER

HOW: `leaves`, the child that has a server returns and closes nothing; `dies`, it is killed;
`calls`, a kept child makes a call of its own, with and without a pool.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from served import Nest, Server
from support import alive, below, children, until

from tep_parallel import Parallel

how, folder = sys.argv[1], Path(sys.argv[2])


def double(item: str) -> str:
    return item * 2


def keep_children(item: str) -> str:
    server = Server(double)
    nests = [Nest(server), Nest(server)]
    found = [nest.map([item, "b"]) for nest in nests]
    until(lambda: len(below(os.getpid())) == 1 + 2 + 4)
    for pid in below(os.getpid()):
        (folder / str(pid)).touch()
    if how == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return " ".join(found[1])


def call(item: str) -> str:
    alone = Parallel(double).map_processes([item])
    return " ".join(alone + Parallel(double, in_processes=2).map_processes([item, "c"]))


if how == "calls":
    server = Server(call)
    nest = Nest(server)
    for _ in range(3):
        assert nest.map(["a", "b"]) == ["aa aa cc", "bb bb cc"]
    nest.leave()
    server.close()
else:
    outcomes = Parallel(keep_children).outcomes(["a", "c"])
    pids = [int(path.name) for path in folder.iterdir()]
    assert len(pids) == 14
    assert not any(map(alive, pids)), [pid for pid in pids if alive(pid)]
    results = [outcome.result for outcome in outcomes]
    assert results == (["aa bb", "cc bb"] if how == "leaves" else [None, None]), results
assert children() == []
