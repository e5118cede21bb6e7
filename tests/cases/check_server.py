"""digest --check of list after list in one process, as a test asks for it.

The argument is the folder in which it works. A question is a line of JSON: the text of the list,
whether it comes from standard input, and the options. So is the answer: exit status, what was
printed, what was said. All texts are bytes, as latin-1.
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


def check(text: str, options: list[str], *, from_input: bool) -> tuple[int, str, str]:
    Path("list").write_bytes(text.encode("latin-1"))
    put_in_place(0, "list" if from_input else os.devnull, os.O_RDONLY)
    for number, name in ((1, "out"), (2, "err")):
        put_in_place(number, name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    name = "-" if from_input else "list"
    status = parser.run(["digest", "--algorithm", "sha256", "--check", *options, name])
    return status, *(Path(name).read_bytes().decode("latin-1") for name in ("out", "err"))


asked, told = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.chdir(sys.argv[1])
for question in asked:
    text, from_input, options = json.loads(question)
    print(json.dumps(check(text, options, from_input=from_input)), file=told, flush=True)
