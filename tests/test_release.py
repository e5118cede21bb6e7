"""What a release consists of: its metadata, its files, and how they are packed."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import metadata
from pathlib import Path

import pytest
from pages import ROOT
from support import LIMIT

SAID = metadata("tep-parallel")
SBOM = "tep_parallel-1.dist-info/sboms/tep-parallel.cdx.json"


def repack(folder: Path, file: Path) -> bytes:
    subprocess.run(
        [sys.executable, ROOT / ".ci/repack.py", folder, file],
        env={**os.environ, "SOURCE_DATE_EPOCH": "1800000000"},
        timeout=LIMIT,
        check=True,
    )
    return (folder / file.name).read_bytes()


def test_each_python_that_the_wheel_is_for_has_a_classifier() -> None:
    head = "Programming Language :: Python :: 3."
    said = [one.removeprefix(head) for one in SAID.get_all("Classifier") or [] if head in one]
    assert said == [str(minor) for minor in range(10, 16)]


def test_users_see_the_extras_that_are_for_them() -> None:
    assert SAID.get_all("Provides-Extra") == ["progress", "completion", "cluster", "dask"]
    needed = [one for one in SAID.get_all("Requires-Dist") or [] if "extra ==" not in one]
    assert [re.split(r"\W", one)[0] for one in needed] == ["cffi"]


def test_links_of_the_page_that_an_index_shows_lead_out_of_it() -> None:
    page = SAID.get_payload() or SAID["Description"]
    links = re.findall(r"\]\(([^)]*)\)", page)
    source = dict(one.split(", ") for one in SAID.get_all("Project-URL") or [])["Source"]
    assert links
    assert all(link.startswith(f"{source}/blob/v{SAID['Version']}/") for link in links)
    names = [link.partition("/blob/")[2].partition("/")[2].partition("#")[0] for link in links]
    assert all((ROOT / name).exists() for name in names)


def test_a_wheel_of_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    files = {
        "tep_parallel/__init__.py": b"",
        "tep_parallel/_sphttp.abi3.so": b"\x7fELF",
        "tep_parallel-1.dist-info/METADATA": b"Metadata-Version: 2.4\nName: tep-parallel\n"
        b"Version: 1\nLicense-Expression: MIT\nRequires-Dist: cffi>=1.17.1\n"
        b'Requires-Dist: tqdm; extra == "progress"\n\n',
        "tep_parallel-1.dist-info/RECORD": b"old",
    }
    packed = []
    for year, names in ((1999, list(files)), (2021, list(reversed(files)))):
        wheel = tmp_path / str(year) / "one.whl"
        wheel.parent.mkdir()
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), files[name])
        packed.append(repack(tmp_path / f"fresh{year}", wheel))
    assert packed[0] == packed[1]
    with zipfile.ZipFile(io.BytesIO(packed[0])) as archive:
        assert set(archive.namelist()) == {*files, SBOM}
        listed = archive.read("tep_parallel-1.dist-info/RECORD").decode().splitlines()
        assert {line.split(",")[0] for line in listed} == {*files, SBOM}
        parts = json.loads(archive.read(SBOM))
        assert [one["name"] for one in parts["components"]] == ["cffi"]
        assert archive.getinfo("tep_parallel/_sphttp.abi3.so").external_attr >> 16 == 0o100755


def test_an_sdist_of_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    packed = []
    for date, names in ((1, "ab"), (2, "ba")):
        sdist = tmp_path / str(date) / "one.tar.gz"
        sdist.parent.mkdir()
        with tarfile.open(sdist, "w:gz") as archive:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.mtime, entry.uid, entry.size = date, date, 1
                archive.addfile(entry, io.BytesIO(name.encode()))
        packed.append(repack(tmp_path / f"fresh{date}", sdist))
    assert packed[0] == packed[1]
    with tarfile.open(fileobj=io.BytesIO(packed[0])) as archive:
        assert [(one.name, one.uid) for one in archive] == [("a", 0), ("b", 0)]


OURS = 'Source = "https://ours.org/a"\nIssues = "https://ours.org/a/issues"\n'


@pytest.mark.parametrize(
    ("tag", "urls", "section", "why"),
    [
        ("v1.0", OURS, "1.0 (today)", None),
        ("v1.0", OURS + 'Documentation = "https://docs.ours.org"\n', "1.0", None),
        ("v1x0", OURS, "1x0", "another version"),
        ("v1.0", OURS, "1.0.1", "no section 1.0"),
        ("v1.0", '\n"Source" = "https://ours.org/ab"\n', "1.0", "ab is not of"),
        (
            "v1.0",
            OURS + 'Documentation = "https://docs.example"\n',
            "1.0",
            "docs.example is not of",
        ),
    ],
)
def test_a_release_is_made_of_what_is_ready_alone(
    tag: str, urls: str, section: str, why: str | None, tmp_path: Path
) -> None:
    pytest.importorskip("tomllib")
    for folder in (".ci", "tep_parallel"):
        (tmp_path / folder).mkdir()
    script = shutil.copy(ROOT / ".ci/release-ready", tmp_path / ".ci")
    (tmp_path / "tep_parallel/_version.py").write_text('__version__ = "1.0"\n')
    (tmp_path / "pyproject.toml").write_text(f"[project.urls]\n{urls}")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {section}\n")
    done = subprocess.run(
        [sys.executable, script, tag, "https://ours.org/a"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode != 0) == (why is not None), done
    assert why is None or why in done.stderr
