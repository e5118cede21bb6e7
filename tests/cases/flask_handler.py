"""Flask's own log handler, whose stream is a proxy, in a host with threads."""

import threading

from flask import Flask

from tep_parallel import Parallel

app = Flask("case")
over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()


def work(item: str) -> str:
    app.logger.error("child %s", item)
    return item.upper()


@app.get("/")
def fan_out() -> str:
    app.logger.error("host")
    pooled = Parallel(work, in_processes=1).map_processes(["b"])
    return "".join(Parallel(work).map_processes(["a"]) + pooled)


assert app.logger.handlers
print(Parallel(work).map_processes(["c"]))
print(app.test_client().get("/").text)
over.set()
thread.join()
