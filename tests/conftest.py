"""After every test: no child, no zombie, no descriptor and no scratch directory is left."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kept import close_blocks
from kernels import KERNELS
from support import children, descriptors


def pytest_configure(config: pytest.Config) -> None:
    """Give this session a folder of its own: each session that begins closes the one that all
    share to other users, and some tests become such."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="pytest-")
        config.add_cleanup(partial(shutil.rmtree, config.option.basetemp, ignore_errors=True))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every test forks, and a child costs what its host has: no large parameters."""
    assert len(item.nodeid) < 500, f"{item.nodeid[:200]}: a parameter is large"


@pytest.fixture(autouse=True)
def nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The scratch root of the test; it must be empty when the test has ended."""
    root = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(root))
    before = descriptors()
    yield root
    close_blocks()
    assert children(servers=True) == []
    assert descriptors() == before
    assert list(root.iterdir()) == []


@pytest.fixture
def scratch_root(nothing_is_left: Path) -> Path:
    """Where the test's calls make their scratch directories."""
    return nothing_is_left


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to SHA-256 that this processor knows."""
    monkeypatch.setenv("TEP_PARALLEL_SHA256", request.param)
    return str(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of an event loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="no uvloop here")
    return str(request.param)


@pytest.fixture
def run(kind: str) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """asyncio.run, in each kind of event loop."""
    from loops import run_in  # not where no test wants one: uvloop opens a pipe

    return partial(run_in, kind)
