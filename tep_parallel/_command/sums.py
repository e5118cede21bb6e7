"""Lists of digests: a line a file, as sha256sum(1) writes and reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# GNU's way to keep a name on its line, with a backslash at the line's head.
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})
_ESCAPED = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_TO_ESCAPE = re.compile(r"[\\\n\r]")

_HEX = r"([0-9a-fA-F]{64})"
_GNU = re.compile(rf"[ \t]*(\\?){_HEX}[ \t](.+)", re.DOTALL)
_BSD = re.compile(rf"[ \t]*(\\?)SHA256 ?\((.*)\)[ \t]*=[ \t]*{_HEX}", re.DOTALL)
_KEYED = re.compile(rf"(\\?)(.+) {_HEX}", re.DOTALL)

# The path, and the digest that it shall have.
Entry = tuple[str, str]


def line(path: str, digest: str, algorithm: str) -> str:
    """The line of one file, without its end: PATH HEX, or with sha256 as sha256sum."""
    mark, name = _escaped(path)
    return f"{mark}{digest}  {name}" if algorithm == "sha256" else f"{mark}{name} {digest}"


def verdict(path: str, found: str) -> str:
    """The line of one file that was checked, as of today's sha256sum (9.7)."""
    mark, name = _escaped(path)
    return f"{mark}{name}: {found}"


def _escaped(path: str) -> tuple[str, str]:
    """What stands at the head of its line, and the path so that it fits on one."""
    if _TO_ESCAPE.search(path) is None:
        return "", path
    return "\\", path.translate(_ESCAPES)


def parsed(lines: Iterable[str], algorithm: str) -> list[Entry | None]:
    """What the lines of a list say; None: one is not of that format.

    Empty lines and remarks are left out.

    Args:
        lines: Without their ends.
        algorithm: "sha256": what `sha256sum --check` takes; else what `line` writes.
    """
    old_bsd: bool | None = None  # not known yet
    entries: list[Entry | None] = []
    for full_line in lines:
        text = full_line.removesuffix("\r")
        if not text or text.startswith("#"):
            continue
        if algorithm != "sha256":
            entries.append(_entry(_KEYED.fullmatch(text)))
        elif found := _BSD.fullmatch(text):
            entries.append(_entry(found))
        elif (found := _GNU.fullmatch(text)) is None:
            entries.append(None)
        else:
            # A space and a mark, or in an old list of BSD's one space: not both in one list,
            # for there a renamed file could pass for another whose name begins with a space.
            name = found[3]
            one_space = len(name) == 1 or name[0] not in " *"
            if old_bsd is None:
                old_bsd = one_space
            if one_space and not old_bsd:
                entries.append(None)
            else:
                entries.append(_named(found[1], name if old_bsd else name[1:], found[2]))
    return entries


def _entry(found: re.Match[str] | None) -> Entry | None:
    return None if found is None else _named(found[1], found[2], found[3])


def _named(mark: str, name: str, digest: str) -> Entry | None:
    if mark:
        parts = re.split(r"(\\.?)", name, flags=re.DOTALL)
        if any(part not in _ESCAPED for part in parts[1::2]):
            return None
        name = "".join(_ESCAPED.get(part, part) for part in parts)
    return None if "\0" in name else (name, digest.lower())
