"""Hooks, progress, setup and teardown, Break, Kill and on_error on an engine. hooks.py ENGINE"""

import sys
import threading

from engines import named_engine

from tep_parallel import Break, Kill, Parallel, ParallelWorker

ITEMS = list(range(60))


class Bar:
    def __init__(self):
        self.count = 0

    def update(self, n):
        self.count += n


class Ready(ParallelWorker):
    def setup(self):
        self.ready = "ready"

    def process(self, item):
        return f"{self.ready} {item}"


def breaks(item):
    if item == 5:
        raise Break("broken")
    return str(item)


def kills(item):
    if item == 5:
        raise Kill("killed")
    return str(item)


def fails(item):
    if item % 20 == 5:
        raise KeyError(item)
    return str(item)


def check(executor, children):
    how = {"executor": executor, "in_processes": children}
    bar, begun, ended, threads = Bar(), [], [], set()

    def on_start(index, item):
        begun.append((index, item))
        threads.add(threading.get_ident())

    def on_finish(outcome):
        assert (outcome.index, outcome.item) in begun
        ended.append(outcome.index)
        threads.add(threading.get_ident())

    hooks = {"on_start": on_start, "on_finish": on_finish, "progress": bar}
    results = Parallel(Ready(), **how, **hooks).map_processes(ITEMS)
    assert results == [f"ready {item}" for item in ITEMS]
    assert sorted(begun) == [(item, item) for item in ITEMS]
    assert sorted(ended) == ITEMS
    assert bar.count == len(ITEMS)
    assert threads == {threading.get_ident()}

    assert Parallel(breaks, **how).map_processes(ITEMS) == "broken"
    assert list(Parallel(breaks, **how).imap_processes(ITEMS)) == list("01234")
    assert Parallel(kills, **how).map_processes(ITEMS) == "killed"

    for on_error in ("stop", "finish", *(["kill"] if children else [])):
        try:
            Parallel(fails, on_error=on_error, **how).map_processes(ITEMS)
        except KeyError as error:
            # What was killed is not among them.
            assert error.args == (5,) or (on_error == "kill" and error.args[0] in (25, 45))
            assert "in fails" in str(error.__cause__)
            if on_error == "finish":
                assert [index for index, *_ in error.other_failures] == [25, 45]
        else:
            raise AssertionError(on_error)

    def raising(outcome):
        raise LookupError(outcome.index)

    try:
        Parallel(str, on_finish=raising, **how).map_processes(ITEMS)
    except LookupError:
        pass
    else:
        raise AssertionError


if __name__ == "__main__":
    with named_engine() as executor:
        check(executor, 2)
        # A cancel of Ray's ends a worker that may have the next call's chunk by then.
        if sys.argv[1] != "ray":
            check(executor, None)
