"""500 MiB of results. large.py ENGINE"""

from engines import named_engine

from tep_parallel import Parallel

MIB = 1 << 20


def work(item):
    return chr(ord("a") + item % 26) * MIB


if __name__ == "__main__":
    with named_engine() as executor:
        stream = Parallel(work, executor=executor, in_processes=2).imap_processes(range(500))
        total = 0
        for number, result in enumerate(stream):
            assert result == chr(ord("a") + number % 26) * MIB
            total += len(result)
        assert total == 500 * MIB
        results = Parallel(work, executor=executor, in_processes=2).map_processes(range(100))
        assert results == [work(number) for number in range(100)]
