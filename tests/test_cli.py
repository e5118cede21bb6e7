"""The command, installed, as a shell runs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import COMMAND, COMMANDS, LIMIT, hear_keyboard, hmac_hex, refused, shell, until

import tep_parallel
from tep_parallel._command.texts import EXAMPLES

WORKERS = """
import os, signal, time
from pathlib import Path
from tep_parallel import ParallelWorker

class Doubler(ParallelWorker):
    def process(self, item):
        return str(int(item) * 2)

class Needy(ParallelWorker):
    def __init__(self, wanted): ...

class Space:
    doubler = Doubler()

def echo(item): return item
def odd(item): return "\\ud800"
def fail(item): raise ValueError("two\\nlines, and \\x1b[31m red")
def die(item): os.kill(os.getpid(), signal.SIGKILL)
def leave(item): raise SystemExit(3)
def wait(item):
    Path(item).touch()
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The current directory of the commands, with a module of workers in it."""
    (tmp_path / "workers.py").write_text(WORKERS)
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "leaving.py").write_text("raise SystemExit(7)")
    (tmp_path / "odd.py").write_text("raise BaseException")
    (tmp_path / "mute.py").write_text(
        "class Mute(Exception):\n def __str__(self): raise ValueError\nraise Mute"
    )
    return tmp_path


# --- tep-parallel and python -m tep_parallel -----------------------------------


def test_map_prints_a_line_a_result_in_input_order(place: Path) -> None:
    assert shell("tep-parallel map workers:Doubler 3 1 2", place) == (0, b"6\n2\n4\n", b"")
    module = f"{sys.executable} -m tep_parallel map workers:Doubler 3 1 2"
    assert shell(module, place) == (0, b"6\n2\n4\n", b"")


@pytest.mark.parametrize(
    ("target", "item", "result"),
    [
        ("workers:echo", "x", b"x\n"),  # a function
        ("workers:Doubler", "2", b"4\n"),  # a class of workers
        ("workers:Space.doubler", "2", b"4\n"),  # an instance, further in
        ("os.path:basename", "/a/b", b"b\n"),  # of an installed package
    ],
)
def test_map_runs_whatever_is_a_worker(target: str, item: str, result: bytes, place: Path) -> None:
    assert shell(f"tep-parallel map {target} {item}", place) == (0, result, b"")


def test_the_current_directory_comes_first(place: Path) -> None:
    (place / "colorsys.py").write_text("def mine(item): return 'mine'")
    assert shell("tep-parallel map colorsys:mine x", place) == (0, b"mine\n", b"")


def test_version_and_help() -> None:
    assert shell("tep-parallel --version") == (0, f"{tep_parallel.__version__}\n".encode(), b"")
    for command in ("digest", "map"):
        status, out, err = shell(f"tep-parallel {command} --help")
        assert (status, err) == (0, b"")
        assert b"examples:\n  # " in out


@pytest.mark.parametrize("part", EXAMPLES)
def test_the_examples_of_help_run(part: str, place: Path) -> None:
    folder = place / "folder"
    folder.mkdir()
    for name in ("a.txt", "b.txt", "secret.key"):
        (folder / name).write_text(name)
    (folder / "workers.py").write_text(WORKERS)
    _, told, _ = shell(f"tep-parallel {part} --help", folder)
    for _, example in EXAMPLES[part]:
        assert f"  {example}\n".encode() in told
        status, out, err = shell(f"set -o pipefail; {example}", folder)
        assert (status, err) == (0, b"")
        assert out or ">" in example or "--quiet" in example


# --- Where items come from ---------------------------------------------------------


def test_items_from_standard_input_a_line_each(place: Path) -> None:
    assert shell(r"printf 'a b\n\nc' | tep-parallel map workers:echo", place) == (
        0,
        b"a b\n\nc\n",
        b"",
    )
    assert shell("tep-parallel map workers:echo </dev/null", place) == (0, b"", b"")
    script = r"printf 'a\r\nb\0c\n' | tep-parallel map workers:echo"
    assert shell(script, place) == (0, b"a\r\nb\0c\n", b"")


def test_items_between_nuls(place: Path) -> None:
    script = r"printf 'a\nb\0c\0' | tep-parallel map -0 --json workers:echo"
    status, out, _ = shell(script, place)
    assert status == 0
    assert [json.loads(line)["item"] for line in out.splitlines()] == ["a\nb", "c"]


def test_names_as_arguments_and_options_after_them(place: Path) -> None:
    name = b"a b\xff\n"
    (place / os.fsdecode(name)).write_bytes(b"content")
    status, out, err = shell(r"tep-parallel digest $'a b\xff\n' no --in-processes 1 -- -x", place)
    assert status == 1
    assert out == b"\\a b\xff\\n %s\n" % hmac_hex(b"content")
    assert err == (
        b"tep-parallel: no: No such file or directory\n"
        b"tep-parallel: -x: No such file or directory\n"
    )
    assert shell("tep-parallel map workers:echo a --in-processes 1 -- -b --json", place) == (
        0,
        b"a\n-b\n--json\n",
        b"",
    )


def test_after_a_double_dash_nothing_is_an_option(place: Path) -> None:
    """A file's name must not choose the key."""
    (place / "--key-file=secret").write_bytes(b"content")
    status, out, err = shell("tep-parallel digest -- *secret -- --files-from=/dev/null", place)
    assert (status, out) == (1, b"--key-file=secret %s\n" % hmac_hex(b"content"))
    assert err.decode().splitlines() == [
        "tep-parallel: --: No such file or directory",
        "tep-parallel: --files-from=/dev/null: No such file or directory",
    ]
    assert shell("tep-parallel map -- workers:echo --json -- -x", place) == (
        0,
        b"--json\n--\n-x\n",
        b"",
    )


