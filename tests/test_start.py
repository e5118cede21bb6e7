"""How the command starts: what it loads, and Ctrl-C at any moment of that."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import COMMAND, COMMANDS, LIMIT, hear_keyboard

LOADED = """if True:
    import sys
    before = set(sys.modules)
    from tep_parallel.__main__ import main
    sys.argv[1:] = {arguments!r}
    status = main()
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
    sys.exit(status)
"""
HEAVY = {"typing", "pathlib", "asyncio", "concurrent", "shutil", "inspect", "dataclasses"}
HEAVY |= {"subprocess", "hashlib", "threading", "logging", "multiprocessing", "tqdm"}
OF_ARGPARSE = {"argparse", "gettext", "locale", "re", "enum"}
OF_CALLS = {"pickle", "traceback", "tep_parallel._engine.call", "tep_parallel._engine.forked"}
OTHERS = {"tep_parallel._command.texts", "tep_parallel._command.completion"}


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--version"], HEAVY | OF_ARGPARSE | OF_CALLS | {"signal", "contextlib"}),
        (["digest", "/etc/hosts"], HEAVY | OF_CALLS | OTHERS | {"json", "select"}),
        (["map", "os.path:basename", "x"], HEAVY | OTHERS | {"tep_parallel._command.digest"}),
    ],
    ids=["version", "digest", "map"],
)
def test_a_command_loads_what_it_needs_and_no_more(
    arguments: list[str], unwanted: set[str]
) -> None:
    done = subprocess.run(
        # Without site-packages nothing but Python itself has loaded anything before.
        [sys.executable, "-c", LOADED.format(arguments=arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert loaded & unwanted == set()


FRAME = re.compile(rb'tep_parallel/(_[a-z]|__main__.py", line [0-9]+, in (main|_run))')
COMMANDS_OF = {
    "version": ["--version"],
    "digest": ["digest", "--algorithm", "sha256", "/etc/hosts"],
    "digest in children": ["digest", "--in-processes", "2", "/etc/hosts"],
    "map": ["map", "os.path:basename", "/etc/hosts"],
    "help": ["digest", "--help"],
}


def interrupted(command: list[str | Path], delay: float) -> tuple[int, bytes]:
    """What a command ends with, and says, if SIGINT comes so many seconds after its start."""
    case = subprocess.Popen(
        command,
        env=COMMANDS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=hear_keyboard,
    )
    try:
        time.sleep(delay)
        case.send_signal(signal.SIGINT)
        _, err = case.communicate(timeout=LIMIT)
        return case.returncode, err
    finally:
        case.kill()
        case.communicate()


@pytest.mark.parametrize("arguments", COMMANDS_OF.values(), ids=COMMANDS_OF)
def test_ctrl_c_at_any_moment_of_the_start_shows_no_frame_of_the_command(
    arguments: list[str],
) -> None:
    """Before main is entered Python itself may show a traceback, as `python -c pass` does."""
    command = [COMMAND, *arguments]
    begun = time.monotonic()
    subprocess.run(command, env=COMMANDS, stdout=subprocess.DEVNULL, check=True, timeout=LIMIT)
    longest = 1.2 * (time.monotonic() - begun)
    draw = random.Random(26)
    for _ in range(40):
        status, err = interrupted(command, draw.uniform(0, longest))
        assert status in (0, -signal.SIGINT, 1), err  # 1: Python's own end in its start
        assert status != 1 or b"Traceback" in err or b"Fatal Python error" in err, err
        assert not FRAME.search(err), err.decode()
