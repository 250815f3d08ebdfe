"""The lane past Flask's machinery: quick where all goes well, Flask's own where it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import request
from flask.testing import FlaskClient

from app.api.errors import register_error_handlers
from app.api.exchange import Environ, Reply, respond
from app.api.lean import LeanFlask
from app.errors import AllStagesFailedError
from tests.fakes import MemorySink, logger

SINK = MemorySink()


def answer(environ: Environ) -> Reply:
    """Fails the way the query asks for, else answers."""
    if environ["QUERY_STRING"] == "known":
        raise AllStagesFailedError([])
    if environ["QUERY_STRING"] == "unknown":
        raise ZeroDivisionError("a secret")
    return respond(environ, {"direct": not request}, headers=[("X-Extra", "1")])


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    app = LeanFlask("test")
    register_error_handlers(app, logger(SINK), lambda status: None, lambda: {"prediction": None})
    app.post_directly("/quick", answer)
    with app.test_client() as client:
        yield client


def test_a_direct_view_answers_without_flasks_contexts(client: FlaskClient) -> None:
    """There is no current request, and the reply is the view's own."""
    reply = client.post("/quick")
    assert (reply.status_code, reply.get_json()) == (200, {"direct": True})
    assert reply.headers["X-Extra"] == "1"
    assert int(reply.headers["Content-Length"]) == len(reply.data)


def test_an_error_with_a_status_is_answered_as_everywhere(client: FlaskClient) -> None:
    """The one table of errors holds here too."""
    reply = client.post("/quick?known")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert (reply.get_json()["error"], reply.get_json()["instance"]) == ("All prediction methods failed", "/quick")


def test_an_unforeseen_error_is_a_500_that_gives_nothing_away(client: FlaskClient) -> None:
    """Its request id names the log entry, which has the traceback."""
    reply = client.post("/quick?unknown")
    assert reply.status_code == 500
    assert "secret" not in reply.get_data(as_text=True)
    (event,) = SINK.named("request.failed")
    assert event["request_id"] == reply.get_json()["request_id"]
    assert "ZeroDivisionError: a secret" in event["exception"]


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("OPTIONS", 200)])
def test_other_methods_are_flasks(client: FlaskClient, method: str, status: int) -> None:
    """It knows the path from its own map."""
    reply = client.open("/quick", method=method)
    assert reply.status_code == status
    assert "POST" in reply.headers["Allow"]
