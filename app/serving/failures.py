"""What went wrong lately, for whoever looks at health."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.serving.board import Failure

_FAILURES_KEPT = 20


class FailureBook:
    """The latest distinct failures, each with its first and last time and its count."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[str, Failure] = {}

    def note(self, what: str) -> None:
        now = self._clock()
        known = self._entries.pop(what, None)
        self._entries[what] = Failure(what, known.since if known else now, now, known.count + 1 if known else 1)
        while len(self._entries) > _FAILURES_KEPT:
            self._entries.pop(next(iter(self._entries)))

    def entries(self) -> list[Failure]:
        """Newest first."""
        return list(reversed(list(self._entries.values())))
