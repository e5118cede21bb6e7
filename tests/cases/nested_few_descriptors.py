"""An item that has made a call itself is killed, and the nursery has hardly a descriptor left:
the inner call's directory goes all the same, and so do its processes."""

import os
import resource
import time
from pathlib import Path

from tep_parallel import DeadlineError, Parallel

_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
scratch = Path(os.environ["TMPDIR"])


def sleep(item: object) -> str:
    time.sleep(60)
    return ""


def inner(item: object) -> str:
    resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
    return str(Parallel(sleep).map_processes([0, 1]))


calls = 0
for most in range(5, 20):
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, HARD))
    try:
        Parallel(inner, deadline=0.3).map_processes([0])
    except DeadlineError:
        calls += 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
        assert list(scratch.iterdir()) == [], most
        assert Path(f"/proc/self/task/{os.getpid()}/children").read_text() == "", most
    except OSError as error:
        assert "while" in str(error), error
    resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
assert 3 < calls < 15, calls
