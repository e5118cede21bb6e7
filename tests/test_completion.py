"""Completion in real shells, and the manual page."""

from __future__ import annotations

import importlib.util
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pytest
from support import COMMANDS, LIMIT, refused, shell

from tep_parallel._command import parser, texts

ROOT = Path(__file__).parent.parent
DIGEST = ("--algorithm", "--key-file", "--files-from", "--check", "--unordered", "--status")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("d", {"digest"}),
        ("digest --alg", {"--algorithm"}),
        ("digest --algorithm ''", {"hmac-sha256", "sha256"}),
        ("digest --key-file sec", {"secret.key"}),
        ("digest a.t", {"a.txt"}),
        ("--print-completion ''", {"bash", "zsh", "fish"}),
    ],
)
def test_completion_in_bash(words: str, expected: set[str], tmp_path: Path) -> None:
    for name in ("a.txt", "secret.key"):
        (tmp_path / name).touch()
    script = f"""
        eval "$(tep-parallel --print-completion bash)"
        COMP_WORDS=(tep-parallel {words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        complete -p tep-parallel >/dev/null && _shtab_tep_parallel
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    status, out, err = shell(script, tmp_path)
    assert (status, err) == (0, b"")
    assert set(out.decode().split()) == expected


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tep-parallel d", "digest"),
        ("tep-parallel digest --alg", "--algorithm"),
        ("tep-parallel digest --algorithm ", "sha256"),
        ("tep-parallel digest a.t", "a.txt"),
    ],
)
def test_completion_in_fish(line: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    script = f"tep-parallel --print-completion fish | source; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=tmp_path,
        env={**COMMANDS, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert done.stderr == ""
    assert expected in [row.partition("\t")[0] for row in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tep-parallel dig", "tep-parallel digest "),
        ("tep-parallel digest --alg", "tep-parallel digest --algorithm "),
        ("tep-parallel digest a.t", "tep-parallel digest a.txt "),
    ],
)
def test_completion_in_zsh(line: str, expected: str, tmp_path: Path) -> None:
    """There it needs a terminal, at which somebody presses the tabulator."""
    (tmp_path / "a.txt").touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        environment = {**COMMANDS, "TERM": "dumb", "HOME": str(tmp_path)}
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)
    shown = b""

    def see(text: str) -> None:
        nonlocal shown
        end = time.monotonic() + LIMIT
        while text.encode() not in shown:
            assert time.monotonic() < end, shown
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096)

    try:
        for each in (
            "unsetopt zle_bracketed_paste prompt_sp",
            "autoload -U compinit; compinit -u -D",
            'eval "$(tep-parallel --print-completion zsh)"; echo rea""dy',
        ):
            os.write(terminal, each.encode() + b"\n")
        see("ready")
        os.write(terminal, line.encode() + b"\t")
        see(expected)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_without_shtab_it_is_one_line_that_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "shtab.py").write_text("raise ImportError")
    script = f"PYTHONPATH={tmp_path} tep-parallel --print-completion bash"
    refused(script, "pip install 'tep-parallel[completion]'", tmp_path)
    refused("tep-parallel --print-completion csh", "invalid choice: 'csh'", tmp_path)


def manual() -> ModuleType:
    """docs/manual.py."""
    found = importlib.util.spec_from_file_location("manual", ROOT / "docs/manual.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_manual_page_is_that_of_the_parser() -> None:
    module = manual()
    page = module.PAGE.read_text()
    assert page == module.page(), "write it anew: python docs/manual.py"
    typed = page.replace("\\-", "-")
    for _, part in [("", parser.whole()), *module.parts(parser.whole())]:
        for action in part._actions:
            for name in action.option_strings:
                assert f"\\fB{name}\\fR" in typed
    for examples in texts.EXAMPLES.values():
        for _, command in examples:
            assert command in typed.replace("\\e", "\\")


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_man_shows_the_manual_page_without_a_warning() -> None:
    script = f"MANWIDTH=90 man --warnings -l {ROOT}/docs/tep-parallel.1 | cat"
    status, out, err = shell(script)
    assert (status, err) == (0, b"")
    if b"This system has been minimized" in out:
        pytest.skip("man does not show pages here")
    for name in DIGEST:
        assert name.encode() in out
