"""The documentation as a site: make docs. Its pages are the repository's, as they are."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from build_ext import absolute  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tep_parallel"
author = "The tep_parallel developers"
copyright = f"2026 {author}"
version = release = metadata("tep-parallel")["Version"]

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md"]
html_theme = "furo"
html_title = f"tep_parallel {version}"
html_show_sphinx = False
smartquotes = False  # quotes in the text are often code
myst_heading_anchors = 4  # links name a heading as the repository's page does
linkcheck_anchors = False
linkcheck_ignore = [r"https://tep-parallel\.example"]  # until the project has an address

DOCS = "calls pools services asyncio executor scaling streams digests command recipes reference"
SECTIONS = {
    "To use it": [f"docs/{name}" for name in DOCS.split()],
    "To rely on it": ["docs/faults", "docs/forking", "docs/children", "SECURITY", "CHANGELOG"],
    "To change it": ["docs/architecture", "CONTRIBUTING"],
}
URLS = dict(url.split(", ") for url in metadata("tep-parallel").get_all("Project-URL") or [])
BASE = f"{URLS['Source']}/blob/v{version}/"


def _toctree(title: str, pages: list[str]) -> str:
    return "\n".join([f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n", *pages, "```\n"])


def _read(_app: Sphinx, page: str, source: list[str]) -> None:
    """Links to what is no page of the site lead to the repository."""

    def kept(path: str) -> bool:
        return path.endswith((".md", ".svg", ".png"))

    source[0] = absolute(source[0], BASE, str(Path(page).parent), kept)
    if page == root_doc:
        source[0] += "".join(_toctree(*section) for section in SECTIONS.items())


def _finish(app: Sphinx, error: Exception | None) -> None:
    """A server shows index.html."""
    if error is None and app.builder.name == "html":
        shutil.copy(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("build-finished", _finish)
