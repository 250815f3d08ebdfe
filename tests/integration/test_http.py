"""Everything around a prediction: health, errors, ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.contract.schema import FeatureSchema
from app.factory import EXTENSION
from app.model.registry import Registry
from tests.conftest import draft_of
from tests.waiting import wait_until

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_health_says_what_a_person_needs(client: FlaskClient, reading: dict[str, Any], version: str) -> None:
    """All promised fields, before and after a prediction."""
    before = client.get("/health")
    assert (before.status_code, before.headers["Cache-Control"]) == (200, "no-store")
    assert before.get_json() == {
        "status": "healthy",
        "cause": None,
        "causes": [],
        "model_loaded": True,
        "model_version": version,
        "last_prediction_success": None,
        "consecutive_failures": 0,
        "last_prediction_time": None,
    }
    client.post("/predict", json=reading)
    after = client.get("/health").get_json()
    assert after["last_prediction_success"] is True
    assert after["last_prediction_time"].endswith("Z")


def test_detailed_health_shows_every_worker_and_stage(client: FlaskClient, version: str) -> None:
    """The view for triage: always 200."""
    detailed = client.get("/health/detailed").get_json()
    (worker,) = detailed["workers"]
    assert detailed["environment"]["scikit-learn"]
    assert list(worker["stages"]) == ["primary", "fallback", "baseline"]
    assert all(stage["answering"] and stage["breaker"] == "closed" for stage in worker["stages"].values())
    assert all(worker["scorers"][stage].startswith("compiled") for stage in ("primary", "fallback"))
    assert (worker["model_version"], worker["failures"]) == (version, [])


def test_detailed_health_is_200_even_when_unhealthy(make_app: Callable[..., Flask]) -> None:
    """Whoever looks for the cause must be able to read it."""
    client = make_app(baseline_rule="tests.integration.test_predict:broken_rule").test_client()
    detailed = client.get("/health/detailed")
    assert (detailed.status_code, detailed.get_json()["status"]) == (200, "unhealthy")
    assert detailed.get_json()["workers"][0]["failures"][0]["what"] == "baseline: exception (ZeroDivisionError: )"


def test_the_service_is_ready_once_it_started_and_until_it_drains(client: FlaskClient) -> None:
    """Readiness is a promise about the next request."""
    assert client.get("/health/ready").get_json() == {"ready": True, "draining": False}
    client.application.extensions[EXTENSION].health.drain()
    reply = client.get("/health/ready")
    assert (reply.status_code, reply.get_json()) == (503, {"ready": False, "draining": True})


def test_activating_a_version_reaches_the_running_service(
    make_app: Callable[..., Flask], registry: Registry, version: str, schema: FeatureSchema, logistic: Any
) -> None:
    """Without a restart, by the pointer alone."""
    client = make_app(reload_interval_s=0.01).test_client()
    assert client.get("/health").get_json()["model_version"] == version
    newer = registry.register(draft_of(schema, primary=logistic))
    registry.activate(newer)
    wait_until(lambda: client.get("/health").get_json()["model_version"] == newer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nowhere", 404, id="unknown path"),
        pytest.param("GET", "/predict", 405, id="wrong method"),
        pytest.param("DELETE", "/health", 405, id="delete health"),
        pytest.param("POST", "/health/", 404, id="trailing slash"),
    ],
)
def test_errors_come_in_the_envelope(client: FlaskClient, method: str, path: str, status: int) -> None:
    """404 and 405 look like every other error."""
    reply = client.open(path, method=method)
    body = reply.get_json()
    assert (reply.status_code, reply.content_type, body["success"]) == (status, "application/problem+json", False)
    assert body["error"] == body["detail"]
    assert (body["status"], body["instance"]) == (status, path)
    assert body["request_id"] == reply.headers["X-Request-ID"]
    if status == 405:
        assert set(reply.headers["Allow"].split(", ")) >= ({"POST"} if path == "/predict" else {"GET"})


def test_a_fault_of_the_service_shows_its_id_and_nothing_else(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """The client gets the id; the log has the id and the traceback."""
    app = make_app()

    def broken() -> str:
        raise RuntimeError("a secret inside")

    app.add_url_rule("/broken", view_func=broken)
    reply = app.test_client().get("/broken", headers={"X-Request-ID": "find-me"})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert reply.get_json()["request_id"] == "find-me"
    app.extensions[EXTENSION].background.stop()
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (failed,) = [event for event in events if event["event"] == "request.failed"]
    assert failed["request_id"] == "find-me"
    assert "a secret inside" in failed["exception"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("abc-123_x", True, id="sane"),
        pytest.param("x" * 129, False, id="too long"),
        pytest.param("a b", False, id="space"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_sane_request_id_is_kept(client: FlaskClient, sent: str, kept: bool) -> None:
    """Whatever else comes in its place is short and printable."""
    answered = client.get("/health/live", headers={"X-Request-ID": sent}).headers["X-Request-ID"]
    assert (answered == sent) is kept
    assert 0 < len(answered) <= 128


def test_a_trace_is_carried_on(client: FlaskClient, reading: dict[str, Any]) -> None:
    """Same trace, another span."""
    reply = client.post("/predict", json=reading, headers={"traceparent": TRACEPARENT})
    version, trace, span, flags = reply.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", "0af7651916cd43dd8448eb211c80319c", "01")
    assert span != "b7ad6b7169203331"


def test_a_malformed_trace_is_ignored(client: FlaskClient) -> None:
    """A wrong header is no reason to fail, nor to repeat it."""
    reply = client.get("/health/live", headers={"traceparent": "00-00000000000000000000000000000000-0-01"})
    assert "traceparent" not in reply.headers
