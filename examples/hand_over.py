"""Hand work to a job queue: a child ends with the request, a queued job goes on after it."""
# make example RUN="hand_over.py"

import sys
from pathlib import Path

from jobs import write_digests

PATHS = ["/etc/hosts", "/etc/passwd", "/etc/resolv.conf"]

if __name__ == "__main__":
    report = str(Path(sys.argv[1] if len(sys.argv) > 1 else "digests.txt").resolve())
    job = write_digests(PATHS, report)
    print(f"202 Accepted: job {job.id} will write {report}")
