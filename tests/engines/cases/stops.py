"""A call that is ended while its items sleep: how long they live on. stops.py ENGINE HOW FOLDER"""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from engines import named_engine

from tep_parallel import AbortedError, AsyncParallel, Kill, Parallel

HERE = Path(sys.argv[-1])
# Of Kill and on_error. A cancel of Ray's may miss a chunk that begins at that moment, as one that
# has waited for the worker does: of Ray, all run by then.
OTHERS, FIRST = ("cde", 5) if sys.argv[1] == "ray" else ("cdefgh", 2)


def work(item):
    if item == "kill":
        wait_for_others()
        raise Kill("killed")
    if item == "raise":
        wait_for_others()
        raise ValueError(item)
    (HERE / f"{os.getpid()}.pid").touch()
    time.sleep(600)
    return item


def wait_for_others():
    """And say when they were there."""
    while len(sleeping()) < FIRST:
        time.sleep(0.01)
    (HERE / "raised").write_text(str(time.monotonic()))


def sleeping():
    """The children that sleep: of this machine all."""
    return [int(path.stem) for path in HERE.glob("*.pid")]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition, limit=60):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.005)


def abort(how):
    call = Parallel(work, **how)

    def later():
        until(lambda: len(sleeping()) >= 2)
        times.append(time.monotonic())
        call.abort()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        call.map_processes(list("abcdefgh"))
    except AbortedError:
        thread.join()
    else:
        raise AssertionError


def close(how):
    # What is said of a chunk comes when all of it has ended.
    how["chunk_size"] = 1
    stream = Parallel(lambda item: item if item == "first" else work(item), **how).as_completed(
        ["first", *"abcdefgh"]
    )
    assert next(stream).result == "first"
    until(lambda: len(sleeping()) >= 1)
    times.append(time.monotonic())
    stream.close()


def cancel(how):
    async def main():
        task = asyncio.ensure_future(AsyncParallel(work, **how).map_processes(list("abcdefgh")))
        while len(sleeping()) < 2:
            await asyncio.sleep(0.01)
        times.append(time.monotonic())
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        else:
            raise AssertionError

    asyncio.run(main())


def kill(how):
    assert Parallel(work, **how).map_processes(["a", "b", "kill", *OTHERS]) == "killed"
    times.append(float((HERE / "raised").read_text()))


def on_error(how):
    try:
        Parallel(work, on_error="kill", **how).map_processes(["a", "b", "raise", *OTHERS])
    except ValueError:
        times.append(float((HERE / "raised").read_text()))
    else:
        raise AssertionError


def deadline(how):
    from tep_parallel import DeadlineError

    times.append(time.monotonic() + 3)
    try:
        Parallel(work, deadline=3, **how).map_processes(list("abcdefgh"))
    except DeadlineError:
        pass
    else:
        raise AssertionError


times = []
if __name__ == "__main__":
    with named_engine() as executor:
        globals()[sys.argv[2]]({"executor": executor, "in_processes": 3, "chunk_size": 3})
        over = time.monotonic()
        until(lambda: not any(map(alive, sleeping())), 20)
        gone = time.monotonic()
        (begun,) = times
        print(f"{over - begun:.2f} {gone - begun:.2f}")
        # The engine's workers are free again.
        assert Parallel(str.upper, executor=executor, in_processes=2).map_processes(["a"]) == ["A"]
