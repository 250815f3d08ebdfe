"""One connection: bytes to requests, within limits and deadlines, and replies back.

Requests are answered inside the parser's callback, one after the other, so pipelined ones keep their order and
nothing of a connection ever runs beside itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import NoReturn, cast

import httptools
from structlog.typing import FilteringBoundLogger

from app.api.exchange import sane_request_id
from app.api.problem import PROBLEM_JSON, problem_body
from app.worker.wsgi import Environ, Reply, Request, WsgiApp, build_environ, call_app, status_line

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_URL_BYTES = 8 * 1024
LINGER_S = 2.0
"""How long a refused client may go on sending before the connection is cut: closing at once would take the reply
with it."""

AccessLog = Callable[[Environ, int, float, int], None]


@dataclass(slots=True)
class Endpoint:
    """What the connections of one worker share."""

    app: WsgiApp
    log: FilteringBoundLogger
    max_body_bytes: int
    request_timeout_s: float
    keep_alive_s: float
    access_log: AccessLog | None = None
    connections: set[Connection] = field(default_factory=set)
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


class _Refused(Exception):  # noqa: N818 - stops the parser; never leaves this module
    pass


class Connection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._client = self._server = ("", 0)
        self._reading_request = False
        self._reading_head = False
        self._refused = False
        self._head_bytes = 0
        self.deadline = clock() + endpoint.request_timeout_s

    # --- the transport's callbacks --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own transports are no subclass
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        self._endpoint.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._refused or self._transport.is_closing():
            return
        if not self._reading_request:
            self.deadline = self._clock() + self._endpoint.request_timeout_s
        head_goes_on = self._reading_head
        try:
            self._parser.feed_data(data)
            if head_goes_on and self._reading_head:
                self._count_head(len(data))  # a header without end never reaches `on_header`
        except httptools.HttpParserUpgrade:
            self._transport.close()  # the request itself was answered; there is no other protocol to go on in
        except httptools.HttpParserCallbackError:
            if not self._refused:
                raise
        except httptools.HttpParserInvalidMethodError:
            self._refuse(501, "The request's method is not known")
        except httptools.HttpParserError as error:
            self._refuse(400, f"The request is not valid HTTP: {error}")
        except _Refused:  # from `_count_head`; what a callback raises comes as HttpParserCallbackError
            return

    def eof_received(self) -> bool:
        if self._reading_request and not self._refused:
            where = "head" if self._reading_head else "body"
            self._refuse(400, f"The connection ended within the request's {where}, before all that was declared")
            return True  # the client only closed its own direction, and may still read
        return False

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    # --- the parser's callbacks -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._head_bytes = 0
        self._reading_request = self._reading_head = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > MAX_URL_BYTES:
            self._stop(414, f"The request's URL is longer than {MAX_URL_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._count_head(len(name) + len(value))
        if len(self._headers) > MAX_HEADERS:
            self._stop(431, f"The request has more than {MAX_HEADERS} headers")

    def on_headers_complete(self) -> None:
        self._reading_head = False
        hosts = expects = 0
        for name, value in self._headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                self._check_size(int(value))
            elif name == b"expect":
                expects += 1
                if value.lower() != b"100-continue":
                    self._stop(417, "Only 'Expect: 100-continue' can be met")
        if hosts > 1 or (hosts == 0 and self._parser.get_http_version() == "1.1"):
            self._stop(400, "The request must have one Host header")
        if expects:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        self._body += chunk
        self._check_size(len(self._body))

    def on_message_complete(self) -> None:
        self._reading_request = False
        self._answer()

    # --- answering ------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        started = time.perf_counter()
        request = Request(
            self._parser.get_method(), self._url, self._parser.get_http_version(), self._headers,
            bytes(self._body), self._client, self._server,
        )  # fmt: skip
        try:
            environ = build_environ(request)
        except ValueError as error:
            self._stop(400, f"The request is not valid HTTP: {error}")
        try:
            reply = call_app(self._endpoint.app, environ)
        except Exception:
            self._endpoint.log.exception("request.failed", path=environ["PATH_INFO"])
            self._stop(500, "The service failed")
        keep_alive = self._parser.should_keep_alive() and not self._endpoint.closing
        data = reply.encode(head=request.method == b"HEAD", keep_alive=keep_alive, date=self._endpoint.date())
        self._endpoint.requests += 1
        self.deadline = self._clock() + self._endpoint.keep_alive_s
        self._transport.write(data)
        if not keep_alive:
            self._transport.close()
        if self._endpoint.access_log is not None:
            duration_ms = (time.perf_counter() - started) * 1000
            self._endpoint.access_log(environ, int(reply.status[:3]), duration_ms, len(reply.body))

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._stop(431, f"The request's head is larger than {MAX_HEAD_BYTES} bytes")

    def _check_size(self, size: int) -> None:
        limit = self._endpoint.max_body_bytes
        if size > limit:
            self._stop(413, f"The body is larger than {limit} bytes (MAX_BODY_BYTES)")

    def _stop(self, status: int, detail: str) -> NoReturn:
        """Refuses from within a parser's callback, which an exception has to end."""
        self._refuse(status, detail)
        raise _Refused

    def _refuse(self, status: int, detail: str) -> None:
        """Answers what never reached the app, and ends the connection once the client has had time to read it."""
        self._refused = True
        request_id = sane_request_id(None)
        path = getattr(self, "_url", b"")[:200].decode("latin-1")
        self._endpoint.log.warning(
            "request.rejected", status=status, path=path, detail=detail, request_id=request_id, client=self._client[0]
        )
        body = problem_body(status, detail, instance=path, request_id=request_id)
        headers = [("Content-Type", PROBLEM_JSON), ("X-Request-ID", request_id)]
        reply = Reply(status_line(status), headers, body)
        self._transport.write(reply.encode(head=False, keep_alive=False, date=self._endpoint.date()))
        self.deadline = self._clock() + LINGER_S
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # --- leaving --------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The deadline has passed: tell a slow client, cut off a silent one."""
        if self._reading_request and not self._refused:
            self._refuse(408, f"The request was not complete after {self._endpoint.request_timeout_s:g} s")
        elif self._refused or self._transport.get_write_buffer_size():
            self._transport.abort()  # it reads nothing either, so nothing more can be told
        else:
            self._transport.close()

    def close_if_idle(self) -> None:
        """For shutting down: a connection between two requests ends now, any other after its reply."""
        if not self._reading_request and not self._refused:
            self._transport.close()


def _address(name: object) -> tuple[str, int]:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else (str(name or ""), 0)
