"""What a service may answer, whatever it was sent."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.e2e.wire import ENVELOPE

_BODILESS = (100, 204, 304)
_ALLOWED_5XX = (501, 505)


class UnacceptableError(Exception):
    """A reply that no request may get."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


def read_replies(data: bytes) -> list[Reply]:
    """The replies in all that came back on a connection. Raises `UnacceptableError`."""
    replies: list[Reply] = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        if not separator or not line.startswith(b"HTTP/1.1 "):
            raise UnacceptableError(f"no HTTP came back: {head[:200]!r}")
        headers = {name.lower(): value for name, _, value in (field.partition(b": ") for field in fields)}
        status = int(line[9:12])
        size = int(headers.get(b"content-length", b"-1"))
        if size < 0 and status not in _BODILESS:
            raise UnacceptableError(f"a reply without a length: {head[:200]!r}")
        if size <= 0 or not data or data.startswith(b"HTTP/1.1 "):  # the reply to HEAD has a length and no body
            body = b""
        else:
            body, data = data[:size], data[size:]
            if len(body) < size:
                raise UnacceptableError(f"a reply that is cut off: {head[:200]!r}")
        check(status, headers.get(b"content-type", b""), body)
        replies.append(Reply(status, body))
    return replies


def check(status: int, media_type: bytes, body: bytes) -> None:
    """Raises `UnacceptableError` for a fault of the service, or an error outside the envelope."""
    if status >= 500 and status not in _ALLOWED_5XX:
        raise UnacceptableError(f"status {status}: {body[:300]!r}")
    if status < 400 or not body:
        return
    try:
        document = json.loads(body)
    except ValueError:
        raise UnacceptableError(f"status {status} with a body that is no JSON: {body[:300]!r}") from None
    if media_type != b"application/problem+json" or not document.keys() >= ENVELOPE:
        raise UnacceptableError(f"status {status} outside the envelope: {body[:300]!r}")
    if not (isinstance(document["error"], str) and document["error"] and document["request_id"]):
        raise UnacceptableError(f"status {status} without error or request_id: {body[:300]!r}")
