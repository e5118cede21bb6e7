"""Lists of digests: a line for each file, as sha256sum(1) has it. Names are bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# How GNU keeps a name on one line; the line then begins with a backslash.
_ESCAPED = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}
_ESCAPES = {name: escape for escape, name in _ESCAPED.items()}
_TO_ESCAPE = rb"[\\\n\r]"

_HEX = rb"([0-9a-fA-F]{64})"
_GNU = rb"[ \t]*(\\?)" + _HEX + rb"[ \t](.+)"
_BSD = rb"[ \t]*(\\?)SHA256 ?\((.*)\)[ \t]*=[ \t]*" + _HEX
_KEYED = rb"(\\?)(.+) " + _HEX

# A path, and the digest that its file should have.
Entry = tuple[bytes, str]


def lines(names: list[bytes], digests: list[str], algorithm: str, *, nul: bool) -> bytes:
    """The lines of these files: PATH HEX; with sha256 as sha256sum prints them.

    Args:
        names: The files' names.
        digests: The digest of each.
        algorithm: "sha256" or "hmac-sha256".
        nul: Whether NUL ends a line; then no name is escaped.
    """
    made: list[bytes]
    if nul or not any(part in b"\0".join(names) for part in _ESCAPES):  # as good as always
        if algorithm == "sha256":
            made = [b"%b  %b" % pair for pair in zip(_encoded(digests), names, strict=True)]
        else:
            made = [b"%b %b" % pair for pair in zip(names, _encoded(digests), strict=True)]
    else:
        given = zip(names, _encoded(digests), strict=True)
        made = [_line(name, digest, algorithm) for name, digest in given]
    end = b"\0" if nul else b"\n"
    return end.join([*made, b""])


def _encoded(digests: list[str]) -> list[bytes]:
    return "\n".join(digests).encode().split(b"\n") if digests else []


def _line(name: bytes, digest: bytes, algorithm: str) -> bytes:
    mark, escaped = _marked(name)
    if algorithm == "sha256":
        return b"%b%b  %b" % (mark, digest, escaped)
    return b"%b%b %b" % (mark, escaped, digest)


def verdict(name: bytes, found: bytes, *, nul: bool) -> bytes:
    """The line of one file that was checked, as sha256sum 9.7 prints it."""
    if nul:
        return b"%b: %b\0" % (name, found)
    return b"%b%b: %b\n" % (*_marked(name), found)


def _marked(name: bytes) -> tuple[bytes, bytes]:
    """What the line begins with, and the name in a form that has no newline."""
    if re.search(_TO_ESCAPE, name) is None:
        return b"", name
    return b"\\", re.sub(_TO_ESCAPE, lambda found: _ESCAPES[found[0]], name)


def parsed(
    given: Iterable[bytes], algorithm: str, *, nul: bool = False
) -> Iterator[tuple[int, Entry | None]]:
    """The number of each line, from 1, and its entry; None: the line is not of the format.

    Empty lines and comments are left out.

    Args:
        given: The lines, without what ends them.
        algorithm: "sha256": the formats that `sha256sum --check` reads. Otherwise what `lines`
            makes.
        nul: Whether NUL ended the lines; then no name is escaped.
    """
    keyed = algorithm != "sha256"
    entry_of = re.compile(_KEYED, re.DOTALL).fullmatch if keyed else None
    gnu = re.compile(_GNU, re.DOTALL).fullmatch
    bsd = re.compile(_BSD, re.DOTALL).fullmatch
    old_bsd: bool | None = None  # None: not known yet
    for number, full_line in enumerate(given, 1):
        text = full_line if nul else full_line.removesuffix(b"\r")
        if not text or text.startswith(b"#"):
            continue
        entry: Entry | None = None
        if entry_of is not None:
            if found := entry_of(text):
                entry = _named(found[1], found[2], found[3], nul=nul)
        elif found := bsd(text):
            entry = _named(found[1], found[2], found[3], nul=nul)
        elif found := gnu(text):
            # Between digest and name there are a space and a mark, or one space in an old list
            # of BSD. A list must not have both: a file whose name begins with a space could
            # pass for another.
            name = found[3]
            one_space = len(name) == 1 or name[:1] not in b" *"
            if old_bsd is None:
                old_bsd = one_space
            if not one_space or old_bsd:
                name = name if old_bsd else name[1:]
                entry = _named(found[1], name, found[2], nul=nul)
        yield number, entry


def _named(mark: bytes, name: bytes, digest: bytes, *, nul: bool) -> Entry | None:
    if mark:
        if nul:
            return None
        parts = re.split(rb"(\\.?)", name, flags=re.DOTALL)
        if any(part not in _ESCAPED for part in parts[1::2]):
            return None
        name = b"".join(_ESCAPED.get(part, part) for part in parts)
    return None if b"\0" in name else (name, digest.decode().lower())
