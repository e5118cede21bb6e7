"""Nests serve round after round; their children are forked as Python's are, and have nothing
of the host's but what was open and is kept."""

import os
import socket
import threading
import time

from served import Nest, Server
from support import alive, below, children, descriptors

hooks: list[str] = []
os.register_at_fork(
    before=lambda: hooks.append("before"),
    after_in_parent=lambda: hooks.append("parent"),
    after_in_child=lambda: hooks.append("child"),
)
listening = socket.create_server(("127.0.0.1", 0))
port = listening.getsockname()[1]
near, far = socket.socketpair()
kept = os.open("/dev/null", os.O_WRONLY)
threads = [threading.Thread(target=time.sleep, args=[600], daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()


def work(item: str) -> str:
    if item == "hooks":
        return " ".join(hooks)
    if item == "kept":
        return str(os.write(kept, b"x"))
    if item == "close":
        global near
        near.close()  # it closes the number that it had
        return "closed"
    if item == "use":
        try:
            listening.accept()
        except OSError as error:
            return str(error.strerror)
    return f"{item} {os.getpid()}"


before = descriptors()
server = Server(work, alive=2, keep=[kept])
first, second = Nest(server), Nest(server)
for number in range(200):
    for nest in first, second:
        answers = nest.map([f"{number}.{place}" for place in range(5)])
        assert [answer.split()[0] for answer in answers] == [f"{number}.{p}" for p in range(5)]
pids = {answer.split()[1] for _ in range(20) for answer in first.map(["a", "b", "c", "d"])}
assert len(pids) <= 2, pids  # the same children, round after round

assert first.map(["hooks"] * 3) == ["before child"] * 3
assert hooks == ["before", "parent"]  # for the server, and for nothing else
assert first.map(["kept", "use"]) == ["1", "Bad file descriptor"]
assert first.map(["close"] * 4) == ["closed"] * 4
assert len(first.map(["x"] * 50)) == 50  # nothing of the nest's was closed

# A bystander: what the host closes ends at once, and its port is free.
near.close()
assert far.recv(1) == b""
listening.close()
socket.create_server(("127.0.0.1", port)).close()

everybody = below(os.getpid())
assert len(everybody) == 1 + 2 + 4, everybody
first.leave()
second.close()
server.close()
assert not any(map(alive, everybody))
assert children() == []
far.close()
after = descriptors()
assert set(after) <= set(before), (before, after)
