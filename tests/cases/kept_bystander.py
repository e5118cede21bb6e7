"""What was open at a block's entry lives on in no process of the block: a connection that the
host closes ends, a port is free again, a pipe has no writer. What is kept, is.

kept_bystander.py FOLDER fresh|pool
"""

import errno
import json
import logging
import os
import socket
import sys
from pathlib import Path

from tep_parallel import Parallel

FOLDER = Path(sys.argv[1])
OPTIONS = {"in_processes": 2} if sys.argv[2] == "pool" else {}

log = logging.getLogger("case")
log.addHandler(logging.FileHandler(FOLDER / "log"))
log.setLevel(logging.INFO)
listening = socket.create_server(("127.0.0.1", 0))
port = listening.getsockname()[1]
client = socket.create_connection(("127.0.0.1", port))
server, _ = listening.accept()
pipe_out, pipe_in = os.pipe()
kept_out, kept_in = os.pipe()
kept_file = open(FOLDER / "kept", "w")
high = os.dup2(pipe_in, 4000 if os.sysconf("SC_OPEN_MAX") > 4000 else 900)


def look(item: str) -> str:
    """In a child: use all of them."""
    print(f"child {item}")
    log.info("child %s", item)
    os.write(kept_in, item.encode())
    os.write(kept_file.fileno(), item.encode())
    found = []
    for fd in (listening.fileno(), server.fileno(), client.fileno(), pipe_in, pipe_out, high):
        try:
            os.write(fd, b"x")
            found.append(None)
        except OSError as error:
            found.append(error.errno)
    return json.dumps(found)


with Parallel(look, keep=(kept_in, kept_file), max_calls=2, **OPTIONS) as p:
    for turn in range(3):
        for found in map(json.loads, p.map_processes([f"a{turn}", f"b{turn}"])):
            assert found == [errno.EBADF] * 6, found
    # The block is open, and its nests too.
    server.close()
    client.settimeout(30)
    assert client.recv(1) == b""
    client.close()
    listening.close()
    socket.create_server(("127.0.0.1", port), reuse_port=False).close()
    os.close(pipe_in)
    os.close(high)
    assert os.read(pipe_out, 1) == b""
    later_out, later_in = os.pipe()
    assert p.map_processes(["c3"])
    os.close(later_in)
    assert os.read(later_out, 1) == b""
os.close(kept_in)
kept_file.close()
with open(kept_out) as kept:
    assert len(kept.read()) == 2 * 7
assert len((FOLDER / "kept").read_text()) == 2 * 7
assert sorted((FOLDER / "log").read_text().split()) == sorted(
    word for n in ("a0", "b0", "a1", "b1", "a2", "b2", "c3") for word in ("child", n)
)
