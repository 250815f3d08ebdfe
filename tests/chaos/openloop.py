"""Requests that arrive at their own pace, whether or not earlier ones were answered: what an overload is made of."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import cast

import uvloop

from tests.chaos.judge import Judge

STRAGGLERS_S = 3.0
"""How long the last requests may take."""

Head = tuple[int, int, str | None, bool]
"""Status, length of the body, Retry-After, and whether the connection ends."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and its reply; status 0: the connection ended without one, or there was none to be had."""

    sent: float
    latency_s: float
    position: int
    status: int
    body: bytes = b""
    retry_after: str | None = None


@dataclass(slots=True)
class OpenLoop:
    """Sends `rate_per_s` requests for `seconds`, each on an idle connection or else a new one.

    An infinite rate keeps `connections` of them busy instead. `fresh`: every request has a connection of its own.
    """

    judge: Judge
    port: int
    rate_per_s: float
    seconds: float
    connections: int = 5000
    fresh: bool = False
    seed: int = 7
    samples: list[Sample] = field(default_factory=list)
    most_connections: int = 0
    _idle: list[_Connection] = field(default_factory=list)
    _open: int = 0
    _under_way: int = 0
    _requests: list[bytes] = field(default_factory=list)

    def run(self) -> list[Sample]:
        """All samples, once the last one is in."""
        close = "Connection: close\r\n" if self.fresh else ""
        head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{close}Content-Length: "
        self._requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in self.judge.bodies]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._send())
        return self.samples

    async def _send(self) -> None:
        random, start, sent = Random(self.seed), time.monotonic(), 0  # noqa: S311 - the same load each time
        while (elapsed := time.monotonic() - start) < self.seconds:
            due = self.connections if math.isinf(self.rate_per_s) else int(elapsed * self.rate_per_s) - sent
            for _ in range(min(due, self.connections - self._under_way)):
                self._under_way += 1
                sent += 1
                self._ask(random.randrange(len(self._requests)))
            self.most_connections = max(self.most_connections, self._open)
            await asyncio.sleep(0.002)
        give_up = time.monotonic() + STRAGGLERS_S
        while self._under_way and time.monotonic() < give_up:
            await asyncio.sleep(0.01)
        self.samples += [Sample(time.monotonic(), STRAGGLERS_S, 0, 0) for _ in range(self._under_way)]
        for connection in self._idle:
            connection.transport.close()

    def _ask(self, position: int) -> None:
        if self._idle:
            self._idle.pop().ask(position, self._requests[position], time.monotonic())
        else:
            self._open += 1
            asyncio.get_running_loop().create_task(self._connect(position, time.monotonic()))

    async def _connect(self, position: int, sent: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._answered, self._ended), "127.0.0.1", self.port
            )
        except OSError:
            self._open -= 1
            self._answered(None, Sample(sent, time.monotonic() - sent, position, 0))
        else:
            connection.ask(position, self._requests[position], sent)

    def _answered(self, connection: _Connection | None, sample: Sample) -> None:
        self._under_way -= 1
        self.samples.append(sample)
        if connection is not None:
            self._idle.append(connection)

    def _ended(self, connection: _Connection) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(
        self, answered: Callable[[_Connection | None, Sample], None], ended: Callable[[_Connection], None]
    ) -> None:
        self._answered, self._ended = answered, ended
        self._unread = b""
        self._asked: tuple[int, float] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, position: int, request: bytes, sent: float) -> None:
        self._asked = position, sent
        self.transport.write(request)
        if self.transport.is_closing():
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, separator, rest = self._unread.partition(b"\r\n\r\n")
        if not separator or self._asked is None:
            return
        status, length, retry_after, last = _read(head)
        if len(rest) >= length:
            (position, sent), self._asked, self._unread = self._asked, None, b""
            sample = Sample(sent, time.monotonic() - sent, position, status, rest[:length], retry_after)
            self._answered(None if last else self, sample)
            if last:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked is not None:
            (position, sent), self._asked = self._asked, None
            self._answered(None, Sample(sent, time.monotonic() - sent, position, 0))
        self._ended(self)


def _read(head: bytes) -> Head:
    line, *fields = head.decode("latin-1").lower().split("\r\n")
    named = dict(field.split(": ", 1) for field in fields)
    last = named.get("connection") == "close"
    return int(line.split()[1]), int(named["content-length"]), named.get("retry-after"), last
