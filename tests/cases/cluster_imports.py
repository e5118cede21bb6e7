"""A program that uses no executor; then one that has no cloudpickle."""

import sys

from tep_parallel import Parallel

assert Parallel(str).map_processes(["a"]) == ["a"]
assert not [name for name in sys.modules if "_cluster" in name or "cloudpickle" in name]
sys.modules["cloudpickle"] = None  # type: ignore[assignment]  # as if it were not installed
try:
    from concurrent.futures import ThreadPoolExecutor

    Parallel(str, executor=ThreadPoolExecutor(1))
except ImportError as error:
    assert "tep-parallel[cluster]" in str(error), error
else:
    raise AssertionError
