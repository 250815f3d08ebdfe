"""Reading a request and answering it: media types, lengths, request ids and traces."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from app.api import exchange
from app.api.exchange import Environ, read_json_body, read_tensor_body, request_context, respond
from app.serving.prediction import sane_request_id
from app.telemetry.current import current_request

LIMIT = 100
MADE_ID = re.compile(r"[0-9a-f]{24}")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@contextmanager
def asked(body: bytes = b"{}", **environ: Any) -> Iterator[Environ]:
    """A request as a WSGI server would hand it over; a value of None leaves its variable out."""
    made = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/predict",
        "QUERY_STRING": "",
        "SERVER_NAME": "a",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        **{name.replace("__", "."): value for name, value in environ.items()},
    }
    try:
        yield {name: value for name, value in made.items() if value is not None}
    finally:
        current_request.set(None)


# --- media types --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json ; charset=utf8",
        "application/json; charset=us-ascii",
        "application/json; profile=x; charset=utf-8",
        "application/json; charset=utf-8; profile=x",
        "application/json; odata.metadata=minimal",
        "application/vnd.api+json",
        "application/problem+json",
        "",
        None,
    ],
)
def test_json_by_any_name_is_read(content_type: str | None) -> None:
    """Parameters in any order and case; nothing said is taken for JSON too."""
    with asked(b"[1]", CONTENT_TYPE=content_type) as environ:
        assert read_json_body(environ, LIMIT) == b"[1]"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "text/plain",
        "text/plain; x=application/json",
        "application/xml",
        "application/jsonp",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; profile=x; charset=utf-16",
        "json",
        ";",
        "x" * 10_000,
        "\u0130/json",
    ],
)
def test_what_is_said_to_be_something_else_is_not_read(content_type: str) -> None:
    """415, with a message that says what to send and does not repeat a whole kilobyte of what was sent."""
    with asked(CONTENT_TYPE=content_type) as environ, pytest.raises(UnsupportedMediaType) as caught:
        read_json_body(environ, LIMIT)
    assert "JSON" in str(caught.value.description)
    assert len(str(caught.value.description)) < 300


@pytest.mark.parametrize("read", [read_json_body, read_tensor_body])
@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_compressed_body_is_decompressed(
    read: Callable[[Environ, int], bytes], encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """Within the limit of an uncompressed one."""
    largest = b"[" + b" " * (LIMIT - 2) + b"]"
    with asked(compress(largest), HTTP_CONTENT_ENCODING=encoding) as environ:
        assert read(environ, LIMIT) == largest
    larger = compress(largest + b" ")
    with asked(larger, HTTP_CONTENT_ENCODING=encoding) as environ, pytest.raises(RequestEntityTooLarge):
        read(environ, LIMIT)


@pytest.mark.parametrize("read", [read_json_body, read_tensor_body])
@pytest.mark.parametrize("encoding", ["br", "deflate, gzip", "x" * 5000])
def test_a_body_encoded_in_a_way_nobody_here_knows_is_not_read(
    read: Callable[[Environ, int], bytes], encoding: str
) -> None:
    """Nor is any of it taken from the stream."""
    with asked(HTTP_CONTENT_ENCODING=encoding) as environ:
        with pytest.raises(UnsupportedMediaType):
            read(environ, LIMIT)
        assert environ["wsgi.input"].tell() == 0


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "Application/Octet-Stream", "application/json", "", None]
)
def test_tensors_may_be_bytes_or_json(content_type: str | None) -> None:
    """Clients of the Open Inference Protocol say the one, the other, or nothing."""
    with asked(CONTENT_TYPE=content_type) as environ:
        assert read_tensor_body(environ, LIMIT) == b"{}"


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "application/octet-stream-x"])
def test_tensors_are_nothing_else(content_type: str) -> None:
    """415, as for JSON."""
    with asked(CONTENT_TYPE=content_type) as environ, pytest.raises(UnsupportedMediaType):
        read_tensor_body(environ, LIMIT)


@pytest.mark.parametrize("encoding", ["identity", "Identity", None])
def test_a_body_said_not_to_be_encoded_is_read(encoding: str | None) -> None:
    """Some clients say so."""
    with asked(HTTP_CONTENT_ENCODING=encoding) as environ:
        assert read_json_body(environ, LIMIT) == b"{}"


# --- lengths ------------------------------------------------------------------------------------------------


class BrokenStream(io.BytesIO):
    """What a server's stream does when a chunk is not what it says."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError("Invalid chunk size: b'zz'")


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_body_within_the_limit_is_read_whole(size: int, declared: bool) -> None:
    """The limit itself is within."""
    more = {} if declared else {"CONTENT_LENGTH": None, "wsgi__input_terminated": True}
    with asked(b"x" * size, **more) as environ:
        assert read_json_body(environ, LIMIT) == b"x" * size


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_never_cut(declared: bool) -> None:
    """413, rather than the first part of it."""
    more = {} if declared else {"CONTENT_LENGTH": None, "wsgi__input_terminated": True}
    with asked(b"x" * (LIMIT + 1), **more) as environ, pytest.raises(RequestEntityTooLarge):
        read_json_body(environ, LIMIT)


