"""`POST /predict` and `/predict/batch`, from bytes to envelope to audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.settings import Settings
from tests.conftest import draft_of
from tests.fakes import ConstantModel
from tests.integration.conftest import audit_lines

ENVELOPE = {
    "success",
    "prediction",
    "is_anomaly",
    "model_used",
    "model_version",
    "prediction_id",
    "latency_ms",
    "warning",
    "error",
}
PROBLEM = {"type", "title", "status", "detail", "instance", "request_id", "errors"}


def test_a_valid_reading_is_answered_by_the_primary(client: FlaskClient, reading: dict[str, Any], version: str) -> None:
    """The envelope of a success, whole."""
    reply = client.post("/predict", json=reading)
    body = reply.get_json()
    assert reply.status_code == 200
    assert set(body) == ENVELOPE
    assert (body["success"], body["model_used"], body["model_version"]) == (True, "primary", version)
    assert 0 <= body["prediction"] <= 1
    assert body["is_anomaly"] is (body["prediction"] >= 0.5)
    assert (body["warning"], body["error"]) == (None, None)
    assert body["prediction_id"].startswith(f"{version}.primary.{int(body['is_anomaly'])}.")


def test_whole_numbers_are_numbers(client: FlaskClient, reading: dict[str, Any]) -> None:
    """JSON does not tell 3 from 3.0."""
    assert client.post("/predict", json={**reading, "metric_value": 20}).status_code == 200


def test_every_problem_is_answered_at_once(client: FlaskClient, reading: dict[str, Any], version: str) -> None:
    """A failure has all members of a success, and those of a problem document."""
    del reading["lag_1"]
    bad = {**reading, "metric_value": -1, "region_id": "3", "colour": 7}
    reply = client.post("/predict", json=bad, headers={"X-Request-ID": "abc-1"})
    body = reply.get_json()
    assert (reply.status_code, reply.content_type) == (422, "application/problem+json")
    assert set(body) == ENVELOPE | PROBLEM
    assert body["error"] == (
        "Missing features: ['lag_1']; Unexpected features: ['colour']; "
        "metric_value=-1 out of range [0, 1000000]; region_id must be numeric, got str"
    )
    assert [(item["pointer"], item["code"]) for item in body["errors"]] == [
        ("/lag_1", "missing"),
        ("/colour", "unexpected"),
        ("/metric_value", "out_of_range"),
        ("/region_id", "not_numeric"),
    ]
    assert (body["success"], body["prediction"], body["model_used"]) == (False, None, "none")
    assert (body["model_version"], body["request_id"], reply.headers["X-Request-ID"]) == (version, "abc-1", "abc-1")


def test_bad_input_never_enters_the_chain(client: FlaskClient, reading: dict[str, Any]) -> None:
    """It is no failure of a model: health does not change."""
    for _ in range(20):
        assert client.post("/predict", json={**reading, "lag_1": None}).status_code == 422
    health = client.get("/health").get_json()
    assert (health["status"], health["last_prediction_time"], health["consecutive_failures"]) == ("healthy", None, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"", "application/json", 400, id="empty"),
        pytest.param(b"{", "application/json", 400, id="truncated"),
        pytest.param(b"{}", "text/plain", 415, id="text"),
        pytest.param(b"metric_value=1", "application/x-www-form-urlencoded", 415, id="form"),
        pytest.param(b"[]", "application/json", 422, id="array"),
        pytest.param(b"{}", "application/json; charset=utf-16", 415, id="charset"),
        pytest.param(b"[" * 100_000, "application/json", 400, id="deep"),
        pytest.param('{"é": 1}'.encode("utf-16"), "application/json", 400, id="utf-16"),
    ],
)
def test_what_is_no_reading_gets_a_clear_error(
    client: FlaskClient, body: bytes, content_type: str, status: int
) -> None:
    """Never a 500 for anything a client sent."""
    reply = client.post("/predict", data=body, content_type=content_type)
    assert reply.status_code == status
    assert set(reply.get_json()) == ENVELOPE | PROBLEM


def test_a_body_over_the_limit_is_refused(make_app: Callable[..., Flask], version: str) -> None:
    """413, and the setting is named."""
    reply = make_app(max_body_bytes=100).test_client().post("/predict", json={"a": "x" * 100})
    assert reply.status_code == 413
    assert "MAX_BODY_BYTES" in reply.get_json()["error"]


def test_every_outcome_stands_in_the_audit(client: FlaskClient, reading: dict[str, Any], settings: Settings) -> None:
    """One line each, with the request's id, the features and the result, or what was wrong."""
    served = client.post("/predict", json=reading, headers={"X-Request-ID": "good"}).get_json()
    client.post("/predict", json={**reading, "lag_1": -1}, headers={"X-Request-ID": "bad"})
    client.post("/predict", data=b"{", content_type="application/json", headers={"X-Request-ID": "ugly"})
    assert settings.audit_dir is not None
    good, bad, ugly = audit_lines(settings.audit_dir)
    assert (good["event"], good["request_id"], good["features"]) == ("prediction.served", "good", reading)
    assert (good["prediction"], good["prediction_id"]) == (served["prediction"], served["prediction_id"])
    assert (bad["event"], bad["request_id"]) == ("prediction.rejected", "bad")
    assert bad["errors"] == [{"feature": "lag_1", "code": "out_of_range"}]
    assert (ugly["request_id"], ugly["success"]) == ("ugly", False)


