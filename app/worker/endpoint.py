"""What the connections of one worker share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from app.worker.wsgi import Environ, WsgiApp

AccessLog = Callable[[Environ, int, float, int], None]
"""Told of each answered request: its environment, status, milliseconds and bytes."""


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

    def sweep(self, now: float) -> None:
        """Cuts off the connections whose deadline has passed."""
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.expire()
