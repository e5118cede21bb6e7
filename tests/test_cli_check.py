"""digest --check, beside the sha256sum that is installed, with lists that hypothesis makes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import CASES, COMMANDS, LIMIT, case_environment

NAMES = [
    b"a",
    b"b",
    b" a",
    b"*a",
    b"a)",
    b"n\nl",
    b"b\\s",
    b"c\r",
    b"\xff",
    b"gone",
    b"-",
    b"folder",
]
CONTENT = {name: b"content of " + name for name in NAMES}
EMPTY = hashlib.sha256(b"").hexdigest().encode()
ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}


def escaped(name: bytes) -> tuple[bytes, bytes]:
    short = re.sub(rb"[\\\n\r]", lambda found: ESCAPES[found[0]], name)
    return (b"\\" if short != name else b""), short


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line of a list: right, nearly right, or nothing of the kind."""
    name = draw(st.sampled_from(NAMES))
    digest = hashlib.sha256(CONTENT[name]).hexdigest().encode()
    digest = draw(st.sampled_from([digest, digest, digest.upper(), b"0" * 64, EMPTY, digest[1:]]))
    mark, short = draw(st.sampled_from([escaped(name), escaped(name), (b"", name), (b"\\", name)]))
    gap = draw(st.sampled_from([b"  ", b" *", b" ", b"   ", b"\t ", b"\t", b""]))
    before = draw(st.sampled_from([b"", b"", b"", b" ", b"\t", b"#"]))
    line = draw(
        st.sampled_from(
            [
                digest + gap + short,
                b"SHA256 (" + short + b") = " + digest,
                b"SHA256(" + short + b")=" + digest,
                b"SHA256 (" + short + b" = " + digest,
                b"SHA512 (" + short + b") = " + digest,
            ]
        )
    )
    line = before + mark + line
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(st.sampled_from([b" ", b"\\", b"(", b"x", b"\r"])) + line[at:]
    return line + draw(st.sampled_from([b"", b"", b"\r"]))


EXAMPLES = int(os.environ.get("TEP_PARALLEL_EXAMPLES", "250"))  # more, to look for rare ones
OPTIONS = ["--quiet", "--status", "--warn", "-w", "--strict", "--ignore-missing"]


def normal(printed: bytes, program: bytes) -> list[bytes]:
    """The lines of an output, in the words and with the escapes that both have."""
    found = []
    for line in printed.split(b"\n"):
        text = line.removeprefix(program + b": ").replace(b"'", b"")
        text = re.sub(rb"\$\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), text)
        text = re.sub(rb"\$\\", rb"\\", text)
        if text.startswith(b"\\"):  # versions differ in what they escape in a verdict
            for long, short in ((b"\\n", b"\n"), (b"\\r", b"\r"), (b"\\\\", b"\\")):
                text = text.replace(long, short)
            text = text[1:]
        found.append(text.replace(b"\n", b"?").replace(b"\r", b"?").replace(b"\\", b""))
    return found


def test_any_list_has_the_verdict_of_sha256sum(tmp_path: Path) -> None:
    for name, content in CONTENT.items():
        if name not in (b"gone", b"-", b"folder"):
            (tmp_path / os.fsdecode(name)).write_bytes(content)
    (tmp_path / "folder").mkdir()
    command: list[Any] = [sys.executable, CASES / "check_server.py", tmp_path]
    with subprocess.Popen(
        command, stdin=-1, stdout=-1, stderr=-1, text=True, env=case_environment()
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        ask, answers = server.stdin, server.stdout

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.lists(lines(), max_size=6),
            st.sampled_from([b"", b"\n"]),
            st.booleans(),
            st.lists(st.sampled_from(OPTIONS), max_size=3),
        )
        @example([EMPTY + b"  -"], b"\n", True, [])
        def compare(given: list[bytes], end: bytes, from_input: bool, options: list[str]) -> None:
            text = b"\n".join(given) + end
            ask.write(json.dumps([text.decode("latin-1"), from_input, options]) + "\n")
            ask.flush()
            status, out, err = json.loads(answers.readline())
            theirs = subprocess.run(
                ["sha256sum", "--check", *options, "-" if from_input else "list"],
                cwd=tmp_path,
                input=text if from_input else b"",
                env=COMMANDS,
                capture_output=True,
                timeout=LIMIT,
                check=False,
            )
            told = (text, options, theirs, out, err)
            assert status == theirs.returncode, told
            printed = out.encode("latin-1")
            assert normal(printed, b"") == normal(theirs.stdout, b""), told
            said = normal(err.encode("latin-1"), b"tep-parallel")
            assert said == normal(theirs.stderr, b"sha256sum"), told

        compare()
        ask.close()
        assert server.wait(LIMIT) == 0