def test_nothing_a_client_sends_can_break_an_audit_line(client: FlaskClient, settings: Settings) -> None:
    """Newlines, quotes and lone surrogates in names stay inside their string."""
    names = ['a\n{"fake": 1}', 'quote"', "\ud800 alone", "\u2028", "\x00"]
    body = json.dumps(dict.fromkeys(names, 1))
    assert client.post("/predict", data=body, content_type="application/json").status_code == 422
    assert settings.audit_dir is not None
    (line,) = audit_lines(settings.audit_dir)
    assert [entry["feature"] for entry in line["errors"] if entry["code"] == "unexpected"] == names


def test_a_bad_row_of_a_batch_gets_its_own_error_in_place(
    client: FlaskClient, reading: dict[str, Any], settings: Settings
) -> None:
    """The others are answered as if it were not there, and audited together, each with its place."""
    rows = [reading, {**reading, "lag_1": -1}, "no reading", reading]
    reply = client.post("/predict/batch", json={"instances": rows})
    body = reply.get_json()
    assert reply.status_code == 200
    assert (body["success"], body["count"], body["rejected"]) == (True, 4, 2)
    assert [entry["success"] for entry in body["predictions"]] == [True, False, False, True]
    assert body["predictions"][1]["errors"][0]["pointer"] == "/instances/1/lag_1"
    assert body["predictions"][0]["prediction"] == body["predictions"][3]["prediction"]
    assert settings.audit_dir is not None
    served, *rejected = audit_lines(settings.audit_dir)
    assert (served["event"], served["count"], served["positions"]) == ("batch.served", 2, [0, 3])
    assert served["features"] == {name: [value, value] for name, value in reading.items()}
    for index, position in enumerate(served["positions"]):
        entry = body["predictions"][position]
        assert entry["prediction_id"].endswith(f".{served['batch_id']}-{position}")
        assert (served["predictions"][index], served["is_anomaly"][index]) == (entry["prediction"], entry["is_anomaly"])
    assert [(line["event"], line["row"], line["success"]) for line in rejected] == [
        ("prediction.rejected", 1, False),
        ("prediction.rejected", 2, False),
    ]


def test_a_whole_batch_is_audited_without_positions(
    client: FlaskClient, reading: dict[str, Any], settings: Settings
) -> None:
    """They are 0, 1, 2, ..."""
    client.post("/predict/batch", json={"instances": [reading] * 3})
    assert settings.audit_dir is not None
    (line,) = audit_lines(settings.audit_dir)
    assert (line["event"], line["count"], "positions" in line) == ("batch.served", 3, False)


def test_the_log_of_a_batch_leaves_the_readings_to_the_audit(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """One short line, whatever the number of rows."""
    app = make_app()
    app.test_client().post("/predict/batch", json={"instances": [reading] * 50})
    app.extensions["anomaly"].background.stop()
    (line,) = [
        entry for entry in map(json.loads, capfd.readouterr().out.splitlines()) if entry["event"] == "batch.served"
    ]
    assert (line["count"], line["model_used"], line["success"]) == (50, "primary", True)
    assert not {"features", "predictions", "is_anomaly", "positions"} & set(line)


def test_a_batch_gives_each_row_what_it_gets_alone(client: FlaskClient, schema: FeatureSchema) -> None:
    """Company changes no score, not in the last bit."""
    rows = [dict(zip(schema.names, row, strict=True)) for row in schema.sample(50, seed=9).tolist()]
    batch = client.post("/predict/batch", json={"instances": rows}).get_json()["predictions"]
    alone = [client.post("/predict", json=row).get_json() for row in rows]
    assert [entry["prediction"] for entry in batch] == [entry["prediction"] for entry in alone]
    assert [entry["is_anomaly"] for entry in batch] == [entry["is_anomaly"] for entry in alone]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"instances": []}, 200, id="no rows"),
        pytest.param({}, 422, id="no instances"),
        pytest.param({"instances": {}}, 422, id="instances is an object"),
        pytest.param({"instances": [], "more": 1}, 422, id="unknown key"),
        pytest.param([], 422, id="array"),
    ],
)
def test_the_envelope_of_a_batch_is_checked(client: FlaskClient, body: Any, status: int) -> None:
    """What is no batch at all is refused as a whole."""
    assert client.post("/predict/batch", json=body).status_code == status


