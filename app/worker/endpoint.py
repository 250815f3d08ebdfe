"""What the connections of one worker share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from app.worker.overload import Overload
from app.worker.wsgi import Environ, Reply, WsgiApp, call_app

AccessLog = Callable[[Environ, int, float, int], None]
"""Told of each answered request: its environment, status, milliseconds and bytes."""


LAST_CALL_S = 1.0
"""How long after its last reply a connection may bring one more request: ending it then would lose that."""

MAX_SURPLUS = 64
"""Connections beyond the limit that are read, since one may be a probe, and end with their first reply."""

NEARLY_FULL = 0.75
"""Of `max_connections`: beyond it no connection is kept for a request that may come some day."""


class Expiring(Protocol):
    """A connection as far as its endpoint knows it."""

    deadline: float

    def expire(self) -> None: ...

    def close_if_idle(self) -> None: ...


@dataclass(slots=True)
class Endpoint:
    """The app, the limits, and the connections that live by them."""

    app: WsgiApp
    log: FilteringBoundLogger
    max_body_bytes: int
    request_timeout_s: float
    keep_alive_s: float
    max_connections: int
    overload: Overload
    refused: Callable[[int], None]
    """Told the status of each request that never reached the app."""
    call_soon: Callable[[Callable[[], None]], object]
    """Calls once everybody else has had a turn."""
    access_log: AccessLog | None = None
    connections: set[Expiring] = field(default_factory=set)
    requests: int = 0
    closing: bool = False
    """While set, every reply ends its connection."""
    _date: bytes = b""
    _date_second: int = -1

    def date(self) -> bytes:
        """The `Date` header, made once a second."""
        second = int(time.time())
        if second != self._date_second:
            self._date, self._date_second = formatdate(second, usegmt=True).encode(), second
        return self._date

    @property
    def full(self) -> bool:
        """Whether no further connection is to be kept."""
        return len(self.connections) >= self.max_connections

    def admit(self, connection: Expiring) -> bool:
        """Takes a connection in, unless it is one that is not even read."""
        admitted = self.room > 0
        if admitted:
            self.connections.add(connection)
        return admitted

    def reply(self, environ: Environ, *, surplus: bool) -> Reply:
        """The app's, or a refusal instead. Raises whatever the app raises."""
        return self.overload.refusal(environ, surplus=surplus) or call_app(self.app, environ)

    @property
    def room(self) -> int:
        """How many connections may still come and be read, since each may be a probe; others are cut at once."""
        return self.max_connections + MAX_SURPLUS - len(self.connections)

    def sweep(self, now: float) -> None:
        """Cuts off the connections whose deadline has passed and, where there is little room left, those that rest."""
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.expire()
        if len(self.connections) > NEARLY_FULL * self.max_connections:
            for connection in list(self.connections):
                connection.close_if_idle()
