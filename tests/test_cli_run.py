"""tep-parallel run, installed, in real shells: what is run, what is printed, how it ends."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import COMMANDS, LIMIT, alive, below, refused, shell, under_way, until
from terminal import CTRL_C, CTRL_Z, command, terminal

running = functools.partial(under_way, "run")
MANY = 100 << 20  # bytes
RUN = "tep-parallel run"


def rows_of(out: bytes) -> list[dict[str, object]]:
    """The rows of --json."""
    return [json.loads(line) for line in out.splitlines()]


# --- The words of a command ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ("echo", "a\nb c\n"),  # the item is the last word
        ("echo x", "x a\nx b c\n"),
        ("echo {}", "a\nb c\n"),
        ("printf '<%s>' {} -{}{}", "<a><-aa><b c><-b cb c>"),
        ("echo '{#}'", "1 a\n2 b c\n"),  # {} comes at the end all the same
        ("echo '{#}:{}'", "1:a\n2:b c\n"),
        ("echo -n -k -- {}", "-k -- a-k -- b c"),  # behind the command all is its own
        ("-- echo -- {}", "-- a\n-- b c\n"),  # one -- is eaten
        ("-k -j 1 -- echo", "a\nb c\n"),
        ("env -- X={} sh -c 'echo $X'", "a\nb c\n"),
        ("sh -c 'echo $0'", "a\nb c\n"),
    ],
)
def test_items_are_put_where_they_belong(words: str, printed: str) -> None:
    assert shell(f"printf 'a\\nb c\\n' | {RUN} {words}") == (0, printed.encode(), b"")


def test_an_item_may_be_the_program() -> None:
    assert shell(f"printf 'true\\npwd\\n' | {RUN} {{}}", "/usr") == (0, b"/usr\n", b"")


def test_a_place_in_an_item_is_no_place() -> None:
    assert shell(f"printf '{{#}}\\n{{}}\\n' | {RUN} echo") == (0, b"{#}\n{}\n", b"")


def test_bytes_go_in_and_bytes_come_out(tmp_path: Path) -> None:
    items = [b"\xff\xfe", b" spaces  here ", b"two\nlines", b"\\n", b"'\"$(x)`", b"", b"\xc3\xa9"]
    (tmp_path / "items").write_bytes(b"".join(item + b"\0" for item in items))
    status, out, err = shell(f"{RUN} -0 -a items printf '%s\\0'", tmp_path)
    assert (status, out, err) == (0, b"".join(item + b"\0" for item in items), b"")


def test_a_nul_in_an_item_is_wrong_usage() -> None:
    status, out, err = shell(f"printf 'a\\nb\\0c\\nd\\n' | {RUN} echo")
    assert (status, out) == (2, b"a\n")
    assert b"item 1 has a NUL in it" in err


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ("-n 2", "1 2\n3 4\n5\n"),
        ("-n 9", "1 2 3 4 5\n"),
        ("-X", "1 2 3 4 5\n"),
        ("-X -n 4", "1 2 3 4\n5\n"),
    ],
)
def test_several_items_are_given_to_one_command(options: str, printed: str) -> None:
    assert shell(f"seq 5 | {RUN} {options} echo") == (0, printed.encode(), b"")


def test_a_word_with_several_items_is_repeated() -> None:
    printed = b"-1 -2 x 1\n-3 x 2\n"
    assert shell(f"seq 3 | {RUN} -n 2 echo -{{}} x '{{#}}'") == (0, printed, b"")


@pytest.mark.parametrize("options", ["-X", "-n 5000"])
def test_as_many_items_are_given_as_fit_a_command(options: str) -> None:
    """128 KiB of 1,000 bytes each; -n is no more than that either."""
    script = f"seq 300 | awk '{{ printf \"%0990d\\n\", $1 }}' | {RUN} {options} sh -c 'echo $#' _"
    status, out, err = shell(script)
    counts = list(map(int, out.split()))
    assert (status, err) == (0, b"")
    assert sum(counts) == 300
    assert len(counts) == 3
    assert min(counts[:2]) > 120


@pytest.mark.parametrize("words", ["{}", "x{}{#}y{}", "{} {}", "'{#}'"])
def test_what_is_counted_is_no_less_than_what_is_filled_in(words: str) -> None:
    script = (
        f"seq 50000 | sed 's/$/\\xc3\\xa9/' | {RUN} -X sh -c 'cat /proc/$$/cmdline | wc -c' {words}"
    )
    status, out, err = shell(script)
    counts = list(map(int, out.split()))
    assert (status, err) == (0, b"")
    assert max(counts) < 128 << 10
    assert max(counts) > 40 << 10  # the pointers to short words are no less than those


def test_an_item_that_fits_no_command_fails_alone() -> None:
    script = f"(seq 5; head -c 200000 /dev/zero | tr '\\0' x; echo; seq 6 9) | {RUN} -X echo"
    status, out, err = shell(script)
    assert (status, out) == (1, b"1 2 3 4 5\n6 7 8 9\n")
    assert err.count(b"\n") == 1
    assert err.endswith(b": echo: Argument list too long\n")


def test_a_journal_of_batches_is_resumed_in_another_environment(tmp_path: Path) -> None:
    run = f"{RUN} -X --journal j"
    script = "sh -c 'echo $#'"
    status, first, _ = shell(f"seq 50000 | (ulimit -s 2048; {run} {script})", tmp_path)
    assert status == 0
    assert len(first.split()) > 2
    again = (
        f"export BIG=$(head -c 100000 /dev/zero | tr '\\0' x) PATH=$PATH:/no/such; {run} --resume"
    )
    assert shell(f"seq 50000 | ({again} {script})", tmp_path) == (0, b"", b"")


def test_what_would_be_run_is_shown_as_a_shell_would_be_told(tmp_path: Path) -> None:
    script = f"printf $'a b\\n$x\\n\\'q\\n' | {RUN} --dry-run touch {{}} '{{#}}'"
    status, out, err = shell(script, tmp_path)
    assert (status, err) == (0, b"")
    assert [shlex.split(line) for line in out.decode().splitlines()] == [
        ["touch", "a b", "1"],
        ["touch", "$x", "2"],
        ["touch", "'q", "3"],
    ]
    assert list(tmp_path.iterdir()) == []


def test_each_command_is_shown_before_it_begins() -> None:
    status, out, err = shell(f"printf 'a b\\n' | {RUN} --verbose echo x")
    assert (status, out, err) == (0, b"x a b\n", b"tep-parallel: echo x 'a b'\n")


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "COMMAND is missing"),
        ("-j 2", "COMMAND is missing"),
        ("--", "COMMAND is missing"),
        ("-j x true", "-j"),
        ("-n 0 true", "-n"),
        ("--timeout 0 true", "--timeout"),
        ("--no-such-option true", "--no-such-option"),
        ("--tag --json true", "--tag"),
        ("--tag --no-group true", "--no-group"),
        ("--json --no-group true", "--no-group"),
        ("-k -u true", "--unordered"),
        ("-z true", "-z"),
        ("--resume true", "--journal"),
    ],
)
def test_wrong_usage_is_told(typed: str, reason: str, tmp_path: Path) -> None:
    refused(f"{RUN} {typed} < /dev/null", reason, tmp_path)


# --- What is printed -----------------------------------------------------------------------


def test_output_is_whole_and_in_order() -> None:
    script = "printf 'a\\nb\\n' | " + RUN + " -j 2 sh -c '"
    script += (
        "for i in 1 2 3; do echo $0$i; sleep 0.0$((RANDOM % 9)); done; [ $0 = b ] || sleep 0.3'"
    )
    assert shell(script) == (0, b"a1\na2\na3\nb1\nb2\nb3\n", b"")


def test_output_comes_as_commands_end_where_that_is_asked_for(tmp_path: Path) -> None:
    script = f"printf 'a\\nb\\n' | {RUN} -j 2 -u sh -c '"
    script += "[ $0 = b ] || until [ -s out ]; do sleep 0.01; done; echo $0' > out; cat out"
    assert shell(script, tmp_path) == (0, b"b\na\n", b"")


def test_a_command_that_has_ended_is_printed_while_another_runs(tmp_path: Path) -> None:
    """Items that have not come hold nothing back."""
    with running("echo", tmp_path) as case:
        assert case.stdin is not None
        assert case.stdout is not None
        for item in (b"a\n", b"b\n"):
            case.stdin.write(item)
            assert case.stdout.read(2) == item


def test_ungrouped_output_comes_as_it_is_printed(tmp_path: Path) -> None:
    with running("--no-group sh -c 'echo $0; read x < fifo; echo end'", tmp_path) as case:
        os.mkfifo(tmp_path / "fifo")
        assert case.stdin is not None
        assert case.stdout is not None
        case.stdin.write(b"a\n")
        case.stdin.close()
        case.stdin = None
        assert case.stdout.read(2) == b"a\n"  # while it runs
        (tmp_path / "fifo").write_text("\n")
        assert case.stdout.read(4) == b"end\n"
        assert case.wait(LIMIT) == 0


def test_standard_error_of_a_command_is_beside_its_output() -> None:
    script = f"printf 'a\\nb\\n' | {RUN} sh -c 'echo err $0 >&2; echo out $0' 2>&1"
    assert shell(script) == (0, b"out a\nerr a\nout b\nerr b\n", b"")
    assert shell(script.removesuffix("2>&1"))[1:] == (b"out a\nout b\n", b"err a\nerr b\n")


def test_each_line_may_be_tagged() -> None:
    script = f"printf 'a\\nb\\tc\\n' | {RUN} --tag sh -c 'printf \"1\\n\\n2\"; echo 3 >&2'"
    status, out, err = shell(script)
    assert (status, out) == (0, b"a\t1\na\t\na\t2\nb\\tc\t1\nb\\tc\t\nb\\tc\t2\n")
    assert err == b"a\t3\nb\\tc\t3\n"


def test_a_hundred_megabytes_are_copied_and_not_held(tmp_path: Path) -> None:
    script = f"echo {MANY} | ( ulimit -v 400000; {RUN} head -c {{}} /dev/zero ) | md5sum"
    expected = shell(f"head -c {MANY} /dev/zero | md5sum")
    assert shell(script, tmp_path) == expected


def test_binary_output_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "any").write_bytes(bytes(range(256)) * 1000)
    status, out, _ = shell(f"echo any | {RUN} cat", tmp_path)
    assert (status, out) == (0, bytes(range(256)) * 1000)


def test_tagged_lines_may_be_long_and_cut_anywhere(tmp_path: Path) -> None:
    lines = [b"x" * size for size in (1 << 20, 0, (1 << 20) - 1, 1, 3 << 20)]
    (tmp_path / "any").write_bytes(b"\n".join(lines) + b"\n")
    status, out, _ = shell(f"echo any | {RUN} --tag cat", tmp_path)
    assert status == 0
    assert out == b"".join(b"any\t" + line + b"\n" for line in lines)


def test_rows_have_all_that_is_known_of_a_command() -> None:
    script = (
        f"printf 'a\\nb\\n' | {RUN} --json sh -c 'echo out $0; printf \"\\377\" >&2; [ $0 = a ]'"
    )
    status, out, err = shell(script)
    first, second = rows_of(out)
    assert status == 1
    assert err.count(b"\n") == 1
    assert (first["index"], first["item"], first["exit_code"], first["signal"]) == (0, "a", 0, None)
    assert (first["stdout"], first["stderr"], first["attempts"]) == ("out a\n", "\udcff", 1)
    assert first["error"] is None
    assert 0 < float(str(first["cpu_seconds"])) <= 60
    assert float(str(first["seconds"])) > 0
    assert int(str(first["max_rss"])) > 0
    assert (second["index"], second["exit_code"]) == (1, 1)
    assert second["error"] is not None


def test_a_large_row_is_not_held(tmp_path: Path) -> None:
    script = f"echo {MANY} | ( ulimit -v 400000; {RUN} --json head -c {{}} /dev/zero )"
    status, out, err = shell(f"{script} | tr -d '0u\\\\' | head -c 9999", tmp_path)
    assert (status, err) == (0, b"")
    assert b'"stdot": ""' in out


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_row_has_what_was_printed_wherever_its_pieces_end(size: int, tmp_path: Path) -> None:
    content = (
        b"x" * (size - 1) + "\u20ac\U0001f600".encode() + b'\xff\xe2\x82"\\\n' * 500000 + b"\xf0"
    )
    (tmp_path / "any").write_bytes(content)
    status, out, _ = shell(f"echo any | {RUN} --json sh -c 'cat $0; cat $0 >&2; exit 1'", tmp_path)
    (row,) = rows_of(out)
    assert status == 1
    assert str(row["stdout"]).encode("utf-8", "surrogateescape") == content
    assert row["stdout"] == row["stderr"]
    assert row["error"] is not None


def test_a_failure_is_a_line_of_its_own() -> None:
    script = f"seq 2 | {RUN} -j 1 sh -c 'printf e >&2; exit $(($0 - 1))'"
    status, out, err = shell(script)
    assert (status, out) == (1, b"")
    assert err == b"ee\ntep-parallel: item 1 (2): exit status 1\n"


def test_a_reader_that_has_had_enough_ends_it_quietly(tmp_path: Path) -> None:
    status, out, err = shell(f"set -o pipefail; yes | {RUN} -j 2 echo | head -3", tmp_path)
    assert (status, out, err) == (1, b"y\ny\ny\n", b"")


def test_a_full_disk_is_told() -> None:
    status, _, err = shell(f"seq 3 | {RUN} echo > /dev/full")
    assert status == 1
    assert err == b"tep-parallel: standard output: No space left on device\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_no_space_for_what_a_command_prints_is_told(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        script = f"TMPDIR={tmp_path}; export TMPDIR; printf '9000000\\n9\\n' | "
        status, out, err = shell(f"{script}{RUN} -j 1 sh -c 'head -c $0 /dev/zero'")
        assert status == 1
        assert len(out) < 2 << 20
        assert b"item 0 (9000000): exit status 1 (there is no space left" in err
        script = f"TMPDIR={tmp_path}; export TMPDIR; echo 9000000 | "
        script += f"{RUN} -j 1 --json sh -c 'head -c $0 /dev/zero 2>/dev/null; true'"
        status, out, err = shell(script)  # it does not look, and would seem to have gone well
        (row,) = rows_of(out)
        assert (status, row["exit_code"], len(str(row["stdout"]))) == (1, 0, 1 << 20)
        assert b"item 0 (9000000): No space left on device" in err
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_script_that_names_no_interpreter_is_the_shells(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("echo $0 $2 $1\n")
    (tmp_path / "script").chmod(0o755)
    status, out, err = shell(f"seq 2 | {RUN} ./script a", tmp_path)
    assert (status, out, err) == (0, b"./script 1 a\n./script 2 a\n", b"")


def test_few_descriptors_cost_no_item() -> None:
    script = f"ulimit -n 64; seq 200 | {RUN} -j 100 sh -c 'sleep 0.5; echo $0'"
    status, out, err = shell(script)
    assert (status, err) == (0, b"")
    assert out.split() == [b"%d" % number for number in range(1, 201)]


def test_what_may_write_no_more_dies_of_that() -> None:
    """RLIMIT_FSIZE: the file that a command prints to has a limit, too."""
    status, _, err = shell(f"echo x | ( ulimit -f 2000; {RUN} head -c 9000000 /dev/zero )")
    assert status == 1
    assert b"item 0 (x): killed by signal 25 (File size limit exceeded)" in err


# --- How commands end, and are told of -----------------------------------------------------


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("sh -c 'exit 3'", "exit status 3"),
        ("sh -c 'exit 127'", "exit status 127"),
        ("sh -c 'kill -TERM $$'", "killed by signal 15 (Terminated)"),
        ("no-such-program", "no-such-program: No such file or directory"),
        ("/etc/passwd", "/etc/passwd: Permission denied"),
        ("./script", "./script: No such file or directory"),  # its interpreter
        (
            "sh -c 'echo a; rm $TMPDIR/*/*'",
            "No such file or directory, while keeping what it prints",
        ),
        (
            "sh -c 'echo a; rm $TMPDIR/*/*; exit 3'",
            "No such file or directory, while keeping what it prints (exit status 3)",
        ),
        ("--timeout 0.2 sh -c 'sleep 60'", "killed, because it still ran after 0.2 s"),
    ],
)
def test_each_failure_is_a_line(words: str, how: str, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/no/such\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "scratch").mkdir()
    place = "export TMPDIR=$PWD/scratch"
    status, out, err = shell(f"{place}; echo x | {RUN} {words}", tmp_path)
    assert (status, out) == (1, b"")
    assert err.decode() == f"tep-parallel: item 0 (x): {how}\n"


def test_a_command_that_is_too_long_is_its_items_failure() -> None:
    script = f"(echo a; head -c 300000 /dev/zero | tr '\\0' x; echo; echo b) | {RUN} echo"
    status, out, err = shell(script)
    assert (status, out) == (1, b"a\nb\n")
    assert re.fullmatch(
        rb"tep-parallel: item 1 \(x+\.\.\. \(300000 characters\)\): echo: Argument list too long\n",
        err,
    )


def test_what_was_printed_before_the_limit_is_printed() -> None:
    script = f"printf '60\\n0\\n' | {RUN} --timeout 0.5 sh -c 'echo before; sleep $0; echo behind'"
    status, out, err = shell(script)
    assert (status, out) == (1, b"before\nbefore\nbehind\n")
    assert err == b"tep-parallel: item 0 (60): killed, because it still ran after 0.5 s\n"


def test_the_deadline_ends_all_and_what_was_printed_is_printed() -> None:
    begun = time.monotonic()
    status, out, err = shell(f"seq 100 | {RUN} -j 2 --deadline 0.5 sh -c 'echo $0; sleep 60'")
    assert time.monotonic() - begun < LIMIT / 2
    assert (status, out) == (1, b"1\n2\n")
    assert err.count(b"cut short") == 2
    assert b"--deadline: " in err


def test_a_command_that_fails_is_tried_again_and_prints_once(tmp_path: Path) -> None:
    script = f"echo x | {RUN} --retries 3 --json sh -c '"
    script += "echo $0 >> tries; echo try; [ $(wc -l < tries) = 3 ]'"
    status, out, err = shell(script, tmp_path)
    (row,) = rows_of(out)
    assert (status, err) == (0, b"")
    assert (row["attempts"], row["stdout"]) == (3, "try\n")
    status, _, err = shell(f"echo x | {RUN} --retries 2 false", tmp_path)
    assert (status, err) == (1, b"tep-parallel: item 0 (x): exit status 1, attempt 3\n")


@pytest.mark.parametrize(("on_error", "count"), [("finish", 20), ("stop", 1), ("kill", 1)])
def test_a_failure_decides_about_the_rest(on_error: str, count: int) -> None:
    script = f"seq 20 | {RUN} -j 1 --on-error {on_error} sh -c 'echo $0; exit 1'"
    status, out, _ = shell(script)
    assert status == 1
    assert len(out.split()) == count


def test_a_failure_kills_what_runs_if_so_asked(tmp_path: Path) -> None:
    script = f"printf '60\\n0\\n' | {RUN} -j 2 --on-error kill sh -c 'echo $0; sleep $0; exit 1'"
    status, out, err = shell(script, tmp_path)
    assert status == 1
    assert sorted(out.split()) == [b"0", b"60"]
    assert b"cut short" in err


def test_a_failure_lets_what_runs_end_if_so_asked() -> None:
    script = f"printf '0.5\\n0\\n9\\n' | {RUN} -j 2 --on-error stop"
    script += " sh -c 'sleep $0; echo $0; [ $0 != 0 ]'"
    status, out, _ = shell(script)
    assert status == 1
    assert sorted(out.split()) == [b"0", b"0.5"]


# --- What a command begins with -----------------------------------------------------------


def test_a_pipe_whose_reader_ends_kills_its_writer() -> None:
    """Python ignores SIGPIPE; a command must not."""
    script = f"echo x | {RUN} bash -c 'yes | head -1; echo ${{PIPESTATUS[0]}}'"
    assert shell(script) == (0, b"y\n141\n", b"")


# By the system call: libc has signals that it lets nobody ignore.
IGNORING_ALL = """
import ctypes, os, platform, sys
call = {"x86_64": 13, "aarch64": 134}[platform.machine()]
ignore = (ctypes.c_ulong * 8)(1)
for number in {*range(1, 65)} - {9, 19}:
    assert ctypes.CDLL(None).syscall(call, number, ignore, None, 8) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("before", ["true", "trap '' CHLD", "trap '' PIPE", "trap '' HUP INT"])
