"""A block that is entered while the process has threads: a warning names them."""

import threading
import warnings

from tep_parallel import Parallel

over = threading.Event()
threads = [threading.Thread(target=over.wait, name=name) for name in ("metrics", "reloader")]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with Parallel(str, in_processes=2) as p:
        assert p.map_processes([1]) == ["1"]
    assert caught == []
    for thread in threads:
        thread.start()
    with Parallel(str, in_processes=2) as p:
        assert p.map_processes([1]) == ["1"]
    over.set()
(warning,) = caught
assert warning.category is RuntimeWarning
assert warning.filename == __file__, warning.filename
assert "metrics" in str(warning.message)
assert "reloader" in str(warning.message)
print(warning.message)
