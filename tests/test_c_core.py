"""The pure C without Python, under ASan and UBSan: the programs of tests/c."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import LIMIT

HERE = Path(__file__).parent
CSRC = HERE.parent / "csrc"
PURE = sorted(set(CSRC.glob("*.c")) - {CSRC / "py_fork.c"})
FLAGS = "-std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
WRAPS = {
    "test_core": "-Wl,--wrap=write,--wrap=writev,--wrap=clock_gettime",
    "test_lanes": "-Wl,--wrap=open,--wrap=mmap",
}

compiles = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def run(source: Path, to: Path, *options: str, argument: str = "") -> str:
    """Build the program and run it; what it printed."""
    program = to / source.stem
    command = [
        "cc",
        *FLAGS.split(),
        f"-I{CSRC}",
        *options,
        *PURE,
        source,
        "-lcrypto",
        "-o",
        program,
    ]
    subprocess.run(command, check=True, timeout=LIMIT)
    ended = subprocess.run(
        [program, argument], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@compiles
@pytest.mark.parametrize("name", WRAPS)
def test_the_core_is_right_and_the_sanitizers_have_nothing_to_say(
    name: str, tmp_path: Path
) -> None:
    source = HERE / "c" / f"{name}.c"
    tests = re.findall(r"^ +TEST\((\w+)\),$", source.read_text(), re.MULTILINE)
    assert run(source, tmp_path, WRAPS[name]).split() == tests


@compiles
@pytest.mark.parametrize("name", ["fuzz_records", "fuzz_lanes"])
def test_the_targets_of_make_fuzz_find_nothing_in_random_input(name: str, tmp_path: Path) -> None:
    """No record that a child could leave crashes the host, and every digest is OpenSSL's."""
    run(HERE / "c" / f"{name}.c", tmp_path, argument="5000")
