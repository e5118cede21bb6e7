"""Exceptions that a child raised, as they arrive in the host: type, args and all else."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import pickle
import socket
import sys
import threading
import types
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kept import Parallel, close_blocks
from support import every, forked

from tep_parallel import DeadlineError, ParallelWorker, WorkerError

has_groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with 3.11")


def arrived(make: Callable[[], BaseException], **options: Any) -> Any:
    """What arrives where a worker raises what `make` returns; it is also raised."""

    def work(item: str) -> str:
        raise make()

    (outcome,) = Parallel(work, **options).outcomes(["it"])
    assert outcome.error is not None
    with pytest.raises(type(outcome.error)):
        Parallel(work, **options).map_processes(["it"])
    return outcome.error


def notes(error: BaseException) -> list[str]:
    return list(vars(error).get("__notes__", []))


class Counted(Exception):
    """Says which of its methods have run in this process."""

    ran: list[str] = []

    def __init__(self, *args: object) -> None:
        self.ran.append("__init__")
        super().__init__(*args)


class Positional(Counted):
    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Keyword(Counted):
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class Formatted(Counted):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class Status(Formatted):
    """Its text is made when it is asked for."""

    def __str__(self) -> str:
        return f"status {self.code}"


class Holding(Exception):
    def __init__(self, why: str, **held: object) -> None:
        super().__init__(why)
        vars(self).update(held)


class Plain:
    pass


def own_classes() -> list[BaseException]:
    return [Positional(4, "why"), Keyword(code=4), Formatted(4), Status(4)]


@every
@pytest.mark.parametrize("which", range(4))
def test_classes_with_arguments_of_their_own_arrive_as_themselves(
    which: int, shape: dict[str, Any]
) -> None:
    original: Any = own_classes()[which]
    error = arrived(lambda: own_classes()[which], **shape)
    assert type(error) is type(original)
    assert (error.args, error.code, str(error)) == (original.args, 4, str(original))


def test_their_init_is_not_run_in_the_host() -> None:
    """Not even where it would do no harm: of Counted, a pickle comes back whole."""
    Counted.ran.clear()
    for which in range(4):
        arrived(lambda which=which: own_classes()[which])  # type: ignore[misc]
    assert arrived(lambda: Counted("why", 3)).args == ("why", 3)
    assert Counted.ran == []


class Packing(Exception):
    """Its own pickling brings it back whole, and leaves a trace."""

    def __init__(self, size: int) -> None:
        super().__init__(f"size {size}")
        self.size = size

    def __reduce__(self) -> tuple[object, ...]:
        return unpacked, (self.size,)


def unpacked(size: int) -> Packing:
    UNPACKED.append(os.getpid())
    return Packing(size)


UNPACKED: list[int] = []


def test_its_own_pickling_is_used_where_that_brings_it_back_whole() -> None:
    UNPACKED.clear()
    error = arrived(lambda: Packing(3))
    assert (type(error), error.args, error.size) == (Packing, ("size 3",), 3)
    assert set(UNPACKED) == {os.getpid()}


def test_where_its_own_pickling_loses_something_it_is_made_without() -> None:
    def noted() -> Packing:
        error = Packing(3)
        error.__notes__ = ["not in its pickle"]
        return error

    UNPACKED.clear()
    error = arrived(noted)
    assert (type(error), error.size, notes(error)[0]) == (Packing, 3, "not in its pickle")
    assert UNPACKED == []


class Missing(OSError):
    def __init__(self, path: str, *, hint: str) -> None:
        super().__init__(2, "nothing there", path)
        self.hint = hint


@every
def test_what_a_built_in_base_keeps_to_itself_is_set(shape: dict[str, Any]) -> None:
    error = arrived(lambda: Missing("/a/path", hint="look"), **shape)
    assert type(error) is Missing
    assert (error.errno, error.strerror, error.filename) == (2, "nothing there", "/a/path")
    assert (error.hint, str(error)) == ("look", "[Errno 2] nothing there: '/a/path'")

    two = arrived(lambda: OSError(17, "there", "/from", None, "/to"), **shape)
    assert type(two) is FileExistsError
    assert (two.filename, two.filename2) == ("/from", "/to")
    plain = arrived(lambda: OSError("no number"), **shape)
    assert (plain.errno, str(plain)) == (None, "no number")

    encoding = arrived(lambda: UnicodeEncodeError("ascii", "aß", 1, 2, "not there"), **shape)
    assert (encoding.object, encoding.start, encoding.reason) == ("aß", 1, "not there")
    syntax = arrived(lambda: SyntaxError("odd", ("file", 1, 3, "a b", 1, 4)), **shape)
    assert (syntax.msg, syntax.lineno, syntax.text) == ("odd", 1, "a b")
    imported = arrived(lambda: ImportError("gone", name="a.b", path="/p"), **shape)
    assert (imported.name, imported.path) == ("a.b", "/p")
    named = arrived(lambda: NameError("unknown", name="nmae"), **shape)
    assert named.name == "nmae"
    attribute = arrived(lambda: AttributeError("none", name="x", obj=[1]), **shape)
    assert (attribute.name, attribute.obj) == ("x", [1])
    assert notes(attribute) == []


def test_what_a_base_keeps_and_cannot_be_pickled_is_left_out_and_told() -> None:
    error = arrived(lambda: AttributeError("none", name="x", obj=sys))
    assert (error.name, error.obj) == ("x", None)
    assert "left out: obj" in notes(error)[0]


class Slotted(Exception):
    __slots__ = ("__hidden", "lock", "shown", "unset")

    def __init__(self) -> None:
        super().__init__("slots")
        self.__hidden = [1]
        self.shown = {2}
        self.lock = threading.Lock()

    def hidden(self) -> list[int]:
        return self.__hidden


class SlottedToo(Slotted):
    __slots__ = ("more",)

    def __init__(self) -> None:
        super().__init__()
        self.more = "more"


@every
def test_slots_of_all_its_classes_travel(shape: dict[str, Any]) -> None:
    error = arrived(SlottedToo, **shape)
    assert (error.hidden(), error.shown, error.more) == ([1], {2}, "more")
    assert not hasattr(error, "unset")
    assert error.lock.startswith("<unlocked _thread.lock")
    assert "repr stands in its place: lock" in notes(error)[0]


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int
    why: str = "why"


class Sealed(Exception):
    """Takes no attribute at all."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


