"""What the head of a request must be, beyond what the parser checks, and how large it may be.

Where a proxy might read a request differently, RFC 9112 is taken at its strictest: such a request is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_REQUEST_LINE_BYTES = 8190
"""The most that gunicorn's own workers can be told."""
MAX_URL_BYTES = MAX_REQUEST_LINE_BYTES - len("POST  HTTP/1.1")

_UPGRADE_HEADERS = frozenset({b"upgrade", b"connection", b"http2-settings"})
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:\d*)?")


class RefusedError(Exception):
    """The request goes no further; `status` and `detail` say why."""

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


def check_head(version: str, headers: Sequence[tuple[bytes, bytes]], max_body_bytes: int) -> bool:
    """Whether the client waits to be told to go on; header names are lower case. Raises `RefusedError`."""
    if version not in ("1.1", "1.0"):
        raise RefusedError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    hosts, expects = 0, False
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value):
                raise RefusedError(400, "The Host header is no host")
        elif name == b"content-length":
            check_size(int(value), max_body_bytes)
        elif name == b"transfer-encoding":
            if version == "1.0":
                raise RefusedError(400, "HTTP/1.0 knows no Transfer-Encoding")
            if value.lower() != b"chunked":
                raise RefusedError(501, "Only 'Transfer-Encoding: chunked' is known")
        elif name == b"expect":
            expects = True
            if value.lower() != b"100-continue":
                raise RefusedError(417, "Only 'Expect: 100-continue' can be met")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise RefusedError(400, "The request must have one Host header")
    return expects and version == "1.1"


def check_size(body_bytes: int, max_body_bytes: int) -> None:
    """Raises `RefusedError` where a body is larger than it may be."""
    if body_bytes > max_body_bytes:
        raise RefusedError(413, f"The body is larger than {max_body_bytes} bytes (MAX_BODY_BYTES)")


def without_upgrade(method: bytes, url: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head of a request as if it had not asked for another protocol.

    A client may always be answered in the one it already speaks (RFC 9110, section 7.8), and some ask with every
    request. The parser skips the body of one that asks.
    """
    lines = [b" ".join([method, url, b"HTTP/" + version.encode()])]
    for name, value in headers:
        if name not in _UPGRADE_HEADERS:
            lines.append(name + b": " + value)
        elif name == b"connection" and b"close" in value.lower():
            lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b""])
