"""The same app under gunicorn's own threaded worker: one environment variable away, and as strict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.schema import FeatureSchema
from app.worker.head import MAX_HEAD_BYTES, MAX_HEADERS, MAX_URL_BYTES
from tests.cases import load_corpus
from tests.e2e.conftest import Service, eventually
from tests.e2e.wire import Wire, exchange, problem

READING = FeatureSchema().example()
BODY = json.dumps(READING).encode()
LIMIT = 100_000
HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def threaded(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    """A service under `gthread`, with a small limit for bodies."""
    arguments = {"GUNICORN_CMD_ARGS": "--worker-class gthread --threads 4", "MAX_BODY_BYTES": str(LIMIT)}
    with Service(tmp_path_factory.mktemp("threaded"), models_dir, **arguments) as running:
        yield running


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"BAD\r\n\r\n", id="no HTTP"),
        pytest.param(b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", id="a bad header name"),
    ],
)
def test_gunicorns_own_refusals_come_in_the_envelope(threaded: Service, garbage: bytes) -> None:
    """Not as a page of HTML; logged under the id in the reply, and counted."""
    before = refusals(threaded)
    document = problem(exchange(threaded.port, garbage), 400)
    assert refusals(threaded) == before + 1
    eventually(
        lambda: document["request_id"] in {line["request_id"] for line in threaded.events("request.rejected")},
        "the refusal is in the log",
    )


def refusals(service: Service) -> int:
    """What `/metrics` says of refused requests."""
    lines = service.request("GET", "/metrics").body.decode().splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith("http_refusals_total{"))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET /health/live?" + b"a" * (MAX_URL_BYTES - 13), 200, id="the longest URL"),
        pytest.param(b"GET /health/live?" + b"a" * MAX_URL_BYTES, 414, id="a longer URL"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: a" + b"\r\nX: y" * (MAX_HEADERS - 1), 200, id="most headers"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: a" + b"\r\nX: y" * MAX_HEADERS, 431, id="more headers"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES, 431, id="a large header"),
    ],
)
def test_the_head_has_the_limits_it_has_elsewhere(threaded: Service, head: bytes, status: int) -> None:
    """Whatever worker class reads it."""
    rest = b"" if b"HTTP" in head else b" HTTP/1.1\r\nHost: a"
    assert exchange(threaded.port, head + rest + b"\r\n\r\n").status == status


def test_nothing_of_the_corpus_is_a_fault_of_the_service(threaded: Service) -> None:
    """Gunicorn's parser is another one and refuses otherwise, but nothing a client sends is a 500 here either."""
    for case in load_corpus():
        with Wire(threaded.port) as wire:
            replies = wire.offer(case.request()).half_close().rest()
        assert b"HTTP/1.1 500 " not in replies, case.name
    assert threaded.post("/predict", READING).status == 200
    assert not [line for line in threaded.log_lines() if line["level"] == "error"]


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def test_a_reading_is_answered(threaded: Service) -> None:
    """The primary model answers, as under the worker of our own."""
    answer = threaded.post("/predict", READING)
    assert (answer.status, answer.json["model_used"]) == (200, "primary")


def test_a_batch_is_answered(threaded: Service) -> None:
    """Good rows and bad ones, in place."""
    answer = threaded.post("/predict/batch", {"instances": [READING, {}, READING]})
    assert answer.status == 200
    assert [entry["success"] for entry in answer.json["predictions"]] == [True, False, True]


def test_a_reading_that_breaks_the_contract_is_refused(threaded: Service) -> None:
    """422 with every problem."""
    answer = threaded.post("/predict", {**READING, "region_id": 11, "is_weekend": "no"})
    assert answer.status == 422
    assert {item["feature"] for item in answer.json["errors"]} == {"region_id", "is_weekend"}


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/detailed"])
def test_health_is_answered(threaded: Service, path: str) -> None:
    """The probes see a ready service."""
    assert threaded.request("GET", path).status == 200


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        pytest.param(b"\r\n", 400, id="no body"),
        pytest.param(b"Content-Length: 3\r\n\r\n{,}", 400, id="no JSON"),
        pytest.param(b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-5], 400, id="a body that is cut off"),
        pytest.param(b"Content-Length: %d\r\n\r\n" % (len(BODY) + 9) + BODY, 400, id="a whole reading, but too short"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + chunked(BODY)[:-5], 400, id="no last chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY, 400, id="a chunk size that is no number"),
        pytest.param(b"Content-Length: %d\r\n\r\n" % (LIMIT + 1), 413, id="a declared length over the limit"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n" + chunked(BODY, b" " * LIMIT), 413, id="chunks over the limit"
        ),
    ],
)
def test_a_bad_body_is_refused_in_the_envelope(threaded: Service, rest: bytes, status: int) -> None:
    """A reading followed by padding over the limit is not cut down to the reading, nor is a short one guessed at."""
    with Wire(threaded.port) as wire:
        problem(wire.send(HEAD + rest).half_close().reply(), status)
    assert threaded.post("/predict", READING).status == 200


def test_chunks_within_the_limit_are_answered(threaded: Service) -> None:
    """A chunked body has no declared length, and needs none."""
    answer = exchange(threaded.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(BODY[:9], BODY[9:]))
    assert answer.json["success"] is True


def test_it_leaves_when_it_is_told_to(threaded: Service) -> None:
    """SIGTERM: exit status 0, with a goodbye, and every prediction that was answered is in the audit."""
    served = sum(line["event"] == "prediction.served" for line in threaded.audit_lines())
    assert served > 0
    assert threaded.stop() == 0
    assert threaded.events("service.stopping")
    assert len(threaded.events("prediction.served")) == served
