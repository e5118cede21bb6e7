"""A plugin of Dask's forks the children's server when it is registered, or when a worker starts.
early.py ENGINE"""

import os
import time
from pathlib import Path

from engines import named_engine

from tep_parallel import Parallel, dask_plugin


def servers():
    """Those of the Dask worker that this runs in."""
    below = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [pid for file in below for pid in file.read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().startswith("tep-")]


def work(item):
    nursery = os.getppid()
    return Path(f"/proc/{nursery}/stat").read_text().rpartition(")")[2].split()[1]


if __name__ == "__main__":
    with named_engine() as executor:
        client = executor._client
        call = Parallel(work, executor=executor, in_processes=2)
        client.register_plugin(dask_plugin(call), name="early")
        forked = client.run(servers)
        assert all(len(pids) == 1 for pids in forked.values()), forked
        early = {pid for pids in forked.values() for pid in pids}
        assert set(call.map_processes(range(200))) <= early
        time.sleep(7)  # longer than what is entered by a chunk stays
        assert client.run(servers) == forked
        client.unregister_worker_plugin("early")
        assert not any(client.run(servers).values())
        print(len(forked))
