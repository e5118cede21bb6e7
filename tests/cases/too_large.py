"""Results that the limit on files forbids, in pools: each costs its own item."""

import errno
import resource
import signal

from tep_parallel import Parallel, ParallelWorker

LIMIT = 8 << 20
HUGE = {3, 4, 250, 499}


class Work(ParallelWorker):
    def __init__(self, *, default: bool) -> None:
        self.default = default

    def setup(self) -> None:
        if self.default:  # not ignored, as Python does: to go past the limit is to die
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    def process(self, item: int) -> str:
        if item in HUGE:
            return "h" * (LIMIT + item)
        return "m" * 600_000 if item == 100 else "s" * (item % 10 * 1000)


resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
for default in (False, True):
    for options in ({"in_processes": 1}, {"in_processes": 3}):
        outcomes = Parallel(Work(default=default), **options).outcomes(range(500))
        failed = [outcome for outcome in outcomes if not outcome.ok]
        assert {outcome.index for outcome in failed} == HUGE, failed
        for outcome in failed:
            assert isinstance(outcome.error, OSError), outcome
            assert outcome.error.errno == errno.EFBIG, outcome
            assert f"item {outcome.index}" in str(outcome.error)
        assert len(outcomes[100].result or "") == 600_000
        assert all(
            outcome.result == "s" * (outcome.index % 10 * 1000)
            for outcome in outcomes
            if outcome.index not in HUGE | {100}
        )

# All of them together are too much: what fits is kept, and the rest says why.
outcomes = Parallel(lambda _: "x" * 100_000, in_processes=2).outcomes(range(200))
kept = sum(outcome.ok for outcome in outcomes)
assert LIMIT * 8 // 10 < kept * 100_000 <= LIMIT, kept
for outcome in outcomes:
    assert outcome.ok or getattr(outcome.error, "errno", None) == errno.EFBIG, outcome

# A child an item: no signal there either.
outcomes = Parallel(Work(default=True)).outcomes(range(5))
assert [outcome.ok for outcome in outcomes] == [True, True, True, False, False]
assert getattr(outcomes[3].error, "errno", None) == errno.EFBIG, outcomes[3]
