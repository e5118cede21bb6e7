"""Recipes of docs/ that need more than their text: somebody who types, or a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks, check_printed, write_files
from support import LIMIT, run_case_with_stderr


def test_breakpoint_stops_where_no_child_is_forked(tmp_path: Path) -> None:
    write_files("calls.md", tmp_path)
    done = subprocess.run(
        [sys.executable, "stop_here.py"],
        cwd=tmp_path,
        input="p item\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "(Pdb) 'a'\n" in done.stdout
    assert done.stdout.endswith("['A']\n")


def test_breakpoint_in_a_child_has_nobody_to_ask(tmp_path: Path) -> None:
    write_files("calls.md", tmp_path)
    program = (tmp_path / "stop_here.py").read_text().replace(", in_processes=0", "")
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="continue\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 1
    error = "DeadWorkerError: item 0" if sys.version_info >= (3, 14) else "bdb.BdbQuit\n"
    assert error in done.stderr


@pytest.mark.peers
def test_the_recipe_for_notebooks_runs_in_one() -> None:
    (cell,) = (block.text for block in blocks() if "factor" in block.text)
    printed, _ = run_case_with_stderr("notebook", cell)  # Jupyter has things to say
    check_printed(cell, printed)
