"""One connection without a network: what comes out does not depend on how the bytes came in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.worker.head import MAX_HEAD_BYTES, MAX_HEADERS, MAX_URL_BYTES
from app.worker.wsgi import Environ
from tests.unit.worker.fakes import Client, Journal, echo, endpoint

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b?q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: 1\r\n\r\n"
)
H2C = (
    b"POST /h HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)

STREAMS = {
    "a request without a body": GET,
    "a body of declared length": POST,
    "a chunked body": CHUNKED,
    "three pipelined requests": POST + GET + CHUNKED,
    "an offer to upgrade": H2C,
    "a last request and one too many": GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET,
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a bad chunk size": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a length over the limit": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
    "an impossible expectation": b"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\na",
    "a good request and a bad one": GET + b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", STREAMS)
def test_bytes_split_anywhere_get_the_same_replies(name: str) -> None:
    """At every position, and byte by byte: TCP does not keep a sender's boundaries."""
    stream, shared = STREAMS[name], endpoint()
    whole = [reply.essence for reply in Client(shared).send(stream)]
    assert whole
    single = Client(shared).send(*(stream[at : at + 1] for at in range(len(stream))))
    assert [reply.essence for reply in single] == whole
    for at in range(1, len(stream)):
        assert [reply.essence for reply in Client(shared).send(stream[:at], stream[at:])] == whole, at


@given(st.lists(st.sampled_from([GET, POST, CHUNKED]), min_size=1, max_size=6), st.data())
def test_pipelined_requests_split_anywhere_are_answered_in_order(requests: list[bytes], data: st.DataObject) -> None:
    """Every request gets its own reply, whole, in order."""
    stream = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    bodies = {GET: b"GET /a ", POST: b"POST /b hello", CHUNKED: b"POST /c hello"}
    assert [reply.body for reply in Client(endpoint()).send(*parts)] == [bodies[request] for request in requests]


@given(st.binary(max_size=300))
def test_any_bytes_are_answered_or_waited_on(data: bytes) -> None:
    """Nothing a client sends gets out as an exception, whether alone or behind a good request."""
    for stream in (data, GET + data, GET[:-2] + data, CHUNKED[:60] + data):
        client = Client(endpoint())
        assert all(reply.status in (200, 400, 413, 414, 417, 431, 501) for reply in client.send(stream))
        client.connection.eof_received()
        client.connection.connection_lost(None)
        assert client.transport.written_after_close == b""


@pytest.mark.parametrize("size", [64 * 1024, 100_000, 1_000_000])
def test_a_large_body_may_come_in_one_read_with_its_head(size: int) -> None:
    """Only the head counts towards the head's limit."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    (reply,) = Client(endpoint(max_body_bytes=size)).send(request)
    assert (reply.status, len(reply.body)) == (200, size + len(b"POST / "))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET /" + b"a" * (MAX_URL_BYTES - 1) + b" HTTP/1.1\r\nHost: a\r\n\r\n", 200, id="longest URL"),
        pytest.param(b"GET /" + b"a" * MAX_URL_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="longer URL"),
        pytest.param(b"GET /" + b"a" * 2 * MAX_HEAD_BYTES, 414, id="a URL without an end"),
        pytest.param(GET[:-2] + b"X: y\r\n" * (MAX_HEADERS - 1) + b"\r\n", 200, id="most headers"),
        pytest.param(GET[:-2] + b"X: y\r\n" * MAX_HEADERS + b"\r\n", 431, id="more headers"),
        pytest.param(GET[:-2] + b"X: " + b"y" * (MAX_HEAD_BYTES - 100) + b"\r\n\r\n", 200, id="a large header"),
        pytest.param(GET[:-2] + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, id="a larger header"),
    ],
)
@pytest.mark.parametrize("read", [1_000_000, 1000], ids=["in one read", "in many"])
def test_the_head_has_limits(head: bytes, status: int, read: int) -> None:
    """The limits are the same however the head comes."""
    replies = Client(endpoint()).send(*(head[at : at + read] for at in range(0, len(head), read)))
    assert [reply.status for reply in replies] == [status]


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(GET[:-2] + b"X: " + b"y" * 3 * MAX_HEAD_BYTES, id="a header's value"),
        pytest.param(GET[:-2] + b"x" * 3 * MAX_HEAD_BYTES, id="a header's name"),
        pytest.param(CHUNKED[:-6] + b"y" * 3 * MAX_HEAD_BYTES, id="a trailer's value"),
        pytest.param(CHUNKED[:-8] + b"x" * 3 * MAX_HEAD_BYTES, id="a trailer's name"),
        pytest.param(CHUNKED[:-8] + b"T: x\r\n" * 3 * MAX_HEADERS, id="trailers"),
    ],
)
def test_what_does_not_end_is_refused_on_the_way(endless: bytes) -> None:
    """Memory is bounded before the head is complete, and in what follows the last chunk too."""
    replies = Client(endpoint()).send(*(endless[at : at + 1000] for at in range(0, len(endless), 1000)))
    assert [reply.status for reply in replies] == [431]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"Content-Length: 1000\r\n\r\n" + b"x" * 1000, 200, id="the largest declared"),
        pytest.param(b"Content-Length: 1001\r\n\r\n", 413, id="a larger one declared"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n", 200, id="chunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, 413, id="a larger chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1001, 413, id="many small chunks"),
    ],
)
def test_the_body_has_a_limit(body: bytes, status: int) -> None:
    """MAX_BODY_BYTES to the byte, before the rest of the body has come."""
    replies = Client(endpoint()).send(b"POST / HTTP/1.1\r\nHost: a\r\n" + body)
    assert [reply.status for reply in replies] == [status]


def test_a_body_over_the_limit_is_not_asked_for() -> None:
    """`Expect: 100-continue` with too great a length: the refusal is the first and only reply."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    assert [reply.status for reply in Client(endpoint()).send(head % 1001)] == [413]
    assert [reply.status for reply in Client(endpoint()).send(head % 5, b"hello")] == [100, 200]


