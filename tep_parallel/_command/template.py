"""COMMAND as it was typed, and the commands that it becomes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tep_parallel._command.given import WrongUsageError
from tep_parallel._engine.commands import Command

ITEM, NUMBER = "{}", "{#}"  # in the words of a command
SEPARATOR = "\0"  # of the items of one command, in the text that it is known by: no item has one


class Template:
    """A command with places for items.

    `{}` stands for the item, `{#}` for its number, from 1. A word that is `{}` becomes a word for
    each item of a command that has several, and so does a word with `{}` in it. Without any `{}`
    the items are the last words.

    Args:
        words: The program and its arguments.

    Attributes:
        least: How many bytes a command has without its items, with the pointers to its words.
    """

    def __init__(self, words: Sequence[str]) -> None:
        has_place = any(ITEM in word for word in words)
        self._words = list(words) if has_place else [*words, ITEM]
        self._paths: dict[str, str] = {}
        around = [word.replace(ITEM, "") for word in self._words if ITEM in word]
        self._times = sum(word.count(ITEM) for word in self._words)
        self._around = sum(map(_size, around))
        self.least = sum(map(_size, self._words))

    def filled(self, text: str, number: int) -> list[str]:
        """The words of a command.

        Args:
            text: Its items.
            number: See above.
        """
        items = text.split(SEPARATOR)
        words: list[str] = []
        for word in self._words:
            if word == ITEM:
                words += items
            elif ITEM in word:
                words += [_filled(word, item, number) for item in items]
            else:
                words.append(word.replace(NUMBER, str(number)))
        return words

    def command(self, text: str, number: int) -> Command:
        """The same for the library."""
        words = self.filled(text, number)
        command = Command(text)
        command.words = os.fsencode("\0".join([self._path(words[0]), *words, ""]))
        return command

    def size(self, item: str) -> int:
        """How many bytes an item adds to a command, with the pointers to its words."""
        length = len(item) if item.isascii() else len(os.fsencode(item))
        return self._times * length + self._around

    def _path(self, name: str) -> str:
        """The path of a program, looked up once, as execvp does; empty if there is none."""
        if name not in self._paths:
            self._paths.clear()  # where a program is the item there may be many
            self._paths[name] = _looked_up(name)
        return self._paths[name]


_WORD = 9  # bytes that a word takes beside its text: its end, and the pointer to it
_DIGITS = 20  # of a number, at most
_MOST = 128 << 10  # bytes; as xargs
_ELSE = 8192  # bytes that the system puts there, the path of the program among them


def _size(word: str) -> int:
    return len(os.fsencode(word)) + _WORD + _DIGITS * word.count(NUMBER)


def _filled(word: str, item: str, number: int) -> str:
    parts = word.split(NUMBER)  # first: an item may have such a text in it
    return str(number).join(part.replace(ITEM, item) for part in parts)


def _looked_up(name: str) -> str:
    if "/" in name:
        return name
    refused = ""
    for folder in os.get_exec_path():
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            refused = refused or path  # exec says why, unless there is another
    return refused


def room() -> int:
    """How many bytes the words of a command with several items may have: always as many, so that
    a journal can be resumed in another environment; fewer where the system does not allow that.
    It has the words, the environment, and some for what else it puts there."""
    environment = sum(len(name) + len(value) + 2 + 8 for name, value in os.environb.items())
    return min(_MOST, os.sysconf("SC_ARG_MAX") - environment - _ELSE)


def quoted(words: Sequence[str]) -> str:
    """A command as a shell would be told to run it."""
    import shlex  # few commands need it

    return shlex.join(words)


def shown(text: str) -> str:
    """The items of a command, as messages have them."""
    return text.replace(SEPARATOR, " ")


def checked(item: str, index: int) -> str:
    """The item.

    Raises:
        WrongUsageError: No argument can have a NUL in it.
    """
    if SEPARATOR in item:
        msg = f"item {index} has a NUL in it, and no argument can (-0: NUL ends an item)"
        raise WrongUsageError(msg)
    return item
