"""Refusals whose course matters, not only their end: `tests/corpus/` has all that one look at the reply can tell."""

from __future__ import annotations

from tests.e2e.conftest import Service
from tests.e2e.wire import Wire, exchange, problem

LIMIT = 4 * 1024 * 1024
"""MAX_BODY_BYTES, as it is unless set."""


def test_a_refused_upload_reads_the_refusal(service: Service) -> None:
    """A client that has sent megabytes before it reads still finds the reply, not a reset connection."""
    body = b" " * (2 * LIMIT)
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Wire(service.port) as wire:
        problem(wire.send(head + body).reply(), 413)


def test_a_refusal_is_logged_with_its_request_id(service: Service) -> None:
    """The id in the reply finds the line, with what was wrong and who sent it."""
    document = problem(exchange(service.port, b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400)
    line = next(line for line in service.settled_log_lines() if line.get("request_id") == document["request_id"])
    assert (line["event"], line["status"], line["client"]) == ("request.rejected", 400, "127.0.0.1")
    assert (line["path"], line["detail"]) == ("/a", document["detail"])


def test_a_refusal_says_nothing_of_the_request_before_it(service: Service) -> None:
    """Neither its path nor its id: they would lead whoever looks for the culprit to somebody else."""
    with Wire(service.port) as wire:
        wire.send(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-ID: innocent\r\n\r\nBREW")
        assert wire.reply().headers["x-request-id"] == "innocent"
        document = problem(wire.reply(), 501)
    assert (document["instance"], document["request_id"] == "innocent") == ("", False)
