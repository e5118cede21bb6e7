"""HMAC-SHA256 of files, a child a file; `tep-parallel digest` does the same from a shell."""
# make example RUN="digests.py"

from pathlib import Path

from tep_parallel import Parallel, ParallelWorker, Sock

PATHS = ["/etc/hosts", "/etc/passwd", "/etc/resolv.conf"]


class Digest(ParallelWorker):
    def __init__(self, key: bytes) -> None:
        self.key = key

    def process(self, item: str) -> str:
        return Sock.sphttp_hmac_sha256_hex(self.key, Path(item).read_bytes())


if __name__ == "__main__":
    for path, digest in zip(PATHS, Parallel(Digest(b"")).map_processes(PATHS), strict=True):
        print(path, digest)
