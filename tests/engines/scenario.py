"""A scenario of tests/engines/cases: a program that uses an engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dask_cluster import HERE, end_all_in, environment
from support import LIMIT, hear_keyboard, until

CASES = HERE / "cases"
# Two workers, and the process that gives them work. Open MPI counts CPUs, and refuses root.
MPI = ("mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", "3")


class Scenario:
    """One that runs.

    Args:
        place: Its current directory.
        name: Of the script.
        arguments: What the script is given. The first may name an engine.
        variables: Of its environment, beside those of every scenario.
    """

    def __init__(
        self, place: Path, name: str, arguments: Sequence[object], variables: dict[str, object]
    ) -> None:
        self.place = place
        command = [sys.executable, str(CASES / f"{name}.py"), *map(str, arguments)]
        if "mpi" in arguments:
            command[:1] = [*MPI, sys.executable, "-m", "mpi4py.futures"]
        self.process = subprocess.Popen(
            command,
            cwd=place,
            env={
                **environment(),
                "TMPDIR": str(place / "scratch"),
                **{name: str(value) for name, value in variables.items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=hear_keyboard,
        )

    def end(self, limit: float = LIMIT) -> str:
        """Wait for its end, which must be a good one. Returns what it printed."""
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            end_all_in(self.place)  # what it has started may hold the pipes
            out, err = self.process.communicate()
            raise AssertionError(f"not over after {limit} s\n{out}\n{err}") from None
        assert self.process.returncode == 0, f"{self.process.returncode}\n{out}\n{err}"
        return out

    def cue(self, name: str) -> list[str]:
        """Wait until it has written the lines of this file; they are returned."""
        file = self.place / name

        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return file.exists() and file.read_text().endswith("\n")

        until(there)
        return file.read_text().split()
