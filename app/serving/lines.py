"""What is written down of each request: the audit's records, made of the values that a request came to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from app.contract.problems import Problem, Rejected
from app.contract.schema import FeatureSchema, Readings, Row
from app.model.stages import NONE
from app.serving.prediction import PredictedBatch, Prediction, RequestContext
from app.telemetry.logs import render
from app.telemetry.records import BatchRecord, PredictionRecord

_encoder = msgspec.json.Encoder()


def head(level: str, event: str, context: RequestContext) -> dict[str, Any]:
    """The members that every record of a request begins with."""
    return {
        "timestamp": datetime.now(UTC),
        "level": level,
        "event": event,
        "pid": os.getpid(),
        "request_id": context.request_id,
        "trace_id": context.trace_id,
        "client": context.client,
    }


class Lines:
    """Makes records. The values of `redacted` features are left out of them, and out of what they say was wrong."""

    def __init__(self, schema: FeatureSchema, redacted: Iterable[str] = ()) -> None:
        self._names = schema.names
        self._redacted = frozenset(redacted)

    def served(self, prediction: Prediction, context: RequestContext) -> bytes:
        """One answered reading."""
        return _encoder.encode(
            PredictionRecord(
                **head("info", "prediction.served", context),
                success=True,
                prediction_id=prediction.prediction_id,
                prediction=prediction.score,
                is_anomaly=prediction.is_anomaly,
                model_used=prediction.model_used,
                model_version=prediction.model_version,
                latency_ms=round(prediction.latency_ms, 3),
                features=self._features(prediction.row),
                warning=prediction.warning,
            )
        )

    def failed(self, error: Exception, row: Row, context: RequestContext) -> bytes:
        """One reading that nothing could answer."""
        return _without_answer("error", "prediction.failed", str(error), context, features=self._features(row))

    def rejected(self, message: str, rejected: Rejected | None, context: RequestContext) -> bytes:
        """A request that was refused as a whole; `rejected` is None where it held no reading to have problems."""
        return self._refusal(self._redact(rejected), message if rejected is None else None, context)

    def rejected_rows(self, rejected: Mapping[int, Rejected], context: RequestContext) -> list[bytes]:
        """The readings of a request that were refused, each with its place."""
        return [self._refusal(self._redact(entry), None, context, row=place) for place, entry in rejected.items()]

    def batch_served(self, batch: PredictedBatch, context: RequestContext) -> BatchRecord:
        """Readings that were answered together."""
        return BatchRecord(
            **head("info", "batch.served", context),
            success=True,
            model_used=batch.model_used,
            model_version=batch.model_version,
            latency_ms=round(batch.latency_ms, 3),
            warning=batch.warning,
            batch_id=batch.batch_id,
            predictions=batch.scores,
            is_anomaly=batch.decisions,
            **self._columns(batch.readings),
        )

    def batch_failed(self, error: Exception, readings: Readings, context: RequestContext) -> BatchRecord:
        """Readings of one request that nothing could answer."""
        return BatchRecord(
            **head("error", "batch.failed", context),
            success=False,
            model_used=NONE,
            model_version=None,
            latency_ms=round(context.elapsed_ms, 3),
            error=str(error),
            **self._columns(readings),
        )

    def _features(self, row: Row) -> dict[str, float]:
        features = dict(zip(self._names, row, strict=True))
        for name in self._redacted:
            del features[name]
        return features

    def _columns(self, readings: Readings) -> dict[str, Any]:
        columns = dict(zip(self._names, np.ascontiguousarray(readings.rows.T), strict=True))
        for name in self._redacted:
            del columns[name]
        return {
            "count": len(readings.rows),
            "features": columns,
            "positions": list(readings.positions) if readings.rejected else None,
        }

    def _redact(self, rejected: Rejected | None) -> Rejected:
        problems = rejected.problems if rejected is not None else ()
        return Rejected(tuple(self._without_value(problem) for problem in problems))

    def _without_value(self, problem: Problem) -> Problem:
        if problem.feature not in self._redacted or problem.code in ("missing", "unexpected"):
            return problem
        return Problem(problem.code, f"{problem.feature}: {problem.code}, its value is redacted", problem.feature)

    @staticmethod
    def _refusal(rejected: Rejected, message: str | None, context: RequestContext, row: int | None = None) -> bytes:
        errors = [{"feature": problem.feature, "code": problem.code} for problem in rejected.problems]
        text = rejected.message if message is None else message
        return _without_answer("warning", "prediction.rejected", text, context, row=row, errors=errors or None)


def _without_answer(level: str, event: str, message: str, context: RequestContext, **more: Any) -> bytes:
    # Rendered carefully: a client's own words may be in it.
    return render(
        PredictionRecord(
            **head(level, event, context),
            success=False,
            model_used=NONE,
            model_version=None,
            latency_ms=round(context.elapsed_ms, 3),
            error=message,
            **more,
        )
    )
