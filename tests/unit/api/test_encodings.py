"""Compressed bodies: what was compressed, or a clear refusal, and never more memory than a plain body may take."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from app.api.encodings import check_encoding, decompressed

LIMIT = 1000
COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "GZip": gzip.compress,
}
both = pytest.mark.parametrize("encoding", ["gzip", "deflate"])


@pytest.mark.parametrize("encoding", COMPRESS)
@given(content=st.binary(max_size=LIMIT))
def test_what_was_compressed_comes_back(encoding: str, content: bytes) -> None:
    """Names in any case."""
    check_encoding(encoding)
    assert decompressed(COMPRESS[encoding](content), encoding, LIMIT) == content


@both
@pytest.mark.parametrize("size", [pytest.param(LIMIT, id="at the limit"), pytest.param(LIMIT + 1, id="over it")])
def test_the_limit_is_of_what_was_compressed(encoding: str, size: int) -> None:
    """A byte more is too much, however few came over the wire."""
    body = COMPRESS[encoding](bytes(size))
    if size <= LIMIT:
        assert decompressed(body, encoding, LIMIT) == bytes(size)
    else:
        with pytest.raises(RequestEntityTooLarge, match="MAX_BODY_BYTES"):
            decompressed(body, encoding, LIMIT)


@both
def test_a_bomb_is_refused_before_it_goes_off(encoding: str) -> None:
    """200 MB in 200 kB take no more memory than the limit allows."""
    stream = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join([*(stream.compress(bytes(2**20)) for _ in range(200)), stream.flush()])
    tracemalloc.start()
    with pytest.raises(RequestEntityTooLarge):
        decompressed(bomb, encoding, 100_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000 + len(bomb)


@both
@pytest.mark.parametrize("kept", [pytest.param(share, id=f"{share:.0%} of it") for share in (0.0, 0.1, 0.5, 0.99)])
def test_a_stream_that_breaks_off_is_refused(encoding: str, kept: float) -> None:
    """Also where all of its content has come, and only the checksum has not."""
    body = COMPRESS[encoding](bytes(range(256)))
    with pytest.raises(BadRequest, match="ended within"):
        decompressed(body[: int(len(body) * kept)], encoding, LIMIT)
    with pytest.raises(BadRequest, match="ended within"):
        decompressed(body[:-1], encoding, LIMIT)


@both
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda body: b"{}" + body, id="no header"),
        pytest.param(lambda body: body[:-5] + bytes(byte ^ 1 for byte in body[-5:]), id="a wrong checksum"),
        pytest.param(lambda body: body[:12] + b"\xff\xff\xff" + body[15:], id="broken in the middle"),
    ],
)
def test_a_corrupt_stream_is_refused(encoding: str, damage: Callable[[bytes], bytes]) -> None:
    """400, not a fault of the service."""
    with pytest.raises(BadRequest, match=f"not valid {encoding}"):
        decompressed(damage(COMPRESS[encoding](bytes(range(256)))), encoding, LIMIT)


def test_each_encoding_is_what_its_name_says() -> None:
    """Neither takes the other's format, nor deflate's data without zlib's frame around it."""
    bare = zlib.compressobj(wbits=-15)
    for encoding, body in (
        ("gzip", zlib.compress(b"{}")),
        ("deflate", gzip.compress(b"{}")),
        ("deflate", bare.compress(b"{}") + bare.flush()),
    ):
        with pytest.raises(BadRequest):
            decompressed(body, encoding, LIMIT)


@both
@pytest.mark.parametrize("behind", ["x", "a second stream"])
def test_nothing_may_follow_the_stream(encoding: str, behind: str) -> None:
    """Two readers could differ about it: one stream, or a refusal."""
    body = COMPRESS[encoding](b"{}")
    more = body if behind == "a second stream" else behind.encode()
    with pytest.raises(BadRequest, match=f"^400 Bad Request: {len(more)} bytes follow the body's {encoding} stream"):
        decompressed(body + more, encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "compress", "", "x" * 5000])
def test_other_encodings_are_refused_with_those_that_are_known(encoding: str) -> None:
    """415, before the body is read."""
    with pytest.raises(UnsupportedMediaType) as caught:
        check_encoding(encoding)
    assert "use gzip or deflate, or none" in str(caught.value.description)
    assert len(str(caught.value.description)) < 200


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
def test_no_encoding_by_name_is_none(encoding: str) -> None:
    """Some clients say so."""
    check_encoding(encoding)
    assert decompressed(b"{}", encoding, LIMIT) == b"{}"
