"""Probe services, all at once. A service that hangs takes no answer from the others."""
# make example RUN="probe.py https://www.python.org https://docs.python.org http://127.0.0.1:8808/gone"

import ssl
import sys

import httpx

from tep_parallel import Parallel, ParallelWorker

TRUST = ssl.create_default_context()  # read once, before the fork


class Probe(ParallelWorker):
    def process(self, item: str) -> str:
        answer = httpx.get(item, timeout=2.0, follow_redirects=True, verify=TRUST)  # seconds
        answer.raise_for_status()
        return f"{answer.status_code} after {answer.elapsed.total_seconds() * 1000:.0f} ms"


def main(urls: list[str]) -> None:
    for outcome in Parallel(Probe()).outcomes(urls):
        print(outcome.item, outcome.result if outcome.ok else f"is down: {outcome.error!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
