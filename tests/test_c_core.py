"""The pure C without Python, under ASan and UBSan: the programs of tests/c."""

from __future__ import annotations

import hashlib
import hmac
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import LIMIT

HERE = Path(__file__).parent
CSRC = HERE.parent / "csrc"
PURE = sorted(set(CSRC.rglob("*.c")) - set(CSRC.glob("py_*.c")))
FLAGS = "-std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
WRAPS = {
    "test_command": "-Wl,--wrap=renameat",
    "test_core": "-Wl,--wrap=write,--wrap=writev,--wrap=clock_gettime",
    "test_feed": "",
    "test_fresh": "-Wl,--wrap=_exit",
    "test_hmac": "",
    "test_pool": "-Wl,--wrap=fallocate,--wrap=pwritev,--wrap=pwrite,--wrap=lseek",
    "test_recycle": "-pthread",
    "test_server": "",
    "test_rounds": "-pthread",
    "test_small": "-Wl,--wrap=open,--wrap=fstatfs",
    "test_lanes": "-Wl,--wrap=open,--wrap=openat,--wrap=stat,--wrap=mmap",
}

# What runs in children, to whom the shared page belongs, and what keeps it for the others.
CHILDRENS = {"child/hand.c", "child/child.c", "child/below.c", "child/item.c", "digest/child.c"} | {
    f"shared/{name}.c" for name in ("layout", "news", "pool", "page", "ring", "runs", "waking")
}

compiles = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core, compiled once for all programs."""
    made = tmp_path_factory.mktemp("core") / "core.o"
    command = ["cc", *FLAGS.split(), f"-I{CSRC}", "-r", *PURE, "-o", made]
    subprocess.run(command, check=True, timeout=LIMIT)
    return made


def run(source: Path, core: Path, to: Path, *options: str, argument: str = "") -> str:
    """Build the program and run it; what it printed."""
    program = to / source.stem
    flags = [*FLAGS.split(), f"-I{CSRC}", *options]
    command = ["cc", *flags, core, source, "-o", program]
    subprocess.run(command, check=True, timeout=LIMIT)
    ended = subprocess.run(
        [program, argument], capture_output=True, text=True, timeout=4 * LIMIT, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@compiles
@pytest.mark.parametrize("name", WRAPS)
def test_the_core_is_right_and_the_sanitizers_have_nothing_to_say(
    name: str, core: Path, tmp_path: Path
) -> None:
    source = HERE / "c" / f"{name}.c"
    tests = re.findall(r"^ +TEST\((\w+)\),$", source.read_text(), re.MULTILINE)
    assert run(source, core, tmp_path, *WRAPS[name].split()).split() == tests


def test_host_and_nursery_see_the_shared_page_through_its_getters_only() -> None:
    """A child may have written anything there."""
    files = [path for path in CSRC.rglob("*.c") if str(path.relative_to(CSRC)) not in CHILDRENS]
    direct = re.compile(r"->page->|->(hands|state|link|larges|places|order)(\[| \+)")
    found = [
        f"{path.name}: {line.strip()}"
        for path in files
        for line in path.read_text().splitlines()
        if direct.search(line)
    ]
    assert "nursery.c" in {path.name for path in files}
    assert found == []


@compiles
def test_no_record_that_a_child_could_leave_crashes_the_host(core: Path, tmp_path: Path) -> None:
    """A target of `make fuzz`, with random input."""
    run(HERE / "c" / "fuzz_records.c", core, tmp_path, argument="5000")


@compiles
def test_however_messages_are_cut_and_mixed_their_digests_are_the_oracles(
    core: Path, tmp_path: Path
) -> None:
    """Likewise."""
    run(HERE / "c" / "fuzz_lanes.c", core, tmp_path, argument="5000")


@compiles
def test_the_oracle_of_those_programs_has_the_digests_of_hashlib(
    core: Path, tmp_path: Path
) -> None:
    """It shares nothing with the core."""
    found = run(HERE / "c" / "test_hmac.c", core, tmp_path, argument="oracle").split()
    right = []
    for size in range(301):
        text = bytes((i * 7 + size) % 256 for i in range(size))
        key = bytes((i * 5 + size % 200) % 256 for i in range(size % 200))
        right += [hashlib.sha256(text).hexdigest(), hmac.new(key, text, "sha256").hexdigest()]
    assert found == right
