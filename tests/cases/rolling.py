"""Calls while three threads log to a file that is rolled over every few lines."""

import logging
import logging.handlers
import os
import tempfile
import threading

from tep_parallel import Parallel

log = logging.getLogger("case")
log.propagate = False
log.setLevel(logging.INFO)
logging.raiseExceptions = False  # the children roll it over too, and find it gone
folder = tempfile.TemporaryDirectory()
log.addHandler(
    logging.handlers.RotatingFileHandler(f"{folder.name}/log", maxBytes=2_000, backupCount=2)
)
over = threading.Event()


def chatter() -> None:
    while not over.is_set():
        log.info("x" * 200)


def work(item: int) -> str:
    log.info("child")
    return ""


threads = [threading.Thread(target=chatter) for _ in range(3)]
for thread in threads:
    thread.start()
failed = []
for _ in range(30):
    failed += [one for one in Parallel(work, timeout=20).outcomes(range(2)) if one.error]
over.set()
for thread in threads:
    thread.join()
print(failed, flush=True)
logging.shutdown()
folder.cleanup()
os._exit(0)
