"""The files below a directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from operator import attrgetter


def files_below(top: str, failed: Callable[[str, OSError], object]) -> list[str]:
    """The regular files below `top`, each directory's entries in the order of their names.

    Symbolic links below it are not followed, and what is neither a directory nor a regular
    file is left out.

    Args:
        failed: Told of each directory that cannot be listed.

    Source: find -type f, but for the order.
    """
    files: list[str] = []
    levels = [_entries(top, failed)]
    while levels:
        for entry in levels[-1]:
            if entry.is_file(follow_symlinks=False):
                files.append(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                levels.append(_entries(entry.path, failed))
                break
        else:
            levels.pop()
    return files


def _entries(path: str, failed: Callable[[str, OSError], object]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return iter(sorted(entries, key=attrgetter("name")))
    except OSError as error:
        failed(path, error)
        return iter(())
