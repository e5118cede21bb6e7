"""What is promised under fault: scenarios in fresh interpreters."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support import (
    CASES,
    LIMIT,
    alive,
    both,
    case_environment,
    descriptors,
    run_case,
    run_case_with_stderr,
    started,
    until,
)


def pids_in(marks: Path) -> list[int]:
    return [int(path.name) for path in marks.iterdir()]


@both
def test_ctrl_c_is_answered_at_once_and_no_child_survives(
    tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    """Not after the 60 seconds that the children sleep."""
    with started("ctrl_c", tmp_path, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) == 2)
        case.send_signal(signal.SIGINT)
        case.communicate(timeout=LIMIT / 2)  # EOF: a child left over would hold the pipe
        assert case.returncode == -signal.SIGINT
    assert list(scratch_root.iterdir()) == []


@both
@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_a_killed_host_takes_the_whole_tree_with_it(
    shape: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    """Children that block every signal; below them a `sleep` and a `setsid sleep`."""
    with started("stubborn_tree", tmp_path, shape, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) == 6)
        assert all(map(alive, pids_in(tmp_path)))
        case.kill()
        until(lambda: not any(map(alive, pids_in(tmp_path))), limit=LIMIT / 2)
        until(lambda: list(scratch_root.iterdir()) == [], limit=LIMIT / 2)


@both
@pytest.mark.parametrize("shape", ["flat", "pool"])
@pytest.mark.parametrize("how", ["daemon", "stopped", "running", "many"])
def test_whatever_a_child_does_to_stay_goes_at_the_deadline(
    how: str, shape: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    assert run_case("wild", how, tmp_path, "deadline", shape, kept=kept) == "over\n"
    assert pids_in(tmp_path)
    until(lambda: not any(map(alive, pids_in(tmp_path))))
    assert list(scratch_root.iterdir()) == []


@both
@pytest.mark.parametrize("how", ["daemon", "stopped", "running", "many"])
def test_whatever_a_child_does_to_stay_goes_with_the_host(
    how: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    with started("wild", how, tmp_path, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) >= {"many": 100}.get(how, 2))
        case.kill()
        until(lambda: not any(map(alive, pids_in(tmp_path))), limit=LIMIT / 2)
        until(lambda: list(scratch_root.iterdir()) == [], limit=LIMIT / 2)


@both
@pytest.mark.parametrize("how", ["exit", "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGSEGV"])
def test_however_the_host_ends_its_children_do(
    how: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    with started("host_ends", how, tmp_path, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) == 2)
        if how != "exit":
            case.send_signal(signal.Signals[how])
        until(lambda: case.poll() is not None)
        until(lambda: not any(map(alive, pids_in(tmp_path))), limit=LIMIT / 2)
        until(lambda: list(scratch_root.iterdir()) == [], limit=LIMIT / 2)


@both
@pytest.mark.parametrize("where", ["step", "loop"])
@pytest.mark.parametrize("how", ["exit", "SIGKILL"])
def test_a_host_that_ends_in_the_middle_of_an_iterator_leaves_nothing(
    how: str, where: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    with started("host_ends", how, tmp_path, where, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) == 2)
        if how != "exit":
            case.send_signal(signal.Signals[how])
        until(lambda: case.poll() is not None)
        until(lambda: not any(map(alive, pids_in(tmp_path))), limit=LIMIT / 2)
    assert list(scratch_root.iterdir()) == []


@both
def test_a_stopped_nursery_delays_no_call_that_is_given_up(kept: bool) -> None:
    run_case("stopped_nursery", kept=kept)


def test_a_call_whose_host_has_no_more_descriptors_leaves_nothing() -> None:
    run_case("descriptors_taken")


@both
def test_a_call_needs_no_more_descriptors_to_read_its_results(kept: bool) -> None:
    run_case("last_descriptors", kept=kept)


def test_a_host_that_is_killed_as_it_reads_its_last_result_leaves_nothing(
    scratch_root: Path,
) -> None:
    with started("last_descriptors") as case:
        until(lambda: any(name.endswith("/0") for name in descriptors(case.pid).values()))
        case.kill()
        case.wait()
        until(lambda: list(scratch_root.iterdir()) == [])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_the_items_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        run_case("full_disk")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@both
def test_a_process_that_the_host_forked_meanwhile_keeps_no_tree_alive(
    tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    """It holds no end of the socket by which the nursery sees that its host is dead."""
    marks = tmp_path / "marks"
    marks.mkdir()
    with started("stubborn_tree", marks, "forking", kept=kept) as case:
        until((tmp_path / "forked").exists)
        case.kill()
        until(lambda: not any(map(alive, pids_in(marks))), limit=LIMIT / 2)
        until(lambda: list(scratch_root.iterdir()) == [], limit=LIMIT / 2)


@both
@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_a_call_given_up_by_a_signal_handler_leaves_nothing(
    shape: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    with started("stubborn_tree", tmp_path, "raise", shape, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) == 6)
        case.send_signal(signal.SIGTERM)
        out, err = case.communicate(timeout=LIMIT / 2)
        assert not any(map(alive, pids_in(tmp_path)))
        assert list(scratch_root.iterdir()) == []
        if shape == "flat":  # else it was raised in the first call, outside the try
            assert (case.returncode, err) == (0, "")
            seconds, no_children = out.splitlines()
            assert float(seconds) < LIMIT / 2
            assert no_children.split() == ["children:"]


@both
@pytest.mark.parametrize("way", ["ignore", "reap"])
def test_every_status_is_seen_whatever_the_host_does_with_sigchld(way: str, kept: bool) -> None:
    run_case("sigchld", way, kept=kept)


@both
def test_the_hosts_own_children_are_never_waited_for(kept: bool) -> None:
    run_case("own_children", kept=kept)


@both
def test_no_signal_sent_to_a_fresh_child_reaches_the_host(kept: bool) -> None:
    run_case("signals_to_children", kept=kept)


@both
def test_a_signal_in_the_first_moments_of_a_call_is_answered_at_once(kept: bool) -> None:
    run_case("signals_to_host", 400, kept=kept)


@both
def test_an_asyncio_host_hears_its_own_signals_and_no_childs(kept: bool) -> None:
    run_case("asyncio_host", kept=kept)


def test_300_children_need_no_more_than_64_descriptors() -> None:
    run_case("few_descriptors")


def test_no_descriptors_is_a_clear_error_and_nothing_leaks() -> None:
    run_case("no_descriptors")


def test_without_descriptors_an_inner_call_is_cleaned_up_all_the_same() -> None:
    run_case("nested_few_descriptors")


def open_to_nobody(scratch_root: Path) -> None:
    """The case becomes nobody, and pytest's folders are private."""
    scratch_root.chmod(0o777)
    scratch_root.parent.chmod(0o755)
    root = scratch_root.parent
    while root != root.parent:
        root.chmod(root.stat().st_mode | 0o011)
        root = root.parent