def test_a_body_that_ends_early_is_refused() -> None:
    """The part that came may look whole."""
    with asked(b"{}", CONTENT_LENGTH="3") as environ, pytest.raises(BadRequest, match="2 of the 3 bytes"):
        read_json_body(environ, LIMIT)


@pytest.mark.parametrize("declared", ["abc", "-1", "1.0", "\u0663", "1_0"])
def test_a_length_that_is_no_length_is_refused(declared: str) -> None:
    """Not every server checks it: 400, not a failure of the service, and nothing unbounded is read."""
    with asked(b"x" * 50, CONTENT_LENGTH=declared) as environ, pytest.raises(BadRequest):
        read_json_body(environ, LIMIT)


def test_a_body_of_unknown_length_is_not_waited_for() -> None:
    """Without a length and without an end the stream may never end."""
    with asked(b"{}", CONTENT_LENGTH=None) as environ:
        assert read_json_body(environ, LIMIT) == b""


def test_a_stream_that_breaks_is_the_clients_fault() -> None:
    """Servers raise `OSError` over broken chunks."""
    chunked = asked(CONTENT_LENGTH=None, wsgi__input_terminated=True, wsgi__input=BrokenStream())
    with chunked as environ, pytest.raises(BadRequest, match="Invalid chunk size"):
        read_json_body(environ, LIMIT)


# --- ids and traces -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["a", "A-1_b", "01J9:x/y+z=.", "x" * 128], ids=["short", "mixed", "marks", "longest"])
def test_a_sane_request_id_is_kept(sent: str) -> None:
    """So that a caller finds its own id in the log."""
    with asked(HTTP_X_REQUEST_ID=sent) as environ:
        assert request_context(environ).request_id == sent
        assert dict(respond(environ, {}).headers)["X-Request-ID"] == sent


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 129, id="too long"),
        pytest.param("a b", id="a space"),
        pytest.param("a\n", id="a line break at the end"),
        pytest.param("a\r\nSet-Cookie: b", id="a header"),
        pytest.param('"}', id="quotes"),
        pytest.param("é", id="not ASCII"),
        pytest.param("\u0663", id="a digit of another script"),
        pytest.param(None, id="none"),
    ],
)
def test_any_other_request_id_is_replaced(sent: str | None) -> None:
    """By one that is new each time."""
    first, second = sane_request_id(sent), sane_request_id(sent)
    assert MADE_ID.fullmatch(first)
    assert MADE_ID.fullmatch(second)
    assert first != second


@given(st.text(max_size=200))
def test_a_request_id_is_always_safe_to_write(sent: str) -> None:
    """In a header, in a log line, in a shell."""
    assert re.fullmatch(r"[\x21-\x7e]{1,128}", sane_request_id(sent))


def test_one_request_has_one_context() -> None:
    """Its id and its start do not change from one look to the next."""
    with asked() as environ:
        assert request_context(environ) is request_context(environ)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", id="not sampled"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", id="a later version"),
        pytest.param(f"01-{TRACE}-{SPAN}-01-what-the-future-brings", id="a later and longer version"),
    ],
)
def test_a_trace_is_continued(sent: str) -> None:
    """The reply names the same trace and a span of its own."""
    with asked(HTTP_TRACEPARENT=sent) as environ:
        assert request_context(environ).trace_id == TRACE
        version, trace, span, _flags = dict(respond(environ, {}).headers)["traceparent"].split("-")
    assert (version, trace) == ("00", TRACE)
    assert re.fullmatch(r"[0-9a-f]{16}", span)
    assert span != SPAN


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="an all-zero trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="an all-zero span"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", id="the forbidden version"),
        pytest.param(f"00-{TRACE}-{SPAN}-01-more", id="longer than its version allows"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", id="capitals"),
        pytest.param(f"00-{TRACE[:-1]}-{SPAN}-01", id="a short trace"),
        pytest.param(f"00-{TRACE}-{SPAN}", id="no flags"),
        pytest.param(f"00-{TRACE}-{SPAN}-01\n", id="a line break"),
        pytest.param(f" 00-{TRACE}-{SPAN}-01", id="a space"),
    ],
)
def test_any_other_trace_is_ignored(sent: str | None) -> None:
    """As the W3C's Trace Context asks: no trace rather than a wrong one."""
    with asked(HTTP_TRACEPARENT=sent) as environ:
        assert request_context(environ).trace_id is None
        assert "traceparent" not in dict(respond(environ, {}).headers)


class Ticking:
    """The module `time` with a clock that advances a second with every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1.0
        return self.now


def test_a_request_begins_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look is when it began."""
    monkeypatch.setattr(exchange, "time", Ticking())
    with asked() as environ:
        assert request_context(environ).started_s == 1.0
        assert request_context(environ).started_s == 1.0
