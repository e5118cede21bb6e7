"""Threads of one host, each with iterators of its own, of one Parallel; some are left early."""

import itertools
import random
import sys
import threading
from typing import Any

from kept import Parallel, close_blocks
from support import children, descriptors

CALLS = int(sys.argv[1])
before = descriptors()
parallel: "Parallel[Any]" = Parallel(lambda item: f"{item}", in_processes=2)
quota: "Parallel[Any]" = Parallel(lambda item: f"{item}", in_processes=2, max_items_per_child=7)
failed: list[BaseException] = []


def iterate(thread: int) -> None:
    chance = random.Random(thread)
    try:
        for _ in range(CALLS):
            one(chance, chance.choice([parallel, quota]), thread * 1000)
    except BaseException as error:
        failed.append(error)
        raise


def one(chance: random.Random, fan_out: "Parallel[Any]", first: int) -> None:
    count = chance.choice([0, 1, 50, 500])
    source = range(first, first + count)
    expected = [str(number) for number in source]
    how = chance.randrange(4)
    if how == 0:
        assert list(fan_out.imap_processes(iter(source))) == expected
    elif how == 1:
        assert sorted(one.result for one in fan_out.as_completed(iter(source))) == expected
    elif how == 2:
        left = fan_out.imap_processes(itertools.count(first))
        assert [next(left) for _ in range(count)] == [str(first + n) for n in range(count)]
        if chance.random() < 0.5:
            left.close()
    else:
        pairs = zip(fan_out.imap_processes(source), fan_out.imap_processes(source), strict=True)
        assert list(pairs) == list(zip(expected, expected, strict=True))


threads = [threading.Thread(target=iterate, args=(number,)) for number in range(1, 6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert failed == []
close_blocks()
assert children(servers=True) == []
assert descriptors() == before
