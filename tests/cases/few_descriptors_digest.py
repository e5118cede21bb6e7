"""A host that has hardly a descriptor left asks for the digests of many files.

few_descriptors_digest.py FILE...
"""

import hashlib
import os
import resource
import sys
from pathlib import Path

from tep_parallel import digest_files

paths = sys.argv[1:]
expected = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
digest_files(paths)  # all is loaded
for left in (8, 9, 12, 25):
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + left, 4096))
    assert digest_files(paths, algorithm="sha256", in_processes=1) == expected
