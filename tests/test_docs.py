"""What the documentation says can be run, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import LIMIT

import tep_parallel

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGE = Path(tep_parallel.__file__).parent
# What such a program imports, the extra `peers` installs.
PEER = re.compile(r"^(?:import|from) (?:coverage|opentelemetry|sentry_sdk)\b", re.MULTILINE)
BIN = Path(sys.executable).parent


def blocks() -> list[tuple[str, str, str]]:
    """Each code block: where it stands, its language, its text."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, block.start()) + 1
            found.append((f"{page.name}:{line}", block[1], block[2]))
    return found


def of(language: str) -> list[object]:
    return [
        pytest.param(code, id=place, marks=[pytest.mark.peers] if PEER.search(code) else [])
        for place, known, code in blocks()
        if known == language
    ]


def test_every_block_is_one_that_these_tests_run() -> None:
    assert len(blocks()) >= 8
    assert {language for _, language, _ in blocks()} == {"python", "sh"}
    for page in PAGES:
        assert not re.search(r"\n\n    \S", page.read_text()), f"{page.name}: an indented block"


@pytest.mark.parametrize("program", of("python"))
def test_a_program_prints_what_its_comments_say(program: str, tmp_path: Path) -> None:
    """After each print stands what it prints, and perhaps, after a comma, why."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = re.findall(r"(?:print\(.*|^ +)# (.*)$", program, re.MULTILINE)
    printed = done.stdout.splitlines()
    assert said
    assert len(printed) == len(said)
    for line, comment in zip(printed, said, strict=True):
        assert comment == line or comment.startswith(f"{line}, ")


@pytest.mark.parametrize("script", of("sh"))
def test_a_script_runs(script: str, tmp_path: Path) -> None:
    """`make` only says what it would do: CI does it."""
    (tmp_path / "secret.key").write_bytes(b"key")
    for line in script.splitlines():
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    links = [page.parent / link for link in re.findall(r"\]\(([^)#]+)\)", text)]
    for path in links:
        assert path.exists(), path
    folders = "benchmarks|csrc|docs|examples|tep_parallel|tests"
    for name in re.findall(rf"`((?:{folders})/[^`*]+)`", text):
        # The wheel's tests run where the package itself is elsewhere.
        assert (ROOT / name).exists() or (PACKAGE.parent / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names_are_there(page: Path) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
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