def test_standard_input_that_never_blocks_is_read_to_its_end(place: Path) -> None:
    script = (
        "(printf 'a\\n'; sleep 0.3; printf 'b\\n')"
        " | (python3 -c 'import os; os.set_blocking(0, False)'; tep-parallel map workers:echo)"
    )
    assert shell(script, place) == (0, b"a\nb\n", b"")


def test_what_a_module_makes_of_the_streams_is_its_own(place: Path) -> None:
    for number, deed in enumerate(
        (
            "sys.stdout = io.StringIO()",
            "sys.stdout.close()",
            "sys.stdout = sys.stderr",
            "sys.stdout = None",
            "sys.stderr = io.StringIO()",
        )
    ):
        work = "def work(item): return str(int(item) * 2)"
        (place / f"deed{number}.py").write_text(f"import io, sys\n{deed}\n{work}\n")
        status, out, err = shell(f"tep-parallel map deed{number}:work 1 x", place)
        assert (status, out) == (1, b"2\n"), deed
        assert err.startswith(b"tep-parallel: x: ValueError"), deed


def test_modules_of_the_current_directory_do_not_replace_what_the_command_needs(
    place: Path,
) -> None:
    for name in ("json", "pickle", "traceback", "random", "select"):
        (place / f"{name}.py").write_text("raise RuntimeError('not this one')")
    status, out, err = shell("tep-parallel map workers:Doubler --json 1 x", place)
    assert status == 1
    assert json.loads(out.splitlines()[0])["result"] == "2"
    assert err.startswith(b"tep-parallel: x: ValueError")


def test_a_modules_own_way_to_end_is_its_exit_status(place: Path) -> None:
    text = "import os, signal, sys\nsignal.signal(15, lambda *_: sys.exit(43))\n"
    (place / "ending.py").write_text(
        f"{text}def work(item):\n os.kill({{}}, 15)\n import time\n time.sleep(20)\n".replace(
            "{}", "int(item)"
        )
    )
    status, out, err = shell("exec tep-parallel map ending:work $$", place)
    assert (status, out, err) == (43, b"", b"")


LOUD = """
import os, subprocess, sys
print("loaded")
kept = sys.stdout

def work(item):
    print("at work")
    os.write(1, b"below Python\\n")
    sys.__stdout__.write("of old\\n")
    kept.write("of the import\\n")
    subprocess.run(["echo", "started"])
    return item
"""