def test_an_http_1_0_client_is_sent_no_interim_reply() -> None:
    """RFC 9110, section 10.1.1: its expectation is ignored, since it would take the 100 for the answer."""
    request = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"
    assert [reply.status for reply in Client(endpoint()).send(request)] == [200]


def test_an_offer_to_upgrade_is_declined_with_the_body_read() -> None:
    """The request is answered in HTTP/1.1 with its body; a connection that ends then says so."""
    client = Client(endpoint())
    (reply,) = client.send(H2C)
    assert reply.body == b"POST /h hello"
    assert client.transport.closed == (reply.headers.get("connection") == "close")


def test_an_app_that_raises_is_a_500_in_the_envelope() -> None:
    """The connection ends, the log has the traceback, the client has an id and none of the internals."""

    def raises(environ: Environ, start_response: object) -> list[bytes]:
        raise RuntimeError("a secret")

    journal = Journal()
    client = Client(endpoint(raises, journal))
    (reply,) = client.send(GET)
    assert (reply.status, reply.headers["connection"]) == (500, "close")
    assert b"secret" not in reply.body
    failed = next(event for event in journal.events if event["event"] == "request.failed")
    assert failed["exc_info"]
    assert failed["request_id"] == reply.headers["x-request-id"]
    assert client.transport.eof_written


def test_a_refusal_keeps_the_clients_request_id() -> None:
    """As an answer would: the id in the client's own log finds the service's line."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: mine-1\r\nContent-Length: 1001\r\n\r\n"
    (reply,) = Client(endpoint()).send(request)
    assert (reply.status, reply.headers["x-request-id"]) == (413, "mine-1")


def test_an_app_whose_reply_cannot_be_sent_is_a_500_too() -> None:
    """A header outside latin-1 is the app's fault, not a reason to hang up without a word."""

    def unsendable(environ: Environ, start_response: object) -> list[bytes]:
        return echo(environ, lambda status, headers: start_response(status, [("X", "\u20ac")]))  # type: ignore[operator,return-value]

    assert [reply.status for reply in Client(endpoint(unsendable)).send(GET)] == [500]


def test_a_refusal_of_head_has_no_body() -> None:
    """HEAD is answered without a body, whoever answers it."""
    client = Client(endpoint())
    client.connection.data_received(b"HEAD / HTTP/1.1\r\n\r\n")
    head, _, body = client.transport.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body == b""


def test_trailers_are_no_headers() -> None:
    """They come when all that they could say has been decided: no encoding, no length, no id."""

    def headers(environ: Environ, start_response: object) -> list[bytes]:
        given = sorted(name for name in environ if name.startswith(("HTTP_", "CONTENT_")))
        return echo({**environ, "PATH_INFO": " ".join(given)}, start_response)  # type: ignore[arg-type,return-value]

    trailers = b"X-Request-ID: other\r\nContent-Encoding: gzip\r\nHost: b\r\n\r\n"
    (reply,) = Client(endpoint(headers)).send(CHUNKED.removesuffix(b"T: 1\r\n\r\n") + trailers)
    assert reply.body == b"POST CONTENT_LENGTH HTTP_HOST hello"


def test_refusals_are_counted_and_failures_are_not() -> None:
    """A 500 is the service's own, and logged once, as what it is."""

    def raises(environ: Environ, start_response: object) -> list[bytes]:
        raise RuntimeError

    counted: list[int] = []
    journal = Journal()
    shared = endpoint(raises, journal, refused=counted.append)
    assert [Client(shared).send(data)[0].status for data in (GET, b"x\r\n\r\n", GET[:-2] + b"Host: b\r\n\r\n")] == [
        500, 501, 400,
    ]  # fmt: skip
    assert counted == [501, 400]
    assert journal.names() == ["request.failed", "request.rejected", "request.rejected"]


def test_a_wish_to_close_outlives_an_offer_to_upgrade() -> None:
    """Both stand in the same header."""
    client = Client(endpoint())
    (reply,) = client.send(H2C.replace(b"Connection: Upgrade", b"Connection: close, Upgrade"))
    assert (reply.body, reply.headers["connection"]) == (b"POST /h hello", "close")
    assert client.transport.closed
