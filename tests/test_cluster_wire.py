"""What travels between a call and an executor's workers, and how many items a chunk has."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clusters import Odd, end_kept
from hypothesis import given, settings
from hypothesis import strategies as st

from tep_parallel import Parallel, TamperedResultError
from tep_parallel._cluster import far, replies, wire
from tep_parallel._cluster.engine import Engine
from tep_parallel._cluster.sizes import LARGE, Sizes
from tep_parallel._cluster.wire import Chunk, Record, Reply
from tep_parallel._engine import statuses
from tep_parallel._engine.native import lib


def chunk_of(items: int = 3, /, **others: Any) -> Chunk:
    given: dict[str, Any] = {
        "call": b"c" * 16,
        "number": 5,
        "first": 0,
        "nonce": b"n" * 16,
        "key": b"k" * 32,
        "worker": b"w" * 32,
        "bundle": None,
        "options": {"in_processes": None, "rebuild_exceptions": True},
        "key_of_digests": False,
        "on_error": "stop",
        "discard": False,
        "told": False,
        "deadline": None,
        "items": ["a"] * items,
        **others,
    }
    return Chunk(**given)


def answered(chunk: Chunk) -> Reply:
    """The reply of the far side."""
    data = wire.packed_chunk(chunk)
    return replies.reply_of(far.run_chunk(data), wire.signed(chunk, data))


def test_the_statuses_are_those_of_the_c_core() -> None:
    names = [name for name, value in vars(statuses).items() if type(value) is int]
    assert len(names) == 13
    for name in names:
        assert getattr(statuses, name) == getattr(lib, f"SPHTTP_{name}")


TEXTS = st.text(st.characters(codec=None, categories=None), max_size=20)
RECORDS = st.builds(
    lambda fate, said: Record(fate, 1, 2, 3, 4, 5, 6, 7, 8, said),
    st.integers(-7, 40),
    st.binary(max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS | RECORDS | st.none(), max_size=8), st.none() | RECORDS)
def test_a_reply_arrives_as_it_was_sent(found: list[Any], of_call: Record | None) -> None:
    chunk = chunk_of(len(found))
    texts = [one if isinstance(one, str) else None for one in found]
    records = {i: one for i, one in enumerate(found) if isinstance(one, Record)}
    if of_call is not None:
        records[len(found)] = of_call
    reply = Reply(wire.DONE, texts, records, "höst", b"p" * 16, 7, 8, overdue=True)
    data = replies.packed_reply(reply, chunk)
    assert replies.reply_of(data, chunk)._replace(length=0) == reply


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_reply_that_was_changed_is_not_read(data: st.DataObject) -> None:
    chunk = chunk_of(2)
    sent = replies.packed_reply(Reply(wire.DONE, ["a", None], {1: Record(4, said=b"x")}), chunk)
    at = data.draw(st.integers(0, len(sent) - 1))
    changed = bytearray(sent)
    changed[at] ^= data.draw(st.integers(1, 255))
    for wrong in (bytes(changed), sent[:at], sent + b"x", b""):
        with pytest.raises(replies.ForgedError):
            replies.reply_of(wrong, chunk)
    for other in (chunk._replace(nonce=b"o" * 16), chunk._replace(key=b"o" * 32)):
        with pytest.raises(replies.ForgedError):
            replies.reply_of(sent, other)


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=24, max_size=200))
def test_a_reply_with_the_right_key_that_makes_no_sense_is_refused(body: bytes) -> None:
    """A worker that processes items itself has the key."""
    chunk = chunk_of(2)
    data = replies._signed(chunk.key, [chunk.nonce, (5).to_bytes(8, "little"), body])
    try:
        reply = replies.reply_of(data, chunk)
    except replies.ForgedError:
        return
    assert len(reply.texts) in (0, 2)


def from_elsewhere(data: bytes) -> bytes:
    """What another version answers."""
    return far.run_chunk(data).replace(wire.VERSION.encode(), b"tep_parallel 0 on Python 3.9")


def test_another_version_is_refused_with_both_names() -> None:
    answer = from_elsewhere(b"something else")
    with pytest.raises(wire.ForeignError, match=r"workers have tep_parallel 0 on Python 3\.9"):
        replies.reply_of(answer, chunk_of())

    def old(number: int, function: Any, data: bytes) -> Any:
        return from_elsewhere(b"something else")

    with Odd(old) as pool, pytest.raises(RuntimeError, match="and here is tep_parallel"):
        Parallel(str, executor=pool).map_processes(["a"])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_chunk_that_was_changed_is_not_processed(data: st.DataObject) -> None:
    """The far side says so, and raises nothing."""
    bundle = pickle.dumps((str, None))
    chunk = chunk_of(worker=b"s" * 32, bundle=bundle)._replace(items=["abcd", "efgh"])
    sent = wire.packed_chunk(chunk)
    expected = wire.signed(chunk, sent)
    at = data.draw(st.integers(0, len(sent) - 1))
    changed = bytearray(sent)
    changed[at] ^= data.draw(st.integers(1, 255))
    for wrong in (bytes(changed), sent[:at], sent + b"x", b""):
        answer = far.run_chunk(wrong)
        with pytest.raises(replies.ForgedError):
            replies.reply_of(answer, expected)


def test_a_reply_to_other_bytes_is_not_believed() -> None:
    """Whoever changes a chunk on its way may have made it whole again."""
    bundle = pickle.dumps((str, None))
    chunk = chunk_of(worker=b"s" * 32, bundle=bundle)._replace(items=["a"])
    expected = wire.signed(chunk, wire.packed_chunk(chunk))
    answer = far.run_chunk(wire.packed_chunk(chunk._replace(items=["b"])))
    with pytest.raises(replies.ForgedError):
        replies.reply_of(answer, expected)


def test_a_chunk_that_is_damaged_on_its_way_costs_its_items_alone() -> None:
    def damage(number: int, function: Any, data: bytes) -> bytes:
        if number == 1:
            return function(data[:-20])  # type: ignore[no-any-return]
        return function(data.replace(b"third", b"other"))  # type: ignore[no-any-return]

    with Odd(damage) as pool:
        p = Parallel(str, executor=pool, chunk_size=1)
        outcomes = p.outcomes(["first", "second", "third"])
    assert [type(one.error) for one in outcomes] == [
        TamperedResultError,
        type(None),
        TamperedResultError,
    ]


def test_a_reply_of_another_number_of_items_is_refused() -> None:
    data = replies.packed_reply(Reply(wire.DONE, ["a"]), chunk_of(1))
    with pytest.raises(replies.ForgedError):
        replies.reply_of(data, chunk_of(2))


def test_the_far_side_says_what_failed_and_never_raises() -> None:
    reply = answered(chunk_of(1, bundle=b"no pickle"))
    assert reply.kind == wire.FAILED
    assert b"UnpicklingError" in reply.records[1].said


def test_four_workers_are_kept_and_others_asked_for() -> None:
    bundles = [pickle.dumps((str, None, i)[:2]) for i in range(5)]
    for i, bundle in enumerate(bundles):
        chunk = chunk_of(worker=bytes([i]) * 32, bundle=bundle)
        reply = answered(chunk)
        assert reply.texts == ["a", "a", "a"]
    kinds = []
    for i in range(5):
        chunk = chunk_of(worker=bytes([i]) * 32)
        kinds.append(answered(chunk).kind)
    assert kinds == [wire.MISSING, *[wire.DONE] * 4]


def test_a_large_worker_travels_until_it_is_known_and_again_where_it_is_not() -> None:
    weight = bytes(100_000)

    def work(item: str) -> str:
        return item + str(len(weight))

    def forget(number: int, function: Any, data: bytes) -> bytes:
        if number == 30:
            far.here()._bundles.clear()
        return function(data)  # type: ignore[no-any-return]

    with Odd(forget) as pool:
        p = Parallel(work, executor=pool, chunk_size=1)
        items = [str(i) for i in range(60)]
        assert p.map_processes(items) == [f"{item}100000" for item in items]
        large = [number for number, size in enumerate(pool.sizes) if size > 100_000]
        assert large[0] == 0
        assert len(large) <= 8  # the first of each of two calls' places, and the miss
        assert max(large) >= 29
        sent = len(pool.sizes)
        assert p.map_processes(items) == [f"{item}100000" for item in items]
        assert max(pool.sizes[sent:]) < 10_000


def test_chunks_double_until_one_takes_half_a_second() -> None:
    sizes = Sizes(None, 1)
    sizes.workers = 2
    assert (sizes.in_flight, sizes.next(None)) == (4, 1)
    for size in (1, 2, 4, 8):
        assert sizes.next(10_000) == size
        sizes.learn(size, 100, 0.01 * size, 0.02 * size)
    sizes.learn(16, 100, 0.3, 0.4)
    assert sizes.next(10_000) == 16
    sizes.learn(16, 100, 2.0, 2.0)
    assert sizes.next(10_000) == 8
    assert [sizes.next(left) for left in (100, 12, 5, 1)] == [8, 3, 2, 1]
    sizes.learn(8, 4 * LARGE, 0.01, 0.01)
    assert sizes.next(10_000) == 2
    assert Sizes(7, 1).next(3) == 7


def test_where_nobody_says_how_many_workers_there_are_time_tells() -> None:
    sizes = Sizes(None, 1)
    at_first = sizes.in_flight
    for _ in range(10):
        sizes.learn(1, 10, 0.1, 0.11)
    assert sizes.in_flight == at_first + 10
    for _ in range(100):
        sizes.learn(1, 10, 0.1, 0.5)
    assert sizes.in_flight == 2


def test_a_chunk_of_large_items_has_few() -> None:
    with Odd() as pool:
        items = ["x" * (LARGE // 4)] * 12
        p = Parallel(lambda item: str(len(item)), executor=pool, chunk_size=100)
        assert p.map_processes(items) == [str(LARGE // 4)] * 12
        assert len(pool.sizes) == 3
        assert max(pool.sizes) < 2 * LARGE


def test_how_many_workers_an_executor_says_that_it_has() -> None:
    class Named:
        num_workers = 7

        def submit(self) -> None: ...

    with ThreadPoolExecutor(3) as pool:
        assert Engine(pool).workers() == 3
        assert Engine(pool).can_end
    assert Engine(Named()).workers() == 7
    with Odd() as odd:
        assert Engine(odd).workers() is None
        assert not Engine(odd).can_end


def test_trivial_items_cost_little_on_threads() -> None:
    """Against a mistake that would cost a chunk an item, not a measurement."""
    with Odd() as pool:
        items = [str(i) for i in range(20_000)]
        assert (
            Parallel(lambda item: item, executor=pool, in_processes=1).map_processes(items) == items
        )
        assert len(pool.sizes) < 200
    end_kept()
