"""What cannot be sent is refused before anything is submitted, and named. unsendable.py ENGINE"""

import threading

from engines import named_engine

from tep_parallel import Parallel

LOCK = threading.Lock()


def needs_a_lock(item):
    with LOCK:
        return item


if __name__ == "__main__":
    with named_engine() as executor:
        for worker, items, named in (
            (needs_a_lock, ["a"], "needs_a_lock"),
            (str, ["a", threading.Lock()], "1"),
        ):
            try:
                Parallel(worker, executor=executor, in_processes=2).map_processes(items)
            except TypeError as error:
                assert named in str(error), error
            else:
                raise AssertionError(worker)
        unsendable = Parallel(
            lambda item: threading.Lock(), executor=executor, in_processes=2
        ).outcomes(["a"])
        assert isinstance(unsendable[0].error, TypeError)
        assert Parallel(str, executor=executor, in_processes=2).map_processes(["a"]) == ["a"]