@pytest.mark.skipif(os.getuid() != 0, reason="a limit of one's own needs a user of one's own")
def test_too_few_processes_slow_a_call_down_and_none_is_an_error(scratch_root: Path) -> None:
    open_to_nobody(scratch_root)
    assert run_case("no_processes", 4) == "all\n"
    assert run_case("no_processes", 2).startswith("EAGAIN")
    assert run_case("no_processes", 1).startswith("EAGAIN")


@pytest.mark.skipif(os.getuid() != 0, reason="a limit of one's own needs a user of one's own")
def test_an_item_that_never_gets_its_next_try_ends_as_it_ended_last(scratch_root: Path) -> None:
    open_to_nobody(scratch_root)
    run_case("retry_refused")


@both
def test_a_killed_nursery_costs_the_item_in_hand_and_no_other(kept: bool) -> None:
    run_case("nursery_killed", kept=kept)


@both
def test_a_host_that_adopts_orphans_keeps_no_zombie_of_a_killed_nursery(kept: bool) -> None:
    run_case("adopting_host", kept=kept)


def test_a_killed_nurserys_zombies_are_not_waited_for() -> None:
    run_case("slow_init")


def test_a_result_that_cannot_be_written_whole_is_the_items_oserror() -> None:
    run_case("file_size")


