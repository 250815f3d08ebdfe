"""What a worker does not take on: the excess of an overload and connections beyond its limit, refused at once.

Where the queue is: a connection has one request under way, so what waits are bytes in the sockets of the worker's
connections, and connections that the kernel holds until they are accepted. Each turn of the event loop hands out all
that arrived during the last one, and answers it in order. So the length of a turn is how long requests wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from app.serving.prediction import sane_request_id
from app.worker.refusal import refusal
from app.worker.wsgi import Environ, Reply

BEAT_S = 0.025
"""How often the event loop shows that a turn has ended; a longer turn delays the beat, and so is measured."""

BURST = 5
"""Times the longest lag that a worker may take to work off a burst, where it had caught up not long ago."""

ACCEPTED_AT_ONCE, ACCEPTED_IN_TROUBLE = 4, 256
LOG_INTERVAL_S = 1.0
RETRY_AFTER_S = 1

BUSY = "The service is asked for more than it can answer; try again later"
FULL = "The service has more connections than it can serve; try again later"


class Overload:
    """Refuses what is reached late in a long turn, for it has waited longest.

    Not so late, and not what one request alone or the system held up, while the worker is behind for less than
    `patience_s`: a burst, a pause or a model that hangs until its breaker opens then costs no request. Only POST is
    refused, since it is all of the work: probes, metrics and pages are what one needs in trouble.
    """

    def __init__(
        self,
        max_lag_s: float,
        patience_s: float,
        log: FilteringBoundLogger,
        count: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_lag_s = max_lag_s
        self._patience_s = patience_s
        self._log = log
        self._count = count
        self._clock = clock
        self._last_beat = self._caught_up = self._last_end = clock()
        self._stalled_s = 0.0
        self._unlogged = 0
        self._next_line = 0.0

    def beat(self, accept: Callable[[int], int]) -> None:
        """A turn of the event loop has ended: accepts the connections that wait, at most as many as it is told.

        The worker has caught up when a turn takes less than half of what is too long and no connection waits.
        """
        now = self._clock()
        long = now - self._last_beat > self._max_lag_s / 2 + BEAT_S
        waited = accept(ACCEPTED_IN_TROUBLE if long or now - self._caught_up > BEAT_S else ACCEPTED_AT_ONCE)
        if not long and not waited:
            self._caught_up = now
        self._last_beat, self._stalled_s = now, 0.0

    def answered(self, start: float, end: float) -> None:
        """One request took that long; one that alone takes longer than all together should is a stall."""
        self._last_end = end
        if end - start > self._max_lag_s:
            self._stalled_s += end - start

    def refusal(self, environ: Environ, *, surplus: bool) -> Reply | None:
        """The reply to a request that is not to be served, None where it is; `surplus`: on a connection too many."""
        if (not surplus and not self._too_late()) or environ["REQUEST_METHOD"] != "POST":
            return None
        return self._refused(environ, FULL if surplus else BUSY)

    def _too_late(self) -> bool:
        now = self._clock()
        lag_s = now - self._last_beat
        if lag_s <= self._max_lag_s:
            return False
        if now - self._caught_up > self._patience_s:
            return True
        pause_s = now - max(self._last_beat, self._last_end)
        if pause_s > self._max_lag_s:  # nothing was answered all that time: the system gave the worker no turn
            self._stalled_s += pause_s
            self._last_end = now
        return lag_s - self._stalled_s > BURST * self._max_lag_s

    def _refused(self, environ: Environ, detail: str) -> Reply:
        self._count()
        self._unlogged += 1
        if self._clock() >= self._next_line:  # one line for many: writing costs what is short
            self._log.warning("requests.shed", requests=self._unlogged, detail=detail)
            self._next_line, self._unlogged = self._clock() + LOG_INTERVAL_S, 0
        request_id = sane_request_id(environ.get("HTTP_X_REQUEST_ID"))
        headers = [("Retry-After", str(RETRY_AFTER_S))]
        return refusal(503, detail, environ["PATH_INFO"], request_id, kind="overloaded", headers=headers)
