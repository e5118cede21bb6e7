"""The command tep-parallel, also `python -m tep_parallel`: how its process ends."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the command that this process was started with. Returns its exit status."""
    # Until a call begins there is nothing to clean up, and Ctrl-C may end this process at once.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tep_parallel._command import parser

    try:
        return parser.run(sys.argv[1:])
    except KeyboardInterrupt:
        # Die by the signal: then a shell's loop over this command ends too.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
