"""What uWSGI loads: the application, and its block in each worker."""

from __future__ import annotations

import app
import work
from uwsgidecorators import postfork  # type: ignore[import-not-found]

application = app.app


@postfork  # type: ignore[untyped-decorator]
def enter() -> None:
    """In a worker: what was forked for the master would serve nobody."""
    work.enter()
