"""After every test: no child, no zombie, no descriptor and no scratch directory is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import children, descriptors


@pytest.fixture(autouse=True)
def nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The scratch root of the test; it must be empty when the test has ended."""
    root = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(root))
    before = descriptors()
    yield root
    assert children() == []
    assert descriptors() == before
    assert list(root.iterdir()) == []


@pytest.fixture
def scratch_root(nothing_is_left: Path) -> Path:
    """Where the test's calls make their scratch directories."""
    return nothing_is_left
