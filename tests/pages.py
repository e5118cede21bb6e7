"""The pages of the documentation, and the code that they show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A code block of a page: ```language, or ```language and the name of its file."""

    page: str
    line: int
    language: str
    file: str  # empty: it has none, and is a program that these tests run
    text: str


def blocks() -> list[Block]:
    """Every code block of the documentation."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, block.start()) + 1
            language, _, file = block[1].partition(" ")
            found.append(Block(page.name, line, language, file, block[2]))
    return found


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page shows, for its scripts."""
    for block in blocks():
        if block.page == page and block.file:
            (folder / block.file).write_text(block.text)


def check_printed(program: str, printed: str) -> None:
    """After each print of the program stands what it prints."""
    said = re.findall(r"(?:print\(.*|^ +)# (.*)$", program, re.MULTILINE)
    lines = printed.splitlines()
    assert said
    assert len(lines) == len(said)
    for line, comment in zip(lines, said, strict=True):
        assert comment == line or comment.startswith(f"{line}, ")
