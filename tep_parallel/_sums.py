"""Lists of digests: a line a file, as sha256sum(1) writes and reads them."""

from __future__ import annotations

import re

# GNU's way to keep a name on its line, with a backslash at the line's head.
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})
_ESCAPED = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_TO_ESCAPE = re.compile(r"[\\\n\r]")

_HEX = r"([0-9a-fA-F]{64})"
# A space and a mark: a star for what was read as binary, which here is all the same; or the
# one space of old BSD.
_GNU = re.compile(rf"[ \t]*(\\?){_HEX}[ \t](?:[ *](?=.))?(.+)", re.DOTALL)
_BSD = re.compile(rf"[ \t]*(\\?)SHA256 ?\((.*)\) ?= *{_HEX}", re.DOTALL)
_KEYED = re.compile(rf"(\\?)(.+) {_HEX}", re.DOTALL)


def line(path: str, digest: str, algorithm: str) -> str:
    """The line of one file, without its end: PATH HEX, or with sha256 as sha256sum."""
    head = ""
    if _TO_ESCAPE.search(path) is not None:
        head, path = "\\", path.translate(_ESCAPES)
    return f"{head}{digest}  {path}" if algorithm == "sha256" else f"{head}{path} {digest}"


def shown(path: str) -> str:
    """The path before a verdict: as it is, unless it would not fit on a line."""
    return f"\\{path.translate(_ESCAPES)}" if "\n" in path or "\r" in path else path


def parsed(text: str, algorithm: str) -> tuple[str, str] | None:
    """The path and the digest of a line; None: it is not of that format.

    Args:
        text: The line, without its end.
        algorithm: "sha256": what `sha256sum --check` takes; else what `line` writes.
    """
    text = text.removesuffix("\r")
    if algorithm != "sha256":
        found = _KEYED.fullmatch(text)
        mark, name, digest = found.groups() if found else ("", "", "")
    elif found := _BSD.fullmatch(text):
        mark, name, digest = found.groups()
    else:
        found = _GNU.fullmatch(text)
        mark, digest, name = found.groups() if found else ("", "", "")
    if mark:
        name = _plain(name)
    return (name, digest.lower()) if name and "\0" not in name else None


def _plain(name: str) -> str:
    """The name that was escaped; an empty one where it was not, or not rightly."""
    parts = re.split(r"(\\.?)", name, flags=re.DOTALL)
    if any(part not in _ESCAPED for part in parts[1::2]):
        return ""
    return "".join(_ESCAPED.get(part, part) for part in parts)
