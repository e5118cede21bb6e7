"""A host that gevent has patched: other greenlets run while a call waits. gevent_host.py ENGINE"""

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402
from engines import named_engine  # noqa: E402

from tep_parallel import Parallel  # noqa: E402


def work(item):
    import time

    time.sleep(0.1)
    return str(item)


def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)


ticks = []
if __name__ == "__main__":
    with named_engine() as executor:
        ticking = gevent.spawn(tick)
        call = Parallel(work, executor=executor, in_processes=2)
        assert call.map_processes(range(20)) == [str(item) for item in range(20)]
        ticking.kill()
        assert len(ticks) > 10, len(ticks)
        assert list(call.imap_processes(iter(range(20)))) == [str(item) for item in range(20)]
