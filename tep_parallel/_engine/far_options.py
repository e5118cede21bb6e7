"""Which options an executor takes, and which of them need children on its workers."""

from __future__ import annotations

from tep_parallel._typing import Any


def check(options: dict[str, Any]) -> None:
    """Check those of a call that has an executor, or a chunk_size.

    Args:
        options: The attributes of Options.

    Raises:
        TypeError: The executor has no `submit`, or is a client of Dask.
        ValueError: An option could not be kept.
    """
    executor = options["executor"]
    if executor is None:
        msg = "chunk_size: it needs executor=, whose chunks it is about"
        raise ValueError(msg)
    if callable(getattr(executor, "get_executor", None)):
        kind = type(executor).__name__
        msg = f"executor: expected an executor, got a {kind}; give its get_executor()"
        raise TypeError(msg)
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        msg = f"executor: expected an object with submit(), got {executor!r}"
        raise TypeError(msg)
    if options["keep"]:
        msg = "keep: descriptors are those of this process; its children are not on this machine"
        raise ValueError(msg)
    if options["in_processes"]:
        return
    needing = {
        "timeout": options["timeout"] is not None,
        "isolation": options["isolation"],
        "max_items_per_child": options["max_items"] is not None,
        "retries": options["retries"] > 0,
        "on_error='kill'": options["on_error"] == "kill",
    }
    for name, wanted in needing.items():
        if wanted:
            msg = f"{name}: with executor= it needs in_processes=N, for without children on the "
            msg += "executor's workers nothing could be killed there"
            raise ValueError(msg)