@pytest.mark.parametrize("unbuffered", ["", "PYTHONUNBUFFERED=1"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_a_worker_prints_is_kept_apart_from_its_results(
    count: int, unbuffered: str, place: Path
) -> None:
    (place / "loud.py").write_text(LOUD)
    command = f"{unbuffered} tep-parallel map loud:work --json 1 2 --in-processes {count}"
    status, out, err = shell(f"{command} | cat", place)
    assert status == 0
    assert [json.loads(line)["result"] for line in out.splitlines()] == ["1", "2"]
    assert err.count(b"loaded") == 1
    for said in (b"at work", b"below Python", b"of old", b"of the import", b"started"):
        assert err.count(said) == 2  # the lines of two children may be in each other's


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("closed", ["2>&-", "2>&- <&-", "2>/dev/null"])
def test_what_a_worker_prints_where_nobody_hears_it_is_no_failure(
    closed: str, count: int, place: Path
) -> None:
    (place / "loud.py").write_text(LOUD)
    script = f"tep-parallel map loud:work 1 2 --in-processes {count} {closed}"
    assert shell(script, place) == (0, b"1\n2\n", b"")


def test_what_a_module_prints_to_a_full_device_is_no_failure(place: Path) -> None:
    (place / "loud.py").write_text("print('loaded')\ndef work(item): return item")
    for count in (0, 1):
        script = f"tep-parallel map loud:work 1 2 --in-processes {count} 2>/dev/full"
        assert shell(script, place) == (0, b"1\n2\n", b"")


@pytest.mark.parametrize("count", [0, 1])
def test_what_the_shell_has_closed_is_no_file_of_the_commands(count: int, place: Path) -> None:
    (place / "below.py").write_text(
        "import os\n"
        "def work(item):\n"
        " os.write(2, b'to 2')\n"
        " return repr((os.read(0, 9), *map(os.get_inheritable, (0, 1, 2))))"
    )
    script = f"tep-parallel map below:work x --in-processes {count} <&- 2>&-"
    assert shell(script, place) == (0, b"(b'', True, True, True)\n", b"")


def test_a_misspelt_worker_is_one_line(place: Path) -> None:
    (place / "misspelt.py").write_text(
        "from tep_parallel import ParallelWorker\n"
        "class W(ParallelWorker):\n def proces(self, item): return item"
    )
    for warnings in ("", "PYTHONWARNINGS=error"):
        status, out, err = shell(f"{warnings} tep-parallel map misspelt:W x", place)
        assert (status, out) == (0, b"\n")
        assert err.startswith(b"tep-parallel: misspelt:W: W has proces and no process")
        assert err.count(b"\n") == 1


# --- Keys, processes, memory ---------------------------------------------------------


@pytest.mark.parametrize("count", ["0", "1", "7"])
def test_in_any_number_of_processes(count: str, place: Path) -> None:
    script = f"seq 20 | tep-parallel map workers:Doubler --in-processes {count}"
    expected = b"".join(b"%d\n" % (2 * number) for number in range(1, 21))
    assert shell(script, place) == (0, expected, b"")


# --- Failures ------------------------------------------------------------------------


def test_a_failing_item_is_a_line_and_hides_no_other(place: Path) -> None:
    status, out, err = shell("tep-parallel map workers:Doubler 1 x 3", place)
    assert (status, out) == (1, b"2\n6\n")
    assert err == (b"tep-parallel: x: ValueError: invalid literal for int() with base 10: 'x'\n")


@pytest.mark.parametrize(
    ("worker", "count", "said"),
    [
        ("fail", 0, rb"ValueError: two\nlines, and \x1b[31m red"),
        ("fail", 2, rb"ValueError: two\nlines, and \x1b[31m red"),
        ("leave", 0, b"exit code 3"),
        ("leave", 2, b"exit code 3"),
        ("die", 2, b"was killed by signal 9"),
        ("odd", 2, b"UnicodeEncodeError"),  # no text for a terminal; --json can
    ],
)
def test_each_way_to_fail_is_one_line(worker: str, count: int, said: bytes, place: Path) -> None:
    status, out, err = shell(f"tep-parallel map workers:{worker} x --in-processes {count}", place)
    assert (status, out) == (1, b"")
    assert err.startswith(b"tep-parallel: x: ")
    assert said in err
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "the following arguments are required"),
        ("nothing", "invalid choice"),
        ("digest", "name the paths, or --files-from, and not both"),
        ("digest --in-processes=-1 x", "expected 0 or more"),
        ("digest --in-processes x x", "expected 0 or more"),
        ("map", "MODULE:NAME is missing"),
        ("map --json", "MODULE:NAME is missing"),
        ("map workers x", "expected MODULE:NAME, got 'workers'"),
        ("map workers: x", "expected MODULE:NAME, got 'workers:'"),
        ("map :echo x", "expected MODULE:NAME, got ':echo'"),
        ("map nowhere:echo x", "importing nowhere: ModuleNotFoundError"),
        ("map .workers:echo x", "importing .workers: TypeError"),
        ("map broken:echo x", "importing broken: SyntaxError"),
        ("map leaving:echo x", "importing leaving: SystemExit: 7"),
        ("map odd:echo x", "importing odd: BaseException"),
        ("map mute:echo x", "importing mute: Mute: <its __str__ raised ValueError>"),
        ("map workers:nothing x", "looking for nothing in workers: AttributeError"),
        ("map workers:Needy x", "making a Needy: TypeError"),
        ("map math:pi x", "worker: expected a ParallelWorker or a callable"),
        ("map -0 workers:echo x", "-0 is for items from standard input"),
        ("map workers:echo <&-", "standard input: closed"),
    ],
)
def test_wrong_usage_is_status_2_and_one_line(arguments: str, reason: str, place: Path) -> None:
    refused(f"tep-parallel {arguments}", reason, place)


