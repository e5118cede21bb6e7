"""What the documentation says can be run, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Block, blocks, check_printed, write_files
from support import LIMIT

import tep_parallel

PACKAGE = Path(tep_parallel.__file__).parent
# What such a block imports or runs, the group `peers` installs.
PEER = re.compile(
    r"^(?:(?:import|from) (?:coverage|opentelemetry|sentry_sdk|sqlalchemy)|coverage)\b",
    re.MULTILINE,
)
# And the group `engines` what such a one does.
ENGINE = re.compile(r"^(?:import|from) distributed\b", re.MULTILINE)
BIN = Path(sys.executable).parent


def of(language: str) -> list[object]:
    return [
        pytest.param(
            block,
            id=f"{block.page}:{block.line}",
            marks=[pytest.mark.peers] * bool(PEER.search(block.text))
            + [pytest.mark.engines] * bool(ENGINE.search(block.text)),
        )
        for block in blocks()
        if block.language == language and not block.file
    ]


def test_every_block_is_one_that_these_tests_run() -> None:
    assert len(blocks()) >= 8
    assert {block.language for block in blocks()} == {"python", "sh"}
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"\n\n    \S", prose), f"{page.name}: an indented block"


def test_every_file_that_a_page_shows_is_run() -> None:
    """By a script of the page, or by a test of its own."""
    files = ("test_recipes.py", "engines/engines.py")
    own_tests = "".join((ROOT / "tests" / name).read_text() for name in files)
    for file in filter(lambda block: block.file, blocks()):
        scripts = [one.text for one in blocks() if (one.page, one.language) == (file.page, "sh")]
        names = (file.file, f"from {file.file.removesuffix('.py')} import")
        assert any(name in text for name in names for text in [*scripts, own_tests]), file.file


@pytest.mark.parametrize("program", of("python"))
def test_a_program_prints_what_its_comments_say(program: Block, tmp_path: Path) -> None:
    """After each print stands what it prints, and perhaps, after a comma, why."""
    done = subprocess.run(
        [sys.executable, "-c", program.text],
        cwd=tmp_path,
        env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    check_printed(program.text, done.stdout)


@pytest.mark.parametrize("script", of("sh"))
def test_a_script_runs(script: Block, tmp_path: Path) -> None:
    """`make` only says what it would do: CI does it. What `pip` would fetch is this package."""
    (tmp_path / "secret.key").write_bytes(b"key")
    write_files(script.page, tmp_path)
    for line in script.text.splitlines():
        if line.startswith("pip install"):
            assert line == "pip install tep-parallel"
            continue
        command = line.replace(".venv/bin/", f"{BIN}/")
        place = tmp_path
        if line.startswith(("make ", ".venv/")):
            command = command.replace("make ", "make --dry-run --always-make ", 1)
            place = ROOT
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=place,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout, line


def anchors(page: Path) -> set[str]:
    """What a link to one of the page's headings may name."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    for name, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        path = page.parent / name if name else page
        assert path.exists(), path
        assert not anchor or anchor in anchors(path), f"{name}#{anchor}"
    folders = "benchmarks|csrc|docs|examples|tep_parallel|tests"
    for name in re.findall(rf"`((?:{folders})/[^`*]+)`", text):
        # The wheel's tests run where the package itself is elsewhere.
        assert (ROOT / name).exists() or (PACKAGE.parent / name).exists(), name


def test_files_that_the_architecture_names_by_their_wing_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in set(re.findall(r"`([\w/]+(?:\.[ch]|\.cdef\.h))`", text)) - {"Python.h"}:
        assert (ROOT / "csrc" / name.removeprefix("csrc/")).exists(), name
    for name in re.findall(r"`(_\w+(?:\.py|/(?:\w+\.py)?))`", text):
        assert (PACKAGE / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names_are_there(page: Path) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    assert set(re.findall(r"`(test_\w+)`", page.read_text())) <= there


def test_written_pages_are_as_their_scripts_write_them() -> None:
    code = (
        "import sys; sys.path.insert(0, 'docs'); import picture, reference;"
        "sys.stdout.write(picture.picture() + reference.reference())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    written = (ROOT / "docs/architecture.svg").read_text()
    assert done.stdout == written + (ROOT / "docs/reference.md").read_text()
