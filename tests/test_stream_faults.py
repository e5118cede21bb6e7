"""Iterating calls under fault: scenarios in fresh interpreters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import LIMIT, alive, both, run_case, started, until

SHAPES = ["fresh", "pool", "quota"]
FACES = ["imap_processes", "as_completed"]
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_face = pytest.mark.parametrize("face", FACES)


def pids_in(marks: Path) -> list[int]:
    return [int(path.name) for path in marks.iterdir()]


def test_an_endless_source_runs_in_constant_memory_also_beside_one_long_item() -> None:
    """SECONDS=60 for a minute, with an item of 30 s in it."""
    seconds = int(os.environ.get("SECONDS", "8"))
    print(run_case("endless", seconds, limit=LIMIT + 2 * seconds))


@each_face
@pytest.mark.parametrize("pace", ["slow", "fast"])
def test_neither_side_works_while_it_waits_for_the_other(pace: str, face: str) -> None:
    run_case("paces", pace, face)


@both
@each_face
@pytest.mark.parametrize("shape", [*SHAPES, "isolated"])
def test_abort_ends_all_at_every_step_also_children_that_are_deaf(
    shape: str, face: str, tmp_path: Path, kept: bool
) -> None:
    print(run_case("abort_anywhere", tmp_path, shape, face, kept=kept))


@both
@each_shape
@each_face
def test_a_host_killed_in_the_middle_of_an_iterator_leaves_nothing(
    shape: str, face: str, tmp_path: Path, scratch_root: Path, kept: bool
) -> None:
    with started("killed_iterating", tmp_path, shape, face, kept=kept) as case:
        until(lambda: len(pids_in(tmp_path)) == 4)
        assert all(map(alive, pids_in(tmp_path)))
        case.kill()
        until(lambda: not any(map(alive, pids_in(tmp_path))), limit=LIMIT / 2)
        until(lambda: list(scratch_root.iterdir()) == [], limit=LIMIT / 2)


@both
@pytest.mark.parametrize("shape", ["fresh", "pool"])
def test_a_timeout_holds_for_an_iterator_that_nobody_advances(
    shape: str, tmp_path: Path, kept: bool
) -> None:
    seconds = float(run_case("unadvanced", tmp_path, shape, kept=kept))
    print(f"{seconds:.3f} s for a timeout of 0.5 s")
    assert 0.3 < seconds < 3


@both
@pytest.mark.parametrize("shape", ["pool", "isolated"])
def test_forked_copies_of_a_host_end_nothing_of_its_iterators(shape: str, kept: bool) -> None:
    run_case("copied_host", shape, kept=kept)


@both
@each_shape
def test_a_source_may_raise_and_may_belong_to_its_thread(
    shape: str, tmp_path: Path, kept: bool
) -> None:
    run_case("sources", tmp_path, shape, kept=kept)


@both
@each_shape
@each_face
def test_a_signal_handler_may_raise_at_any_moment_of_an_iterator(
    shape: str, face: str, kept: bool
) -> None:
    run_case("raising_handler", shape, face, kept=kept)


@both
def test_each_thread_has_iterators_of_its_own(kept: bool) -> None:
    run_case("threads_iterating", 10, kept=kept)


@pytest.mark.parametrize("shape", ["fresh", "pool"])
@pytest.mark.parametrize("what", ["file", "address"])
def test_what_there_is_no_room_for_is_the_error_of_its_item_alone(what: str, shape: str) -> None:
    run_case("short_memory", what, shape)


@both
@each_shape
def test_a_killed_nursery_costs_an_iterator_what_was_in_hand(shape: str, kept: bool) -> None:
    run_case("nursery_gone", shape, kept=kept)


@both
@pytest.mark.peers
def test_other_greenlets_run_while_an_iterator_waits(kept: bool) -> None:
    run_case("gevent_iterating", kept=kept)
