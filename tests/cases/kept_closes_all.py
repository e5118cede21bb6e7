"""A host closes all that it has open in a block, as a daemon does, and opens other things.

python tests/cases/kept_closes_all.py {pool,fresh} {before,between}
"""

import os
import socket
import sys
import warnings

from support import below, until

from tep_parallel import Parallel

shape, when = sys.argv[1:]
with Parallel(str, in_processes=2 if shape == "pool" else None) as p:
    if when == "between":
        assert p.map_processes([1, 2]) == ["1", "2"]
    before = below(os.getpid())
    os.closerange(3, 1000)
    others = [end for _ in range(30) for end in socket.socketpair()]
    child = os.fork()
    if child == 0:  # it drops what is of the block, and nothing else
        for end in others:
            os.fstat(end.fileno())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert p.map_processes([3, 4]) == ["3", "4"]
    (gone,) = told
    assert "the server of a block was gone" in str(gone.message)
    assert list(p.imap_processes([5, 6])) == ["5", "6"]
    until(lambda: not set(before) & set(below(os.getpid())))
for end in others:
    end.setblocking(False)
    try:
        end.recv(1)
    except BlockingIOError:
        continue
    raise AssertionError(end)
