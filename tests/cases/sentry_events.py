"""What children tell Sentry arrives where their teardown waits for it.

Sentry is a server on the loopback interface. Prints the messages that it got.
"""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import sentry_sdk

from tep_parallel import Parallel, ParallelWorker

got: list[str] = []


class Sentry(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for line in body.splitlines():
            message = json.loads(line).get("message")
            if message:
                got.append(message)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *given: object) -> None:
        pass


class Telling(ParallelWorker):
    def process(self, item: str) -> str:
        sentry_sdk.capture_message(f"item {item}")
        return item

    def teardown(self) -> None:
        sentry_sdk.flush(timeout=5)


server = ThreadingHTTPServer(("127.0.0.1", 0), Sentry)
threading.Thread(target=server.serve_forever, daemon=True).start()
sentry_sdk.init(dsn=f"http://key@127.0.0.1:{server.server_port}/1", default_integrations=False)
sentry_sdk.capture_message("host")
sentry_sdk.flush(timeout=5)  # and has a thread, which no child has
Parallel(Telling()).map_processes(["a", "b"])
Parallel(Telling(), in_processes=2).map_processes(["c", "d"])
print(*sorted(got), sep="\n")
