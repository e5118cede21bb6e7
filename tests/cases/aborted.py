"""Another thread aborts a call whose children are deaf to every signal that they can be."""

import errno
import os
import signal
import threading
import time

from tep_parallel._engine.call import CHILD, Call, commit
from tep_parallel._engine.native import lib

alive, last = os.pipe()


def serve(call: Call) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    index = call.event.index
    if index == 0:
        commit(call.handle, index, lib.SPHTTP_RETURNED, b"yes", 3)
    while True:
        time.sleep(60)


def abort(call: Call) -> None:
    time.sleep(0.2)
    begun = time.monotonic()
    lib.py_call_abort(call.handle)
    took = time.monotonic() - begun
    os.close(last)
    os.set_blocking(alive, False)
    print(os.read(alive, 1), took < 0.15)  # the end: nobody else has the other one


with Call(3, alive=2, how=lib.SPHTTP_LINGER, root="/tmp") as call:
    thread = threading.Thread(target=abort, args=[call])
    thread.start()
    try:
        if call.run() == CHILD:
            serve(call)
    except OSError as error:
        print(error.errno == errno.ECANCELED)
    thread.join()
    fates = [call.result(index).fate for index in range(3)]
    print(fates == [lib.SPHTTP_RETURNED, lib.SPHTTP_CUT, lib.SPHTTP_NOT_BEGUN])
