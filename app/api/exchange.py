"""One request and its reply: reading the body within limits, naming the request, writing JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from flask import Response, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.http import parse_options_header

from app.api.encodings import IDENTITY, check_encoding, decompressed, too_large
from app.api.lean import FinishedReply
from app.serving.prediction import RequestContext, random_hex, sane_request_id
from app.telemetry.logs import REQUEST_ID, render

BINARY = "application/octet-stream"

_CONTEXT = "anomaly.context"
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_JSON_TYPE = re.compile(r"application/(json|[a-z0-9.+-]+\+json)", re.ASCII)


def request_context() -> RequestContext:
    """Who asked, and since when: made at the first call within a request."""
    environ = request.environ
    context = environ.get(_CONTEXT)
    if context is None:
        trace = _trace(environ.get("HTTP_TRACEPARENT"))
        context = environ[_CONTEXT] = RequestContext(
            request_id=sane_request_id(environ.get("HTTP_X_REQUEST_ID")),
            trace_id=trace[0] if trace else None,
            trace_flags=trace[1] if trace else "00",
            started_s=time.perf_counter(),
        )
        environ[REQUEST_ID] = context.request_id
    return context


def read_json_body(max_bytes: int) -> bytes:
    """The whole body of a request that says it is JSON, or says nothing; decompressed where it is compressed.

    Raises `UnsupportedMediaType`, `RequestEntityTooLarge`, or `BadRequest` where it is shorter than declared or not
    what its encoding says.
    """
    environ = request.environ
    _check_media_type(environ.get("CONTENT_TYPE", ""))
    return _read_body(environ, max_bytes)


def read_tensor_body(max_bytes: int) -> bytes:
    """The same for a request that may also say it is bytes, since it may hold more than JSON."""
    environ = request.environ
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type.lower() != BINARY:
        _check_media_type(content_type)
    return _read_body(environ, max_bytes)


def _read_body(environ: Mapping[str, Any], max_bytes: int) -> bytes:
    encoding = environ.get("HTTP_CONTENT_ENCODING", IDENTITY)
    if encoding != IDENTITY:
        check_encoding(encoding)
        return decompressed(_read_bytes(environ, max_bytes), encoding, max_bytes)
    return _read_bytes(environ, max_bytes)


def _read_bytes(environ: Mapping[str, Any], max_bytes: int) -> bytes:
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


def respond(document: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON reply."""
    return reply(render(document), status, "application/json")


def respond_uncached(document: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON reply that is true only now."""
    response = respond(document, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def reply(body: bytes, status: int, media_type: str) -> Response:
    """A reply with this request's id and, where the client traces, its trace."""
    context = request_context()
    headers = [("Content-Type", media_type), ("X-Request-ID", context.request_id)]
    if context.trace_id is not None:
        headers.append(("traceparent", f"00-{context.trace_id}-{random_hex(64)}-{context.trace_flags}"))
    return FinishedReply(body, status, headers)


def _check_media_type(content_type: str) -> None:
    if content_type not in ("application/json", ""):
        media_type, options = parse_options_header(content_type)
        if not _JSON_TYPE.fullmatch(media_type.lower()):
            raise UnsupportedMediaType(f"Send JSON with 'Content-Type: application/json', not {media_type[:100]!r}")
        charset = options.get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(f"JSON is UTF-8, not {charset[:40]!r}")


def _trace(traceparent: str | None) -> tuple[str, str] | None:
    """(trace id, flags) of a W3C `traceparent`; None where it is malformed. Only versions above 00 may have more."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    if match is None or (match[1] == "00" and match[4] is not None):
        return None
    return match[2], match[3]
