"""A result that cannot be written whole, as on a full disk: the item's OSError."""

import errno
import os
import resource

from tep_parallel import Parallel

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
outcomes = Parallel(lambda item: "x" * item).outcomes([10, 99_000, 200_000])
assert [outcome.ok for outcome in outcomes] == [True, True, False]
error = outcomes[2].error
assert isinstance(error, OSError), error
assert error.errno == errno.EFBIG
assert "item 2" in str(error)
assert os.listdir(os.environ["TMPDIR"]) == []
