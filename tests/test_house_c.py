"""The wings of csrc: what they include and call goes one way, as CONTRIBUTING.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from support import LIMIT

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "csrc"
CDEF = "sphttp_fork.cdef.h"  # what Python sees: it declares what stands in many files
SOURCES = sorted(CSRC.rglob("*.c"))
FLAGS = "-std=c11 -D_GNU_SOURCE -DPy_LIMITED_API=0x030A0000 -O0 -c"
LONGEST_FILE, LONGEST_FUNCTION = 500, 60

compiles = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("nm") is None, reason="there is no C compiler"
)


def order_of_the_wings() -> list[str]:
    """The first may use all that follow, and so on."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    line = re.search(r"^C: `(py_items → .*)`$", text, re.MULTILINE)
    assert line is not None
    return line[1].split(" → ")


ORDER = order_of_the_wings()


def name_of(path: Path) -> str:
    return str(path.relative_to(CSRC))


def wing_of(name: str) -> str:
    """The folder's name; of a file at the top its own."""
    return name.split("/")[0] if "/" in name else Path(name).name.split(".")[0]


def goes_up(source: str, target: str) -> bool:
    return ORDER.index(wing_of(target)) < ORDER.index(wing_of(source))


def includes_of(path: Path) -> list[str]:
    return [
        name
        for name in re.findall(r'^#include "(.*)"$', path.read_text(), re.MULTILINE)
        if name != CDEF
    ]


@pytest.fixture(scope="session")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """What each file defines for others (D), and what it wants of others (U)."""
    folder = tmp_path_factory.mktemp("objects")
    found = {}
    for number, source in enumerate(SOURCES):
        to = folder / f"{number}.o"
        python = sysconfig.get_path("include")
        command = ["cc", *FLAGS.split(), f"-I{CSRC}", "-isystem", python, source, "-o", to]
        subprocess.run(command, check=True, timeout=LIMIT)
        listed = subprocess.run(
            ["nm", "-P", "-g", to], check=True, capture_output=True, text=True, timeout=LIMIT
        ).stdout
        kinds = [line.split()[:2] for line in listed.splitlines()]
        found[name_of(source)] = {
            "U": {symbol for symbol, kind in kinds if kind == "U"},
            "D": {symbol for symbol, kind in kinds if kind != "U"},
        }
    return found


def test_every_file_stands_in_a_wing_that_the_order_names() -> None:
    wings = {wing_of(name_of(path)) for path in CSRC.rglob("*.[ch]")}
    assert wings == set(ORDER)


def test_no_file_includes_one_of_a_wing_above_its_own() -> None:
    files = {name_of(path): path for path in CSRC.rglob("*.[ch]")}
    up = [
        f"{name} includes {other}"
        for name, path in files.items()
        for other in includes_of(path)
        if goes_up(name, other)
    ]
    assert up == []


@compiles
def test_no_function_calls_one_of_a_wing_above_its_own(
    symbols: dict[str, dict[str, set[str]]],
) -> None:
    home = {symbol: name for name, found in symbols.items() for symbol in found["D"]}
    assert home["sphttp_call_open"] == "host/open.c"
    up = [
        f"{name} uses {symbol} of {home[symbol]}"
        for name, found in symbols.items()
        for symbol in found["U"]
        if symbol in home and goes_up(name, home[symbol])
    ]
    assert up == []


@compiles
def test_a_header_declares_what_its_own_file_defines_and_nothing_else(
    symbols: dict[str, dict[str, set[str]]],
) -> None:
    home = {symbol: name for name, found in symbols.items() for symbol in found["D"]}
    elsewhere = []
    for header in sorted(CSRC.rglob("*.h")):
        name = name_of(header)
        if name == CDEF:
            continue
        code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        elsewhere += [
            f"{name} declares {symbol} of {home[symbol]}"
            for symbol in set(re.findall(r"\b\w+\b", code)) & set(home)
            if home[symbol] != name.replace(".h", ".c")
        ]
    assert elsewhere == []


@compiles
def test_what_only_one_file_uses_is_static(symbols: dict[str, dict[str, set[str]]]) -> None:
    declared = set(re.findall(r"\w+", (CSRC / CDEF).read_text()))
    wanted = set().union(*(found["U"] for found in symbols.values()))
    alone = [
        f"{name}: {symbol}"
        for name, found in symbols.items()
        for symbol in found["D"] - wanted - declared
    ]
    assert alone == []


def test_no_file_and_no_function_is_longer_than_it_should_be() -> None:
    long = []
    for source in SOURCES:
        lines = source.read_text().splitlines()
        if len(lines) > LONGEST_FILE:
            long.append(f"{name_of(source)}: {len(lines)}")
        start = 0
        for number, line in enumerate(lines):
            if line == "{":
                start = number
            elif line == "}" and number - start > LONGEST_FUNCTION:
                long.append(f"{name_of(source)}:{start}: {number - start}")
    assert long == []
