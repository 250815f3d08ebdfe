"""Versions that kill the workers which prove them are left alone, so that the service goes on without them.

A worker leaves a marker while it loads and proves a version. One whose process is gone tells how that ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.serving.board import alive

DEATHS_TOLERATED = 1
"""One may be anybody's doing, for instance a kill by hand; a second while the same version is proven is none."""


class Quarantine:
    """The markers of all workers, in a folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def proving(self, version: str) -> Iterator[None]:
        """Marks this process as busy with `version`. Where the marker cannot be written, it goes on without."""
        marker = self._folder / str(os.getpid())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            marker.write_text(version)
        except OSError:
            yield
            return
        try:
            yield
        finally:
            marker.unlink(missing_ok=True)

    def verdict(self, version: str, since_ns: int) -> str | None:
        """Why `version` must not be tried again, None where it may be.

        Deaths before `since_ns` (Unix time, nanoseconds) do not count: who activates a version anew wants it tried.
        """
        deaths = sum(self._died_of(version, marker, since_ns) for marker in self._folder.glob("*"))
        if deaths <= DEATHS_TOLERATED:
            return None
        return f"{version} killed {deaths} workers while it was loaded or proven; activate it again to have it retried"

    def _died_of(self, version: str, marker: Path, since_ns: int) -> bool:
        try:
            recent = marker.stat().st_mtime_ns >= since_ns
            return recent and marker.read_text() == version and not alive(int(marker.name))
        except OSError:  # gone in the meantime: it lived
            return False
