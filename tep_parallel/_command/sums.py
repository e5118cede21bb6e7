"""Lists of digests: a line for each file, as sha256sum(1) writes and reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# How GNU keeps a name on one line; the line then begins with a backslash.
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})
_ESCAPED = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_TO_ESCAPE = re.compile(r"[\\\n\r]")

_HEX = r"([0-9a-fA-F]{64})"
_GNU = re.compile(rf"[ \t]*(\\?){_HEX}[ \t](.+)", re.DOTALL)
_BSD = re.compile(rf"[ \t]*(\\?)SHA256 ?\((.*)\)[ \t]*=[ \t]*{_HEX}", re.DOTALL)
_KEYED = re.compile(rf"(\\?)(.+) {_HEX}", re.DOTALL)

# A path, and the digest that its file should have.
Entry = tuple[str, str]


def line(path: str, digest: str, algorithm: str) -> str:
    """The line of one file, without its newline: PATH HEX; with sha256 as sha256sum prints it."""
    mark, name = _escaped(path)
    return f"{mark}{digest}  {name}" if algorithm == "sha256" else f"{mark}{name} {digest}"


def verdict(path: str, found: str) -> str:
    """The line of one file that was checked, as sha256sum 9.7 prints it."""
    mark, name = _escaped(path)
    return f"{mark}{name}: {found}"


def _escaped(path: str) -> tuple[str, str]:
    """What the line begins with, and the path in a form that has no newline."""
    if _TO_ESCAPE.search(path) is None:
        return "", path
    return "\\", path.translate(_ESCAPES)


def parsed(lines: Iterable[str], algorithm: str) -> list[Entry | None]:
    """The entries of a list; None for a line that is not of its format.

    Empty lines and comments are left out.

    Args:
        lines: Without their newlines.
        algorithm: "sha256": the formats that `sha256sum --check` reads. Otherwise what `line`
            writes.
    """
    old_bsd: bool | None = None  # None: not known yet
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
            # Between digest and name there are a space and a mark, or one space in an old list
            # of BSD. A list must not have both: a file whose name begins with a space could
            # pass for another.
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
