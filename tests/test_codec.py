"""Results that are more than text."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import children, until

from tep_parallel import Parallel, TamperedResultError, WorkerError

HEADER = 40  # bytes of a record before its payload
MAC = 32  # and after it

both = pytest.mark.parametrize("count", [None, 0])


def codec(dumps: Callable[[Any], Any], loads: Callable[[Any], Any] = str) -> Any:
    return SimpleNamespace(dumps=dumps, loads=loads)


def same(value: Any) -> Any:
    return value


@both
def test_a_codec_turns_results_into_objects(count: int | None) -> None:
    def work(item: int) -> object:
        return {"square": item * item, "none": None, "text": "\0ä\ud800"}

    expected = [work(1), work(2)]
    for one in (json, pickle):
        fan_out = Parallel(work, codec=one, in_processes=count)
        assert fan_out.map_processes([1, 2]) == expected
        assert [outcome.result for outcome in fan_out.outcomes([1, 2])] == expected


@both
def test_none_is_a_result_like_any_other(count: int | None) -> None:
    fan_out = Parallel(lambda _: None, codec=json, in_processes=count)
    assert fan_out.map_processes(["a", "b"]) == [None, None]
    (outcome,) = fan_out.outcomes(["a"])
    assert outcome.ok


@both
@pytest.mark.parametrize("data", ["text \ud800", b"bytes \xff", "", b""])
def test_loads_is_given_what_dumps_returned(data: str | bytes, count: int | None) -> None:
    fan_out = Parallel(lambda _: data, codec=codec(same, same), in_processes=count)
    assert fan_out.map_processes([1]) == [data]


@both
def test_a_bytearray_arrives_as_bytes(count: int | None) -> None:
    fan_out = Parallel(lambda _: b"x", codec=codec(bytearray, same), in_processes=count)
    assert fan_out.map_processes([1]) == [b"x"]


@both
def test_a_large_result(count: int | None) -> None:
    fan_out = Parallel(lambda item: [item] * 3_000_000, codec=pickle, in_processes=count)
    assert fan_out.map_processes(["x"]) == [["x"] * 3_000_000]


@both
def test_what_the_codec_raises_is_the_items_failure(count: int | None) -> None:
    fan_out = Parallel(lambda item: {item}, codec=json, in_processes=count)
    with pytest.raises(TypeError, match="set is not JSON serializable") as caught:
        fan_out.map_processes(["a"])
    assert caught.value.__notes__ == ["tep_parallel: item 0 ('a'); no other failed"]
    first, second = Parallel(lambda item: item, codec=codec(str, int), in_processes=count).outcomes(
        ["x", "2"]
    )
    assert isinstance(first.error, ValueError)
    assert second.result == 2
    wrong = Parallel(str, codec=codec(lambda _: 3), in_processes=count)
    with pytest.raises(TypeError, match="dumps returned int, expected str or bytes"):
        wrong.map_processes(["a"])


@both
@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), BaseException("odd")])
def test_loads_cannot_end_the_call(error: BaseException, count: int | None) -> None:
    def loads(data: str) -> str:
        if data == "a":
            raise error
        return data

    first, second = Parallel(same, codec=codec(str, loads), in_processes=count).outcomes(["a", "b"])
    assert isinstance(first.error, WorkerError)
    assert first.error.remote_type == type(error).__name__
    assert second.result == "b"


@both
def test_a_str_that_is_more_than_a_str_arrives_as_its_text(count: int | None) -> None:
    class Loud(str):
        def encode(self, *_: object) -> bytes:  # type: ignore[override]
            raise RuntimeError

        def __str__(self) -> str:
            return "not this"

    (result,) = Parallel(lambda _: Loud("text"), in_processes=count).map_processes([1])
    assert (type(result), result) == (str, "text")
    assert Parallel(
        lambda _: 1, codec=codec(lambda _: Loud("x"), same), in_processes=count
    ).map_processes([1]) == ["x"]


@both
def test_a_result_that_nobody_wants_is_not_encoded(count: int | None) -> None:
    assert Parallel(lambda item: {item}, codec=json, in_processes=count).each_process(["a"]) == 0


@pytest.mark.parametrize("wrong", [3, "json", object(), SimpleNamespace(dumps=str)])
def test_what_is_no_codec_is_refused_before_any_fork(wrong: Any) -> None:
    with pytest.raises(TypeError, match="codec: expected dumps and loads"):
        Parallel(str, codec=wrong)
    assert children() == []


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize(
    "how",
    [
        "another payload",
        "a text's record",
        "a wrong mac",
        "no mac",
        "a break's record",
        "an empty break's record",
        "a record of nothing",
    ],
)
def test_what_somebody_else_wrote_never_gets_to_the_codec(
    how: str, scratch_root: Path, tmp_path: Path
) -> None:
    """The forger overwrites the victim's record when that is whole."""

    def forge(item: str) -> object:
        if item == "victim":
            return "honest"
        (scratch,) = scratch_root.iterdir()
        path = scratch / "0"
        until(lambda: path.exists() and path.stat().st_size > HEADER + MAC)
        record = path.read_bytes()
        header, payload, mac = record[:HEADER], record[HEADER:-MAC], record[-MAC:]
        if how == "another payload":
            payload = pickle.dumps(Trap(tmp_path / "sprung"))
            header = len(payload).to_bytes(8, sys.byteorder) + header[8:]
        elif how == "a text's record":
            payload, mac = b"text", b""
            returned = (1).to_bytes(4, sys.byteorder)
            header = (4).to_bytes(8, sys.byteorder) + bytes(20) + returned + bytes(8)
        elif how.endswith("break's record"):
            empty = how.startswith("an empty")
            status = (7 if empty else 2) | 16
            payload, mac = b"" if empty else pickle.dumps(Trap(tmp_path / "sprung")), b""
            header = len(payload).to_bytes(8, sys.byteorder) + bytes(20)
            header += status.to_bytes(4, sys.byteorder) + bytes(8)
        elif how == "a record of nothing":
            payload, mac = b"", b""
            header = bytes(28) + (7).to_bytes(4, sys.byteorder) + bytes(8)
        elif how == "a wrong mac":
            mac = bytes(MAC)
        else:
            payload, mac = pickle.dumps(Trap(tmp_path / "sprung")), b""
            header = len(payload).to_bytes(8, sys.byteorder) + header[8:36] + bytes(4)
        forged = header + payload + mac
        path.write_bytes(forged)
        return ""

    victim, _ = Parallel(forge, codec=pickle).outcomes(["victim", "forger"])
    assert isinstance(victim.error, TamperedResultError)
    assert not (tmp_path / "sprung").exists()
