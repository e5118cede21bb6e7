"""The files below a directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from operator import attrgetter


def files_below(top: bytes, failed: Callable[[bytes, OSError], object]) -> list[bytes]:
    """The regular files below `top`, each directory's entries in the order of their names.

    Symbolic links below it are not followed. What is neither a directory nor a regular file is
    left out. This is no os.walk: that calls itself before Python 3.12, and ends in a
    RecursionError where folders are nested a thousand deep; and it needs one system call more
    for each file.

    Args:
        top: The directory.
        failed: Called with the path and the error of what cannot be listed or looked at.

    Source: find -type f, except for the order.
    """
    files: list[bytes] = []
    levels = [_entries(top, failed)]
    while levels:
        for entry in levels[-1]:
            try:
                is_file = entry.is_file(follow_symlinks=False)
                is_directory = not is_file and entry.is_dir(follow_symlinks=False)
            except OSError as error:  # where only its inode says what it is
                failed(entry.path, error)
                continue
            if is_file:
                files.append(entry.path)
            elif is_directory:
                levels.append(_entries(entry.path, failed))
                break
        else:
            levels.pop()
    return files


def _entries(
    path: bytes, failed: Callable[[bytes, OSError], object]
) -> Iterator[os.DirEntry[bytes]]:
    try:
        with os.scandir(path) as entries:
            return iter(sorted(entries, key=attrgetter("name")))
    except OSError as error:
        failed(path, error)
        return iter(())
