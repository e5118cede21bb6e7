"""tep-parallel map, installed, in real shells: what arrives, what goes out, limits, signals."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from support import COMMAND, COMMANDS, LIMIT, alive, below, refused, shell, under_way, until

from tep_parallel._command.items import Source
from tep_parallel._engine.source import NothingYetError

WORKERS = """
import os, time
from tep_parallel import Break, ParallelWorker

def echo(item):
    return item

def pid(item):
    return str(os.getpid())

def sleep(item):
    time.sleep(float(item))
    return item

def fail(item):
    if item == "bad":
        raise ValueError("no good")
    return item

def wait(item):
    open("began" + item, "w").close()
    while item.startswith("wait") and not os.path.exists("go"):
        time.sleep(0.002)
    return item

def die_once(item):
    if not os.path.exists("died"):
        open("died", "w").close()
        os._exit(3)
    return item

def parts(item):
    return {"item": item, "size": len(item)}

def loud(item):
    print("said", item)
    os.system("echo said too")
    return item

def first(item):
    raise Break("that one")

class Unready(ParallelWorker):
    def setup(self):
        raise OSError(5, "no luck")
    def process(self, item):
        return item
"""
running = functools.partial(under_way, "map")
ENDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
shaped = pytest.mark.parametrize("shape", ["", "-u", "--isolate", "-j 0", "-j 1"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The current directory of the commands, with a module of workers in it."""
    (tmp_path / "workers.py").write_text(WORKERS)
    return tmp_path


def line_of(case: subprocess.Popen[bytes]) -> bytes:
    """The next line that it prints. It must come, whatever else there is to do."""
    assert case.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([case.stdout], [], [], LIMIT)
        assert readable, f"nothing came after {line!r}"
        piece = case.stdout.read(1)
        assert piece, f"it has ended after {line!r}"
        line += piece
    return line


# --- Items as they arrive ---------------------------------------------------------------


def pipe() -> tuple[int, int]:
    return os.pipe()


def non_blocking() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing


def connected() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


def at_terminal() -> tuple[int, int]:
    keys, screen = pty.openpty()
    return screen, keys


@shaped
@pytest.mark.parametrize("ends", [pipe, non_blocking, connected, at_terminal])
def test_with_a_silent_open_input_each_result_is_there_when_its_item_has_ended(
    ends: object, shape: str, place: Path
) -> None:
    reading, writing = ends()  # type: ignore[operator]
    try:
        with running(f"workers:echo {shape}", place, reading) as case:
            for item in (b"one\n", b"\n", b"tw\xc3\xb6\n"):
                os.write(writing, item)
                assert line_of(case) == item
            os.write(writing, b"ha")
            os.write(writing, b"lf\n\x04" if ends is at_terminal else b"lf")
            if ends is not at_terminal:
                os.close(writing)
                writing = -1
            assert line_of(case) == b"half\n"
            assert case.wait(LIMIT) == 0
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


@pytest.mark.parametrize("shape", ["", "-u", "--isolate", "--json"])
def test_what_arrives_is_not_left_until_something_else_happens(shape: str, place: Path) -> None:
    """The quickest of several: the machine may be busy, and nobody looks every second."""
    with running(f"workers:echo {shape}", place) as case:
        assert case.stdin is not None
        took = []
        for _ in range(4):
            begin = time.monotonic()
            case.stdin.write(b"x\n")
            line_of(case)
            took.append(time.monotonic() - begin)
    assert min(took) < 0.3, took


def test_several_items_of_a_pool_go_on_while_nothing_arrives(place: Path) -> None:
    with running("workers:wait -u -j 2", place) as case:
        assert case.stdin is not None
        case.stdin.write(b"wait\nb\n")
        assert line_of(case) == b"b\n"
        case.stdin.write(b"c\n")
        assert line_of(case) == b"c\n"
        (place / "go").touch()
        assert line_of(case) == b"wait\n"


@pytest.mark.parametrize("source", ["</dev/null", "-a /dev/null", "-a empty", "<empty"])
def test_nothing_is_no_item(source: str, place: Path) -> None:
    (place / "empty").touch()
    assert shell(f"tep-parallel map workers:echo {source}", place) == (0, b"", b"")


