"""A request's trace: in every log line about it, in its reply and, where a collector is named, as an exported span."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.contract.schema import FeatureSchema, Matrix
from app.factory import EXTENSION

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "asked-1"}
EXAMPLE = FeatureSchema().example()
KNOWN = {"prediction_id": "-.baseline.0.26ce8f72eeda91b30f", "actual": 1}
UNKNOWN = {"prediction_id": "20200101T000000Z-000000.primary.0.26ce8f72eeda91b30f", "actual": 1}

COLLECTOR = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:4318"}

Spans = Callable[[], dict[str, ReadableSpan]]


class BreakableRule:
    """Says no to every row, until it is broken."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self, rows: Matrix) -> Matrix:
        if self.broken:
            raise ZeroDivisionError
        return np.zeros(len(rows))


breakable_rule = BreakableRule()


@pytest.fixture
def start(make_app: Callable[..., Flask]) -> Iterator[Callable[..., Flask]]:
    """`start(field=value, ...)`: a service that has nothing but a rule, which can be broken; with a bug at `/bug`."""

    def started(**changes: Any) -> Flask:
        app = make_app(baseline_rule=f"{__name__}:breakable_rule", breaker_failures=2, **changes)

        def fail() -> str:
            raise RuntimeError("a bug")

        app.add_url_rule("/bug", view_func=fail)
        app.extensions[EXTENSION].background.start()
        return app

    yield started
    breakable_rule.broken = False


