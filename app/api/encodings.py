"""Compressed request bodies: decompressed to at most as many bytes as an uncompressed one may have."""

from __future__ import annotations

import zlib

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

IDENTITY = "identity"
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""How zlib is told the format; `deflate` is zlib's own, as RFC 9110 has it."""

ENCODINGS = ("gzip", "deflate", IDENTITY)


def check_encoding(encoding: str) -> None:
    """Raises `UnsupportedMediaType` where a body so encoded cannot be read."""
    if encoding.lower() not in (*_WINDOW_BITS, IDENTITY):
        known = " or ".join(ENCODINGS[:-1])
        raise UnsupportedMediaType(f"Content-Encoding {encoding[:40]!r} is not supported; use {known}, or none")


def decompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """What was compressed: one stream, complete, and nothing behind it.

    Never holds more than `max_bytes` + 1 bytes of it, however much there would be. Raises `RequestEntityTooLarge` or
    `BadRequest`.
    """
    encoding = encoding.lower()
    if encoding == IDENTITY:
        return body
    stream = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        content = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise BadRequest(f"The body is not valid {encoding}: {error}") from None
    if len(content) > max_bytes:
        raise too_large(max_bytes)
    if not stream.eof:
        raise BadRequest(f"The body ended within its {encoding} stream")
    if stream.unused_data:
        raise BadRequest(f"{len(stream.unused_data)} bytes follow the body's {encoding} stream; send one stream")
    return content


def too_large(max_bytes: int) -> RequestEntityTooLarge:
    """The refusal of a body over the limit."""
    return RequestEntityTooLarge(f"The body is larger than {max_bytes} bytes (MAX_BODY_BYTES)")