@forked
def test_a_class_that_takes_no_attribute_still_gets_its_cause_and_its_notes(
    shape: dict[str, Any],
) -> None:
    for make in (lambda: Frozen(3), lambda: Sealed("sealed")):

        def work(item: str, make: Any = make) -> str:
            raise make() from KeyError("first")

        try:
            Parallel(work, **shape).map_processes(["it"])
        except (Frozen, Sealed) as error:
            assert vars(error).get("code", 3) == 3
            assert "in work" in str(error.__cause__)
            assert isinstance(error.__cause__.__cause__, KeyError)  # type: ignore[union-attr]
            assert "no other failed" in notes(error)[-1]
        else:
            pytest.fail("nothing was raised")


@every
def test_what_cannot_be_pickled_is_replaced_by_its_repr_and_a_note_says_which(
    shape: dict[str, Any],
) -> None:
    held = [socket.socket(), threading.Lock(), sys._getframe(), lambda: None]
    try:
        for value in held:

            def make(value: Any = value) -> Holding:
                return Holding("why", value=value, nested={"code": 3, "in": [value]}, fine=[1])

            error = arrived(make, **shape)
            assert (type(error), error.args, error.fine) == (Holding, ("why",), [1])
            assert repr(error.value)[:10] == repr(value)[:10]
            assert isinstance(error.value, str)
            assert error.nested == {"code": 3, "in": [error.value]}
            assert [note for note in notes(error) if "value, nested" in note]
            assert "fine" not in "".join(notes(error))
    finally:
        held[0].close()  # type: ignore[attr-defined]