@shaped
def test_what_is_read_is_given_back_byte_by_byte(shape: str, place: Path) -> None:
    content = b"a\0b\n\xff\xfe\n\n\r\n\xc3\n" + b"x" * 3_000_000 + b"\n" + b"\xe2\x82\xac" * 70_000
    (place / "given").write_bytes(content)
    if shape == "-u":
        shape = "-u -j 1"
    for source in ("<given", "-a given", "< <(cat given)"):
        status, out, err = shell(f"tep-parallel map workers:echo {shape} {source}", place)
        assert (status, err) == (0, b"")
        assert out == content + b"\n"


def test_what_ends_an_item_can_be_chosen(place: Path) -> None:
    for option, char in (
        *(("-0", "\\0"), ("-d ,", ","), ("-d '\\t'", "\\t"), ("-d '\\x1f'", "\\x1f")),
        *(("-d '\\0'", "\\0"), ("-d '\\037'", "\\037"), ("-d '\\\\'", "\\\\"), ("-d n", "n")),
    ):
        script = f"printf 'a b{char}\\nc{char}{char}d' | tep-parallel map workers:echo -z {option}"
        assert shell(script, place) == (0, b"a b\0\nc\0\0d\0", b""), option
    refused("tep-parallel map workers:echo -d ab", "-d/--delimiter: expected one byte", place)
    refused("tep-parallel map workers:echo -d '' ", "expected one byte", place)
    refused("tep-parallel map workers:echo -d , -0", "not allowed with", place)
    for option in ("-a /dev/null", "-0", "-d ,"):
        refused(f"tep-parallel map workers:echo {option} a", "is for items from standard", place)


def test_items_of_a_file_that_somebody_writes_meanwhile(place: Path) -> None:
    os.mkfifo(place / "fifo")
    with running("workers:echo -a fifo", place) as case, open(place / "fifo", "wb", 0) as fifo:
        for item in (b"a\n", b"b\n"):
            fifo.write(item)
            assert line_of(case) == item


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("-a nowhere", "items: nowhere: No such file or directory"),
        ("-a .", "items: .: Is a directory"),
        ("<&-", "items: standard input: closed"),
    ],
)
def test_items_that_cannot_be_read_are_status_2(source: str, why: str, place: Path) -> None:
    refused(f"tep-parallel map workers:echo {source}", why, place)


@pytest.mark.parametrize("options", ["", "-j 0", "--dry-run"])
def test_an_input_that_is_no_input_is_a_line_and_status_1(options: str, place: Path) -> None:
    said = b"tep-parallel: items: Bad file descriptor\n"
    assert shell(f"tep-parallel map workers:echo {options} 0>given", place) == (1, b"", said)


@pytest.mark.parametrize("shape", ["", "-u"])
def test_an_endless_input_waits_for_what_is_printed(shape: str, place: Path) -> None:
    """Where the first item takes long, or nobody reads the results."""
    with running(f"workers:wait {shape} -j 2", place) as case:
        assert case.stdin is not None
        case.stdin.write(b"wait\n")
        os.set_blocking(case.stdin.fileno(), False)
        taken, last = 0, time.monotonic()
        while time.monotonic() - last < 3:
            assert taken < 200_000  # the pipe, what was read of it at once, and the items ahead
            with contextlib.suppress(BlockingIOError):
                taken += os.write(case.stdin.fileno(), b"x\n" * 4096)
                last = time.monotonic()
            time.sleep(0.001)
        (place / "go").touch()
        assert line_of(case) in (b"wait\n", b"x\n")


def test_no_more_items_are_begun_than_may_wait_for_the_first_of_them() -> None:
    source = Source(iter(lambda: "x", None))
    for printed in (0, 10):
        source.printed = printed
        with pytest.raises(NothingYetError):
            while source.begun < 100_000:
                next(source)
        assert source.begun == 4096 + printed
        assert (source.waits, source.descriptor) == (True, -1)


# --- What goes out ----------------------------------------------------------------------