@both
def test_a_child_never_runs_on_in_the_callers_program(kept: bool) -> None:
    assert run_case_with_stderr("raising_child", kept=kept) == (
        "exit DeadWorkerError 1\n"
        "interrupt WorkerError 1\n"
        "odd WorkerError 1\n"
        "recursion RecursionError 1\n"
        "memory MemoryError 1\n"
        "thread NoneType 0\n"
        "fine NoneType 0\n"
        "after True\n"
        "exit handler True\n",
        "bye\n",
    )


def test_streams_that_are_none_closed_replaced_or_unbuffered_are_left_alone() -> None:
    assert run_case("fake_streams") == "well\n"


@both
@pytest.mark.parametrize("host", ["alone", "threads"])
def test_output_arrives_once_and_standard_input_is_empty(host: str, kept: bool) -> None:
    path = Path(__file__).parent / "cases" / "streams.py"
    case = subprocess.run(
        [sys.executable, path, host],
        input="first\nsecond\nthird\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
        env=case_environment(kept=kept),
    )
    assert sorted(case.stdout.splitlines()) == [
        "child a read ''",
        "child b read ''",
        "host after second",
        "host before",
    ]
    assert sorted(case.stderr.split(";")) == ["", "no line end a", "no line end b"]


def test_a_result_of_more_than_two_gib_is_not_cut() -> None:
    run_case("gigabyte", 2**31 + 4096)


def test_a_result_is_decoded_with_one_copy() -> None:
    """The buffer that was read and the str: two, and not three."""
    size = 2**28
    assert int(run_case("gigabyte", size)) < 2.4 * size + 2**26


@both
def test_calls_from_threads_of_a_busy_host_neither_hang_nor_go_wrong(
    tmp_path: Path, kept: bool
) -> None:
    calls = int(os.environ.get("TEP_PARALLEL_STRESS_CALLS", "2000")) // (8 if kept else 1)
    out = run_case("threads", calls, tmp_path / "log", limit=60 + calls, kept=kept)
    marks = Counter(re.findall("<[^<>]*>", out))
    assert max(marks.values()) == 1, marks.most_common(3)
    assert sum(mark.startswith("<child") for mark in marks) == calls // 4 * 4 * 2


@pytest.mark.parametrize("what", ["words", "pairs"])
def test_a_stray_store_to_the_shared_page_costs_items_and_never_the_host(
    what: str, scratch_root: Path
) -> None:
    """To every word of it, in calls of every shape."""
    run_case("strays", what)
    assert list(scratch_root.iterdir()) == []


def test_a_stray_store_to_what_children_wait_for_hangs_no_call() -> None:
    run_case("strays", "mark")


def test_a_limit_holds_whatever_a_child_makes_of_its_clock() -> None:
    run_case("strays", "clocks")


def test_a_number_in_the_shared_page_is_neither_waited_for_nor_killed(scratch_root: Path) -> None:
    """That of a child of the host's own, while the nursery is killed."""
    run_case("strays", "reap")
    assert list(scratch_root.iterdir()) == []


def test_an_item_that_frees_itself_again_is_not_begun_for_ever() -> None:
    run_case("strays", "again")


def test_stray_stores_at_random_harm_no_host() -> None:
    """A little of what `make test-long` does for longer; always the same."""
    script = CASES.parent / "long" / "scribble.py"
    subprocess.run(
        [sys.executable, script, "--seconds", "5", "--seed", "1"],
        check=True,
        timeout=2 * LIMIT,
        capture_output=True,
    )
