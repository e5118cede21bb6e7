"""tep-parallel --print-completion SHELL: what a shell needs to complete the command."""

from __future__ import annotations

import argparse

from tep_parallel._command.given import TextToShow, WrongUsageError

_SHELLS = ("bash", "zsh", "fish")


class _Print(argparse.Action):
    """The option that prints it, made by shtab from the parser."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        try:
            import shtab
        except ImportError as error:
            msg = "--print-completion needs shtab: pip install 'tep-parallel[completion]'"
            raise WrongUsageError(msg) from error
        shell = str(given[1])
        if shell not in shtab.SUPPORTED_SHELLS:
            msg = f"--print-completion: this shtab, {shtab.__version__}, is too old for {shell}"
            raise WrongUsageError(msg)
        for each in _parsers(parser):
            # What a shell shows beside an option is one line.
            each.usage = each.description = None
            for action in each._actions:
                if action.dest in _FILES:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
        raise TextToShow(shtab.complete(parser, shell=shell))


# Where the name of a file is typed, by the names in what is parsed.
_FILES = ("words", "key_file", "files_from", "arg_file", "journal")


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Let it be asked for."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        choices=_SHELLS,
        metavar="SHELL",
        help="print what bash, zsh or fish needs to complete this command",
    )


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return parsers
