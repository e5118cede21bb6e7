"""What docs/faults.md promises holds in an event loop too: its tests, of AsyncParallel."""

from __future__ import annotations

import contextlib
import gc
import inspect
import re
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import test_codec
import test_ending
import test_errors
import test_faults
import test_hooks
import test_limits
import test_pool
import test_raised
import test_stream
from loops import Run, parallel

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
MODULES = [
    *(test_codec, test_ending, test_errors, test_faults, test_hooks, test_limits, test_pool),
    *(test_raised, test_stream),
]
# What an event loop does in its own way, as tests of AsyncParallel show.
OTHERWISE = {
    "test_abort_ends_a_blocking_call",  # abort waits for nothing
    "test_abort_ends_an_iterator",
    "test_an_iterator_that_calls_itself_is_refused",  # the loop refuses that
    "test_an_iterator_that_is_left_kills_what_runs",  # the loop does that, soon
    "test_a_failure_keeps_nothing_alive",  # run_until_complete does: see below
    "test_no_signal_sent_to_a_fresh_child_reaches_the_host",  # in it a loop runs already
    "test_an_asyncio_host_hears_its_own_signals_and_no_childs",
    "test_calls_from_threads_of_a_busy_host_neither_hang_nor_go_wrong",  # a loop has one thread
}
# What needs a signal handler that raises: uvloop logs what it raises, and goes on.
RAISED_BY_HANDLERS = (
    "test_a_stopped_nursery_delays_no_call_that_is_given_up",
    "test_a_call_given_up_by_a_signal_handler_leaves_nothing",
)
pytestmark = [
    pytest.mark.peers,  # the suite once more: `make test-peers` has time for that
    pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning"),  # pytest's own
]


@pytest.fixture(autouse=True)
def in_a_loop(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Parallel of the test is an AsyncParallel; see looped.py."""
    if kind == "uvloop" and request.node.name.startswith(RAISED_BY_HANDLERS):
        pytest.skip("uvloop logs what a signal handler raises, and goes on")
    monkeypatch.setenv("TEP_PARALLEL_LOOP", kind)


def promises(module: ModuleType) -> dict[str, object]:
    """The tests of a module that the page names, and that take their Parallel from kept.py."""
    names = set(re.findall(r"`(test_\w+)`", PAGE.read_text())) - OTHERWISE
    return {
        f"{name}_{module.__name__.removeprefix('test_')}": test
        for name, test in vars(module).items()
        if name in names and {"shape", "kept"} & set(inspect.signature(test).parameters)
    }


for each in MODULES:
    globals().update(promises(each))


class Item:
    """An item that can be seen to go."""


def fail(item: object) -> str:
    raise KeyError(item)


@pytest.mark.parametrize("options", [{}, {"in_processes": 2}], ids=["fresh", "pool"])
@pytest.mark.parametrize("kept", [False, True], ids=["outside", "in a block"])
def test_a_failure_keeps_nothing_alive(options: dict[str, Any], kept: bool, run: Run) -> None:
    """Also before the garbage collector comes."""

    async def main() -> None:
        async with parallel(fail, kept=kept, **options) as p:
            gc.collect()
            gc.disable()
            try:
                for awaited in (p.map_processes, p.outcomes, listed(p.imap_processes)):
                    item = Item()
                    gone = weakref.ref(item)
                    with contextlib.suppress(KeyError):
                        await awaited([item, item])
                    del item
                    assert gone() is None, awaited
            finally:
                gc.enable()

    run(main())


def listed(method: Any) -> Any:
    async def all_of(items: Any) -> list[Any]:
        return [each async for each in method(items)]

    return all_of
