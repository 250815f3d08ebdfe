"""One request and its reply: reading the body within limits, naming the request, writing JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.http import parse_options_header

from app.api.encodings import IDENTITY, check_encoding, decompressed, too_large
from app.serving.prediction import RequestContext, sane_request_id
from app.telemetry.current import REQUEST, current_request
from app.telemetry.logs import render
from app.telemetry.tracing import SPAN, Span, continued

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Environ = dict[str, Any]
"""A request as WSGI (PEP 3333) has it."""

BINARY = "application/octet-stream"
UNCACHED = (("Cache-Control", "no-store"),)

CLIENT = "anomaly.client"
"""Where the name of the key that was sent stands in a request's environment."""

HEADERS = "anomaly.headers"
"""Further headers of whatever reply a request gets."""

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_JSON_TYPE = re.compile(r"application/(json|[a-z0-9.+-]+\+json)", re.ASCII)


class Reply:
    """A reply whose bytes and headers are final: a WSGI app of its own, so that Flask takes it for a response."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, status: int, headers: list[tuple[str, str]]) -> None:
        self.body = body
        self.status = status
        self.headers = headers

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(_STATUS_LINES[self.status], [*self.headers, ("Content-Length", str(len(self.body)))])
        return [self.body] if environ["REQUEST_METHOD"] != "HEAD" else []


def request_context(environ: Environ) -> RequestContext:
    """Who asked, and since when: made at the first call within a request."""
    context: RequestContext | None = environ.get(REQUEST)
    if context is None:
        span: Span | None = environ.get(SPAN)
        trace = continued(environ.get("HTTP_TRACEPARENT")) if span is None else span.trace
        context = environ[REQUEST] = RequestContext(
            sane_request_id(environ.get("HTTP_X_REQUEST_ID")),
            trace.trace_id if trace is not None else None,
            time.perf_counter(),
            environ.get(CLIENT),
            trace,
            span,
        )
        current_request.set(context)
    return context


def read_json_body(environ: Environ, max_bytes: int) -> bytes:
    """The whole body of a request that says it is JSON, or says nothing; decompressed where it is compressed.

    Raises `UnsupportedMediaType`, `RequestEntityTooLarge`, or `BadRequest` where it is shorter than declared or not
    what its encoding says.
    """
    _check_media_type(environ.get("CONTENT_TYPE", ""))
    return _read_body(environ, max_bytes)


def read_tensor_body(environ: Environ, max_bytes: int) -> bytes:
    """The same for a request that may also say it is bytes, since JSON may be only the first part of it."""
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type.lower() != BINARY:
        _check_media_type(content_type)
    return _read_body(environ, max_bytes)


def _read_body(environ: Environ, max_bytes: int) -> bytes:
    encoding = environ.get("HTTP_CONTENT_ENCODING", IDENTITY)
    if encoding == IDENTITY:
        return _read_bytes(environ, max_bytes)
    check_encoding(encoding)
    return decompressed(_read_bytes(environ, max_bytes), encoding, max_bytes)


def _read_bytes(environ: Environ, max_bytes: int) -> bytes:
    stream, declared = environ["wsgi.input"], environ.get("CONTENT_LENGTH")
    try:
        if declared:
            if not (declared.isascii() and declared.isdigit()):
                raise BadRequest("Content-Length is not a number")
            if int(declared) > max_bytes:
                raise too_large(max_bytes)
            body: bytes = stream.read(int(declared))
            if len(body) < int(declared):
                raise BadRequest(f"The body ended after {len(body)} of the {declared} bytes declared")
        elif environ.get("wsgi.input_terminated"):
            body = stream.read(max_bytes + 1)
            if len(body) > max_bytes:
                raise too_large(max_bytes)
        else:
            body = b""
    except (OSError, ParseException) as error:  # what servers raise over broken chunks
        raise BadRequest(f"The body could not be read: {error}") from None
    return body


def respond(
    environ: Environ, document: Mapping[str, Any], status: int = 200, headers: Sequence[tuple[str, str]] = ()
) -> Reply:
    """A JSON reply; `headers` are further ones."""
    return reply(environ, render(document), status, "application/json", headers)


def reply(
    environ: Environ, body: bytes, status: int, media_type: str, headers: Sequence[tuple[str, str]] = ()
) -> Reply:
    """A reply with this request's id and, where the client traces, its trace."""
    context = request_context(environ)
    all_headers = [("Content-Type", media_type), ("X-Request-ID", context.request_id), *headers]
    if HEADERS in environ:
        all_headers += environ[HEADERS]
    if context.trace is not None:
        all_headers.append(("traceparent", context.trace.traceparent))
    return Reply(body, status, all_headers)


def _check_media_type(content_type: str) -> None:
    if content_type not in ("application/json", ""):
        media_type, options = parse_options_header(content_type)
        if not _JSON_TYPE.fullmatch(media_type.lower()):
            raise UnsupportedMediaType(f"Send JSON with 'Content-Type: application/json', not {media_type[:100]!r}")
        charset = options.get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(f"JSON is UTF-8, not {charset[:40]!r}")
