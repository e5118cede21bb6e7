"""A block in an asyncio host: calls in threads of its executor, while its loop runs."""

import asyncio
import signal
import warnings

from support import children

from tep_parallel import Parallel

heard = 0
# The second block is entered beside the threads of the executor.
warnings.simplefilter("ignore", RuntimeWarning)


def hear() -> None:
    global heard
    heard += 1


async def main() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, hear)
    for options in ({"in_processes": 2}, {}):
        with Parallel(str, max_calls=2, **options) as p:
            for _ in range(10):
                signal.raise_signal(signal.SIGUSR1)
                calls = [asyncio.to_thread(p.map_processes, [n, n + 1]) for n in range(8)]
                found = await asyncio.gather(*calls)
                assert found == [[str(n), str(n + 1)] for n in range(8)]
            assert p.map_processes([1]) == ["1"]  # blocks the loop
    await asyncio.sleep(0)


asyncio.run(main())
assert heard == 20, heard
assert children(servers=True) == []
