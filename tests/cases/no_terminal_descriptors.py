"""Children have no terminal, even if the nursery of a call cannot open it to give it up."""

import errno
import os
import resource

from tep_parallel import Parallel


def look(item: str) -> str:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "opened"


def no_more(index: int, item: str) -> None:
    if index == 0:  # the call has its own; the nursery will have what is left
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))


first = Parallel(look).map_processes(["a"])
print("found:", *first, *Parallel(look, on_start=no_more).map_processes(["a"]))
