"""A configuration file of gunicorn: each worker enters its block when it is ready to begin."""

from __future__ import annotations

from typing import Any


def post_worker_init(worker: Any) -> None:
    """It has dropped its rights and loaded the application; it has no threads yet."""
    import work

    work.enter()
