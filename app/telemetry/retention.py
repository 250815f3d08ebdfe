"""Removes the audit's oldest files, so that the disk it shares with the service never fills up."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from app.telemetry.audit_files import AuditFile, audit_files

SWEEP_INTERVAL_S = 60.0


class AuditRetention:
    """Keeps `keep_days` days beside today and `keep_bytes` bytes in `folder`; 0 of either: without limit.

    A file that somebody still writes to, as its lock tells, is never removed; nor is what is no audit file.
    """

    def __init__(
        self,
        folder: Path | None,
        log: FilteringBoundLogger,
        *,
        keep_days: int,
        keep_bytes: int,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._log = log
        self._keep_days = keep_days
        self._keep_bytes = keep_bytes
        self._wall_clock = wall_clock
        self._clock = clock
        self._next_sweep = clock()

    def sweep_if_due(self) -> None:
        """At most once a minute, and in one process at a time: removes what is too old or too much.

        Raises `OSError`.
        """
        if self._folder is None or not (self._keep_days or self._keep_bytes) or self._clock() < self._next_sweep:
            return
        self._next_sweep = self._clock() + SWEEP_INTERVAL_S
        try:
            guard = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sweep(self._folder)
        except BlockingIOError:  # another worker is at it
            return
        finally:
            os.close(guard)

    def _sweep(self, folder: Path) -> None:
        files = audit_files(folder)
        today = datetime.fromtimestamp(self._wall_clock(), UTC).date()
        oldest_kept = today - timedelta(days=self._keep_days) if self._keep_days else date.min
        held = sum(file.bytes for file in files)
        removed: list[AuditFile] = []
        for file in files:
            too_much = 0 < self._keep_bytes < held
            if (file.day < oldest_kept or too_much) and _remove(file.path):
                held -= file.bytes
                removed.append(file)
        if removed:
            self._log.info(
                "audit.removed",
                files=len(removed),
                bytes=sum(file.bytes for file in removed),
                first=removed[0].path.name,
                last=removed[-1].path.name,
            )


def _remove(path: Path) -> bool:
    """Whether the file is gone by our doing; one that a process writes to stays."""
    with suppress(FileNotFoundError, BlockingIOError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(fd)
        return True
    return False
