"""An item whose child died never gets its second try: it ends as it ended last.

No child can be forked any more, and the other item's failure stops the call.
Root is not limited: then this becomes nobody first, once all is imported.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

from tep_parallel import DeadWorkerError, Outcome, Parallel

LIMIT = 20.0  # seconds; against hanging only


def work(item: Path) -> str:
    """The first item waits for the second, leaves its number there, and dies; the second waits for
    that."""
    end = time.monotonic() + LIMIT
    if not item.is_dir():
        while not (item.parent / "runs").exists() and time.monotonic() < end:
            time.sleep(0.001)
        item.write_text(str(os.getpid()))
        resource.prlimit(os.getppid(), resource.RLIMIT_NPROC, (0, 0))
        os._exit(7)
    (item / "runs").touch()
    while time.monotonic() < end:
        noted = item / "pid"
        if noted.exists() and noted.read_text():
            try:
                os.kill(int(noted.read_text()), 0)
            except ProcessLookupError:
                raise ValueError("stop") from None
        time.sleep(0.001)
    return "the first was never reaped"


told: list[Outcome[str]] = []
Parallel(str, on_finish=told.append).map_processes(["warm"])
told.clear()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(54321)
with tempfile.TemporaryDirectory() as folder:
    fan_out = Parallel(work, in_processes=2, isolation=True, retries=3, on_finish=told.append)
    try:
        fan_out.map_processes([Path(folder, "pid"), Path(folder)])
        raise AssertionError("it went well")
    except DeadWorkerError as error:
        assert (error.index, error.exit_code) == (0, 7), error
by_index = {outcome.index: outcome for outcome in told}
assert sorted(by_index) == [0, 1], told
assert isinstance(by_index[0].error, DeadWorkerError), told
assert by_index[0].attempts == 1, told
assert isinstance(by_index[1].error, ValueError), told
