"""Items that run in the engine's worker itself: what is promised there, and what is refused.
inside.py ENGINE"""

import os
import sys

from engines import named_engine

from tep_parallel import DeadWorkerError, Parallel


def work(item):
    if item == "leave":
        sys.exit(7)
    if item == "raise":
        raise ValueError(item)
    return f"{item} {os.getpid()}"


if __name__ == "__main__":
    with named_engine() as executor:
        for option in (
            {"timeout": 1},
            {"isolation": True},
            {"retries": 1},
            {"on_error": "kill"},
        ):
            for children in (None, 0):
                try:
                    Parallel(
                        work, executor=executor, in_processes=children, **option
                    ).map_processes(["a"])
                except ValueError as error:
                    assert next(iter(option)) in str(error)
                else:
                    raise AssertionError(option)
        items = ["a", "leave", "b", "raise", "c"]
        outcomes = Parallel(work, executor=executor).outcomes(items)
        assert [one.item for one in outcomes] == items
        assert isinstance(outcomes[1].error, DeadWorkerError), outcomes[1].error
        assert outcomes[1].error.exit_code == 7
        assert type(outcomes[3].error) is ValueError
        assert [one.result.split()[0] for one in outcomes if one.ok] == ["a", "b", "c"]
