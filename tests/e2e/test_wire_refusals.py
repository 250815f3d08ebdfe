"""Bytes on the wire that are no valid request: each is refused in the error envelope, and the next client is served."""

from __future__ import annotations

import json

import pytest

from app.contract.schema import FeatureSchema
from app.worker.protocol import MAX_HEAD_BYTES, MAX_HEADERS, MAX_URL_BYTES
from tests.e2e.conftest import Service
from tests.e2e.wire import Wire, exchange, problem

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
BODY = json.dumps(FeatureSchema().example()).encode()
LIMIT = 4 * 1024 * 1024
"""MAX_BODY_BYTES, as it is unless set."""


def get(*headers: bytes, target: bytes = b"/health/live", host: bytes = b"Host: a\r\n") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + host + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return POST + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


SIZED = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"

REFUSED = [
    pytest.param(b"BREW /predict HTTP/1.1\r\nHost: a\r\n\r\n", 501, id="an unknown method"),
    pytest.param(b"get /predict HTTP/1.1\r\nHost: a\r\n\r\n", 501, id="a method in lower case"),
    pytest.param(get(host=b""), 400, id="no Host"),
    pytest.param(get(b"Host: b"), 400, id="two Hosts"),
    pytest.param(get(b"X: a\0b"), 400, id="NUL in a header's value"),
    pytest.param(get(b"X\0: ab"), 400, id="NUL in a header's name"),
    pytest.param(get(b"X : a"), 400, id="a space before the colon"),
    pytest.param(get(b": a"), 400, id="a header without a name"),
    pytest.param(get(b"X: a", b" b"), 400, id="a folded header"),
    pytest.param(get(b"X: a\rY: b"), 400, id="a bare carriage return"),
    pytest.param(get().replace(b"\r\n", b"\n"), 400, id="bare line feeds"),
    pytest.param(get(target=b"health"), 400, id="a target that is no path"),
    pytest.param(get(target=b"/a b"), 400, id="a space in the path"),
    pytest.param(get(target="/é".encode()), 400, id="a path that is not ASCII"),
    pytest.param(get(target=b"http://a:99999999/"), 400, id="an absolute URL with an impossible port"),
    pytest.param(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, id="CONNECT"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400, id="the preface of HTTP/2"),
    pytest.param(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400, id="HTTP/3.0"),
    pytest.param(post(SIZED, CHUNKED, body=BODY), 400, id="a length and chunks"),
    pytest.param(post(CHUNKED, SIZED, body=BODY), 400, id="chunks and a length"),
    pytest.param(post(SIZED, SIZED, body=BODY), 400, id="the same length twice"),
    pytest.param(post(SIZED, b"Content-Length: 3", body=BODY), 400, id="two lengths"),
    pytest.param(post(b"Content-Length: 3, 3", body=b"abc"), 400, id="a list of lengths"),
    pytest.param(post(b"Content-Length: +3", body=b"abc"), 400, id="a length with a sign"),
    pytest.param(post(b"Content-Length: 0x3", body=b"abc"), 400, id="a hexadecimal length"),
    pytest.param(post(b"Content-Length:", body=b"abc"), 400, id="an empty length"),
    pytest.param(post(CHUNKED, body=b"zz\r\n"), 400, id="a chunk size that is no number"),
    pytest.param(post(CHUNKED, body=b"-1\r\n"), 400, id="a negative chunk size"),
    pytest.param(post(CHUNKED, body=b"f" * 20 + b"\r\n"), 400, id="a chunk size beyond 64 bits"),
    pytest.param(post(CHUNKED, body=b"1\r\nab\r\n0\r\n\r\n"), 400, id="a chunk longer than its size"),
    pytest.param(post(b"Transfer-Encoding: gzip", body=b"abc"), 501, id="a body without an end"),
    pytest.param(post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400, id="chunks not last"),
    pytest.param(post(b"Content-Length: %d" % (LIMIT + 1)), 413, id="a declared length over the limit"),
    pytest.param(post(b"Content-Length: %d" % (2**64 - 1)), 413, id="a declared length far over the limit"),
    pytest.param(
        post(b"Content-Length: %d" % (LIMIT + 1), b"Expect: 100-continue"), 413, id="over the limit, asked beforehand"
    ),
    pytest.param(post(CHUNKED, body=b"%x\r\n" % (LIMIT + 1) + b" " * (LIMIT + 1)), 413, id="a chunk over the limit"),
    pytest.param(
        post(CHUNKED, body=(b"%x\r\n" % (LIMIT // 4) + b" " * (LIMIT // 4) + b"\r\n") * 4 + b"1\r\na\r\n"),
        413,
        id="chunks over the limit together",
    ),
    pytest.param(post(SIZED, b"Expect: a miracle", body=BODY), 417, id="an expectation that cannot be met"),
    pytest.param(get(target=b"/" + b"a" * MAX_URL_BYTES), 414, id="a long URL"),
    pytest.param(get(*[b"X%d: 1" % number for number in range(MAX_HEADERS)]), 431, id="too many headers"),
    pytest.param(get(b"X: " + b"a" * MAX_HEAD_BYTES), 431, id="a large header"),
    pytest.param(get(*[b"X%d: " % number + b"a" * 1000 for number in range(80)]), 431, id="large headers together"),
]


@pytest.mark.parametrize(("request_bytes", "status"), REFUSED)
def test_what_is_no_valid_request_is_refused_in_the_envelope(
    service: Service, request_bytes: bytes, status: int
) -> None:
    """One reply with the right status, then the end of the connection; the next client is served."""
    with Wire(service.port) as wire:
        answer = wire.send(request_bytes).reply()
        assert answer.headers["connection"] == "close"
        assert wire.rest() == b""
    problem(answer, status)
    assert exchange(service.port, LIVE).status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"hello\r\n\r\n", id="words"),
        pytest.param(bytes.fromhex("16030100c8010000c40303") + bytes(200), id="a TLS client"),
        pytest.param(bytes(range(256)), id="all bytes there are"),
        pytest.param(b"\xff" * 100_000, id="much of it"),
    ],
)
def test_what_is_no_http_at_all_is_refused(service: Service, garbage: bytes) -> None:
    """The parser cannot tell garbage from an unknown method, so either status is right."""
    with Wire(service.port) as wire:
        answer = wire.send(garbage).reply()
        assert wire.rest() == b""
    problem(answer, answer.status)
    assert answer.status in (400, 501)
    assert exchange(service.port, LIVE).status == 200


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(LIVE[:-2], id="within the head"),
        pytest.param(LIVE[:2], id="within the method"),
        pytest.param(post(SIZED, body=BODY[:-1]), id="within a declared body"),
        pytest.param(post(SIZED), id="before a declared body"),
        pytest.param(post(CHUNKED, body=b"%x\r\n" % len(BODY) + BODY + b"\r\n"), id="before the last chunk"),
    ],
)
def test_a_request_that_ends_early_is_refused(service: Service, part: bytes) -> None:
    """What is shorter than it says never reaches the model, even where the part is a whole reading."""
    with Wire(service.port) as wire:
        problem(wire.send(part).half_close().reply(), 400)
        assert wire.rest() == b""
    assert exchange(service.port, LIVE).status == 200


