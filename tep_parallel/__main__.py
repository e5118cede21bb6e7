"""The command tep-parallel, also `python -m tep_parallel`: how its process ends."""

import _signal  # type: ignore[import-not-found]  # of which signal is made, without its enums: 3 ms
import gc
import os
import sys


def main() -> int:
    """Run the command that this process was started with. Returns its exit status."""
    try:
        # Unless a call runs there is nothing to clean up, and Ctrl-C may end this process at once.
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        gc.disable()  # until all is loaded: what is loaded is no garbage
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        # Die by the signal: then a shell's loop over this command ends too.
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)
        return 128 + int(_signal.SIGINT)


def _run(arguments: list[str]) -> int:
    # To load argparse, and what else a command needs, takes longer than Python takes to start.
    if arguments == ["--version"] and sys.stdout is not None:
        from tep_parallel._version import __version__

        try:
            os.write(sys.stdout.fileno(), f"{__version__}\n".encode())
        except OSError:
            pass  # the parser says why
        else:
            return 0
    from tep_parallel._command import parser

    return parser.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
