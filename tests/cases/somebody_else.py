"""A process that may not read a file asks for its digest.

somebody_else.py PATH
"""

import os
import sys

from tep_parallel import Sock, digest_files

path = sys.argv[1]
for count in (0, 2):
    digest_files([sys.executable, "/nowhere"], in_processes=count, return_exceptions=True)
# Now all is loaded that somebody else may not be able to.
os.setuid(65534)
for count in (0, 2):
    (error,) = digest_files([path], in_processes=count, return_exceptions=True)
    assert isinstance(error, PermissionError)
    print(error.strerror)
try:
    Sock.sphttp_hmac_sha256_file_hex(b"", path)
except PermissionError as error:
    print(error.strerror)
