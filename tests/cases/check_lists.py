"""digest --check of many lists in one process: for each a line of JSON, what it printed.

The argument is a folder, and in it `lists`, as JSON: each list's text, and whether it comes
from standard input.
"""

import json
import os
import sys
from pathlib import Path

from tep_parallel._command import parser


def put_in_place(number: int, path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    os.dup2(descriptor, number)
    os.close(descriptor)


def check(text: str, *, from_input: bool) -> tuple[int, str, str]:
    Path("list").write_text(text)
    put_in_place(0, "list" if from_input else os.devnull, os.O_RDONLY)
    for number, name in ((1, "out"), (2, "err")):
        put_in_place(number, name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    name = "-" if from_input else "list"
    options = ["--algorithm", "sha256", "--in-processes", "0"]
    status = parser.run(["digest", *options, "--check", name])
    return status, Path("out").read_text(), Path("err").read_text()


told = os.dup(1)
os.chdir(sys.argv[1])
for text, from_input in json.loads(Path("lists").read_text()):
    os.write(told, f"{json.dumps(check(text, from_input=from_input))}\n".encode())
