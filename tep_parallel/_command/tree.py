"""The files below a directory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable


def files_below(top: str, failed: Callable[[str, OSError], object]) -> list[str]:
    """The regular files below `top`, each directory's entries in the order of their names.

    Symbolic links below it are not followed. What is neither a directory nor a regular file is
    left out.

    Args:
        top: The directory.
        failed: Called with the path and the error of what cannot be listed or looked at.

    Source: find -type f, except for the order.
    """
    files = []
    walk = os.walk(top, onerror=lambda error: failed(error.filename, error))
    try:
        for folder, folders, names in walk:
            folders.sort()  # os.walk goes by this list: errors come in order, too
            for path in (os.path.join(folder, name) for name in names):
                try:
                    if stat.S_ISREG(os.lstat(path).st_mode):
                        files.append(path)
                except OSError as error:
                    failed(path, error)
    except RecursionError:  # os.walk calls itself, before Python 3.12
        failed(top, OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)))
    return sorted(files, key=lambda path: path.split(os.sep))
