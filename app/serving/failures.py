"""What went wrong lately, for whoever looks at health."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.serving.board import Failure

_FAILURES_KEPT = 20


class FailureBook:
    """The latest distinct failures, each with its first and last time, its count and the request that met it last."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[str, Failure] = {}

    def note(self, what: str, request_id: str | None = None) -> None:
        """Notes that `what` happened; a self-test, which has no request, leaves the last one's id as it is."""
        now = self._clock()
        known = self._entries.pop(what, None) or Failure(what, since=now, last=now, count=0)
        self._entries[what] = Failure(what, known.since, now, known.count + 1, request_id or known.request_id)
        while len(self._entries) > _FAILURES_KEPT:
            self._entries.pop(next(iter(self._entries)))

    def entries(self) -> list[Failure]:
        """Newest first."""
        return list(reversed(list(self._entries.values())))