def stopped_log(app: Flask, capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Everything that the app logged until it was stopped."""
    app.extensions[EXTENSION].background.stop()
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


# --- log lines ----------------------------------------------------------------------------------------------


def test_every_line_about_a_request_tells_its_ids(
    start: Callable[..., Flask], capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever becomes of it, and whoever writes it down; what happens beside requests tells none."""
    app = start()
    client = app.test_client()
    for path, body in [
        ("/predict", EXAMPLE), ("/predict", {}), ("/predict/batch", {"instances": [EXAMPLE, 7]}),
        ("/feedback", KNOWN), ("/feedback", UNKNOWN), ("/nowhere", {}),
    ]:  # fmt: skip
        client.post(path, json=body, headers=SENT)
    client.get("/bug", headers=SENT)
    breakable_rule.broken = True
    client.post("/predict", json=EXAMPLE, headers=SENT)
    client.post("/predict/batch", json={"instances": [EXAMPLE]}, headers=SENT)
    lines = stopped_log(app, capfd)
    asked = {line["event"] for line in lines if (line.get("request_id"), line.get("trace_id")) == ("asked-1", TRACE)}
    assert asked == {
        "prediction.served",
        "prediction.rejected",
        "prediction.failed",
        "batch.served",
        "batch.failed",
        "feedback.received",
        "feedback.refused",
        "request.rejected",
        "request.failed",
        "stage.failed",
        "breaker.opened",
        "health.changed",
        "app",
    }  # fmt: skip - `app` is Flask's own line about the bug
    beside = [line["event"] for line in lines if "request_id" not in line and "trace_id" not in line]
    assert beside[-3:] == ["health.changed", "service.started", "service.stopping"]


def test_a_request_without_a_trace_tells_its_id_alone(
    start: Callable[..., Flask], capfd: pytest.CaptureFixture[str]
) -> None:
    """No trace is not a trace that is null."""
    app = start()
    app.test_client().get("/nowhere", headers={"X-Request-ID": "asked-2"})
    lines = stopped_log(app, capfd)
    (rejected,) = [line for line in lines if line["event"] == "request.rejected"]
    assert rejected["request_id"] == "asked-2"
    assert "trace_id" not in rejected


# --- exported spans -----------------------------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """What reached the collector so far, by name."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("app.telemetry.otel.otlp", lambda endpoint: SimpleSpanProcessor(exporter))
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture
def client(start: Callable[..., Flask], spans: Spans) -> FlaskClient:
    """A client of a service that exports spans."""
    return start(**COLLECTOR).test_client()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_prediction_is_a_span_within_the_clients_trace(client: FlaskClient, spans: Spans) -> None:
    """Its parent is the client's span, its id the one that the reply names, its attributes HTTP's and the model's."""
    headers = {**SENT, "User-Agent": "pipeline/1"}
    reply = client.post("/predict?debug=1", json=EXAMPLE, headers=headers)
    (span,) = spans().values()
    assert (span.name, span.kind, span.status.status_code) == ("POST /predict", SpanKind.SERVER, StatusCode.UNSET)
    assert span.parent is not None
    assert span.context is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert reply.headers["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/predict",
        "url.query": "debug=1",
        "server.address": "localhost",
        "server.port": 80,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "pipeline/1",
        "anomaly.request_id": "asked-1",
        "anomaly.stage": "baseline",
    }
    assert span.resource.attributes["service.name"] == "anomaly-service"


def test_a_request_without_a_trace_begins_one(client: FlaskClient, spans: Spans) -> None:
    """And its reply names it."""
    reply = client.get("/health/live")
    span = spans()["GET /health/live"]
    assert span.parent is None
    assert span.context is not None
    trace, flags = f"{span.context.trace_id:032x}-{span.context.span_id:016x}", f"{span.context.trace_flags:02x}"
    assert reply.headers["traceparent"] == f"00-{trace}-{flags}"


def test_a_trace_that_is_not_sampled_is_carried_on_but_not_exported(client: FlaskClient, spans: Spans) -> None:
    """The client decides."""
    reply = client.get("/health/live", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert reply.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert reply.headers["traceparent"].endswith("-00")
    assert spans() == {}


def test_a_path_with_names_in_it_is_one_route(client: FlaskClient, spans: Spans) -> None:
    """So that what is asked does not become the name of a span; nor does what is nowhere."""
    client.get("/v2/models/other/ready")
    client.get("/nowhere")
    client.open("/nowhere", method="BREW")
    found = spans()
    assert found.keys() == {"GET /v2/models/<name>/ready", "GET", "_OTHER"}
    assert attributes(found["_OTHER"])["http.request.method_original"] == "BREW"
    assert "http.route" not in attributes(found["GET"])
    assert found["GET"].status.status_code is StatusCode.UNSET


def test_a_failure_of_the_service_is_an_error_and_a_refusal_is_none(client: FlaskClient, spans: Spans) -> None:
    """By status, as the semantic conventions for servers have it."""
    breakable_rule.broken = True
    for path in ("/predict", "/feedback"):
        client.post(path, json=EXAMPLE)
    client.get("/bug")
    found = spans()
    failed, refused, bug = found["POST /predict"], found["POST /feedback"], found["GET /bug"]
    assert (failed.status.status_code, attributes(failed)["error.type"]) == (StatusCode.ERROR, "503")
    assert attributes(failed)["anomaly.stage"] == "none"
    assert (bug.status.status_code, attributes(bug)["error.type"]) == (StatusCode.ERROR, "500")
    assert refused.status.status_code is StatusCode.UNSET
    assert attributes(refused)["http.response.status_code"] == 422


def test_a_batch_tells_its_stage_and_version(
    make_app: Callable[..., Flask], version: str, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One span for all of its rows; the standard variables name the service."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "anomaly-eu")
    make_app(**COLLECTOR).test_client().post("/predict/batch", json={"instances": [EXAMPLE, EXAMPLE]})
    (span,) = spans().values()
    assert (attributes(span)["anomaly.stage"], attributes(span)["anomaly.model.version"]) == ("primary", version)
    assert span.resource.attributes["service.name"] == "anomaly-eu"


def test_without_the_packages_the_service_goes_on_without_spans(
    make_app: Callable[..., Flask], version: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The variable may be set for all services of a cluster; the log says what to install."""
    monkeypatch.delitem(sys.modules, "app.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    app = make_app(**COLLECTOR)
    assert app.test_client().post("/predict", json=EXAMPLE, headers=SENT).status_code == 200
    lines = stopped_log(app, capfd)
    (unavailable,) = [line for line in lines if line["event"] == "tracing.unavailable"]
    assert "anomaly-service[otel]" in unavailable["error"]
