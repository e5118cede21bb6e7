"""A program that ends while calls run and wait: all of them are done, also those that use an
executor themselves."""

import time

from tep_parallel import ForkExecutor

executor = ForkExecutor(2)


def nested() -> list[int]:
    time.sleep(0.2)  # the host is at its end by now
    with ForkExecutor(1) as own:
        return [own.submit(int).result(), executor.submit(int).result()]


for _ in range(3):
    executor.submit(nested).add_done_callback(lambda done: print(done.result()))
print("host", end=" ")
executor.submit(print, "child", end="\n").add_done_callback(lambda _: print("over"))
