"""What an index shows of the package: README.md, with links that work outside the repository."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from setuptools.command.egg_info import egg_info

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def absolute(
    text: str, base: str, folder: str = "", keep: Callable[[str], bool] = lambda _path: False
) -> str:
    """Return the page of `folder` with `base` before its links, but those that it shall keep."""

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[1]))
        return found[1] if keep(path) else base + path

    return LINK.sub(link, text)


class EggInfo(egg_info):
    """setuptools' egg_info, from which the sdist and the wheel have their metadata."""

    def run(self) -> None:
        metadata: Any = self.distribution.metadata
        base = f"{metadata.project_urls['Source']}/blob/v{metadata.version}/"
        metadata.long_description = absolute(metadata.long_description, base)
        super().run()
