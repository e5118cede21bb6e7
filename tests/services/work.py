"""What each server of servers.py serves, whatever it speaks: four kinds of requests.

/fan_out?word=W answers what four children have made of W, /digest?key=K&word=W the digests of
twenty files under K, /pause?word=W the same as /fan_out, a second later, and /slow?word=W has
children that sleep for a minute. Host and children print and log on the way, if QUIET is not set.

HOW of the environment says who does the work: `outside` (a call makes its own children), `block`
(they are kept and warm), `fresh` (kept and fresh), for ASGI `async` and `async-block` (the same
by AsyncParallel), and for comparison `executor` (a ProcessPoolExecutor), `threads`, and `serial`
(a loop). Each server calls enter() in the process
that answers requests, before that has threads: see docs/services.md.
"""

from __future__ import annotations

import concurrent.futures
import hmac
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tep_parallel import Parallel, digest_files

FILES = sorted(Path(os.environ.get("FILES", ".")).glob("*.bin"))
HOW = os.environ.get("HOW", "outside")
QUIET = "QUIET" in os.environ
WORKERS, CALLS = 2, 4
WAIT = 0.005  # seconds of an item of a quiet service, as a service next door takes them

log = logging.getLogger("work")
log.setLevel(logging.INFO)
log.propagate = False
_handler = logging.StreamHandler()
_handler.setFormatter(logging.Formatter("log: %(message)s"))  # no line is like a printed one
log.addHandler(_handler)


def say(line: str) -> None:
    """Print in one piece, whoever else prints, and log."""
    if not QUIET:
        print(f"{line}\n", end="")
        log.info(line)


def shout(word: str) -> str:
    """In a child."""
    if QUIET:
        time.sleep(WAIT)
    say(f"child {word}")
    return f"{word.upper()} {len(word)}"


def rest(word: str) -> str:
    """In a child: what its word says is how long."""
    say(f"child {word} sleeps in {os.getpid()}")
    time.sleep(1 if word.startswith("pause") else 60)
    return shout(word)


def work(word: str) -> str:
    """In a child: a block has one worker, and does all of this."""
    return (rest if word.startswith(("pause", "slow")) else shout)(word)


def digest(pair: tuple[str, bytes]) -> str:
    """What others than digest_files do for a file."""
    path, key = pair
    return hmac.digest(key, Path(path).read_bytes(), "sha256").hex()


kept = Parallel(work, in_processes=WORKERS, isolation=HOW == "fresh", max_calls=CALLS)
pool: concurrent.futures.Executor | None = None


def enter() -> None:
    """Make ready what does the work."""
    global pool
    if HOW in ("block", "fresh"):
        kept.__enter__()
    elif HOW == "executor":
        # As many processes as a block may have children.
        context = multiprocessing.get_context("fork")
        pool = concurrent.futures.ProcessPoolExecutor(WORKERS * CALLS, mp_context=context)
        list(pool.map(str, range(WORKERS * CALLS)))  # its processes are forked now
    elif HOW == "threads":
        pool = concurrent.futures.ThreadPoolExecutor(WORKERS * CALLS)


def leave() -> None:
    """End it."""
    if HOW in ("block", "fresh"):
        kept.__exit__(None, None, None)
    elif pool is not None:
        pool.shutdown()


def fan_out(word: str) -> list[str]:
    """What four items, or children, make of the word."""
    say(f"host {word}")
    words = [f"{word}-{number}" for number in range(4)]
    if pool is not None:
        return list(pool.map(work, words))
    if HOW == "serial":
        return [work(word) for word in words]
    return (Parallel(work) if HOW == "outside" else kept).map_processes(words)


def digests(key: str, word: str) -> list[str]:
    """The digests of the files."""
    say(f"host {word}")
    pairs: Iterable[tuple[str, bytes]] = [(str(path), key.encode()) for path in FILES]
    if pool is not None:
        return list(pool.map(digest, pairs))
    if HOW == "serial":
        return [digest(pair) for pair in pairs]
    return digest_files(FILES, key=key.encode())


# Of the words of a request, by which a child knows what to do.
PREFIXES = {"/fan_out": "", "/pause": "pause-", "/slow": "slow-"}
KINDS: dict[str, Callable[[Mapping[str, str]], list[str]]] = {
    "/fan_out": lambda query: fan_out(query["word"]),
    "/pause": lambda query: fan_out(f"{PREFIXES['/pause']}{query['word']}"),
    "/slow": lambda query: fan_out(f"{PREFIXES['/slow']}{query['word']}"),
    "/digest": lambda query: digests(query["key"], query["word"]),
}


def answer(path: str, query: Mapping[str, str]) -> bytes:
    """The body of the answer to a request; KeyError: there is no such thing here."""
    return json.dumps(KINDS[path](query)).encode()