@pytest.mark.parametrize("count", ["''", "0", "-1", "2.5", "many", "'1 '", "$'\\xff'"])
def test_a_wrong_number_of_processors_is_one_line_where_it_is_asked_for(
    count: str, place: Path
) -> None:
    environment = f"export TEP_PARALLEL_PROCESSOR_COUNT={count}"
    for command in ("map workers:echo x", "digest workers.py", "digest --check list"):
        refused(f"{environment}; tep-parallel {command}", "TEP_PARALLEL_PROCESSOR_COUNT", place)
    for command in ("map workers:echo x --in-processes 1", "--version", "map --help", "--help"):
        status, out, err = shell(f"{environment}; tep-parallel {command}", place)
        assert (status, err) == (0, b"")
        assert out


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
def test_wrong_usage_is_status_2_also_where_nobody_is_told(stderr: str) -> None:
    assert shell(f"tep-parallel digest --bogus {stderr}") == (2, b"", b"")


def test_a_call_that_the_system_refuses_is_a_line(place: Path) -> None:
    status, out, err = shell("ulimit -n 8; tep-parallel map workers:echo x", place)
    assert (status, out) == (1, b"")
    assert b"Too many open files" in err
    assert err.count(b"\n") == 1


# --- JSON ----------------------------------------------------------------------------


def test_json_is_an_outcome_a_line(place: Path) -> None:
    status, out, err = shell("tep-parallel map workers:Doubler --isolate --json 1 x", place)
    assert status == 1
    well, failed = map(json.loads, out.splitlines())
    assert set(well) == set(tep_parallel.Outcome.__slots__)
    assert list(well)[:4] == ["index", "item", "result", "error"]
    assert (well["index"], well["item"], well["result"], well["error"]) == (0, "1", "2", None)
    assert well["exit_code"] == 0
    assert failed["result"] is None
    message = "invalid literal for int() with base 10: 'x'"
    assert failed["error"] == {"type": "ValueError", "message": message}
    assert err.startswith(b"tep-parallel: x: ")


def test_json_of_what_no_text_can_show(place: Path) -> None:
    status, out, err = shell("tep-parallel map --json workers:odd x", place)
    assert (status, err) == (0, b"")
    assert json.loads(out)["result"] == "\ud800"


# --- Closed pipes, full disks, Ctrl-C -------------------------------------------------


def test_a_closed_pipe_ends_it_quietly(place: Path) -> None:
    worker = "def wait(item):\n import os\n while not os.path.exists('go'): pass\n return 'x'"
    (place / "slow.py").write_text(worker)
    script = "tep-parallel map slow:wait 1 2 | { exec <&-; touch go; }; echo ${PIPESTATUS[0]}"
    assert shell(script, place) == (0, b"1\n", b"")


def test_a_reader_that_has_had_enough(place: Path) -> None:
    script = "seq 20000 | tep-parallel map workers:echo --in-processes 0 | head -1"
    assert shell(f"{script}; exit ${{PIPESTATUS[1]}}", place) == (1, b"1\n", b"")


def test_output_that_cannot_be_written_is_said(place: Path) -> None:
    status, _, err = shell("tep-parallel map workers:echo x >/dev/full", place)
    assert (status, err) == (1, b"tep-parallel: standard output: No space left on device\n")
    status, _, err = shell("tep-parallel map workers:echo x >&-", place)
    assert (status, err) == (1, b"tep-parallel: standard output is closed\n")


def test_without_standard_error_the_results_still_come(place: Path) -> None:
    assert shell("tep-parallel map workers:Doubler 1 x 2 2>&-", place) == (1, b"2\n4\n", b"")
    script = "tep-parallel map workers:Doubler 1 x 2 2>/dev/full"
    assert shell(script, place) == (1, b"2\n4\n", b"")


def test_ctrl_c_ends_it_quietly_and_the_shells_loop_too(place: Path) -> None:
    """As a terminal sends it: to the shell and to the command. One that caught SIGINT and
    exited would leave the shell going on with its loop."""
    script = "for i in 1 2; do tep-parallel map workers:wait started; done; echo went on"
    case = subprocess.Popen(
        ["bash", "-c", script],
        cwd=place,
        env=COMMANDS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=hear_keyboard,
    )
    try:
        until((place / "started").exists)
        os.killpg(case.pid, signal.SIGINT)
        out, err = case.communicate(timeout=LIMIT / 2)
        assert (case.returncode, out.strip(), err) == (-signal.SIGINT, b"", b"")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(case.pid, signal.SIGKILL)
        case.communicate()


@pytest.mark.parametrize("count", ["0", "1"])
def test_sigint_kills_it_by_sigint_and_quietly(count: str, place: Path) -> None:
    command = [COMMAND, "map", "workers:wait", "started", "--in-processes", count]
    case = subprocess.Popen(
        command, cwd=place, stdout=-1, stderr=-1, preexec_fn=hear_keyboard, env=COMMANDS
    )
    try:
        until((place / "started").exists)
        case.send_signal(signal.SIGINT)
        out, err = case.communicate(timeout=LIMIT / 2)
        assert (case.returncode, out, err) == (-signal.SIGINT, b"", b"")
    finally:
        case.kill()
        case.communicate()