def test_results_are_in_input_order_or_as_they_end(place: Path) -> None:
    items = "0.5 0 0.1"
    for option, out in (
        ("", b"0.5\n0\n0.1\n"),
        ("-k", b"0.5\n0\n0.1\n"),
        ("-u", b"0\n0.1\n0.5\n"),
        ("--unordered", b"0\n0.1\n0.5\n"),
    ):
        script = f"tep-parallel map workers:sleep -j 2 {items} {option}"
        assert shell(script, place) == (0, out, b""), option


def test_a_pool_is_the_default_and_a_fresh_child_an_option(place: Path) -> None:
    def pids(options: str) -> int:
        status, out, _ = shell(f"seq 40 | tep-parallel map workers:pid {options}", place)
        assert status == 0
        return len(set(out.split()))

    assert pids("-j 2") <= 2
    assert pids("-j 1") == pids("--jobs 1") == pids("-P 1") == pids("--in-processes 1") == 1
    assert pids("-j 2 --isolate") == 40
    assert pids("-j 1 --max-items-per-child 10") == 4
    assert pids("-j 0") == 1


@pytest.mark.parametrize("options", ["-j 2", "-j 2 -u", "-j 2 --isolate", "-j 0"])
def test_json_is_a_row_an_item_and_nothing_that_a_child_prints_is_among_them(
    options: str, place: Path
) -> None:
    script = f"seq 20 | tep-parallel map workers:loud --json {options}"
    status, out, err = shell(script, place)
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    if "-u" in options:
        rows.sort(key=lambda row: row["index"])
    assert [row["index"] for row in rows] == list(range(20))
    assert [row["item"] for row in rows] == [str(number) for number in range(1, 21)]
    assert (rows[0]["cpu_seconds"] is None) == ("--isolate" not in options)
    assert err.count(b"said") == 40


def test_results_may_be_what_json_has(place: Path) -> None:
    script = "tep-parallel map workers:parts --codec json ab ''"
    out = b'{"item": "ab", "size": 2}\n{"item": "", "size": 0}\n'
    assert shell(script, place) == (0, out, b"")
    status, out, _ = shell(f"{script} --json", place)
    assert [json.loads(line)["result"]["size"] for line in out.splitlines()] == [2, 0]
    status, out, err = shell("tep-parallel map workers:parts ab", place)
    assert (status, out) == (1, b"")
    assert b"TypeError" in err


def test_a_break_ends_it_well(place: Path) -> None:
    script = "yes | tep-parallel map workers:first -j 1; exit ${PIPESTATUS[1]}"
    assert shell(script, place) == (0, b"that one\n", b"")


# --- Limits and failures ------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "-u", "--isolate", "-j 0"])
def test_what_a_failure_does_to_the_others(options: str, place: Path) -> None:
    failed = b"tep-parallel: bad: ValueError: no good\n"
    script = f"(echo a; echo bad; yes | head -2000) | tep-parallel map workers:fail {options}"
    status, out, err = shell(script, place)
    assert (status, len(out.split()), err) == (1, 2001, failed)
    for end in ("stop", "kill"):  # also of an input that has no end
        endless = script.replace(" | head -2000", "")
        status, out, err = shell(f"{endless} --on-error {end} | head -c 100M", place)
        assert out.startswith(b"a\n")
        assert err.startswith(failed)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_failure_ends_also_what_waits_for_items(end: str, place: Path) -> None:
    with running(f"workers:wait -u -j 2 --on-error {end} --timeout 0.5", place) as case:
        assert case.stdin is not None
        case.stdin.write(b"wait\n")
        assert case.wait(LIMIT) == 1


def test_the_limits_of_time(place: Path) -> None:
    status, out, err = shell("tep-parallel map workers:sleep 60 0 --timeout 0.2", place)
    assert (status, out) == (1, b"0\n")
    assert b"60: " in err
    assert b"still ran after 0.2 s" in err
    script = "tep-parallel map workers:sleep 60 0 -j 2 --deadline 0.5"
    for option in ("", "-u", "--isolate"):
        status, out, err = shell(f"{script} {option}", place)
        assert (status, out) == (1, b"0\n")
        assert err.startswith(b"tep-parallel: --deadline: the call was not over after 0.5 s")
        assert err.count(b"\n") == 1