def test_a_batch_over_the_limit_is_refused(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any]
) -> None:
    """413 before anything is scored."""
    reply = make_app(max_batch_rows=2).test_client().post("/predict/batch", json={"instances": [reading] * 3})
    assert reply.status_code == 413
    assert reply.get_json()["error"] == "3 rows in one batch, at most 2 are allowed (MAX_BATCH_ROWS)"


def test_without_a_model_the_rule_answers_and_says_so(make_app: Callable[..., Flask], reading: dict[str, Any]) -> None:
    """The service starts with nothing in its registry."""
    client = make_app().test_client()
    body = client.post("/predict", json=reading).get_json()
    assert (body["model_used"], body["warning"]) == ("baseline", "Using baseline rule (models unavailable)")
    health = client.get("/health").get_json()
    assert (health["status"], health["model_loaded"]) == ("degraded", False)


def test_with_a_tampered_primary_the_fallback_answers_and_says_so(
    make_app: Callable[..., Flask], registry: Registry, version: str, reading: dict[str, Any]
) -> None:
    """In the reply, and in health with the cause."""
    (registry.folder / version / "primary.joblib").write_bytes(b"tampered")
    client = make_app().test_client()
    body = client.post("/predict", json=reading).get_json()
    assert (body["model_used"], body["warning"]) == ("fallback", "Primary model unavailable")
    assert "SHA-256" in client.get("/health").get_json()["cause"]


def test_when_nothing_answers_the_error_is_graceful(
    make_app: Callable[..., Flask], reading: dict[str, Any], settings: Settings
) -> None:
    """503 with Retry-After, audited, and visible in health."""
    client = make_app(baseline_rule="tests.integration.test_predict:broken_rule").test_client()
    for path, body in (("/predict", reading), ("/predict/batch", {"instances": [reading, reading]})):
        reply = client.post(path, json=body)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert reply.get_json()["error"] == "All prediction methods failed"
    health = client.get("/health")
    assert (health.status_code, health.get_json()["status"]) == (503, "unhealthy")
    assert health.get_json()["last_prediction_success"] is False
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    assert settings.audit_dir is not None
    assert [line["event"] for line in audit_lines(settings.audit_dir)] == ["prediction.failed", "batch.failed"]


def test_a_full_audit_does_not_stop_predictions(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], tmp_path: Path
) -> None:
    """The service goes on, degraded, and recovers by itself."""
    (tmp_path / "file").write_text("in the way")
    client = make_app(audit_dir=tmp_path / "file").test_client()
    assert client.post("/predict", json=reading).status_code == 200
    assert client.get("/health").get_json()["status"] == "degraded"
    (tmp_path / "file").unlink()
    assert client.post("/predict", json=reading).status_code == 200
    assert len(audit_lines(tmp_path / "file")) == 1


def test_a_required_audit_withholds_what_it_cannot_record(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], tmp_path: Path
) -> None:
    """With AUDIT_REQUIRED no unrecorded prediction leaves."""
    (tmp_path / "file").write_text("in the way")
    client = make_app(audit_dir=tmp_path / "file", audit_required=True).test_client()
    reply = client.post("/predict", json=reading)
    assert reply.status_code == 503
    assert "AUDIT_REQUIRED" in reply.get_json()["error"]
    assert client.get("/health").status_code == 503


def test_bad_input_is_no_failure_of_the_service_even_when_the_audit_fails(
    make_app: Callable[..., Flask], version: str, tmp_path: Path
) -> None:
    """A malformed body is 400 whatever the disk does, and counts as nobody's failure."""
    (tmp_path / "file").write_text("in the way")
    client = make_app(audit_dir=tmp_path / "file", audit_required=True).test_client()
    assert client.post("/predict", data=b"{", content_type="application/json").status_code == 400
    assert client.get("/health").get_json()["consecutive_failures"] == 0


