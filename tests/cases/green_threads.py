"""A host that gevent has patched: threads of a worker are greenlets there, and are joined."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

from tep_parallel import Parallel  # noqa: E402


def later(item: int) -> None:
    time.sleep(0.2)
    os.write(1, b"%d" % item)


def work(item: int) -> str:
    threading.Thread(target=later, args=(item,)).start()
    return ""


threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # the host's own
shapes: list[dict[str, Any]] = [{}, {"in_processes": 1}, {"in_processes": 2, "isolation": True}]
for shape in shapes:
    Parallel(work, timeout=30, **shape).each_process([7])
