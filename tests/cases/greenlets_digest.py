"""A host that gevent has patched digests sets of files, small and larger ones.

python tests/cases/greenlets_digest.py FOLDER
Prints for each set whether it had children, and whether other greenlets ran meanwhile.
"""

from gevent import monkey

monkey.patch_all()

import hashlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from tep_parallel import digest_files  # noqa: E402

forks = turns = 0


def count_forks() -> None:
    global forks
    forks += 1


def count_turns() -> None:
    global turns
    while True:
        turns += 1
        gevent.sleep(0)


os.environ["TEP_PARALLEL_SHA256"] = "alone"  # which every processor has
os.register_at_fork(before=count_forks)
other = gevent.spawn(count_turns)
gevent.sleep(0)
path = Path(sys.argv[1], "file")
for size in (200 << 10, 1 << 20):
    path.write_bytes(bytes(size))
    forks = turns = 0
    found = digest_files([path], algorithm="sha256")
    ran = turns > 0
    assert found == [hashlib.sha256(path.read_bytes()).hexdigest()]
    print("children" if forks else "none", "others" if ran else "alone")
other.kill()
