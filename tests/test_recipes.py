"""Recipes of docs/ that need more than their text: somebody who types, or a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks, check_printed, write_files
from support import LIMIT, run_case_with_stderr


def test_breakpoint_stops_where_no_child_is_forked(tmp_path: Path) -> None:
    write_files("calls.md", tmp_path)
    done = subprocess.run(
        [sys.executable, "stop_here.py"],
        cwd=tmp_path,
        input="p item\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "(Pdb) 'a'\n" in done.stdout
    assert done.stdout.endswith("['A']\n")


def test_breakpoint_in_a_child_has_nobody_to_ask(tmp_path: Path) -> None:
    write_files("calls.md", tmp_path)
    program = (tmp_path / "stop_here.py").read_text().replace(", in_processes=0", "")
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="continue\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 1
    error = "DeadWorkerError: item 0" if sys.version_info >= (3, 14) else "bdb.BdbQuit\n"
    assert error in done.stderr


@pytest.mark.peers
def test_the_recipe_for_notebooks_runs_in_one() -> None:
    (cell,) = (block.text for block in blocks() if "factor = 3" in block.text)
    printed, _ = run_case_with_stderr("notebook", cell)  # Jupyter has things to say
    check_printed(cell, printed)


def run_program(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_hooks_of_gunicorn_enter_and_leave_a_block(tmp_path: Path) -> None:
    """Those of gunicorn.conf.py, for the application in shop.py."""
    write_files("services.md", tmp_path)
    program = """
import runpy, shop
hooks = runpy.run_path("gunicorn.conf.py")
hooks["post_worker_init"](None)
print(*shop.application({"QUERY_STRING": "a&b"}, print))
hooks["worker_exit"](None, None)
"""
    assert run_program(program, tmp_path).endswith("b'A B'\n")


def test_the_lifespan_of_an_asgi_application_is_a_block(tmp_path: Path) -> None:
    """That of web.py."""
    write_files("services.md", tmp_path)
    program = """
import asyncio, web

async def main():
    said, asked = asyncio.Queue(), asyncio.Queue()
    life = asyncio.create_task(web.application({"type": "lifespan"}, asked.get, said.put))
    await asked.put({"type": "lifespan.startup"})
    print((await said.get())["type"])
    request = {"type": "http", "query_string": b"a&b"}
    await web.application(request, asked.get, said.put)
    print((await said.get())["status"], (await said.get())["body"])
    await asked.put({"type": "lifespan.shutdown"})
    print((await said.get())["type"])
    await life

asyncio.run(main())
"""
    assert run_program(program, tmp_path).splitlines() == [
        "lifespan.startup.complete",
        "200 b'A B'",
        "lifespan.shutdown.complete",
    ]


def test_a_client_that_goes_away_ends_its_call(tmp_path: Path) -> None:
    """unless_gone.py. A call that nobody leaves is answered."""
    write_files("services.md", tmp_path)
    program = """
import asyncio, time
from tep_parallel import AsyncParallel
from unless_gone import unless_gone

async def main():
    fan_out = AsyncParallel(lambda seconds: str(time.sleep(seconds)))
    said = asyncio.Queue()
    await said.put({"type": "http.request"})
    print(await unless_gone(said.get, fan_out.map_processes([0])))
    await said.put({"type": "http.disconnect"})
    begun = time.monotonic()
    print(await unless_gone(said.get, fan_out.map_processes([60])))
    assert time.monotonic() - begun < 30

asyncio.run(main())
"""
    assert run_program(program, tmp_path) == "['None']\nNone\n"


def test_the_signals_of_celery_enter_and_leave_a_block(tmp_path: Path) -> None:
    """Those of tasks.py, with a stand-in for Celery, which needs a broker."""
    write_files("services.md", tmp_path)
    (tmp_path / "celery").mkdir()
    (tmp_path / "celery" / "__init__.py").touch()
    (tmp_path / "celery" / "signals.py").write_text("""
class Signal:
    def connect(self, function):
        self.send = function
        return function

worker_process_init, worker_process_shutdown = Signal(), Signal()
""")
    program = """
import tasks
from celery import signals
signals.worker_process_init.send(sender=None)
print(tasks.fan_out.map_processes(["a"]))
signals.worker_process_shutdown.send(sender=None, pid=1, exitcode=0)
"""
    assert run_program(program, tmp_path) == "['A']\n"