def test_the_deadline_holds_where_no_item_comes(place: Path) -> None:
    for shape in ("", "--isolate", "-u"):
        with running(f"workers:echo --deadline 0.3 {shape}", place) as case:
            assert case.wait(LIMIT) == 1
            assert case.stderr is not None
            assert case.stderr.read().startswith(b"tep-parallel: --deadline: the call was not")


def test_an_item_whose_child_died_is_tried_again(place: Path) -> None:
    assert shell("tep-parallel map workers:die_once a --retries 1", place) == (0, b"a\n", b"")
    (place / "died").unlink()
    status, out, err = shell("tep-parallel map -j 1 workers:die_once a b", place)
    assert (status, out.count(b"\n")) == (1, 1)
    assert b"exit code 3" in err


def test_a_line_on_standard_error_has_the_beginning_of_a_long_item(place: Path) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' 1 | tep-parallel map workers:parts"
    for options in ("", "-t", "-j 0"):
        status, out, err = shell(f"{script} {options}", place)
        assert (status, out) == (1, b"")
        assert len(err) < 1000
        assert b"111... (3000000 characters): " in err


@pytest.mark.parametrize("options", ["", "-u", "--isolate", "-j 0"])
def test_a_setup_that_fails_is_a_line(options: str, place: Path) -> None:
    status, out, err = shell(f"tep-parallel map workers:Unready a {options}", place)
    assert (status, out) == (1, b"")
    assert err.count(b"\n") == 1
    assert b"no luck" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--timeout 0", "argument --timeout: expected seconds above 0, got '0'"),
        ("--timeout x", "argument --timeout: expected seconds above 0, got 'x'"),
        ("--deadline nan", "argument --deadline: expected seconds above 0"),
        ("--deadline inf", "argument --deadline: expected seconds above 0"),
        ("-j 99999999999", "expected 10000 at most, got '99999999999'"),
        ("-j " + "9" * 5000, "expected 0 or more, got '9999"),
        ("--max-items-per-child 99999999999999999999", "argument --max-items-per-child: expected"),
        ("--retries 99999999999999999999", "argument --retries: expected 2147483647 at most"),
        ("--retries=-1", "argument --retries: expected 0 or more, got '-1'"),
        ("-j x", "argument -j/-P/--jobs/--in-processes: expected 0 or more, got 'x'"),
        ("--max-items-per-child 0", "--max-items-per-child: expected 1 or more, got 0"),
        ("--max-items-per-child 2 --isolate", "--max-items-per-child: with --isolate every"),
        ("--on-error retry", "argument --on-error: invalid choice: 'retry'"),
        ("--codec pickle", "argument --codec: invalid choice"),
        ("--resume --retry-failed --journal x", "not allowed with argument --resume"),
    ],
)
def test_an_error_names_the_option_of_the_command(options: str, said: str, place: Path) -> None:
    refused(f"tep-parallel map workers:echo a {options}", said, place)
    assert not (place / "x").exists()


def test_a_dry_run_prints_the_items_and_runs_none(place: Path) -> None:
    script = "printf 'a\\nb' | tep-parallel map workers:wait --dry-run"
    assert shell(script, place) == (0, b"a\nb\n", b"")
    assert shell(f"{script} -z", place) == (0, b"a\0b\0", b"")
    out = b'{"index": 0, "item": "a"}\n{"index": 1, "item": "b"}\n'
    assert shell(f"{script} --json", place) == (0, out, b"")
    assert list(place.glob("began*")) == []
    refused("tep-parallel map nowhere:echo --dry-run x", "importing nowhere", place)


def test_verbose_says_which_items_begin(place: Path) -> None:
    for option in ("-t", "--verbose"):
        status, out, err = shell(f"tep-parallel map workers:echo a b {option}", place)
        assert (status, out) == (0, b"a\nb\n")
        assert err == b"tep-parallel: a: begins\ntep-parallel: b: begins\n"


