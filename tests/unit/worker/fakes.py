"""Stand-ins for the worker's surroundings: a transport that keeps what is written, a clock that is set by hand."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from app.worker.endpoint import Endpoint
from app.worker.overload import Overload
from app.worker.protocol import Connection
from app.worker.wsgi import Environ, WsgiApp


class FakeTransport(asyncio.Transport):
    """Remembers what the connection did to it. While `stuck` its peer reads nothing, and `close` never completes."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 4711), "sockname": ("192.0.2.1", 5000)})
        self.written = b""
        self.written_after_close = b""
        self.closed = self.aborted = self.eof_written = False
        self.reading = True
        self.stuck = False

    def get_write_buffer_size(self) -> int:
        return len(self.written) if self.stuck else 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed or self.aborted or self.eof_written:
            self.written_after_close += bytes(data)
        else:
            self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def abort(self) -> None:
        self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_written = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Parsed:
    """One reply as a client would read it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def essence(self) -> tuple[int, object, str | None]:
        """What does not differ from one run to the next: no date, no request id."""
        body: object = self.body
        if self.headers.get("content-type") == "application/problem+json":
            body = {key: value for key, value in json.loads(self.body).items() if key in ("detail", "status", "error")}
        return self.status, body, self.headers.get("connection")


def replies(data: bytes) -> list[Parsed]:
    """All replies in what a server wrote (none of them to HEAD); fails where something else is between them."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        size = int(headers.get("content-length", 0))
        assert len(data) >= size
        found.append(Parsed(int(status), headers, data[:size]))
        data = data[size:]
    return found


class Client:
    """One connection to an endpoint, without a network."""

    def __init__(self, endpoint: Endpoint, clock: FakeClock | None = None) -> None:
        self.transport = FakeTransport()
        self.connection = Connection(endpoint, clock or FakeClock())
        self.connection.connection_made(self.transport)

    def send(self, *parts: bytes) -> list[Parsed]:
        """Sends segments as TCP would deliver them; returns all replies so far."""
        for part in parts:
            if self.transport.reading and not self.transport.is_closing():
                self.connection.data_received(part)
        return self.replies

    @property
    def replies(self) -> list[Parsed]:
        return replies(self.transport.written)


class Journal:
    """An event log that a test can read."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def logger(self) -> structlog.typing.FilteringBoundLogger:
        bound: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[self._keep], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG)
        )
        return bound

    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    def _keep(self, _logger: object, _level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        self.events.append(dict(event))
        raise structlog.DropEvent


def echo(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with what it was asked."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["PATH_INFO"].encode("latin-1"), b" ", body]


def endpoint(app: WsgiApp = echo, journal: Journal | None = None, **settings: Any) -> Endpoint:
    """An endpoint with small limits and long times, unless told otherwise."""
    log = (journal or Journal()).logger()
    values = {
        "max_body_bytes": 1000, "request_timeout_s": 10.0, "keep_alive_s": 75.0, "max_connections": 1_000_000,
        "overload": Overload(1.0, 60.0, log, lambda: None),
        "refused": lambda status: None, "call_soon": lambda call: call(), **settings,
    }  # fmt: skip
    return Endpoint(app, log, **values)