def test_a_prediction_that_was_withheld_is_not_logged_as_served(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The log and the reply tell the same story."""
    (tmp_path / "file").write_text("in the way")
    app = make_app(audit_dir=tmp_path / "file", audit_required=True)
    assert app.test_client().post("/predict", json=reading).status_code == 503
    app.extensions["anomaly"].background.stop()
    events = [json.loads(line)["event"] for line in capfd.readouterr().out.splitlines()]
    assert "prediction.failed" in events
    assert "prediction.served" not in events


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        pytest.param("INFO", ["prediction.served", "prediction.rejected"], id="info"),
        pytest.param("WARNING", ["prediction.rejected"], id="warning"),
        pytest.param("ERROR", [], id="error"),
    ],
)
def test_predictions_are_logged_by_their_level(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], capfd: pytest.CaptureFixture[str],
    level: str, logged: list[str],
) -> None:  # fmt: skip
    """LOG_LEVEL means the same for predictions as for everything else."""
    app = make_app(log_level=level)
    client = app.test_client()
    client.post("/predict", json=reading)
    client.post("/predict", json={})
    app.extensions["anomaly"].background.stop()
    events = [json.loads(line)["event"] for line in capfd.readouterr().out.splitlines()]
    assert [event for event in events if event.startswith("prediction.")] == logged


def test_a_score_that_is_no_probability_is_a_failure(make_app: Callable[..., Flask], reading: dict[str, Any]) -> None:
    """Nothing outside 0 to 1 leaves the service."""
    client = make_app(baseline_rule="tests.integration.test_predict:five_rule").test_client()
    assert client.post("/predict", json=reading).status_code == 503


def test_a_failed_batch_is_audited_with_its_readings(
    make_app: Callable[..., Flask], reading: dict[str, Any], settings: Settings
) -> None:
    """The rows that were refused, and those that nothing could answer, each in its place."""
    client = make_app(baseline_rule="tests.integration.test_predict:broken_rule").test_client()
    reply = client.post("/predict/batch", json={"instances": [{}, reading, reading]})
    assert reply.status_code == 503
    assert {"predictions", "count", "rejected", "error"} <= set(reply.get_json())
    assert settings.audit_dir is not None
    failed, rejected = audit_lines(settings.audit_dir)
    assert (failed["event"], failed["count"], failed["positions"]) == ("batch.failed", 2, [1, 2])
    assert failed["features"] == {name: [value, value] for name, value in reading.items()}
    assert (rejected["event"], rejected["row"]) == ("prediction.rejected", 0)


def test_a_required_audit_withholds_a_batch_too(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Nothing of it leaves, and the log says that it failed."""
    (tmp_path / "file").write_text("in the way")
    app = make_app(audit_dir=tmp_path / "file", audit_required=True)
    reply = app.test_client().post("/predict/batch", json={"instances": [reading] * 2})
    assert reply.status_code == 503
    app.extensions["anomaly"].background.stop()
    events = [json.loads(line)["event"] for line in capfd.readouterr().out.splitlines()]
    assert "batch.failed" in events
    assert "batch.served" not in events


def test_a_slow_model_misses_its_deadline_and_the_fallback_answers(
    make_app: Callable[..., Flask], registry: Registry, schema: FeatureSchema, logistic: Any, reading: dict[str, Any]
) -> None:
    """The reply is labelled, and the breaker opens over repeated misses."""
    slow = ConstantModel()
    registry.activate(registry.register(draft_of(schema, primary=slow, fallback=logistic)))
    client = make_app(breaker_failures=2).test_client()
    assert client.post("/predict", json=reading).get_json()["model_used"] == "primary"
    ConstantModel.unhindered.clear()
    try:
        replies = [client.post("/predict", json=reading).get_json() for _ in range(3)]
    finally:
        ConstantModel.unhindered.set()
    assert [reply["model_used"] for reply in replies] == ["fallback"] * 3
    detailed = client.get("/health/detailed").get_json()
    assert detailed["workers"][0]["stages"]["primary"]["breaker"] == "open"


def broken_rule(rows: Any) -> Any:
    """A rule that fails."""
    raise ZeroDivisionError


def five_rule(rows: Any) -> Any:
    """A rule whose scores are no probabilities."""
    return rows[:, 0] * 0 + 5.0