@pytest.mark.parametrize("by", ["", "python3 ignoring_all.py "])
def test_signals_have_their_defaults(before: str, by: str, tmp_path: Path) -> None:
    (tmp_path / "ignoring_all.py").write_text(IGNORING_ALL)
    script = f"{before}; echo x | {by}{RUN} -n 1 sh -c 'grep Sig[BI] /proc/self/status'"
    _, out, err = shell(script, tmp_path)
    assert (out, err) == (b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", b"")


def test_a_command_has_three_descriptors(tmp_path: Path) -> None:
    script = f"exec 3< /etc/passwd 7> other; echo x | {RUN}"
    script += " sh -c 'cd /proc/self/fd; echo [0-9]*; readlink 0'"
    status, out, err = shell(script, tmp_path)
    # The fourth is that of the folder in which the shell looks.
    assert (status, out, err) == (0, b"0 1 2 3\n/dev/null\n", b"")


def test_a_command_that_reads_is_at_the_end_at_once() -> None:
    assert shell(f"seq 3 | {RUN} sh -c 'cat; echo $0'") == (0, b"1\n2\n3\n", b"")


def test_a_command_is_where_the_shell_is_with_its_environment_and_umask(tmp_path: Path) -> None:
    script = f"umask 027; export X='a b'; echo x | {RUN} sh -c 'pwd; umask; echo \"$X\"'"
    assert shell(script, tmp_path) == (0, f"{tmp_path}\n0027\na b\n".encode(), b"")


def test_what_no_umask_lets_be_read_is_read(tmp_path: Path) -> None:
    assert shell(f"umask 777; echo x | {RUN} echo", tmp_path) == (0, b"x\n", b"")


def test_closed_descriptors_are_no_matter() -> None:
    assert shell(f"echo x > /tmp/$$.x; {RUN} -a /tmp/$$.x echo <&- 2>&-; rm /tmp/$$.x")[:2] == (
        0,
        b"x\n",
    )


# --- Ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_prints_what_has_ended_and_kills_the_rest(
    number: signal.Signals, tmp_path: Path
) -> None:
    script = "sh -c 'echo $0; touch began$0; [ $0 = b ] || exec sleep 60'"
    with running(f"-j 2 {script}", tmp_path) as case:
        assert case.stdin is not None
        case.stdin.write(b"a\nb\n")
        until(lambda: (tmp_path / "begana").exists() and (tmp_path / "beganb").exists())
        until(lambda: len(below(case.pid)) == 2)  # the nursery, and a
        case.send_signal(number)
        out, err = case.communicate(timeout=LIMIT)
        assert (case.returncode, out, err) == (-number, b"b\n", b"")


