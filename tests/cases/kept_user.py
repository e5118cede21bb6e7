"""A host that becomes another user in a block: it is refused before anything happens. As root."""

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
