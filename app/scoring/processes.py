"""How a worker process begins and ends. Settings must stand before libraries look at them, so it imports none."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def begin() -> None:
    """Runs first in each worker: one thread for numerics, and an end where the parent process ends, however it does."""
    for variable in ONE_THREAD:
        os.environ[variable] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent lets workers finish
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