STUBBORN = (
    "import os, signal, subprocess, sys, time\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "open(f'began{os.getpid()}', 'w').close()\n"
    "time.sleep(60)\n"
)


def test_a_killed_command_leaves_none_of_its_own(tmp_path: Path) -> None:
    """Promise 5: also what blocks every signal, and what has left its group and session."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "scratch").mkdir()
    environment = {**COMMANDS, "TMPDIR": str(tmp_path / "scratch")}
    with running("-j 2 python3 stubborn.py", tmp_path, environment=environment) as case:
        assert case.stdin is not None
        case.stdin.write(b"a\nb\n")
        until(lambda: len(list(tmp_path.glob("began*"))) == 4)
        pids = [int(path.name.removeprefix("began")) for path in tmp_path.glob("began*")]
        case.kill()
        until(lambda: not any(map(alive, pids)))
        until(lambda: list((tmp_path / "scratch").iterdir()) == [])


def test_500_commands_that_die_at_random_lose_no_other() -> None:
    script = f"seq 500 | {RUN} -j 50 --json sh -c 'echo $0; [ $(($0 % 7)) != 0 ] || kill -9 $$'"
    status, out, err = shell(script)
    rows = rows_of(out)
    assert status == 1
    assert [row["item"] for row in rows] == [str(number) for number in range(1, 501)]
    assert all(row["stdout"] == f"{row['item']}\n" for row in rows)
    dead = [row["item"] for row in rows if row["signal"] == 9]
    assert dead == [str(number) for number in range(7, 501, 7)]
    assert err.count(b"\n") == len(dead)


def test_what_a_command_leaves_running_is_left_and_prints_nowhere(tmp_path: Path) -> None:
    script = f"seq 2 | {RUN} -j 1 sh -c '(sleep 0.5; echo late; touch done$0) & echo $0'"
    assert shell(script, tmp_path) == (0, b"1\n2\n", b"")
    until(lambda: (tmp_path / "done1").exists() and (tmp_path / "done2").exists())


def test_the_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    run = f"seq 4 | {RUN} --journal j"
    script = "sh -c 'echo $0; [ -e well ] || [ $0 != 3 ]'"
    status, out, _ = shell(f"{run} {script}", tmp_path)
    assert (status, out) == (1, b"1\n2\n3\n4\n")
    (tmp_path / "well").touch()
    assert shell(f"{run} --resume {script}", tmp_path) == (0, b"3\n", b"")
    assert shell(f"{run} --resume {script}", tmp_path) == (0, b"", b"")
    refused(f"{run} --resume echo", "another command", tmp_path)


def test_a_row_of_a_batch_has_its_items() -> None:
    status, out, _ = shell(f"seq 3 | {RUN} -n 2 --json echo")
    assert (status, [row["item"] for row in rows_of(out)]) == (0, [["1", "2"], "3"])


def test_a_failed_batch_is_run_again_as_it_was(tmp_path: Path) -> None:
    run = f"{RUN} --journal j -n 2"
    script = "sh -c 'echo \"$@\"; [ -e well ] || [ $1 != 3 ]' _"
    assert shell(f"seq 5 | {run} {script}", tmp_path)[0] == 1
    (tmp_path / "well").touch()
    assert shell(f"{run} --retry-failed {script}", tmp_path) == (0, b"3 4\n", b"")


# --- At a terminal -------------------------------------------------------------------------


def test_ctrl_c_prints_what_has_ended(tmp_path: Path) -> None:
    script = "touch b$0; echo out$0; exec sleep $0"
    with terminal() as bash:
        bash.run(f"cd {tmp_path}")
        bash.type(f"printf '60\\n0\\n' | {command('run')} -j 2 sh -c '{script}'")
        until(lambda: (tmp_path / "b60").exists() and (tmp_path / "b0").exists())
        time.sleep(0.3)
        bash.type(CTRL_C)
        bash.see("^Cout0")
        bash.see("ready> ")


TICKING = """
import os, time
open(str(os.getpid()), "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
print("went on")
"""


def test_ctrl_z_stops_commands_and_fg_lets_them_go_on(tmp_path: Path) -> None:
    (tmp_path / "ticking.py").write_text(TICKING)
    with terminal() as bash:
        bash.run(f"cd {tmp_path}")
        bash.type(f"echo ticking.py | {command('run')} --timeout 60 python3")
        until(lambda: [path for path in tmp_path.iterdir() if path.name.isdigit()])
        (pid,) = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
        bash.type(CTRL_Z)
        bash.see("Stopped")
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        (tmp_path / "go").touch()
        bash.type("fg")
        bash.see("went on")


def test_commands_print_under_tostop_in_the_background(tmp_path: Path) -> None:
    with terminal() as bash:
        bash.run("stty tostop")
        script = f"echo said $0; touch {tmp_path}/$0"
        bash.type(f"seq 2 | {command('run')} --no-group sh -c '{script}' &")
        until(lambda: len(list(tmp_path.iterdir())) == 2)
