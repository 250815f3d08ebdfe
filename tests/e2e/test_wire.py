"""Valid HTTP over time: segments, pipelines, connections that go on. `tests/corpus/accepted/` has single requests."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import Service
from tests.e2e.wire import Wire, exchange

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = json.dumps(FeatureSchema().example()).encode()


def post(headers: bytes, body: bytes = BODY, target: bytes = b"/predict") -> bytes:
    return b"POST " + target + b" HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n" + body


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def test_a_request_sent_byte_by_byte_is_answered(service: Service) -> None:
    """A segment boundary may lie anywhere."""
    with Wire(service.port) as wire:
        for position in range(len(request := post(CHUNKED, chunked(BODY[:7], BODY[7:])))):
            wire.send(request[position : position + 1])
        assert wire.reply().json["success"] is True


def test_a_large_body_sent_at_once_is_answered(service: Service) -> None:
    """The limit of a request's head says nothing about the body that comes with it."""
    batch = b'{"instances": [' + b", ".join([BODY] * 600) + b"]}"
    assert len(batch) > 128 * 1024
    answer = exchange(service.port, post(sized(batch), batch, b"/predict/batch"))
    assert answer.status == 200, answer
    assert answer.json["count"] == 600


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    """Several requests in one segment get their replies one after the other."""
    ids = [f"pipelined-{number}" for number in range(20)]
    requests = [post(sized(BODY) + f"X-Request-ID: {name}\r\n".encode()) for name in ids]
    with Wire(service.port) as wire:
        wire.send(b"".join(requests))
        answers = [wire.reply() for _ in ids]
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    assert all(answer.json["success"] for answer in answers)


def test_what_follows_a_last_request_is_ignored(service: Service) -> None:
    """After `Connection: close` there is one reply, and nothing of what came behind it is answered or complained of."""
    before = len(service.settled_log_lines())
    with Wire(service.port) as wire:
        wire.send(LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + LIVE)
        answer = wire.reply()
        assert (answer.status, answer.headers["connection"], wire.rest()) == (200, "close", b"")
    assert [line["event"] for line in service.settled_log_lines()[before:]] == []


def test_a_connection_is_used_again(service: Service) -> None:
    """HTTP/1.1 connections stay open, after an error of the app's too."""
    with Wire(service.port) as wire:
        assert wire.send(post(sized(BODY))).reply().status == 200
        assert wire.send(post(sized(b"{}"), b"{}")).reply().status == 422
        assert wire.send(LIVE).reply().status == 200


@pytest.mark.parametrize(
    ("request_bytes", "closed"),
    [
        pytest.param(b"GET /health/live HTTP/1.0\r\n\r\n", True, id="HTTP/1.0"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", True, id="asked to close"),
        pytest.param(LIVE, False, id="HTTP/1.1"),
    ],
)
def test_the_connection_ends_when_the_client_wants_it_to(service: Service, request_bytes: bytes, closed: bool) -> None:
    """The reply says so, and the end follows it."""
    with Wire(service.port) as wire:
        answer = wire.send(request_bytes).reply()
        assert (answer.headers.get("connection") == "close") is closed
        if closed:
            assert wire.rest() == b""
        else:
            assert wire.send(LIVE).reply().status == 200


def test_head_is_answered_without_a_body(service: Service) -> None:
    """The length is the one GET would have, and the next reply begins right after the head."""
    with Wire(service.port) as wire:
        wire.send(LIVE.replace(b"GET", b"HEAD") + LIVE)
        head, answer = wire.reply(bodiless=True), wire.reply()
    assert head.status == answer.status == 200
    assert int(head.headers["content-length"]) == len(answer.body)


def test_a_client_that_asks_first_is_told_to_go_on(service: Service) -> None:
    """`Expect: 100-continue`: the interim reply comes before the body is sent, the final one after it."""
    with Wire(service.port) as wire:
        assert wire.send(post(sized(BODY) + b"Expect: 100-continue\r\n", b"")).head() == (100, {})
        assert wire.send(BODY).reply().json["success"] is True


def test_a_half_closed_client_still_gets_its_reply(service: Service) -> None:
    """Many simple clients close their direction as soon as the request is sent."""
    with Wire(service.port) as wire:
        assert wire.send(post(sized(BODY))).half_close().reply().status == 200
        assert wire.rest() == b""


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"", id="before anything"),
        pytest.param(LIVE[:20], id="within the head"),
        pytest.param(post(sized(BODY), BODY[:30]), id="within the body"),
        pytest.param(post(sized(BODY)) * 50, id="without reading replies"),
    ],
)
def test_a_client_that_leaves_costs_nothing(service: Service, part: bytes) -> None:
    """The next client does not notice, and no line of the log is a traceback."""
    before = len(service.settled_log_lines())
    with Wire(service.port) as wire:
        wire.send(part)
    assert exchange(service.port, LIVE).status == 200
    assert not [line for line in service.settled_log_lines()[before:] if "exception" in line]


def test_health_answers_beside_a_hundred_idle_and_slow_clients(service: Service) -> None:
    """A client that sends nothing, or too slowly, costs a socket and never a turn."""
    with ExitStack() as stack:
        for number in range(100):
            wire = stack.enter_context(Wire(service.port))
            wire.send(post(sized(BODY), BODY[:10]) if number % 2 else b"")
        assert service.request("GET", "/health").json["status"] == "healthy"
        assert service.post("/predict", FeatureSchema().example()).status == 200


def test_an_underscored_header_is_not_taken_for_the_dashed_one(service: Service) -> None:
    """`X_Request_ID` would overwrite `X-Request-ID`: a way round a proxy that checks only one."""
    answer = exchange(service.port, LIVE.replace(b"Host: a", b"Host: a\r\nX-Request-ID: mine\r\nX_Request_ID: other"))
    assert answer.headers["x-request-id"] == "mine"
