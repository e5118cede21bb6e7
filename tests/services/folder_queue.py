"""A queue of Celery's in a folder: no broker has to run, and nothing crosses a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery


def queue_in(folder: Path, out: str = "queue") -> Any:
    """The queue in this folder, for its workers and for those who give it work.

    Args:
        folder: Its place.
        out: The folder there into which this process puts its tasks.
    """
    for name in ("queue", "control", "results", out):
        (folder / name).mkdir(parents=True, exist_ok=True)
    queue = Celery("tasks", broker="filesystem://", backend=f"file://{folder / 'results'}")
    queue.conf.update(
        broker_transport_options={
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / out),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.01,  # seconds
        },
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        worker_proc_alive_timeout=60.0,  # seconds; a busy machine needs more than the usual four
    )
    return queue
