"""A scratch root without space: the items that need some fail, the others are kept."""

import errno
import os
from pathlib import Path

from tep_parallel import Parallel

root = Path(os.environ["TMPDIR"])
for options in ({}, {"in_processes": 1, "isolation": True}):
    outcomes = Parallel(lambda item: "x" * item, **options).outcomes([10, 4_000_000, 20])
    for index, outcome in enumerate(outcomes):
        # Beside the one that fills the disk, others may find it full.
        if index == 1 or (not options and not outcome.ok):
            assert isinstance(outcome.error, OSError), outcome
            assert outcome.error.errno == errno.ENOSPC
            assert f"item {index}" in str(outcome.error)
        else:
            assert outcome.ok, outcome
    assert list(root.iterdir()) == []
(root / "filler").write_bytes(b"")
try:
    with (root / "filler").open("wb") as file:
        while True:
            file.write(bytes(4096))
except OSError as full:
    assert full.errno == errno.ENOSPC
for options in ({}, {"in_processes": 1}):
    try:
        texts = Parallel(lambda item: "x" * item, **options).map_processes([1, 2])
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    else:
        assert texts == ["x", "xx"]
assert [path.name for path in root.iterdir()] == ["filler"]