@every
def test_of_args_too_and_the_text_stays_the_same(shape: dict[str, Any]) -> None:
    lock = threading.Lock()
    error = arrived(lambda: ValueError("held", lock), **shape)
    assert str(error) == f"('held', {lock!r})"
    assert "args[1]" in notes(error)[0]
    assert len(notes(error)) == 1


@every
def test_an_object_without_a_repr_of_its_own_is_no_obstacle(shape: dict[str, Any]) -> None:
    error = arrived(lambda: ValueError(Plain()), **shape)
    assert type(error) is ValueError
    assert isinstance(error.args[0], Plain)
    assert notes(error) == []


TEXTS = {"here": "as in the host"}


class Looking(Exception):
    def __str__(self) -> str:
        return TEXTS["here"]


def test_a_text_that_is_another_here_is_told() -> None:
    def make() -> Looking:
        TEXTS["here"] = "as in the child"
        return Looking()

    (outcome,) = Parallel(lambda _: raise_(make())).outcomes(["it"])
    assert type(outcome.error) is Looking
    assert str(outcome.error) == "as in the host"
    assert "its text was: as in the child" in notes(outcome.error)[0]


def raise_(error: BaseException) -> str:
    raise error


# --- Which class it is --------------------------------------------------------------------


def a_local_class() -> type[Exception]:
    class Local(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__(f"code {code}")
            self.code = code

    return Local


def test_a_class_that_cannot_be_imported_is_found_where_the_host_has_it() -> None:
    """Defined in a function, made by type(), hidden by another of its name."""
    local, same_name = a_local_class(), a_local_class()
    nowhere = type("Nowhere", (LookupError,), {"__module__": "not.a.module"})
    hidden = type("Formatted", (ValueError,), {"__module__": __name__})
    error = arrived(lambda: local(code=3))
    assert type(error) is local
    assert type(error) is not same_name
    assert error.code == 3
    for kind in (nowhere, hidden):
        assert type(arrived(lambda kind=kind: kind("why"))) is kind  # type: ignore[misc]


@forked
def test_a_class_that_only_the_child_has_becomes_a_worker_error(shape: dict[str, Any]) -> None:
    def work(item: str) -> str:
        if item == "local":
            raise a_local_class()(code=3)
        module = types.ModuleType("only_there")
        sys.modules["only_there"] = module
        exec("class Odd(Exception): pass", vars(module))
        raise module.Odd("code 3")

    for outcome in Parallel(work, **shape).outcomes(["local", "module"]):
        error = outcome.error
        assert isinstance(error, WorkerError)
        assert (error.index, error.item) == (outcome.index, outcome.item)
        assert error.remote_type.endswith({"local": ".Local", "module": ".Odd"}[error.item])
        assert "in work" in error.remote_traceback
        assert "code 3" in str(error)


def test_an_address_alone_names_no_class() -> None:
    from tep_parallel._engine.travel.pickles import inherited

    local = a_local_class()
    name = local.__qualname__
    assert inherited(id(local), __name__, name) is local
    for address, module, qualname in (
        (id(local) + 16, __name__, name),
        (id(local), "other", name),
        (id(local), __name__, "Other"),
        (id(Plain), __name__, "Plain"),
        (8, __name__, name),
    ):
        with pytest.raises(LookupError):
            inherited(address, module, qualname)


@every
@pytest.mark.parametrize(
    "error",
    [
        StopIteration(3),
        StopAsyncIteration(),
        GeneratorExit(),
        asyncio.CancelledError(),
        type("Both", (Exception, GeneratorExit), {})(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_mean_something_else_to_the_host_is_a_worker_error(
    error: BaseException, shape: dict[str, Any]
) -> None:
    found = arrived(lambda: error, **shape)
    assert isinstance(found, WorkerError)
    assert found.remote_type.endswith(type(error).__name__)


def test_a_child_cannot_make_the_host_raise_something_else() -> None:
    """By a pickle that comes back otherwise in the host than in the child."""

    class Turning(Exception):
        def __reduce__(self) -> tuple[object, ...]:
            return turned, (os.getpid(),)

    turning.append(Turning)
    found = arrived(Turning)
    assert isinstance(found, WorkerError)
    assert "came back as KeyboardInterrupt" in found.remote_traceback


turning: list[type[Exception]] = []


def turned(child: int) -> BaseException:
    return turning[0]() if os.getpid() == child else KeyboardInterrupt()


# --- What belongs to it -------------------------------------------------------------------


@every
def test_causes_and_contexts_travel_whatever_they_are(shape: dict[str, Any]) -> None:
    def work(item: str) -> str:
        try:
            next(iter(()))
        except StopIteration:
            if item == "from none":
                raise Formatted(1) from None
            if item == "from":
                raise Formatted(1) from Holding("cause", lock=threading.Lock())
            raise Formatted(1)  # noqa: B904

    for item in ("from none", "from", "plain"):
        error = Parallel(work, **shape).outcomes([item])[0].error
        assert type(error) is Formatted
        assert type(error.__context__) is StopIteration
        assert error.__suppress_context__ is (item != "plain")
        if item == "from":
            cause = error.__cause__ if shape == {"in_processes": 0} else error.__cause__.__cause__  # type: ignore[union-attr]
            assert isinstance(cause, Holding)
            assert cause.args == ("cause",)


@forked
def test_circles_of_exceptions_arrive_as_circles(shape: dict[str, Any]) -> None:
    def itself() -> Exception:
        error = Holding("why")
        vars(error).update(me=error, mine=[error])
        error.__cause__ = error
        return error

    error = arrived(itself, **shape)
    assert error.me is error
    assert error.mine == [error]

    def each_other() -> Exception:
        one, other = ValueError("one"), KeyError("other")
        one.__context__, other.__context__ = other, one
        return one

    error = arrived(each_other, **shape)
    assert type(error.__context__) is KeyError
    assert error.__context__.__context__ is error


@every
def test_a_long_chain_is_cut_and_the_cut_is_told(shape: dict[str, Any]) -> None:
    def make() -> Exception:
        error = None
        for number in range(3000):
            later = ValueError(number)
            later.__context__ = error
            error = later
        assert error is not None
        return error

    error: Any = arrived(make, **shape)
    assert error.args == (2999,)
    length = 0
    while error.__context__ is not None and length < 100:
        error, length = error.__context__, length + 1
    if shape != {"in_processes": 0}:
        assert 10 < length < 100
        assert "left out: __context__" in notes(error)[0]


@every
@has_groups
def test_groups_travel_member_by_member(shape: dict[str, Any]) -> None:
    class Numbered(ExceptionGroup):  # noqa: F821
        def __new__(cls, message: str, errors: list[Exception], number: int) -> Any:
            made = super().__new__(cls, message, errors)
            made.number = number
            return made

        def __init__(self, *args: object) -> None:
            pass

        def derive(self, errors: Any) -> Any:
            return Numbered(self.message, errors, self.number)

    def make() -> Exception:
        noted = Formatted(4)
        noted.__notes__ = ["of a member"]
        noted.__cause__ = KeyError("cause")
        inner = ExceptionGroup("inner", [Missing("/p", hint="h"), StopIteration(1)])  # noqa: F821
        return Numbered("outer", [noted, Holding("x", lock=threading.Lock()), inner], 7)

    error = arrived(make, **shape)
    assert (type(error), error.message, error.number) == (Numbered, "outer", 7)
    noted, holding, inner = error.exceptions
    assert error.args[1] == [noted, holding, inner]
    assert (noted.code, notes(noted)) == (4, ["of a member"])
    assert type(noted.__cause__) is KeyError
    assert "lock" in notes(holding)[0]
    assert (inner.exceptions[0].filename, inner.exceptions[1].value) == ("/p", 1)
    rest = error.split(Formatted)[1]
    assert (type(rest), rest.number, len(rest.exceptions)) == (Numbered, 7, 2)


@forked
@has_groups
def test_a_member_that_only_the_child_knows_keeps_no_other_back(shape: dict[str, Any]) -> None:
    def make() -> Exception:
        members = [a_local_class()(code=3), ValueError("known")]
        return ExceptionGroup("both", members)  # noqa: F821

    unknown, known = arrived(make, **shape).exceptions
    assert isinstance(unknown, WorkerError)
    assert "code 3" in str(unknown)
    assert (type(known), known.args) == (ValueError, ("known",))


@has_groups
def test_groups_within_groups_beyond_measure_are_still_told() -> None:
    def make() -> Exception:
        error: Exception = ValueError("innermost")
        for number in range(200):
            error = ExceptionGroup(str(number), [error])  # noqa: F821
        return error

    error = arrived(make)
    assert (type(error).__name__, error.message) == ("ExceptionGroup", "199")


# --- Classes that want no good --------------------------------------------------------------


class NoGet(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class NoEqual(Exception):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


class NoText(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class NoReduce(Exception):
    def __reduce__(self) -> tuple[object, ...]:
        sys.exit(3)


class BadReduce(Exception):
    def __reduce__(self) -> tuple[object, ...]:
        return sys.exit, (3,)


class Properties(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


@forked
@pytest.mark.parametrize("kind", [NoGet, NoEqual, NoText, NoReduce, BadReduce, Properties])
def test_a_hostile_class_arrives_as_itself(kind: type[Exception], shape: dict[str, Any]) -> None:
    def work(item: str) -> str:
        raise kind("why")

    first, second = Parallel(lambda item: work(item) if item == "a" else item, **shape).outcomes(
        ["a", "b"]
    )
    assert type(first.error) is kind
    assert vars(BaseException)["args"].__get__(first.error) == ("why",)
    assert second.result == "b"


def test_what_is_nested_too_deeply_or_is_large_costs_nothing_else() -> None:
    def make() -> Exception:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        return Holding("why", deep=deep, large=b"x" * 20_000_000)

    (outcome,) = Parallel(lambda _: raise_(make())).outcomes(["it"])
    error: Any = outcome.error
    assert type(error) is Holding
    assert len(error.large) == 20_000_000
    assert "deep" in notes(error)[0]


def test_bad_notes_are_replaced_when_one_is_added() -> None:
    def make() -> Exception:
        error = ValueError("why")
        error.__notes__ = 5  # type: ignore[assignment]
        return error

    with pytest.raises(ValueError) as caught:
        Parallel(lambda _: raise_(make())).map_processes(["it"])
    assert notes(caught.value) == ["tep_parallel: item 0 ('it'); no other failed"]


def test_without_rebuilding_nothing_of_it_is_unpickled() -> None:
    UNPACKED.clear()
    lock = threading.Lock()
    for make in (lambda: Packing(3), lambda: Formatted(3), lambda: Holding("h", lock=lock)):
        error = arrived(make, rebuild_exceptions=False)
        assert isinstance(error, WorkerError)
    assert UNPACKED == []


def test_what_travelled_once_travels_again() -> None:
    """From a call within a child; and by the caller's own pickle."""

    def outer(item: str) -> str:
        Parallel(lambda _: raise_(Holding("inner", lock=threading.Lock()))).map_processes(["x"])
        return ""

    error: Any = Parallel(outer).outcomes(["y"])[0].error
    assert type(error) is Holding
    assert error.lock.startswith("<unlocked")
    assert len([note for note in notes(error) if "repr" in note]) == 1
    assert pickle.loads(pickle.dumps(error)).lock == error.lock


# --- What it keeps alive --------------------------------------------------------------------


class Item:
    def __init__(self, number: int) -> None:
        self.number = number


class Watched:
    """A result."""

    def __init__(self, value: object) -> None:
        RESULTS.append(weakref.ref(self))
        self.value = value


RESULTS: list[weakref.ref[Watched]] = []


def decode(data: str) -> Watched:
    if data == '"bad"':
        try:
            raise KeyError("context")
        except KeyError:
            raise ValueError("codec")  # noqa: B904
    return Watched(json.loads(data))


CODEC = SimpleNamespace(dumps=json.dumps, loads=decode)


def kept_alive(fails: Callable[[list[Item]], object]) -> int:
    """How many items and results there are when the except clause has ended."""
    RESULTS.clear()

    def call() -> list[weakref.ref[Item]]:
        items = [Item(number) for number in range(3)]
        references = [weakref.ref(item) for item in items]
        try:
            fails(items)
        except Exception:
            return references
        pytest.fail("nothing was raised")

    gc.collect()
    gc.disable()
    try:
        return sum(found() is not None for found in [*call(), *RESULTS])
    finally:
        gc.enable()


def fail_all(item: Item) -> str:
    raise ValueError(item.number)


class FailingSetup(ParallelWorker):
    def setup(self) -> None:
        raise ValueError("setup")


@every
@pytest.mark.parametrize("on_error", ["stop", "finish", "kill"])
def test_a_failure_keeps_nothing_alive(on_error: str, shape: dict[str, Any]) -> None:
    options = {**shape, "on_error": on_error}
    assert kept_alive(Parallel(fail_all, **options).map_processes) == 0
    assert kept_alive(Parallel(fail_all, **options).each_process) == 0
    told = Parallel(fail_all, on_finish=lambda _: None, **options)
    assert kept_alive(told.map_processes) == 0
    assert kept_alive(Parallel(FailingSetup(), **options).map_processes) == 0
    plain = Parallel(fail_all, rebuild_exceptions=False, **options)
    assert kept_alive(plain.map_processes) == 0
    with contextlib.suppress(ValueError):  # of a nest that no call has had
        close_blocks()


@every
def test_nor_does_what_a_codec_or_a_hook_raises(shape: dict[str, Any]) -> None:
    def work(item: Item) -> str:
        return "bad" if item.number == 1 else "good"

    def hook(outcome: object) -> None:
        raise KeyError

    coded: Any = Parallel(work, codec=CODEC, on_error="finish", **shape)
    assert kept_alive(coded.map_processes) == 0
    assert kept_alive(Parallel(fail_all, on_finish=hook, **shape).map_processes) == 0


@every
def test_nor_do_outcomes_that_were_dropped(shape: dict[str, Any]) -> None:
    def work(item: Item) -> str:
        return "bad" if item.number == 1 else fail_all(item) if item.number == 2 else "good"

    coded: Any = Parallel(work, codec=CODEC, **shape)

    def drop(items: list[Item]) -> None:
        outcomes = coded.outcomes(items)
        assert [outcome.ok for outcome in outcomes] == [True, False, False]
        del outcomes
        raise ValueError

    assert kept_alive(drop) == 0


@forked
def test_nor_does_a_call_that_is_over_its_deadline(shape: dict[str, Any]) -> None:
    def work(item: Item) -> str:
        if item.number == 2:
            threading.Event().wait()
        return "bad" if item.number == 1 else "good"

    late: Any = Parallel(work, codec=CODEC, deadline=0.5, **shape)

    def fails(items: list[Item]) -> None:
        with pytest.raises(DeadlineError) as caught:
            late.map_processes(items)
        del caught
        raise ValueError

    assert kept_alive(fails) == 0


@pytest.mark.parametrize("count", [None, 0])
def test_what_a_codec_raised_is_itself_with_its_frames_as_text(count: int | None) -> None:
    coded: Any = Parallel(lambda _: "bad", codec=CODEC, in_processes=count)
    error = coded.outcomes(["it"])[0].error
    assert type(error) is ValueError
    assert "in decode" in str(error.__cause__)
    assert type(error.__context__) is KeyError
    assert error.__traceback__ is error.__context__.__traceback__ is None
