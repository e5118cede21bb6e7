"""A digest that takes too long; the test presses Ctrl-C.

digest_huge.py PATH HOW
"""

import sys
import threading

from tep_parallel import Sock, digest_files

path, how = sys.argv[1:]
print("ready", flush=True)
if how == "fan-out":
    digest_files([path] * 3)
elif how == "one":
    Sock.sphttp_hmac_sha256_file_hex(b"", path)
else:
    thread = threading.Thread(target=digest_files, args=([path],), daemon=True)
    thread.start()
    thread.join()
