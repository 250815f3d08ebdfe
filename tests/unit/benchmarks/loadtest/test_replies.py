"""What the load test takes for a right reply, and what not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.loadtest import replies

PREDICTION = {
    "success": True, "prediction": 0.01, "is_anomaly": False, "model_used": "primary", "model_version": "v",
    "prediction_id": "v.primary.0.26ce8f72eeda91b30f", "latency_ms": 0.2, "warning": None, "error": None,
}  # fmt: skip
BATCH = {"success": True, "predictions": [PREDICTION] * 2, "count": 2, "rejected": 0, "error": None}
OUTPUTS = [
    {"name": "prediction", "datatype": "FP64", "shape": [2], "data": [0.01, 1]},
    {"name": "is_anomaly", "datatype": "BOOL", "shape": [2], "data": [False, True]},
    {"name": "model_used", "datatype": "BYTES", "shape": [2], "data": ["primary", "baseline"]},
]
INFERENCE = {"model_name": "anomaly", "model_version": "v", "id": "a", "parameters": {}, "outputs": OUTPUTS}
FEEDBACK = {"success": True, "accepted": 1, "refused": 0, "error": None}
PROBLEM = {
    "success": False, "error": "a", "type": "a", "title": "a", "status": 422, "detail": "a", "instance": "/predict",
    "request_id": "a", "errors": [{"pointer": "/lag_1", "feature": "lag_1", "code": "nan", "message": "a"}],
}  # fmt: skip
HEALTH = {
    "last_prediction_success": None, "consecutive_failures": 0, "last_prediction_time": None, "status": "degraded",
    "cause": "a", "causes": ["a"], "model_loaded": True, "model_version": "v",
}  # fmt: skip
REJECTION = replies.rejection(frozenset({("lag_1", "nan")}))


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("check", "status", "document"),
    [
        pytest.param(replies.prediction, 200, PREDICTION, id="prediction"),
        pytest.param(
            replies.prediction, 200, PREDICTION | {"model_used": "baseline", "warning": "a"}, id="by the rule"
        ),
        pytest.param(replies.batch(2), 200, BATCH, id="batch"),
        pytest.param(replies.inference(2), 200, INFERENCE, id="inference"),
        pytest.param(replies.feedback, 202, FEEDBACK, id="feedback"),
        pytest.param(REJECTION, 422, PROBLEM, id="bad reading"),
        pytest.param(replies.health, 200, HEALTH, id="degraded"),
        pytest.param(replies.probe, 200, {}, id="probe"),
    ],
)
def test_right_replies(check: replies.Check, status: int, document: Any) -> None:
    """Nothing is wrong with them, but everything with the same under another status."""
    assert check(status, body(document)) is None
    assert check(503, body({"success": False, "error": "All prediction methods failed"})) == (
        "503: All prediction methods failed"
    )
    assert check(500, body(document)) is not None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"success": False}, "$.success", id="no success"),
        pytest.param({"prediction": 1.5}, "$.prediction", id="no probability"),
        pytest.param({"prediction": None}, "$.prediction", id="no prediction"),
        pytest.param({"is_anomaly": 0}, "$.is_anomaly", id="no decision"),
        pytest.param({"model_used": "none"}, "no stage: none", id="no stage"),
        pytest.param({"error": "but"}, "$.error", id="success and an error"),
    ],
)
def test_a_200_alone_is_no_prediction(change: dict[str, Any], problem: str) -> None:
    """Alone or in a batch."""
    wrong = PREDICTION | change
    assert problem in (replies.prediction(200, body(wrong)) or "")
    assert replies.batch(2)(200, body(BATCH | {"predictions": [PREDICTION, wrong]})) is not None


@pytest.mark.parametrize(
    ("check", "status", "document", "problem"),
    [
        pytest.param(replies.prediction, 200, {}, "missing required field", id="an empty object"),
        pytest.param(replies.batch(3), 200, BATCH, "2 of 3 readings answered, 0 rejected", id="a reading is missing"),
        pytest.param(replies.batch(2), 200, BATCH | {"rejected": 1}, "1 rejected", id="a good reading is rejected"),
        pytest.param(replies.inference(3), 200, INFERENCE, "no probabilities of 3 readings", id="a row is missing"),
        pytest.param(
            replies.inference(2), 200, INFERENCE | {"outputs": [OUTPUTS[0] | {"data": [0.5, 2]}, *OUTPUTS[1:]]},
            "no probabilities", id="no probability",
        ),
        pytest.param(
            replies.inference(2), 200, INFERENCE | {"outputs": OUTPUTS[:2]}, "name no stages", id="an output is missing"
        ),
        pytest.param(replies.feedback, 202, FEEDBACK | {"accepted": 0, "refused": 1}, "not counted", id="not counted"),
        pytest.param(REJECTION, 200, PREDICTION, "200: None", id="a bad reading is answered"),
        pytest.param(
            REJECTION, 422, PROBLEM | {"errors": []}, "names [], not [('lag_1', 'nan')]", id="refused without reason"
        ),
        pytest.param(replies.health, 200, HEALTH | {"status": "unhealthy"}, "200 and unhealthy", id="unhealthy"),
    ],
)  # fmt: skip
def test_wrong_replies(check: replies.Check, status: int, document: Any, problem: str) -> None:
    """Each is told in words."""
    assert problem in (check(status, body(document)) or "")


def test_what_is_no_json_is_told_as_it_is() -> None:
    """A proxy's page, or a torn reply."""
    assert replies.prediction(502, b"<html>Bad Gateway") == "502: <html>Bad Gateway"
    assert (replies.prediction(200, body(PREDICTION)[:-5]) or "").startswith("200 with another envelope: ")


def test_a_scrape_has_the_counters() -> None:
    """Whatever else answers with 200 is no scrape of the service."""
    assert replies.scrape(200, b'# TYPE\nprediction_requests_total{outcome="primary"} 1\n') is None
    assert replies.scrape(200, b"<html>") == "200 without prediction_requests_total"
    assert replies.scrape(401, b"no") == "401: no"
