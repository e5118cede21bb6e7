"""gRPC in the host, calls in flight: CALLS fan-outs, none wrong, none hung.

grpc_calls.py CALLS
"""

import sys
import threading
import time
from concurrent import futures

import grpc

from tep_parallel import Parallel


def echo(request: bytes, context: object) -> bytes:
    return request


handler = grpc.method_handlers_generic_handler(
    "case.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
)
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((handler,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
call = channel.unary_unary("/case.Echo/Echo")
over = threading.Event()
made = 0


def keep_calling() -> None:
    global made
    while not over.is_set():
        assert call(b"x" * 1000, timeout=30) == b"x" * 1000
        made += 1


callers = [threading.Thread(target=keep_calling) for _ in range(3)]
for caller in callers:
    caller.start()
limit = time.monotonic() + 30
while made < 100:  # in flight they are once the channel is open
    assert time.monotonic() < limit, made
    time.sleep(0.01)
parallel = Parallel(lambda item: item[::-1])
items = ["ab", "cd", "ef", "gh"]
for number in range(int(sys.argv[1])):
    found = parallel.map_processes(items)
    assert found == ["ba", "dc", "fe", "hg"], (number, found)
over.set()
for caller in callers:
    caller.join(30)
assert made > 100
channel.close()
server.stop(0).wait(10)
