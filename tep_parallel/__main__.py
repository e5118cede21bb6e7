"""The process tep-parallel, and how it ends; `python -m tep_parallel` is the same."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the command that this process was started with; the exit status."""
    # While there is no work to give up, Ctrl-C may end this process as it is.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tep_parallel._command import parser

    try:
        return parser.run(sys.argv[1:])
    except KeyboardInterrupt:
        # Die of it, so that a shell's loop over this command ends too.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
