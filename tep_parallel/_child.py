"""What a child does with its item, from the fork to its end."""

from __future__ import annotations

import sys
from typing import NoReturn

from tep_parallel import _raised, _streams
from tep_parallel._engine import Call
from tep_parallel._native import lib
from tep_parallel._worker import Process


def serve(
    call: Call,
    process: Process,
    item: object,
    *,
    discard: bool,
    rebuild: bool,
    renew_streams: bool,
) -> NoReturn:
    """Process `item` and end this process, whatever happens.

    Args:
        call: The call that forked this child.
        process: The worker's function.
        item: This child's item.
        discard: Nobody wants to know what `process` returns.
        rebuild: Whether an exception may travel as a pickle.
        renew_streams: What _streams.settle_before_fork returned.
    """
    try:
        _settle(renew_streams=renew_streams)
        result = process(item)
        if discard:
            status, payload = lib.SPHTTP_DISCARDED, b""
        elif isinstance(result, str):
            status, payload = lib.SPHTTP_RETURNED, result.encode("utf-8", "surrogatepass")
        else:
            status, payload = lib.SPHTTP_NOT_TEXT, type(result).__qualname__.encode()
        _streams.flush()
    except SystemExit as end:
        lib.sphttp_exit(_exit_status(end))
    except BaseException as error:  # noqa: BLE001  # it travels to the caller
        payload, pickled = _raised.pack(error, rebuild=rebuild)
        status = lib.SPHTTP_RAISED_AS if pickled else lib.SPHTTP_RAISED
        _flush_after_failure()
    call.commit(status, payload)


def _settle(*, renew_streams: bool) -> None:
    """Be a process of its own; what needs no Python, the nursery has done."""
    _streams.settle_in_child(renew=renew_streams)
    gevent = sys.modules.get("gevent")
    if gevent is not None:
        # Else a child that sleeps runs the host's other greenlets.
        gevent.get_hub().destroy(destroy_loop=True)
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # `random` has an at-fork hook, this has none


def _exit_status(end: SystemExit) -> int:
    """The exit status as the interpreter itself would choose it."""
    code = end.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    _flush_after_failure()
    return (code or 0) & 0xFF


def _flush_after_failure() -> None:
    """Flush; where that fails too, the first failure is the one to tell."""
    try:
        _streams.flush()
    except (OSError, ValueError) as error:
        print(f"tep_parallel: output of a failed child was lost: {error}", file=sys.__stderr__)
