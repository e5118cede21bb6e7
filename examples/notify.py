"""Tell every hook of an event, all at once, and say which could not be told."""
# make example RUN="notify.py http://127.0.0.1:8808/release http://127.0.0.1:8808/gone"

import ssl
import sys

import httpx

from tep_parallel import Parallel, ParallelWorker

TRUST = ssl.create_default_context()  # read once, before the fork


class Notify(ParallelWorker):
    def __init__(self, event: dict[str, object]) -> None:
        self.event = event

    def process(self, item: str) -> str:
        answer = httpx.post(item, json=self.event, timeout=2.0, verify=TRUST)  # seconds
        answer.raise_for_status()
        return "told"


def main(hooks: list[str]) -> None:
    event = {"event": "release", "version": "1.2.0"}
    for outcome in Parallel(Notify(event)).outcomes(hooks):
        print(outcome.item, outcome.result or f"could not be told: {outcome.error!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
