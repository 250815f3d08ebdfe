"""The audit: one JSON line per prediction, appended before the reply leaves.

Each process writes a file of its own, `predictions-DATE-PID.jsonl`, a new one each UTC day and whenever one is full,
so that a line torn by a full disk or a kill stays the business of one file. A line survives the death of the process,
since the kernel has it; it may be lost in a power failure, since it is not synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.telemetry.audit_files import audit_path

SECONDS_PER_DAY = 86_400


class PredictionLogger:
    """Appends records to this process's audit file. `folder` None: nothing is written.

    A file that would grow past `rotate_bytes` is closed and a new one begun; 0: only a new day begins one.
    Heals itself: a folder that was removed is made again, a disk that has room again is written to again.
    """

    def __init__(self, folder: Path | None, rotate_bytes: int = 0) -> None:
        self.folder = folder
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._fd = -1
        self._pid = -1
        self._day = -1
        self._number = 0
        self._size = 0
        self._torn = False

    def append(self, lines: Sequence[bytes]) -> None:
        """Writes rendered lines (without newlines) in one append. Raises `OSError`."""
        if self.folder is None:
            return
        data = b"\n".join(lines)  # a single line, which may be a batch of megabytes, is not copied
        with self._lock:
            self._open(self.folder, len(data) + 1)
            parts = [b"\n", data, b"\n"] if self._torn else [data, b"\n"]
            size = sum(map(len, parts))
            written = os.writev(self._fd, parts)
            self._size += written
            self._torn = written != size
            if self._torn:
                raise OSError(errno.ENOSPC, f"only {written} of {size} bytes fitted")

    def check(self) -> None:
        """Whether a record could be written now, as far as one can tell without writing. Raises `OSError`."""
        if self.folder is not None:
            with self._lock:
                self._open(self.folder, 0)
                if os.fstatvfs(self._fd).f_bavail == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self, folder: Path, more: int) -> None:
        """Sees to it that `_fd` is a file of this process and day that is still there and has room for `more` bytes."""
        day, pid = int(time.time()) // SECONDS_PER_DAY, os.getpid()
        mine = self._fd >= 0 and day == self._day and pid == self._pid
        if mine and self._has_room(more) and os.fstat(self._fd).st_nlink > 0:
            return
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not mine:
            self._number = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._day, self._pid = day, pid
        while not self._opened(folder, more):
            self._number += 1

    def _opened(self, folder: Path, more: int) -> bool:
        """Opens the file `_number`; false where a namesake filled it, packed it or is just being removed."""
        date = datetime.fromtimestamp(self._day * SECONDS_PER_DAY, UTC).date()
        path = audit_path(folder, date, self._pid, self._number)
        if path.with_name(f"{path.name}.gz").exists():
            return False
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        # The lock lasts as long as the descriptor and tells `AuditRetention`, in whatever process or container, that
        # somebody writes here.
        being_removed = False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            being_removed = True
        except OSError:  # a file system without locks is still one to write to
            pass
        stat = os.fstat(fd)
        self._size = stat.st_size
        if being_removed or stat.st_nlink == 0 or not self._has_room(more):
            os.close(fd)
            return False
        self._fd = fd
        # A namesake killed in mid-line, in a container whose process ids repeat, leaves no newline behind.
        self._torn = self._size > 0 and os.pread(fd, 1, self._size - 1) != b"\n"
        return True

    def _has_room(self, more: int) -> bool:
        return not self._rotate_bytes or not self._size or self._size + more <= self._rotate_bytes
