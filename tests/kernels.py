"""Each way to SHA-256 that this processor knows. A test takes one by the fixture `kernel`."""

from tep_parallel._engine.native import lib

KERNELS = [
    name
    for name in ("avx512", "sha-ni", "armv8", "alone", "portable")
    if lib.sphttp_sha256_kernel(name.encode())
]
