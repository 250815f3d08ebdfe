"""`POST /predict` and `POST /predict/batch`."""

from __future__ import annotations

from typing import Any

from flask import request

from app.api.exchange import Environ, Reply, read_json_body, request_context, respond
from app.api.lean import LeanFlask
from app.api.problem import error_items
from app.api.replies import predictions as replies
from app.contract.problems import Rejected
from app.model.stages import NONE
from app.serving.prediction import PredictedBatch, Prediction
from app.serving.reload import ModelFollower
from app.serving.service import PredictionService

_NO_PREDICTION: replies.NoPrediction = {
    "prediction": None, "is_anomaly": None, "model_used": NONE, "model_version": None, "prediction_id": None,
    "latency_ms": None, "warning": None,
}  # fmt: skip


def add_predict_views(app: LeanFlask, service: PredictionService, max_body_bytes: int) -> None:
    """The endpoints that ask for predictions."""

    def predict(environ: Environ) -> Reply:
        prediction = service.predict(read_json_body(environ, max_body_bytes), request_context(environ))
        return respond(environ, _envelope(prediction))

    def predict_batch(environ: Environ) -> Reply:
        batch = service.predict_batch(read_json_body(environ, max_body_bytes), request_context(environ))
        return respond(environ, _batch_envelope(batch))

    app.post_directly("/predict", predict)
    app.post_directly("/predict/batch", predict_batch)


def failure_members(follower: ModelFollower) -> dict[str, Any]:
    """What a reply without prediction has in common with one that has: the members of its endpoint's success."""
    if request.path == "/predict":
        return {**_NO_PREDICTION, "model_version": follower.chain.version, "latency_ms": _latency_ms()}
    if request.path == "/predict/batch":
        return {"predictions": None, "count": 0, "rejected": 0}
    return {}


def _envelope(prediction: Prediction) -> replies.Prediction:
    return {
        "success": True,
        "prediction": prediction.score,
        "is_anomaly": prediction.is_anomaly,
        "model_used": prediction.model_used,
        "model_version": prediction.model_version,
        "prediction_id": prediction.prediction_id,
        "latency_ms": round(prediction.latency_ms, 3),
        "warning": prediction.warning,
        "error": None,
    }


def _batch_envelope(batch: PredictedBatch) -> replies.Batch:
    """Every reading's own envelope in its place; what the rows have in common is put together only once."""
    readings, latency_ms = batch.readings, round(batch.latency_ms, 3)
    answered = zip(batch.scores, batch.decisions, batch.prediction_ids(), strict=True)
    entries: list[replies.Prediction | replies.RejectedReading] = [
        {
            "success": True,
            "prediction": score,
            "is_anomaly": is_anomaly,
            "model_used": batch.model_used,
            "model_version": batch.model_version,
            "prediction_id": prediction_id,
            "latency_ms": latency_ms,
            "warning": batch.warning,
            "error": None,
        }
        for score, is_anomaly, prediction_id in answered
    ]
    if readings.rejected:
        in_order = iter(entries)
        entries = [
            _rejection(readings.rejected[place], place, latency_ms) if place in readings.rejected else next(in_order)
            for place in range(readings.count)
        ]
    return {
        "success": True,
        "predictions": entries,
        "count": readings.count,
        "rejected": len(readings.rejected),
        "error": None,
    }


def _rejection(rejected: Rejected, index: int, latency_ms: float) -> replies.RejectedReading:
    return {
        "success": False,
        **_NO_PREDICTION,
        "latency_ms": latency_ms,
        "error": rejected.message,
        "errors": error_items(rejected.problems, f"/instances/{index}"),
    }


def _latency_ms() -> float:
    return round(request_context(request.environ).elapsed_ms, 3)
