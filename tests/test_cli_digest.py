"""The command tep-parallel digest, beside sha256sum."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import pty
import random
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from support import COMMAND, COMMANDS, LIMIT, hear_keyboard, hmac_hex, refused, run_case, shell

SHA256 = "tep-parallel digest --algorithm sha256"
PAGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
NAMES = [b"a b", b"new\nline", b"back\\slash", b"\xff\xfe", b"-0", b"'\"", "ä".encode(), b"cr\r"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The current directory of the commands; it has a folder with files of every name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in NAMES:
        path = os.path.join(os.fsencode(folder), name)
        with open(path, "wb") as file:
            file.write(name)
    (tmp_path / "file").write_bytes(b"content")
    return tmp_path


# --- PATH HEX ------------------------------------------------------------------------------


def test_digest_prints_path_and_hmac_a_line_a_file_in_input_order() -> None:
    paths = ["/etc/passwd", "/etc/hosts", "/etc/resolv.conf"]
    expected = b"".join(b"%s %s\n" % (p.encode(), hmac_hex(Path(p).read_bytes())) for p in paths)
    assert shell(f"tep-parallel digest {' '.join(paths)}") == (0, expected, b"")
    module = f"{sys.executable} -m tep_parallel digest {' '.join(paths)}"
    assert shell(module) == (0, expected, b"")


@pytest.mark.parametrize("source", ["--files-from list", "--files-from - <list"])
def test_paths_from_a_list(source: str, place: Path) -> None:
    for name in ("a b", "c"):
        (place / name).write_text(name)
    expected = b"a b %s\nc %s\n" % (hmac_hex(b"a b"), hmac_hex(b"c"))
    (place / "list").write_text("a b\nc\n")
    assert shell(f"tep-parallel digest {source}", place) == (0, expected, b"")
    (place / "list").write_bytes(b"a b\0c\0")
    assert shell(f"tep-parallel digest -0 {source}", place) == (0, expected, b"")


def test_an_empty_list_has_no_digests() -> None:
    assert shell("tep-parallel digest --files-from /dev/null") == (0, b"", b"")


def test_find_print0_and_every_name_there_can_be(place: Path) -> None:
    script = "find folder -type f -print0 | tep-parallel digest -0 --files-from -"
    status, out, err = shell(script, place)
    assert (status, err) == (0, b"")
    assert len(out.splitlines()) == len(NAMES)
    found = {}
    for line in out.splitlines():
        path, _, digits = line.rpartition(b" ")
        if path.startswith(b"\\"):
            path = path[1:]
            for short, long in ((b"\\n", b"\n"), (b"\\r", b"\r"), (b"\\\\", b"\\")):
                path = path.replace(short, long)
        found[path] = digits
    assert found == {b"folder/" + name: hmac_hex(name) for name in NAMES}


def test_digest_takes_every_byte_of_the_key_file(place: Path) -> None:
    (place / "key").write_bytes(b"secret\n\0")
    expected = b"file %s\n" % hmac_hex(b"content", b"secret\n\0")
    assert shell("tep-parallel digest --key-file key file", place) == (0, expected, b"")


def test_what_has_no_size_is_read_to_its_end() -> None:
    version = Path("/proc/version").read_bytes()
    assert shell("tep-parallel digest /proc/version")[1] == b"/proc/version %s\n" % hmac_hex(
        version
    )


@pytest.mark.skipif(not PAGE.exists(), reason="sysfs is not mounted")
def test_what_has_a_size_and_cannot_be_mapped_is_read() -> None:
    assert shell(f"tep-parallel digest {PAGE}")[1].split()[1] == hmac_hex(PAGE.read_bytes())


def test_the_memory_of_a_digest_is_not_that_of_the_file(place: Path) -> None:
    """300 MB are digested in less address space than that takes."""
    with (place / "large").open("wb") as file:
        file.truncate(300_000_000)
    found = shell("ulimit -d 100000; tep-parallel digest large", place)
    assert found == (0, b"large %s\n" % hmac_hex(bytes(300_000_000)), b"")


def test_an_unreadable_path_is_a_line_and_hides_no_other(place: Path) -> None:
    status, out, err = shell(r"tep-parallel digest no $'n\no' file . '' /dev/null", place)
    assert status == 1
    assert out == b"file %s\n" % hmac_hex(b"content")
    assert err.decode().splitlines() == [
        "tep-parallel: no: No such file or directory",
        r"tep-parallel: n\no: No such file or directory",
        "tep-parallel: .: Is a directory",
        "tep-parallel: '': No such file or directory",
        "tep-parallel: /dev/null: not a regular file",
    ]


def test_a_listed_name_with_a_nul_is_a_line_and_hides_no_other(place: Path) -> None:
    script = r"printf 'a\0b\nfile\n' | tep-parallel digest --files-from -"
    expected = b"file %s\n" % hmac_hex(b"content")
    said = rb"tep-parallel: a\x00b: ValueError: no file's name has a NUL in it" + b"\n"
    assert shell(script, place) == (1, expected, said)


def test_json_of_a_digest(place: Path) -> None:
    status, out, _ = shell("tep-parallel digest --json file", place)
    assert status == 0
    assert json.loads(out)["result"] == hmac_hex(b"content").decode()


def test_many_files_are_printed_in_their_order(place: Path) -> None:
    paths = [place / f"{number}.txt" for number in range(2000)]
    for path in paths:
        path.write_text(path.name * 20)
    status, out, err = shell("ls *.txt | tep-parallel digest --files-from -", place)
    assert (status, err) == (0, b"")
    names = sorted(path.name for path in paths)
    assert out == b"".join(
        b"%s %s\n" % (name.encode(), hmac_hex(name.encode() * 20)) for name in names
    )


# --- As sha256sum prints it -----------------------------------------------------------------


def test_sha256_is_printed_as_sha256sum_prints_it(place: Path) -> None:
    ours = shell(f"{SHA256} folder/* file", place)
    assert ours == shell("sha256sum folder/* file", place)
    (place / "list").write_bytes(ours[1])
    assert shell("sha256sum --check --quiet list", place) == (0, b"", b"")
    assert shell(f"{SHA256} --check list --quiet", place) == (0, b"", b"")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_standard_inputs_bytes(count: int, place: Path) -> None:
    script = f"printf content | {SHA256} --in-processes {count} - file nowhere -"
    status, out, err = shell(script, place)
    expected = [hashlib.sha256(content).hexdigest() for content in (b"content", b"content", b"")]
    assert status == 1
    assert out.decode().splitlines() == [
        f"{expected[0]}  -",
        f"{expected[1]}  file",
        f"{expected[2]}  -",
    ]
    assert err == b"tep-parallel: nowhere: No such file or directory\n"
    keyed = shell("printf content | tep-parallel digest --key-file file -", place)
    assert keyed == (0, b"- %s\n" % hmac_hex(b"content", b"content"), b"")


def test_a_file_whose_name_is_that_of_standard_input(place: Path) -> None:
    (place / "-").write_bytes(b"x")
    digits = hashlib.sha256(b"x").hexdigest().encode()
    assert shell(f"{SHA256} ./-", place) == (0, digits + b"  ./-\n", b"")
    script = f"printf -- - | {SHA256} --files-from -"
    assert shell(script, place) == (0, digits + b"  ./-\n", b"")


def test_json_of_standard_input_among_others(place: Path) -> None:
    script = "printf abc | tep-parallel digest --json file - nowhere"
    status, out, err = shell(script, place)
    assert status == 1
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["index"] for one in found] == [0, 1, 2]
    assert [one["item"] for one in found] == ["file", "-", "nowhere"]
    assert [one["result"] for one in found] == [
        hmac_hex(b"content").decode(),
        hmac_hex(b"abc").decode(),
        None,
    ]
    assert found[2]["error"]["type"] == "FileNotFoundError"
    assert err == b"tep-parallel: nowhere: No such file or directory\n"


def test_standard_input_that_is_closed_is_a_line_and_hides_no_other(place: Path) -> None:
    status, out, err = shell(f"{SHA256} - file <&-", place)
    assert (status, out) == (1, hashlib.sha256(b"content").hexdigest().encode() + b"  file\n")
    assert err == b"tep-parallel: -: standard input: closed\n"


# --- --recursive ------------------------------------------------------------------------------


def test_recursive_takes_each_regular_file_below_in_a_fixed_order(place: Path) -> None:
    (place / "folder" / "below" / "further").mkdir(parents=True)
    (place / "folder" / "below" / "further" / "1").write_text("1")
    (place / "folder" / "empty").mkdir()
    (place / "folder" / "link").symlink_to("a b")
    (place / "folder" / "loop").symlink_to("..")
    os.mkfifo(place / "folder" / "fifo")
    status, out, err = shell(f"{SHA256} --recursive folder file", place)
    assert (status, err) == (0, b"")
    expected = shell("find folder -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum", place)
    assert sorted(out.splitlines()[:-1]) == sorted(expected[1].splitlines())
    assert out.splitlines()[-1].endswith(b"  file")
    names = [line.lstrip(b"\\")[66:] for line in out.splitlines()]
    assert names[:3] == [b"folder/'\"", b"folder/-0", b"folder/a b"]
    assert shell(f"{SHA256} --recursive folder file", place)[1] == out


def test_recursive_follows_a_link_that_is_named(place: Path) -> None:
    (place / "link").symlink_to("folder")
    status, out, _ = shell(f"{SHA256} --recursive link", place)
    assert status == 0
    assert len(out.splitlines()) == len(NAMES)


def test_recursive_with_a_list(place: Path) -> None:
    script = f"printf 'folder\\0file\\0' | {SHA256} --recursive -0 --files-from -"
    status, out, _ = shell(script, place)
    assert status == 0
    assert len(out.splitlines()) == len(NAMES) + 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_directory_that_cannot_be_listed_is_a_line(place: Path) -> None:
    (place / "folder" / "secret").mkdir(mode=0o700)
    for path in (*place.parents, place):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    code = f"""if True:
        import os, sys
        from tep_parallel._command import digest, tree
        os.setuid(65534)
        failed = lambda path, error: print(path, error.strerror)
        print(len(tree.files_below({str(place / "folder")!r}, failed)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{place}/folder/secret Permission denied\n{len(NAMES)}\n"


def test_a_tree_of_more_levels_than_python_has_frames(place: Path) -> None:
    script = "d=$(printf 'd/%.0s' $(seq 1500)); mkdir -p $d; echo x >${d}f"
    assert shell(script, place)[0] == 0
    status, out, err = shell(f"{SHA256} --recursive d", place)
    assert (status, len(out.splitlines()), err) == (0, 1, b"")
    assert shell("rm -r d", place)[0] == 0


def test_a_tree_deeper_than_a_path_may_be_long(place: Path) -> None:
    script = (
        "n=$(printf 'x%.0s' $(seq 200)); for i in $(seq 25); do mkdir $n; cd $n; done; echo x >f"
    )
    assert shell(script, place)[0] == 0
    status, out, err = shell(f"{SHA256} --recursive .", place)
    assert status == 1
    assert len(out.splitlines()) == len(NAMES) + 1
    assert b"File name too long" in err
    assert shell("rm -r x*", place)[0] == 0


# --- --check -----------------------------------------------------------------------------------


def lists() -> list[bytes]:
    """What people have in such lists."""
    good, wrong, gone = (
        hashlib.sha256(b"content").hexdigest().encode(),
        b"0" * 64,
        hashlib.sha256(b"").hexdigest().encode(),
    )
    return [
        good + b"  file\n",
        good + b"  file",
        good + b" *file\n",
        good + b" file\n",
        good.upper() + b"  file\r\n",
        b"  \t" + good + b"  file\n",
        b"# remark\n" + good + b"  file\n\n",
        b"SHA256 (file) = " + good + b"\n",
        b"SHA256(file)= " + good + b"\n",
        wrong + b"  file\n",
        wrong + b"  file\n" + good + b"  file\n",
        good + b"  nowhere\n",
        good + b"  nowhere\n" + good + b"  file\n",
        good + b"  nowhere\n" + wrong + b"  file\nnonsense\n" + good + b"  file\n",
        good + b"  folder\n" + good + b"  file\n",
        b"\\" + gone + b"  folder/new\\nline\n",
        b"\\" + gone + b"  folder/bad\\escape\n" + good + b"  file\n",
        good[:-1] + b"  file\n" + good + b"0  file\n" + good + b"  file\n",
        good + b"  file \n",
        good + b"   file\n",
        good + b"\n" + good + b"  \n",
        good + b" file\n" + good + b"  lead\n",
        good + b"  file\n" + good + b" file\n",
        b"SHA256 (file)\t=\t" + good + b"\n",
        b"SHA256 (a) (b)  = " + good + b"\nSHA256 ()= " + good + b"\nMD5 (x) = " + good + b"\n",
        b"\\SHA256 (folder/new\\nline) = " + gone + b"\n",
        b"nonsense\n",
        b"",
        b"\n\n",
    ]


@pytest.mark.parametrize("options", ["", "--quiet", "--ignore-missing", "--ignore-missing --quiet"])
@pytest.mark.parametrize("listed", lists())
def test_check_says_what_sha256sum_says(listed: bytes, options: str, place: Path) -> None:
    (place / "list").write_bytes(listed)
    ours = shell(f"{SHA256} --check list {options}", place)
    theirs = shell(f"sha256sum --check list {options}", place)
    assert ours[:2] == theirs[:2]
    said = theirs[2].replace(b"sha256sum: ", b"tep-parallel: ")
    assert ours[2].replace(b"'", b"") == said.replace(b"'", b"")  # it quotes other names


def kinds_of_lines() -> list[str]:
    """Each way to write a line, right or wrong, of files that hold their own name."""
    a, b, none = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b", b""))
    right = [f"{a}  a", f"{a} *a", f"{b} b", f"SHA256 (b) = {b}", f"SHA256(a)={a}"]
    named = [f"{a}   a", f"{a} **a", f"\\{a}  a", f"{a}  ", f"{a} *", f"{a}  gone", f"{a}  a\r"]
    wrong = [f"{b}  a", f"{b} a", f"SHA256 (a) = {b}", f"{b} *a"]
    bad = [f"{a} ", a, f"{a[:-1]}  a", f"{a[:-1]}g a", f"\\{a} a\\x", f"\\{a} ", f"SHA256 (a) {a}"]
    bare = [f"{none}  -", f"{none} -", f"SHA256 (-) = {none}", f"\\{none}  -"]
    blank = [f"{a}\t a", f" \t{a}\ta", "#", "", "\r"]
    other = [f"{a.upper()} a", f"{a}0 a", f"SHA256 () = {a}"]
    return right + named + wrong + bad + bare + blank + other


def test_lists_of_mixed_lines_are_read_as_sha256sum_reads_them(tmp_path: Path) -> None:
    for name in ("a", "b", " a", "*a", " ", "*"):
        (tmp_path / name).write_text(name.strip(" *") or name)
    kinds = kinds_of_lines()
    draw = random.Random(19)
    lists = [[kind] for kind in kinds]
    lists += [list(pair) for pair in itertools.product(kinds, repeat=2)]
    lists += [draw.choices(kinds, k=draw.randrange(3, 7)) for _ in range(300)]
    given = [["\n".join(lines) + draw.choice(["\n", ""]), draw.random() < 0.5] for lines in lists]
    (tmp_path / "lists").write_text(json.dumps(given))
    out = run_case("check_lists", tmp_path)
    for (text, from_input), line in zip(given, out.splitlines(), strict=True):
        (tmp_path / "list").write_text(text)
        theirs = subprocess.run(
            ["sha256sum", "--check", "-" if from_input else "list"],
            cwd=tmp_path,
            input=text if from_input else "",
            env=COMMANDS,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        status, printed, said = json.loads(line)
        assert (status, printed) == (theirs.returncode, theirs.stdout), text
        theirs_said = theirs.stderr.replace("sha256sum: ", "tep-parallel: ")
        assert said.replace("'", "") == theirs_said.replace("'", ""), text


def test_a_verdicts_name_is_escaped_as_in_the_list(place: Path) -> None:
    """As of GNU 9.7; that of 9.1 escapes newlines only."""
    assert shell(f"{SHA256} folder/* > list", place)[0] == 0
    status, out, _ = shell(f"{SHA256} --check list", place)
    assert status == 0
    for line in (rb"\folder/back\\slash: OK", rb"\folder/cr\r: OK", rb"\folder/new\nline: OK"):
        assert line in out.splitlines()


def test_check_from_standard_input_and_of_it(place: Path) -> None:
    assert shell(f"{SHA256} file | {SHA256} --check -", place) == (0, b"file: OK\n", b"")
    digits = hashlib.sha256(b"abc").hexdigest()
    (place / "list").write_text(f"{digits}  -\n")
    assert shell(f"printf abc | {SHA256} --check list", place) == (0, b"-: OK\n", b"")


def test_check_of_a_list_with_a_key(place: Path) -> None:
    script = "tep-parallel digest --key-file file --recursive folder > list"
    assert shell(script, place) == (0, b"", b"")
    check = "tep-parallel digest --key-file file --check list"
    status, out, err = shell(check, place)
    assert (status, err) == (0, b"")
    assert out.count(b": OK\n") == len(NAMES)
    (place / "folder" / "a b").write_text("other")
    status, out, err = shell(f"{check} --quiet", place)
    assert (status, out) == (1, b"folder/a b: FAILED\n")
    assert err == b"tep-parallel: WARNING: 1 computed checksum did NOT match\n"
    (place / "file").write_text("another key")
    status, out, _ = shell(f"{check} --quiet", place)
    assert (status, out.count(b": FAILED\n")) == (1, len(NAMES))


def test_a_list_that_cannot_be_read_is_status_1_as_of_sha256sum(place: Path) -> None:
    status, out, err = shell(f"{SHA256} --check nowhere", place)
    assert (status, out) == (1, b"")
    assert err == b"tep-parallel: nowhere: No such file or directory\n"


# --- Wrong usage -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "name the paths, or --files-from, and not both"),
        ("--recursive", "name the paths"),
        ("--key /etc/hosts /etc/hosts", "unrecognized arguments: --key"),
        ("--key-file /nowhere /etc/hosts", "--key-file: /nowhere: No such file"),
        ("--key-file - --files-from - </etc/hosts", "--key-file: -: No such file"),
        ("--files-from /nowhere", "--files-from: /nowhere: No such file"),
        ("--files-from /etc/hosts /etc/hosts", "and not both"),
        ("--files-from - <&-", "standard input: closed"),
        ("-0 /etc/hosts", "-0 is for --files-from"),
        ("--algorithm md5 /etc/hosts", "invalid choice: 'md5'"),
        ("--algorithm sha256 --key-file /dev/null /etc/hosts", "--key-file is for"),
        ("--quiet /etc/hosts", "are for --check"),
        ("--status /etc/hosts", "are for --check"),
        ("--warn /etc/hosts", "are for --check"),
        ("--strict /etc/hosts", "--strict is for --check"),
        ("--ignore-missing /etc/hosts", "--ignore-missing is for --check"),
        ("--check --unordered /etc/hosts", "takes the paths from its lists"),
        ("--check /etc/hosts --json", "prints no JSON"),
        ("--check /etc/hosts -0", "takes the paths from its list"),
        ("--check /etc/hosts --files-from /etc/hosts", "takes the paths from its list"),
        ("--check /etc/hosts --recursive", "takes the paths from its list"),
    ],
)
def test_wrong_usage_is_status_2_and_one_line(arguments: str, reason: str, place: Path) -> None:
    refused(f"tep-parallel digest {arguments}", reason, place)


def test_a_kernel_that_there_is_not_is_wrong_usage(place: Path) -> None:
    refused(f"TEP_PARALLEL_SHA256=magic {SHA256} file", "no kernel 'magic'", place)


# --- Terminals, pipes, Ctrl-C -------------------------------------------------------------------


def test_on_a_terminal_there_is_a_bar_in_bytes(place: Path) -> None:
    with (place / "large").open("wb") as file:
        file.truncate(3 << 30)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    seen = b""
    try:
        command = [COMMAND, "digest", "--algorithm", "sha256", "large"]
        case = subprocess.Popen(
            command, cwd=place, env=COMMANDS, stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        with contextlib.suppress(OSError):  # the last has closed it
            while piece := os.read(ours, 1 << 16):
                seen += piece
        out, _ = case.communicate(timeout=LIMIT)
    finally:
        os.close(ours)
    assert case.returncode == 0
    assert out.endswith(b"  large\n")
    assert b"/3.00G" in seen
    assert b"B/s" in seen


def test_a_closed_pipe_ends_it_quietly(place: Path) -> None:
    script = (
        "for i in $(seq 20000); do echo file; done | tep-parallel digest --files-from - | head -1"
    )
    status, out, err = shell(f"{script}; exit ${{PIPESTATUS[1]}}", place)
    assert (status, out.count(b"\n"), err) == (1, 1, b"")


def test_output_that_cannot_be_written_is_said(place: Path) -> None:
    expected = (1, b"", b"tep-parallel: standard output: No space left on device\n")
    assert shell(f"{SHA256} file >/dev/full", place) == expected
    assert shell(f"{SHA256} file > list; {SHA256} --check list >/dev/full", place) == expected


@pytest.mark.parametrize("count", ["0", "2"])
def test_sigint_kills_it_by_sigint_and_quietly(count: str, place: Path) -> None:
    with (place / "huge").open("wb") as file:
        file.truncate(64 << 30)
    command = [COMMAND, "digest", "huge", "--in-processes", count]
    case = subprocess.Popen(
        command, cwd=place, stdout=-1, stderr=-1, preexec_fn=hear_keyboard, env=COMMANDS
    )
    try:
        time.sleep(0.5)  # in the midst of it; earlier is right too
        case.send_signal(signal.SIGINT)
        out, err = case.communicate(timeout=LIMIT / 2)
        assert (case.returncode, out, err) == (-signal.SIGINT, b"", b"")
    finally:
        case.kill()
        case.communicate()


# --- What else --check and the output have -------------------------------------------------------


def test_check_takes_several_lists_and_standard_input_where_none_is_named(place: Path) -> None:
    script = f"{SHA256} file > one; {SHA256} folder/* > two; {SHA256} --check one two nowhere"
    status, out, err = shell(script, place)
    assert (status, out.count(b": OK\n")) == (1, 1 + len(NAMES))
    assert err == b"tep-parallel: nowhere: No such file or directory\n"
    assert shell(f"{SHA256} --check < one", place) == (0, b"file: OK\n", b"")
    (place / "one").write_text(f"{'0' * 64}  file\n")
    for order in ("one two", "two one"):
        assert shell(f"{SHA256} --check --status {order}", place) == (1, b"", b"")
    assert shell(f"{SHA256} --check --status two", place) == (0, b"", b"")


@pytest.mark.parametrize(
    "options", ["", "--strict", "--warn", "-w --strict", "--status", "--quiet"]
)
def test_the_mixed_list_has_the_verdict_of_sha256sum(options: str, place: Path) -> None:
    """Of found/list_mixed.sh: a line with one blank and no name is no list of old BSD."""
    for name in ("a", "b"):
        (place / name).write_text(f"{name}\n")
    a, b = (hashlib.sha256(f"{name}\n".encode()).hexdigest() for name in ("a", "b"))
    (place / "L").write_text(f"{b} \n{b}  a\nSHA256 (b) = {b}\n")
    for more in ("", "--ignore-missing"):
        ours = shell(f"{SHA256} --check {options} {more} L", place)
        theirs = shell(f"sha256sum --check {options} {more} L", place)
        assert ours[:2] == theirs[:2]
        assert ours[2] == theirs[2].replace(b"sha256sum:", b"tep-parallel:")
    assert a != b


def test_nul_ends_a_line_and_no_name_is_escaped(place: Path) -> None:
    ours = shell(f"{SHA256} -z folder/*", place)
    assert ours == shell("sha256sum --zero folder/*", place)
    assert ours[1].count(b"\0") == len(NAMES)
    (place / "list").write_bytes(ours[1])
    status, out, err = shell(f"{SHA256} -z --check list", place)
    assert (status, out.count(b": OK\0"), err) == (0, len(NAMES), b"")
    keyed = "tep-parallel digest --key-file file -z"
    status, out, err = shell(f"{keyed} folder/* > list; {keyed} --check list", place)
    assert (status, out.count(b": OK\0"), err) == (0, len(NAMES), b"")
    status, out, _ = shell("tep-parallel digest -z --json file folder/*", place)
    assert (status, len(out.split(b"\0"))) == (0, len(NAMES) + 2)


def test_a_list_of_sha256sums_without_algorithm_is_told_so(place: Path) -> None:
    for kind in ("", "--tag"):
        script = f"sha256sum {kind} file > list; tep-parallel digest --check list"
        status, out, err = shell(script, place)
        assert status == 1
        assert b"OK" not in out
        assert b"list: it is a list of sha256sum's: --algorithm sha256 checks it\n" in err
    (place / "list").write_text("nonsense\n")
    assert b"sha256sum" not in shell("tep-parallel digest --check list", place)[2]


def test_that_the_key_is_empty_is_said_where_a_digest_does_not_match(place: Path) -> None:
    script = "tep-parallel digest --key-file file file > list; tep-parallel digest --check list"
    status, out, err = shell(script, place)
    assert (status, out) == (1, b"file: FAILED\n")
    assert err.endswith(b"tep-parallel: the key is empty, since there is no --key-file\n")
    assert b"without --key-file it is empty" in shell("tep-parallel digest --help", place)[1]


@pytest.mark.parametrize("count", ["", "-j 0", "-j 1", "-j 3"])
def test_unordered_has_the_same_lines(count: str, place: Path) -> None:
    for number in range(300):
        (place / f"{number}.txt").write_text(str(number) * 1000)
    names = "*.txt folder/* nowhere - file"
    ordered = shell(f"{SHA256} {count} {names} </dev/null", place)
    assert ordered[0] == 1
    found = shell(f"{SHA256} {count} -u {names} </dev/null", place)
    assert (found[0], sorted(found[1].splitlines())) == (1, sorted(ordered[1].splitlines()))
    assert found[2] == ordered[2]
    rows = [
        json.loads(line)
        for line in shell(f"{SHA256} {count} -u --json {names} </dev/null", place)[1].splitlines()
    ]
    assert sorted(row["index"] for row in rows) == list(range(300 + len(NAMES) + 3))


def test_unordered_prints_a_line_when_its_file_has_ended(place: Path) -> None:
    with (place / "huge").open("wb") as file:
        file.truncate(1 << 40)
    command = [COMMAND, "digest", "--unordered", "-j", "2", "huge", "file"]
    case = subprocess.Popen(command, cwd=place, env=COMMANDS, stdout=subprocess.PIPE)
    try:
        assert case.stdout is not None
        assert case.stdout.readline().startswith(b"file ")
    finally:
        case.kill()
        case.communicate()


def test_unordered_whose_reader_has_had_enough_ends_quietly(place: Path) -> None:
    script = "for i in $(seq 20000); do echo file; done"
    script += " | tep-parallel digest -u --files-from - | head -1; exit ${PIPESTATUS[1]}"
    status, out, err = shell(script, place)
    assert (status, out.count(b"\n"), err) == (1, 1, b"")
    expected = (1, b"", b"tep-parallel: standard output: No space left on device\n")
    assert shell(f"{SHA256} -u file >/dev/full", place) == expected


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "POSIX"])
def test_every_name_comes_out_as_it_was_and_json_has_it_so_that_it_can_be_read_back(
    locale: str, place: Path
) -> None:
    script = f"export LC_ALL={locale}; tep-parallel digest -z folder/*"
    status, out, err = shell(script, place)
    assert (status, err) == (0, b"")
    printed = {line.rpartition(b" ")[0] for line in out.split(b"\0")[:-1]}
    assert printed == {b"folder/" + name for name in NAMES}
    status, out, err = shell(script.replace("-z", "--json"), place)
    assert (status, err) == (0, b"")
    items = [json.loads(line)["item"] for line in out.splitlines()]
    assert {item.encode("utf-8", "surrogateescape") for item in items} == printed
    status, _, err = shell(f"export LC_ALL={locale}; tep-parallel digest $'\\xff'", place)
    assert (status, err) == (1, b"tep-parallel: \xff: No such file or directory\n")


def test_a_small_set_of_files_has_no_child(place: Path) -> None:
    script = "strace -f -e trace=clone,clone3,fork,vfork -o log tep-parallel digest file folder/*"
    if shell("strace -V")[0] != 0:
        pytest.skip("there is no strace")
    assert shell(script, place)[0] == 0
    assert b"clone" not in (place / "log").read_bytes()
    assert shell(script.replace("digest", "digest -j 1"), place)[0] == 0
    assert b"clone" in (place / "log").read_bytes()
