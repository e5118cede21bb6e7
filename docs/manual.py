"""Write docs/tep-parallel.1, the manual page, from the parser of the command and its texts.

    python docs/manual.py

A test compares the file with what this makes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from tep_parallel._command import parser, texts

PAGE = Path(__file__).parent / "tep-parallel.1"


def page() -> str:
    """The manual page, in the language of man(7)."""
    lines = ['.TH TEP-PARALLEL 1 "" "tep_parallel"', ".SH NAME"]
    lines.append(f"tep\\-parallel \\- {shown(texts.DESCRIPTIONS[''].rstrip('.').lower())}")
    lines.append(".SH SYNOPSIS")
    lines += [line for part in ("", *parser.PARTS) for line in synopsis(part)]
    whole = parser.whole()
    lines += [".SH OPTIONS", *options(whole)]
    for part, one in parts(whole):
        lines += [f".SH TEP-PARALLEL {part.upper()}", shown(texts.DESCRIPTIONS[part])]
        lines += options(one)
    lines += [".SH EXIT STATUS", shown(texts.EXIT_STATUS), ".SH EXAMPLES"]
    for what, command in dict.fromkeys(one for some in texts.EXAMPLES.values() for one in some):
        lines += [".TP", shown(what), f"\\fB{shown(command)}\\fR"]
    lines += [".SH SEE ALSO", ".BR sha256sum (1),", ".BR xargs (1)"]
    return "\n".join(lines) + "\n"


def parts(whole: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each part of the command, and its parser."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def synopsis(part: str) -> Iterator[str]:
    """The ways to type it."""
    name = f"tep-parallel {part}".rstrip()
    for usage in texts.USAGES[part].split("\n"):
        rest = usage.strip().removeprefix("%(prog)s").strip()
        yield f"\\fB{shown(name)}\\fR {shown(rest)}"
        yield ".br"


def options(one: argparse.ArgumentParser) -> Iterator[str]:
    """What may be typed, a paragraph each."""
    for group in one._action_groups:
        actions = [each for each in group._group_actions if each.help != argparse.SUPPRESS]
        if group.title and actions and group.title not in ("options", "positional arguments"):
            yield f".SS {shown(group.title)}"
        for action in actions:
            if isinstance(action, argparse._SubParsersAction):
                for choice in action._choices_actions:
                    yield from paragraph(f"\\fB{shown(choice.dest)}\\fR", choice.help)
            else:
                yield from paragraph(typed(action), action.help)


def typed(action: argparse.Action) -> str:
    """How an option is typed, or what a positional argument is called."""
    metavar = action.metavar
    if metavar is None and action.choices is not None:
        metavar = "{" + ",".join(map(str, action.choices)) + "}"
    value = f" \\fI{shown(str(metavar))}\\fR" if metavar and action.nargs != 0 else ""
    if not action.option_strings:
        return value.strip()
    return ", ".join(f"\\fB{shown(name)}\\fR{value}" for name in action.option_strings)


def paragraph(term: str, told: str | None) -> Iterator[str]:
    """A term, and what it means."""
    yield ".TP"
    yield term
    yield shown(told or "")


def shown(text: str) -> str:
    """Text as roff has it: no character of it is a command, and a hyphen is one that is typed."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(page())
