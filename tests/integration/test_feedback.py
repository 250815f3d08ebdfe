"""`POST /feedback`, from bytes to counters and audit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.settings import Settings
from tests.integration.conftest import audit_lines


def predicted(client: FlaskClient, reading: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = client.post("/predict", json=reading).get_json()
    return body


def counted(client: FlaskClient, pattern: str) -> list[str]:
    return re.findall(pattern, client.get("/metrics").get_data(as_text=True))


def test_feedback_is_counted_against_what_was_predicted(
    client: FlaskClient, reading: dict[str, Any], version: str, settings: Settings
) -> None:
    """By version, stage, prediction and truth; audited, and seen in health."""
    prediction = predicted(client, reading)
    reply = client.post("/feedback", json={"prediction_id": prediction["prediction_id"], "actual": 1})
    assert reply.status_code == 202
    assert reply.get_json() == {"success": True, "accepted": 1, "refused": 0, "error": None}
    said = int(prediction["is_anomaly"])
    assert counted(client, r"(?m)^feedback_total.* 1\.0$") == [
        f'feedback_total{{actual="1",model_version="{version}",predicted="{said}",stage="primary"}} 1.0'
    ]
    assert settings.audit_dir is not None
    line = audit_lines(settings.audit_dir)[-1]
    assert (line["event"], line["prediction_id"]) == ("feedback.received", prediction["prediction_id"])
    assert (line["actual"], line["predicted"], line["model_used"]) == (1, said, "primary")


def test_the_same_feedback_is_never_counted_twice(client: FlaskClient, reading: dict[str, Any]) -> None:
    """The second is told so, and counted as refused."""
    document = {"prediction_id": predicted(client, reading)["prediction_id"], "actual": 0}
    assert client.post("/feedback", json=document).status_code == 202
    again = client.post("/feedback", json=document)
    assert (again.status_code, again.get_json()["errors"][0]["code"]) == (409, "repeated")
    assert counted(client, r'feedback_refused_total\{reason="repeated"\} 1\.0')
    assert len(counted(client, r"(?m)^feedback_total\{.*\} 1\.0$")) == 1


def test_each_row_of_a_batch_can_have_feedback(client: FlaskClient, reading: dict[str, Any]) -> None:
    """Their ids differ by their place."""
    rows = client.post("/predict/batch", json={"instances": [reading] * 3}).get_json()["predictions"]
    entries = [{"prediction_id": row["prediction_id"], "actual": 0} for row in rows]
    body = client.post("/feedback", json={"feedback": [*entries, entries[0], {"actual": 0}]}).get_json()
    assert (body["accepted"], body["refused"]) == (3, 2)
    assert [entry["success"] for entry in body["feedback"]] == [True, True, True, False, False]
    assert body["feedback"][3]["errors"][0]["pointer"] == "/feedback/3/prediction_id"


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        pytest.param({"prediction_id": "v9.primary.1.26ce8f72eeda91b30f", "actual": 1}, 422, "unknown", id="unknown"),
        pytest.param({"prediction_id": "abc", "actual": 1}, 422, "malformed_id", id="malformed"),
        pytest.param({"actual": 1}, 422, "not_an_object", id="no id"),
    ],
)
def test_feedback_on_no_prediction_of_ours_is_refused(
    client: FlaskClient, document: dict[str, Any], status: int, code: str
) -> None:
    """And no label of a client's making is counted under."""
    reply = client.post("/feedback", json=document)
    assert (reply.status_code, reply.get_json()["errors"][0]["code"]) == (status, code)
    assert counted(client, r"feedback_refused_total\{.*\} 1\.0")
    assert not counted(client, r"(?m)^feedback_total\{.*\} [^0]")


def test_feedback_on_the_rule_alone_is_taken(make_app: Callable[..., Flask], reading: dict[str, Any]) -> None:
    """It has no version to be known."""
    client = make_app().test_client()
    prediction_id = predicted(client, reading)["prediction_id"]
    assert prediction_id.startswith("-.baseline.")
    assert client.post("/feedback", json={"prediction_id": prediction_id, "actual": 0}).status_code == 202


def test_more_feedback_than_the_limit_is_refused_whole(make_app: Callable[..., Flask], version: str) -> None:
    """413 before any is counted."""
    client = make_app(max_batch_rows=2).test_client()
    entry = {"prediction_id": f"{version}.primary.1.26ce8f72eeda91b30f", "actual": 1}
    assert client.post("/feedback", json={"feedback": [entry] * 3}).status_code == 413
    assert not counted(client, r"(?m)^feedback_total\{.*\} [^0]")


def test_with_a_required_audit_feedback_that_cannot_be_written_may_come_again(
    make_app: Callable[..., Flask], version: str, tmp_path: Path
) -> None:
    """It was not taken, so the second try is no repetition."""
    (tmp_path / "file").write_text("in the way")
    client = make_app(audit_dir=tmp_path / "file", audit_required=True).test_client()
    document = {"prediction_id": f"{version}.primary.1.26ce8f72eeda91b30f", "actual": 1}
    assert client.post("/feedback", json=document).status_code == 503
    (tmp_path / "file").unlink()
    assert client.post("/feedback", json=document).status_code == 202


def test_memory_of_seen_feedback_is_bounded(client: FlaskClient, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr("app.serving.feedback.IDS_REMEMBERED", 2)
    documents = [{"prediction_id": f"{version}.primary.1.{number:018x}", "actual": 1} for number in range(3)]
    assert [client.post("/feedback", json=document).status_code for document in documents] == [202] * 3
    assert client.post("/feedback", json=documents[2]).status_code == 409
    assert client.post("/feedback", json=documents[0]).status_code == 202


def test_health_shows_the_last_hour(client: FlaskClient, reading: dict[str, Any]) -> None:
    """Traffic, latency and accuracy, as far as the worker has posted them."""
    prediction_id = predicted(client, reading)["prediction_id"]
    client.post("/feedback", json={"prediction_id": prediction_id, "actual": 1})
    client.application.extensions["anomaly"].health.post()
    traffic = client.get("/health/detailed").get_json()["traffic"]
    assert traffic["hour"]["outcomes"]["primary"] == 1
    assert traffic["hour"]["feedback"] == 1
    assert traffic["hour"]["p99_ms"] > 0
    assert traffic["minutes"][0]["minute"].endswith(":00.000Z")
    assert (traffic["drift"], traffic["drift_rows"]) == (None, 1)
