"""The pure C without Python, under ASan and UBSan: tests/c/test_core.c."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import LIMIT

HERE = Path(__file__).parent
CSRC = HERE.parent / "csrc"
PURE = sorted(set(CSRC.glob("*.c")) - {CSRC / "py_fork.c"})


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_core_is_right_and_the_sanitizers_have_nothing_to_say(tmp_path: Path) -> None:
    program = tmp_path / "core"
    source = HERE / "c" / "test_core.c"
    flags = "-std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    wraps = "-Wl,--wrap=write,--wrap=writev,--wrap=clock_gettime"
    command = ["cc", *flags.split(), f"-I{CSRC}", wraps, *PURE, source, "-lcrypto", "-o", program]
    subprocess.run(command, check=True, timeout=LIMIT)
    run = subprocess.run(
        [program], capture_output=True, text=True, timeout=LIMIT, env=dict(os.environ), check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.split() == re.findall(r"^ +TEST\((\w+)\),$", source.read_text(), re.MULTILINE)
