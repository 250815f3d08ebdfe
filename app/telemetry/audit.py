"""The audit: one JSON line per prediction, appended before the reply leaves.

Each process writes a file of its own, `predictions-DATE-PID.jsonl`, a new one each UTC day, so that a line torn by
a full disk or a kill stays the business of one file. A line survives the death of the process, since the kernel
has it; it may be lost in a power failure, since it is not synced.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

SECONDS_PER_DAY = 86_400


class PredictionLogger:
    """Appends records to this process's audit file. `folder` None: nothing is written.

    Heals itself: a folder that was removed is made again, a disk that has room again is written to again.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._fd = -1
        self._pid = -1
        self._day = -1
        self._torn = False

    def append(self, lines: Sequence[bytes]) -> None:
        """Writes rendered lines (without newlines) in one append. Raises `OSError`."""
        if self.folder is None:
            return
        data = b"\n".join(lines)  # a single line, which may be a batch of megabytes, is not copied
        with self._lock:
            self._open(self.folder)
            parts = [b"\n", data, b"\n"] if self._torn else [data, b"\n"]
            size = sum(map(len, parts))
            written = os.writev(self._fd, parts)
            self._torn = written != size
            if self._torn:
                raise OSError(errno.ENOSPC, f"only {written} of {size} bytes fitted")

    def check(self) -> None:
        """Whether a record could be written now, as far as one can tell without writing. Raises `OSError`."""
        if self.folder is not None:
            with self._lock:
                self._open(self.folder)
                if os.fstatvfs(self._fd).f_bavail == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self, folder: Path) -> None:
        day = int(time.time()) // SECONDS_PER_DAY
        current = self._fd >= 0 and day == self._day and self._pid == os.getpid()
        if current and os.fstat(self._fd).st_nlink > 0:
            return
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        folder.mkdir(parents=True, exist_ok=True)
        date = datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC)
        path = folder / f"predictions-{date:%Y%m%d}-{os.getpid()}.jsonl"
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._day, self._pid = day, os.getpid()
        size = os.fstat(self._fd).st_size
        # A namesake killed in mid-line, in a container whose process ids repeat, leaves no newline behind.
        self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
