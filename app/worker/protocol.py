"""One connection: bytes to requests, within limits and deadlines, and replies back.

Requests are answered inside the parser's callback, one after the other, so pipelined ones keep their order and
nothing of a connection ever runs beside itself. Between them other connections have their turn: what a client sent
at once is given to the parser in pieces.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools

from app.worker.endpoint import LAST_CALL_S, Endpoint
from app.worker.head import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_URL_BYTES,
    RefusedError,
    check_head,
    check_size,
    without_upgrade,
)
from app.worker.refusal import refusal
from app.worker.turns import PIECE_BYTES, Turns
from app.worker.wsgi import Request, build_environ, request_ids

_HEAD_TOO_LARGE = f"The request's head is larger than {MAX_HEAD_BYTES} bytes"
LINGER_S = 2.0
"""How long a refused client may go on sending before the connection is cut: closing at once would take the reply
with it."""


class _Over(Exception):  # noqa: N818 - stops the parser; never leaves this module
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
        self._over = False
        self._answered = 0
        self._turns: Turns
        self._steps = 0
        self._bytes_without_step = 0
        self._last_use = clock()
        self.deadline = self._last_use + endpoint.request_timeout_s

    # --- the transport's callbacks --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own transports are no subclass
        self._turns = Turns(self._parse, self._endpoint.call_soon, self._transport)
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        self._surplus = self._endpoint.full
        self._over = not self._endpoint.admit(self)
        if self._over:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._endpoint.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if len(data) <= PIECE_BYTES:
            self._parse(data)
        else:
            self._turns.take(data)

    def _parse(self, data: bytes | memoryview) -> bool:
        """Gives the parser more; True where that completed a request, which is answered then."""
        if self._over:
            return False
        answered, steps = self._answered, self._steps
        rest = self._feed(data)
        while rest is not None:
            rest = self._feed(rest)
        # A header, trailer or chunk extension without end keeps the parser collecting, and calls nothing here.
        self._bytes_without_step = self._bytes_without_step + len(data) if steps == self._steps else 0
        if self._bytes_without_step > MAX_HEAD_BYTES and not self._over:
            self._refuse(431, _HEAD_TOO_LARGE)
        return self._answered > answered

    def _feed(self, data: bytes | memoryview) -> bytes | None:
        """Gives the parser bytes; returns what to give it next where it stopped before a change of protocols."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            head = without_upgrade(self._parser.get_method(), self._url, self._parser.get_http_version(), self._headers)
            self._parser = httptools.HttpRequestParser(self)
            return head + bytes(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, RefusedError):
                self._refuse(error.__context__.status, error.__context__.detail)
            elif not self._over:
                raise
        except httptools.HttpParserInvalidMethodError:
            self._refuse(501, "The request's method is not known")
        except httptools.HttpParserError as error:
            self._refuse(400, f"The request is not valid HTTP: {error}")
        return None

    def eof_received(self) -> bool:
        if self._reading_request and not self._over:
            where = "head" if self._reading_head else "body"
            self._refuse(400, f"The connection ended within the request's {where}, before all that was declared")
            return True  # the client only closed its own direction, and may still read
        return False

    def pause_writing(self) -> None:
        self._turns.pause()

    def resume_writing(self) -> None:
        self._turns.resume()

    # --- the parser's callbacks -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._head_bytes = self._fields = 0
        self._reading_request = self._reading_head = True
        self._upgrading = False
        self._steps += 1
        self.deadline = self._clock() + self._endpoint.request_timeout_s

    def on_url(self, url: bytes) -> None:
        self._steps += 1
        self._url += url
        if len(self._url) > MAX_URL_BYTES:
            raise RefusedError(414, f"The request's URL is longer than {MAX_URL_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._steps += 1
        self._fields += 1
        self._head_bytes += len(name) + len(value)
        if self._reading_head:  # a trailer comes after the decisions that its name may be about (RFC 9110, 6.5.1)
            self._headers.append((name.lower(), value.rstrip(b" \t")))
        if self._fields > MAX_HEADERS:
            raise RefusedError(431, f"The request has more than {MAX_HEADERS} headers")
        if self._head_bytes > MAX_HEAD_BYTES:
            raise RefusedError(431, _HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._upgrading = self._parser.should_upgrade()
        if not self._upgrading:
            if check_head(self._parser.get_http_version(), self._headers, self._endpoint.max_body_bytes):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif self._parser.get_method() == b"CONNECT":
            raise RefusedError(501, "This is no proxy")

    def on_body(self, chunk: bytes) -> None:
        self._steps += 1
        self._body += chunk
        check_size(len(self._body), self._endpoint.max_body_bytes)

    def on_message_complete(self) -> None:
        if not self._upgrading:
            self._reading_request = False
            self._answer()

    # --- answering ------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        started = self._clock()
        method = self._parser.get_method()
        request = Request(
            method, self._url, self._parser.get_http_version(), self._headers,
            bytes(self._body), self._client, self._server,
        )  # fmt: skip
        try:
            environ = build_environ(request)
        except ValueError as error:
            raise RefusedError(400, f"The request is not valid HTTP: {error}") from None
        keep_alive = self._parser.should_keep_alive() and not (self._endpoint.closing or self._surplus)
        try:
            reply = self._endpoint.reply(environ, surplus=self._surplus)
            data = reply.encode(head=method == b"HEAD", keep_alive=keep_alive, date=self._endpoint.date())
        except Exception:
            self._endpoint.log.exception("request.failed", path=environ["PATH_INFO"], **self._ids())
            self._end_with(500, "The service failed; the request id names the log entry")
            raise _Over from None
        self._answered += 1
        self._endpoint.requests += 1
        self._last_use = self._clock()
        self.deadline = self._last_use + self._endpoint.keep_alive_s
        self._endpoint.overload.answered(started, self._last_use)
        self._transport.write(data)
        if self._endpoint.access_log is not None:
            duration_ms = (self._last_use - started) * 1000
            self._endpoint.access_log(environ, int(reply.status[:3]), duration_ms, len(reply.body))
        if not keep_alive:
            self._over = True
            self._transport.close()
            raise _Over  # what is pipelined behind a last request is not read, and so never half done

    def _refuse(self, status: int, detail: str) -> None:
        """Answers what never reached the app; counted and logged here, since nobody else will."""
        self._endpoint.refused(status)
        self._endpoint.log.warning(
            "request.rejected", status=status, path=self._path, detail=detail, client=self._client[0], **self._ids()
        )
        self._end_with(status, detail)

    def _end_with(self, status: int, detail: str) -> None:
        """A last reply, and the end of the connection once the client has had time to read it."""
        self._refused = self._over = True
        reply = refusal(status, detail, self._path, self._ids()["request_id"])
        head = self._reading_request and not self._reading_head and self._parser.get_method() == b"HEAD"
        self._transport.write(reply.encode(head=head, keep_alive=False, date=self._endpoint.date()))
        self.deadline = self._clock() + LINGER_S
        if self._transport.can_write_eof():
            self._transport.write_eof()

    @property
    def _path(self) -> str:
        return getattr(self, "_url", b"")[:200].decode("latin-1")

    def _ids(self) -> dict[str, str]:
        """The client's own, where they came so far and are sane, and one id however often it is asked for."""
        headers = getattr(self, "_headers", [])
        found = request_ids(headers)
        self._headers = [(b"x-request-id", found["request_id"].encode()), *headers]
        return found

    # --- leaving --------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The deadline has passed: tell a slow client, cut off a silent one."""
        if self._reading_request and not self._over:
            self._refuse(408, f"The request was not complete after {self._endpoint.request_timeout_s:g} s")
        elif self._over or self._transport.get_write_buffer_size():
            self._transport.abort()  # it reads nothing either, so nothing more can be told
        else:
            self._transport.close()

    def close_if_idle(self) -> None:
        """To make room, or to leave: a connection that rests ends now; any other is let be."""
        resting = self._clock() - self._last_use > LAST_CALL_S
        if resting and not (self._reading_request or self._turns.waiting or self._refused):
            self._transport.close()


def _address(name: object) -> tuple[str, int]:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else (str(name or ""), 0)
