"""A function that finds this library only when it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def finder_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that imports another and calls it; cloudpickle sends it by its value.

    Dask's workers unpickle a function while they read a message of the scheduler's, and the
    scheduler does too. What fails there ends a connection, and nobody hears why. What fails in
    the call is an error of its task.
    """
    module, name = function.__module__, function.__qualname__

    def call(*arguments: Any) -> Any:
        from importlib import import_module

        return getattr(import_module(module), name)(*arguments)

    return call
