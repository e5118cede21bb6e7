"""What a request costs in a service: ours beside an executor, threads and a loop.

python benchmarks/services.py [--rounds 3] [--seconds 2] [SERVER ...]

The servers are those of tests/services, each on loopback, asked by 16 connections that never
rest. /fan_out has four items that each wait for 5 ms, as for an answer of another service: what
it costs in CPU is what it costs to hand them over. /digest has twenty files of 256 KiB. All ways
of a server are started at once and asked in turn; who asks has the same CPUs as the server.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

SERVICES = Path(__file__).parent.parent / "tests" / "services"
sys.path.insert(0, str(SERVICES))

from load import Load  # noqa: E402
from process import Service, started  # noqa: E402
from run import CONNECTIONS, make_files  # noqa: E402
from servers import SERVERS  # noqa: E402

OURS = {"block": "warm, in a block", "fresh": "fresh, in a block", "outside": "outside a block"}
OTHERS = {"executor": "ProcessPoolExecutor, warm", "threads": "threads", "serial": "a loop"}
DIGESTS = {"outside": "digest_files", **OTHERS}
AWAITED = {"async-block": "awaited, in a block", "async": "awaited, outside a block"}
SERVED = ["gunicorn-gthread", "uvicorn"]


class Way:
    """One way to do the work, and what was seen of it.

    Args:
        service: That does it.
        files: What it digests.
        digests: Whether it is asked for digests, not for a fan-out.
    """

    def __init__(self, service: Service, files: list[Path], *, digests: bool) -> None:
        self._service, self._files, self._digests = service, files, digests
        self.rates: list[float] = []  # requests a second, a round
        self.costs: list[float] = []  # milliseconds of CPU a request, a round
        self._seconds: list[float] = []

    def ask(self, seconds: float, *, counts: bool) -> None:
        """One round."""
        every = 1 if self._digests else 0
        with Load(self._service.client, CONNECTIONS, self._files, digests=every) as load:
            load.go_on(0.3)  # each client has computed what is right
            used, answered, seen = self._service.cpu(), load.answers(), len(load.seconds)
            load.go_on(seconds)
            used, answered = self._service.cpu() - used, load.answers() - answered
            took = load.seconds[seen:]
        if load.faults():
            sys.exit("\n".join(load.faults()[:20]))
        if counts:
            self.rates.append(answered / seconds)
            self.costs.append(used / answered * 1e3)
            self._seconds += took

    def waits(self, part: float) -> float:
        """Milliseconds within which this part of the requests was answered."""
        return sorted(self._seconds)[int(part * (len(self._seconds) - 1))] * 1e3


def compare(name: str, ways: dict[str, str], *, digests: bool, rounds: int, seconds: float) -> None:
    """Ask each way in turn, for so many rounds after one to warm up; print the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        files = make_files(Path(folder))
        found = {}
        for how in ways:
            service = running.enter_context(started(name, how, FILES=folder, QUIET="1"))
            found[how] = Way(service, files, digests=digests)
        order = list(ways)
        for turn in range(rounds + 1):
            for how in order[turn % len(order) :] + order[: turn % len(order)]:
                found[how].ask(seconds if turn else 0.5, counts=turn > 0)
    print(f"\n{name}, {'/digest' if digests else '/fan_out'}, {CONNECTIONS} connections")
    heads = ["requests/s", "ms of CPU", "of executor's", "p50 ms", "p99 ms"]
    print(f"  {'':26}" + "".join(f"{head:>14}" for head in heads))
    executor = found["executor"].costs
    for how, way in found.items():
        ratio = statistics.median(a / b for a, b in zip(way.costs, executor, strict=True))
        figures = [
            f"{statistics.median(way.rates):.0f}",
            f"{statistics.median(way.costs):.2f}",
            f"{ratio:.2f}",
            f"{way.waits(0.5):.1f}",
            f"{way.waits(0.99):.1f}",
        ]
        print(f"  {ways[how]:26}" + "".join(f"{figure:>14}" for figure in figures), flush=True)


def main() -> None:
    """Print a table for each server and each kind of request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round of one way")
    parser.add_argument("server", nargs="*", default=SERVED, help=f"{', '.join(SERVED)}")
    options = parser.parse_args()
    for name in options.server:
        awaited = AWAITED if "async" in SERVERS[name].ways else {}
        for digests, ways in (
            (False, {**OURS, **awaited, **OTHERS}),
            (True, {**DIGESTS, **({"async": "digest_files, awaited"} if awaited else {})}),
        ):
            compare(name, ways, digests=digests, rounds=options.rounds, seconds=options.seconds)


if __name__ == "__main__":
    main()
