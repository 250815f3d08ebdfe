"""WSGI (PEP 3333) for a request that is wholly in memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from app.serving.prediction import sane_request_id
from app.telemetry.current import ids
from app.telemetry.tracing import continued

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_UNPREFIXED = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_HOP_BY_HOP = frozenset({b"transfer-encoding"})
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request as it came off the wire; header names are lower case."""

    method: bytes
    url: bytes
    version: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    client: tuple[str, int]
    server: tuple[str, int]


class Reply:
    """What the app answered, collected."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def encode(self, *, head: bool, keep_alive: bool, date: bytes) -> bytes:
        """The reply's bytes; `head` leaves the body out, as HEAD asks."""
        parts = [b"HTTP/1.1 ", self.status.encode("latin-1"), b"\r\nDate: ", date]
        has_length = False
        for name, value in self.headers:
            parts.append(f"\r\n{name}: {value}".encode("latin-1"))
            has_length = has_length or name.lower() == "content-length"
        bodiless = self.status.startswith(("1", "204", "304"))
        if not has_length and not bodiless:
            parts.append(b"\r\nContent-Length: %d" % len(self.body))
        parts.append(b"\r\n\r\n" if keep_alive else b"\r\nConnection: close\r\n\r\n")
        if not head and not bodiless:
            parts.append(self.body)
        return b"".join(parts)


def status_line(status: int) -> str:
    """`404 Not Found`."""
    return f"{status} {_REASONS.get(status, 'Error')}"


def split_url(url: bytes) -> tuple[str, str]:
    """(PATH_INFO, QUERY_STRING) of a request target. Raises `ValueError`."""
    if not url.startswith(b"/"):
        if url == b"*":
            return "*", ""
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError as error:
            raise ValueError("invalid request target") from error
        url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
    path, _, query = url.partition(b"#")[0].partition(b"?")
    if b"%" in path:
        path = unquote_to_bytes(path)
    return path.decode("latin-1"), query.decode("latin-1")


def build_environ(request: Request) -> Environ:
    """The WSGI environment of a request. Raises `ValueError` where its target is no URL."""
    path, query = split_url(request.url)
    environ: Environ = {
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": request.url.decode("latin-1"),
        "SERVER_NAME": request.server[0],
        "SERVER_PORT": str(request.server[1]),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": request.client[0],
        "REMOTE_PORT": str(request.client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        # `Content_Length` would come out as `Content-Length` does: a way to smuggle, and no proxy needs it.
        if b"_" in name or name in _HOP_BY_HOP:
            continue
        key = _UNPREFIXED.get(name) or _environ_key(name)
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if request.body:
        environ["CONTENT_LENGTH"] = str(len(request.body))  # also where it came in chunks
    return environ


def request_ids(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The ids of a request that does not reach the app, as the app would have taken them from its headers."""
    sent = {name: value.decode("latin-1") for name, value in reversed(headers)}
    trace = continued(sent.get(b"traceparent"))
    return ids(sane_request_id(sent.get(b"x-request-id")), trace.trace_id if trace is not None else None)


_KEYS: dict[bytes, str] = {}
_KEYS_KEPT = 256


def _environ_key(name: bytes) -> str:
    key = _KEYS.get(name)
    if key is None:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        if len(_KEYS) < _KEYS_KEPT:
            _KEYS[name] = key
    return key


def call_app(app: WsgiApp, environ: Environ) -> Reply:
    """Runs the app to the end of its reply. Raises whatever it raises."""
    started: list[tuple[str, Headers]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        if started and exc_info is None:
            raise AssertionError("start_response was called twice")
        started[:] = [(status, headers)]
        written.clear()  # an error page takes the place of what was written before it
        return written.append

    chunks = app(environ, start_response)
    try:
        returned = list(chunks)  # iterating may write more, and what is written comes first
        body = b"".join([*written, *returned])
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    if not started:
        raise AssertionError("the app did not call start_response")
    status, headers = started[0]
    return Reply(status, headers, body)
