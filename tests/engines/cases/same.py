"""The same calls on one machine and on an engine, with one changed line: the same results.
same.py ENGINE CHILDREN"""

import hmac
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from pathlib import Path

import probe
from engines import named_engine

from tep_parallel import FileDigest, Parallel, ParallelWorker, digest_files

NUMBERS = [str(number) for number in range(300)]
PAIRS = 2


class Doubler(ParallelWorker):
    """Of __main__, with a global of __main__."""

    def process(self, item):
        return str(int(item) * PAIRS)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(410 if self.path == "/gone" else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


def outcomes(worker, items, how):
    found = Parallel(worker, **how).outcomes(items)
    assert all(one.host and one.pid and one.started for one in found), found
    return [(one.index, one.item, one.result, repr(one.error)) for one in found]


def of_doubler(how):
    double = Parallel(Doubler(), **how)
    yield double.map_processes(NUMBERS)
    yield double.each_process(NUMBERS)
    yield list(double.imap_processes(iter(NUMBERS)))
    yield list(islice(double.imap_processes(count()), 50))
    yield sorted((one.index, one.result) for one in double.as_completed(NUMBERS))
    yield outcomes(Doubler(), ["1", "two", "3", ""], how)
    yield outcomes(lambda item: f"{item} of {len(NUMBERS)}", NUMBERS, how)
    yield Parallel(lambda item: {item: None}, codec=json, **how).map_processes(NUMBERS)


def of_digests(how):
    files = []
    for number in range(40):
        file = Path(f"file-{number}").absolute()
        file.write_bytes(bytes([number]) * 1000 * number)
        files.append(str(file))
    expected = [hmac.new(b"key", Path(file).read_bytes(), "sha256").hexdigest() for file in files]
    digest = Parallel(FileDigest(b"key"), **how)
    assert digest.map_processes(files) == expected
    yield outcomes(FileDigest(b"key"), [*files, "/gone"], how)
    assert digest_files(files, b"key", **how) == expected
    found = digest_files([*files, "/gone"], b"key", return_exceptions=True, **how)
    assert found[:-1] == expected
    yield repr(found[-1])


def of_probe(how):
    # How long an answer took differs.
    for index, item, result, error in outcomes(probe.Probe(), URLS, how):
        yield index, item, str(result).split()[0], error


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    URLS = [f"http://127.0.0.1:{server.server_port}/{name}" for name in ("a", "gone", "b")]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    one_machine = {"in_processes": 2}
    with named_engine() as executor:
        engine = {"executor": executor, "in_processes": json.loads(sys.argv[2])}
        for results in (of_doubler, of_digests, of_probe):
            for here, there in zip(results(one_machine), results(engine), strict=True):
                assert here == there, (here, there)
    server.shutdown()
    server.server_close()
