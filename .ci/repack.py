"""Pack wheels and sdists anew, so that the same content is the same bytes: repack.py FOLDER FILE...

Names in order, one date (SOURCE_DATE_EPOCH), one owner, two modes. A wheel gets a list of what it
consists of (PEP 770), in the format of CycloneDX.
"""

from __future__ import annotations

import base64
import email
import gzip
import hashlib
import json
import os
import re
import sys
import tarfile
import time
import uuid
import zipfile
from pathlib import Path

DATE = max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800)  # a zip file's years begin with 1980


def sbom(metadata: str) -> bytes:
    """Return what a wheel consists of: itself; and what it needs beside it."""
    said = email.message_from_string(metadata)
    name, version = said["Name"], said["Version"]
    own = f"pkg:pypi/{name}@{version}"
    needed = [
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        for requirement in said.get_all("Requires-Dist") or []
        if "extra ==" not in requirement
    ]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(DATE))
    licence = {"license": {"id": said["License-Expression"]}}
    component = {"type": "library", "bom-ref": own, "name": name, "version": version}
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own)}",
        "version": 1,
        "metadata": {
            "timestamp": stamp,
            "component": {**component, "purl": own, "licenses": [licence]},
        },
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{one}",
                "name": one,
                "purl": f"pkg:pypi/{one}",
                "scope": "required",
            }
            for one in needed
        ],
        "dependencies": [{"ref": own, "dependsOn": [f"pkg:pypi/{one}" for one in needed]}],
    }
    return (json.dumps(bom, indent=1) + "\n").encode()


def record(files: dict[str, bytes], own_name: str) -> bytes:
    """Return the wheel's list of its files, with their digests."""
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    return "".join([*lines, f"{own_name},,\n"]).encode()


def wheel(old: Path, new: Path) -> None:
    """Pack a wheel anew."""
    with zipfile.ZipFile(old) as packed:
        files = {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}
    info = next(name for name in files if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    files.pop(f"{info}/RECORD")
    files[f"{info}/sboms/tep-parallel.cdx.json"] = sbom(files[f"{info}/METADATA"].decode())
    files = dict(sorted(files.items(), key=lambda file: (file[0].startswith(info), file[0])))
    files[f"{info}/RECORD"] = record(files, f"{info}/RECORD")
    with zipfile.ZipFile(new, "w") as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, time.gmtime(DATE)[:6])
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            entry.create_system = 3  # Unix, of which that are the modes
            packed.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)


def sdist(old: Path, new: Path) -> None:
    """Pack an sdist anew."""
    with (
        tarfile.open(old) as packed,
        new.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=DATE) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as fresh,
    ):
        for entry in sorted(packed.getmembers(), key=lambda entry: entry.name):
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = DATE
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            entry.pax_headers = {}
            fresh.addfile(entry, packed.extractfile(entry) if entry.isfile() else None)


def main(folder: Path, *files: Path) -> None:
    """Pack them into the folder."""
    folder.mkdir(exist_ok=True)
    for file in files:
        fresh = folder / f"{file.name}.part"
        (wheel if file.suffix == ".whl" else sdist)(file, fresh)
        fresh.replace(folder / file.name)  # the folder may be the file's own


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
