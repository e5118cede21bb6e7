"""Blocks under fault: scenarios in fresh interpreters."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from support import LIMIT, alive, run_case, started, until

each = pytest.mark.parametrize("shape", ["fresh", "pool"])
SOON = 1.5  # seconds; 0.1 is promised on a quiet machine, and a raw fork once meant 3.4


@each
def test_nothing_that_was_open_at_entry_lives_on_in_a_block_but_what_is_kept(
    shape: str, tmp_path: Path
) -> None:
    """A connection ends when the host closes it, a port is free, a use in a child is EBADF."""
    out = run_case("kept_bystander", tmp_path, shape)
    names = ["a0", "b0", "a1", "b1", "a2", "b2", "c3"]
    assert sorted(out.splitlines()) == sorted(f"child {name}" for name in names)


def test_ten_thousand_descriptors_are_let_go_of() -> None:
    assert int(run_case("kept_descriptors")) > 100


@each
@pytest.mark.parametrize("when", ["before", "between"])
def test_a_host_that_closes_all_it_has_open_gets_another_server(when: str, shape: str) -> None:
    """Nothing of what it opens in their place is written to, or closed."""
    assert run_case("kept_closes_all", shape, when) == ""


@each
@pytest.mark.parametrize("raw", [[], ["raw"]], ids=["alone", "with a raw fork alive"])
@pytest.mark.parametrize("when", ["idle", "call", "stream"])
def test_a_host_that_is_killed_in_a_block_leaves_nothing(
    when: str, raw: list[str], shape: str, tmp_path: Path
) -> None:
    with started("kept_dies", tmp_path, shape, when, *raw) as case:
        until((tmp_path / "pids").exists)
        pids = list(map(int, (tmp_path / "pids").read_text().split()))
        if raw:
            lives_on = int((tmp_path / "raw").read_text())
            pids.remove(lives_on)
        assert all(map(alive, pids))
        case.kill()
        begun = time.monotonic()
        until(lambda: not any(map(alive, pids)), limit=LIMIT / 2)
        seconds = time.monotonic() - begun
        if raw:
            assert alive(lives_on)
            os.kill(lives_on, signal.SIGKILL)
    print(f"{seconds * 1e3:.0f} ms, {len(pids)} processes")
    assert seconds < SOON


@each
@pytest.mark.parametrize("what", [[], ["nests"]], ids=["alone", "with its nests"])
def test_a_killed_server_costs_no_call_and_another_comes_with_a_warning(
    what: list[str], shape: str
) -> None:
    run_case("kept_server_killed", shape, *what)


@each
def test_killed_nurseries_of_a_block_cost_what_was_in_hand(shape: str) -> None:
    run_case("kept_nursery_killed", shape)


@each
def test_a_fork_of_the_owner_has_a_server_of_its_own_and_ends_nothing(shape: str) -> None:
    run_case("kept_copies", shape)


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_a_block_refuses_calls_of_another_user_or_group() -> None:
    run_case("kept_user")


def test_who_enters_with_threads_is_warned_and_they_are_named() -> None:
    assert "metrics" in run_case("kept_threads")


@each
@pytest.mark.parametrize("how", ["exit", "_exit", "raise", "SIGTERM", "collector", "thread"])
def test_a_host_that_ends_without_leaving_its_block_leaves_nothing(how: str, shape: str) -> None:
    with started("kept_ends", how, shape) as case:
        # To the end of its output: a process left over would hold the pipe.
        out, err = case.communicate(timeout=LIMIT / 2)
        assert out == "ready\n", err
        expected = {"raise": 1, "SIGTERM": -signal.SIGTERM}.get(how, 0)
        assert case.returncode == expected, err
        assert how == "raise" or err == ""


@each
@pytest.mark.parametrize("when", ["idle", "call", "leave"])
def test_ctrl_c_in_a_block_is_answered_at_once_and_leaves_nothing(
    when: str, shape: str, tmp_path: Path
) -> None:
    with started("kept_ctrl_c", tmp_path, when, shape) as case:
        until(lambda: any(tmp_path.iterdir()))
        case.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, err = case.communicate(timeout=LIMIT / 2)
        assert (out, err, case.returncode) == ("interrupted\n", "", 0)
        assert time.monotonic() - begun < 8  # `leave`: its children have 10 s for their end


@pytest.mark.parametrize("where", ["outside", "block"])
def test_a_worker_may_open_a_block_and_what_is_killed_takes_it_with_it(
    where: str, tmp_path: Path
) -> None:
    run_case("kept_nested", tmp_path, where)


def test_a_block_in_an_asyncio_host() -> None:
    run_case("kept_asyncio")


@pytest.mark.peers
@each
def test_other_greenlets_run_while_a_call_of_a_block_waits(shape: str) -> None:
    run_case("kept_gevent", shape)


@pytest.mark.parametrize("face", ["blocking", "awaited"])
def test_a_server_that_was_stopped_is_killed_when_its_block_ends(face: str) -> None:
    run_case("kept_stopped", face)


@each
def test_no_call_of_a_block_is_wrong_whatever_is_killed(shape: str) -> None:
    """SECONDS=60 for a minute."""
    seconds = float(os.environ.get("SECONDS", "4"))
    print(run_case("kept_chaos", seconds, shape, limit=LIMIT + 2 * seconds))
