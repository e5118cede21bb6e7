"""The service as tasks of Celery, and its block: which signal enters it depends on the pool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import work
from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
)
from folder_queue import queue_in

app = queue_in(Path(os.environ["QUEUE"]))


@app.task(name="ask")  # type: ignore[untyped-decorator]
def _ask(path: str, query: dict[str, str]) -> list[str]:
    return work.KINDS[path](query)


def _has_threads(worker: Any) -> bool:
    return str(worker.pool_cls.__module__).endswith(".thread")


@worker_init.connect  # type: ignore[untyped-decorator]
def _enter_before_threads(sender: Any, **_: object) -> None:
    """With --pool=threads the worker itself runs tasks; else it only forks, and needs no block."""
    if _has_threads(sender):
        work.enter()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _leave_behind_threads(sender: Any, **_: object) -> None:
    if _has_threads(sender):
        work.leave()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _enter(**_: object) -> None:
    work.enter()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _leave(**_: object) -> None:
    work.leave()