def test_the_largest_allowed_body_passes(service: Service) -> None:
    """The limit itself is allowed; whitespace after the document is JSON."""
    body = BODY + b" " * (LIMIT - len(BODY))
    assert exchange(service.port, post(b"Content-Length: %d" % len(body), body=body)).status == 200


def test_a_refused_upload_reads_the_refusal(service: Service) -> None:
    """A client that has sent megabytes before it reads still finds the reply, not a reset connection."""
    body = b" " * (2 * LIMIT)
    with Wire(service.port) as wire:
        problem(wire.send(post(b"Content-Length: %d" % len(body), body=body)).reply(), 413)


def test_requests_before_a_broken_one_are_answered(service: Service) -> None:
    """A pipelined mistake takes nothing back."""
    with Wire(service.port) as wire:
        wire.send(LIVE + LIVE + get(host=b"") + LIVE)
        assert [wire.reply().status for _ in range(3)] == [200, 200, 400]
        assert wire.rest() == b""


def test_a_refusal_is_logged_with_its_request_id(service: Service) -> None:
    """The id in the reply finds the line, with what was wrong and who sent it."""
    document = problem(exchange(service.port, get(b"Host: b")), 400)
    line = next(line for line in service.settled_log_lines() if line.get("request_id") == document["request_id"])
    assert (line["event"], line["status"], line["client"]) == ("request.rejected", 400, "127.0.0.1")
    assert line["detail"] == document["detail"]
