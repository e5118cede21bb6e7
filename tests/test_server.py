"""A server and its nests, through the functions of C: what Parallel's blocks stand on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from support import alive, run_case, started, until


def test_nests_serve_round_after_round_and_have_nothing_of_the_hosts() -> None:
    run_case("served_rounds")


@pytest.mark.parametrize("how", ["idle", "busy", "raw"])
def test_a_host_that_is_killed_leaves_nothing_of_its_nests(how: str) -> None:
    """`raw`: while a raw fork of it lives, which holds all sockets."""
    with started("served_host", how) as case:
        assert case.stdout is not None
        raw, *pids = map(int, case.stdout.readline().split())
        try:
            assert len(pids) == (13 if how == "idle" else 17)
            assert all(map(alive, pids))
            begun = time.monotonic()
            case.kill()
            until(lambda: not any(map(alive, pids)), limit=5)
            print(f"{how}: {(time.monotonic() - begun) * 1000:.0f} ms")
            assert raw == 0 or alive(raw)
        finally:
            if raw != 0:
                os.kill(raw, signal.SIGKILL)


@pytest.mark.parametrize("how", ["leaves", "dies", "calls"])
def test_blocks_in_calls_and_calls_in_blocks_end_with_their_hosts(how: str, tmp_path: Path) -> None:
    run_case("served_nested", how, tmp_path)
