"""Rounds of kept children, through the functions of C: what needs Python to be tried. The rest
is in c/test_rounds.c."""

from pathlib import Path

from support import run_case


def test_rounds_leave_the_hosts_signals_alone_and_idle_children_handle_theirs(
    tmp_path: Path,
) -> None:
    run_case("rounds_and_signals", str(tmp_path))
