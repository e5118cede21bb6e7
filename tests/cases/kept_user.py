"""A host that becomes another user in a block: it is refused before anything happens. One that
becomes another user before it enters its block is served, with the rights of that. As root."""

import os
from collections.abc import Callable

from tep_parallel import Parallel


def refused(change: Callable[[], None], back: Callable[[], None]) -> None:
    change()
    try:
        p.map_processes([1])
    except RuntimeError as error:
        assert "user" in str(error) or "group" in str(error), error
    else:
        raise AssertionError
    try:
        next(p.imap_processes([1]))
    except RuntimeError:
        pass
    else:
        raise AssertionError
    back()
    assert p.map_processes([1]) == ["1"]


groups = os.getgroups()
with Parallel(str, in_processes=2) as p:
    assert p.map_processes([1]) == ["1"]
    refused(lambda: os.seteuid(65534), lambda: os.seteuid(0))
    refused(lambda: os.setegid(65534), lambda: os.setegid(0))
    refused(lambda: os.setgroups([*groups, 65533]), lambda: os.setgroups(groups))

pid = os.fork()
if pid == 0:
    try:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with Parallel(lambda _: f"{os.getresuid()} {os.getgroups()}", max_calls=1) as p:
            assert p.map_processes([1, 2]) == ["(65534, 65534, 65534) []"] * 2
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