# --- Signals, closed pipes ------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "-u", "--isolate", "--json"])
@pytest.mark.parametrize("number", ENDED)
def test_what_had_ended_is_printed_when_a_signal_ends_it(
    number: signal.Signals, options: str, place: Path
) -> None:
    with running(f"workers:wait -j 2 {options}", place) as case:
        assert case.stdin is not None
        case.stdin.write(b"wait\nb\nc\n")
        until((place / "beganc").exists)
        case.stdin.write(b"wait2\n")  # whoever has it has committed the one before
        until((place / "beganwait2").exists)
        children = below(case.pid)
        case.send_signal(number)
        out, err = case.stdout.read(), case.stderr.read()  # type: ignore[union-attr]
        assert (case.wait(LIMIT), err) == (-number, b"")
        ended = [json.loads(row)["item"] for row in out.splitlines()] if "js" in options else None
        assert (ended or out.decode().split()) == ["b", "c"]
        until(lambda: not any(map(alive, children)))


@pytest.mark.parametrize("number", ENDED)
def test_a_signal_ends_it_also_where_nobody_reads_its_output(
    number: signal.Signals, place: Path
) -> None:
    (place / "many").write_text("0123456789\n" * 20_000)
    with running("workers:echo -a many", place) as case:
        descriptor = case.stdout.fileno()  # type: ignore[union-attr]
        until(lambda: is_blocked(case.pid))
        case.send_signal(number)
        assert case.wait(LIMIT) == -number
        assert os.read(descriptor, 11) == b"0123456789\n"


def is_blocked(pid: int) -> bool:
    """Does it sleep in a write to a pipe?"""
    return "pipe_write" in Path(f"/proc/{pid}/wchan").read_text() or (
        Path(f"/proc/{pid}/syscall").read_text().split()[:2] == ["1", "0x3"]
    )


def test_what_is_said_of_a_failure_waits_for_a_standard_error_that_is_full(place: Path) -> None:
    """In non-blocking mode, as ssh and others hand it down."""
    reading, writing = non_blocking()
    os.set_blocking(writing, False)
    items = [f"{number:04}" + "x" * 150 for number in range(2000)]
    (place / "items").write_text("\n".join(items))
    case = subprocess.Popen(
        [COMMAND, "map", "workers:parts", "-a", "items"], cwd=place, env=COMMANDS, stderr=writing
    )
    try:
        os.close(writing)
        os.set_blocking(reading, True)
        said = b""
        while piece := os.read(reading, 4096):
            said += piece
            time.sleep(0.0005)  # slower than the command
        assert case.wait(LIMIT) == 1
        lines = said.decode().splitlines()
        assert [line[14:168] for line in lines] == items
    finally:
        case.kill()
        case.wait()
        os.close(reading)


def test_a_signal_that_is_ignored_stays_so(place: Path) -> None:
    script = "trap '' HUP; tep-parallel map workers:wait wait & pid=$!; while ! [ -e beganwait ];"
    script += " do sleep 0.01; done; kill -HUP $pid; touch go; wait $pid"
    assert shell(script, place) == (0, b"wait\n", b"")


def test_a_reader_that_goes_ends_it_quietly_with_its_children(place: Path) -> None:
    with running("workers:wait -u -j 2", place) as case:
        assert case.stdin is not None
        assert case.stdout is not None
        case.stdin.write(b"wait\n")
        until((place / "beganwait").exists)
        children = below(case.pid)
        case.stdout.close()
        case.stdin.write(b"b\n")
        assert case.wait(LIMIT) == 1
        assert case.stderr is not None
        assert case.stderr.read() == b""
        until(lambda: not any(map(alive, children)))
        case.stdout = None


def test_a_killed_command_leaves_no_children(place: Path) -> None:
    with running("workers:wait wait1 wait2 -j 2", place) as case:
        until(lambda: len(list(place.glob("began*"))) == 2)
        children = below(case.pid)
        assert len(children) >= 3
        case.kill()
        until(lambda: not any(map(alive, children)))
