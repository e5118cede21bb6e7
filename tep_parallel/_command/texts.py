"""What --help and the manual say of the command and its parts, and an example for each use.

The tests run every example.
"""

from __future__ import annotations

SUMMARIES = {
    "digest": "print the digest of each file, or check lists of them",
    "map": "run a worker on each item, and print its results",
    "run": "run a command on each item, and print what it prints",
}
USAGES = {
    "": """%(prog)s COMMAND [OPTION ...] ...
       %(prog)s --version | --print-completion SHELL""",
    "digest": """%(prog)s [OPTION ...] PATH ...
       %(prog)s [OPTION ...] --files-from FILE
       %(prog)s [OPTION ...] --check [LIST ...]""",
    "map": "%(prog)s [OPTION ...] MODULE:NAME [ITEM ...]",
    "run": "%(prog)s [OPTION ...] COMMAND [ARG ...]",
}
DESCRIPTIONS = {
    "": "Fan work out to child processes, one for each item.",
    "digest": """\
Print PATH and HMAC-SHA256 of each file, a line a file, in input order. The key is every byte of
a file; without --key-file it is empty, and then anybody can make the same line. With
--algorithm sha256, print and check what sha256sum does. A PATH of - is standard input. A path
with a newline or a backslash is escaped as sha256sum does.""",
    "map": """\
Run a ParallelWorker class, or a function, on each item, and print its results, a line each, in
input order, each as soon as it is there. Without items, each line of standard input is one, and is
taken as it arrives. What the worker itself prints goes to standard error.""",
    "run": """\
Run a command on each item, a line of standard input each, and print what it prints, whole and in
input order. {} stands for the item, {#} for its number, from 1; without {} the item is the last
argument. All that stands behind COMMAND belongs to it. No shell is started: what needs one, as a
pipe does, is for sh -c.""",
}
# What an example is for, and the example.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        (
            "HMAC-SHA256 of two files",
            "tep-parallel digest --key-file secret.key a.txt b.txt",
        ),
        ("a function on each line of standard input", "ls | tep-parallel map os.path:abspath"),
        (
            "completion in this bash (in zsh and fish likewise)",
            'eval "$(tep-parallel --print-completion bash)"',
        ),
        ("a command on each line of standard input", "ls | tep-parallel run wc -c"),
    ),
    "digest": (
        (
            "HMAC-SHA256 of two files",
            "tep-parallel digest --key-file secret.key a.txt b.txt",
        ),
        (
            "a list of all files below a folder, as sha256sum would write it",
            "tep-parallel digest --algorithm sha256 --recursive . > ../SHA256SUMS",
        ),
        (
            "check such a list, and print what is wrong only",
            "tep-parallel digest --algorithm sha256 --check --quiet ../SHA256SUMS",
        ),
        (
            "the files that find names, whatever their names are",
            "find . -name '*.txt' -print0 | tep-parallel digest -0 --files-from -",
        ),
        (
            "each line as soon as it is there, for a program",
            "tep-parallel digest --recursive --unordered --json .",
        ),
    ),
    "map": (
        ("a function on each line of standard input", "ls | tep-parallel map os.path:abspath"),
        (
            "a worker of a module in this folder, four at a time, as JSON",
            "tep-parallel map --json -j 4 workers:Doubler 1 2 3",
        ),
        (
            "what ends first is printed first; an item has two seconds",
            "ls | tep-parallel map --unordered --timeout 2 os.path:abspath",
        ),
        (
            "results that are more than text",
            "ls | tep-parallel map --codec json builtins:len",
        ),
        (
            "names with any bytes in them",
            "find . -print0 | tep-parallel map -0 -z os.path:basename | sort -z",
        ),
        (
            "note what has ended, and go on with that, also after a kill",
            "ls | tep-parallel map --journal ../log --resume os.path:abspath",
        ),
    ),
    "run": (
        ("a command on each line of standard input", "ls | tep-parallel run wc -c"),
        (
            "names with any bytes in them, as many as fit in one command",
            "find . -type f -print0 | tep-parallel run -0 -X ls -l",
        ),
        (
            "a shell's pipe, of which each has two seconds; each line says whose it is",
            "ls | tep-parallel run --tag --timeout 2 sh -c 'sort \"$1\" | head -1' sh",
        ),
        (
            "what would be run",
            "ls | tep-parallel run --dry-run mv {} {#}-{}",
        ),
        (
            "note what has ended, and go on with that, also after a kill",
            "ls | tep-parallel run --journal ../log-of-run --resume wc -l",
        ),
    ),
}
EXIT_STATUS = """\
0: all is well. 1: an item failed, a digest did not match, or the output could not be written.
2: wrong usage, or a module that cannot be imported. After Ctrl-C the command dies of SIGINT."""
SEE_ALSO = "tep-parallel COMMAND --help tells more."


def epilog(part: str) -> str:
    """What stands at the end of a help."""
    lines = ["examples:"]
    for what, command in EXAMPLES[part]:
        lines += [f"  # {what}", f"  {command}"]
    lines += ["", "exit status:", *(f"  {line}" for line in EXIT_STATUS.splitlines())]
    return "\n".join(lines if part else [*lines, "", SEE_ALSO])
