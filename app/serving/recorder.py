"""Writes down every prediction, before its reply leaves: one line for the audit and the log alike."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.contract.schema import FeatureSchema, Rejected, Row
from app.errors import AuditUnavailableError
from app.serving.board import WorkerBoard
from app.serving.chain import NONE
from app.serving.health import HealthCheck
from app.serving.prediction import Prediction, RequestContext
from app.telemetry.audit import PredictionLogger, PredictionRecord
from app.telemetry.logs import LogSink, render

_encoder = msgspec.json.Encoder()


class Recorder:
    """The audit file, the log and the worker's pulse, as one."""

    def __init__(
        self,
        schema: FeatureSchema,
        audit: PredictionLogger,
        sink: LogSink,
        board: WorkerBoard,
        health: HealthCheck,
        *,
        audit_required: bool,
        log_predictions: bool,
    ) -> None:
        self._names = schema.names
        self._audit = audit
        self._sink = sink
        self._board = board
        self._health = health
        self._audit_required = audit_required
        self._log_predictions = log_predictions

    def answered(self, outcomes: Sequence[Prediction | Rejected], context: RequestContext, *, batch: bool) -> None:
        """Records each outcome of a request that was answered. Raises `AuditUnavailableError`."""
        self._write(
            [
                self._served(outcome, context, row=index if batch else None)
                if isinstance(outcome, Prediction)
                else self._rejected(outcome.message, outcome, context, row=index)
                for index, outcome in enumerate(outcomes)
            ]
        )
        if any(isinstance(outcome, Prediction) for outcome in outcomes):
            self._board.beat(time.time(), success=True)

    def rejected(self, error: Exception, rejected: Rejected | None, context: RequestContext) -> None:
        """Records a request that broke the contract as a whole. Raises `AuditUnavailableError`."""
        self._write([self._rejected(str(error), rejected, context, row=None)])

    def failed(self, error: Exception, rows: Sequence[Row], context: RequestContext) -> None:
        """Records rows that no stage could answer. Raises `AuditUnavailableError`."""
        self._board.beat(time.time(), success=False)
        self._write([self._failed(str(error), row, context) for row in rows])

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._log_predictions:
            for line in lines:
                self._sink.put(line)
        try:
            self._audit.append(lines)
        except OSError as error:
            self._health.audit_failed(error)
            if self._audit_required:
                self._board.beat(time.time(), success=False)
                reason = error.strerror or str(error)
                raise AuditUnavailableError(
                    f"The prediction could not be recorded ({reason}), and AUDIT_REQUIRED is set"
                ) from None

    def _served(self, prediction: Prediction, context: RequestContext, row: int | None) -> bytes:
        return _encoder.encode(
            PredictionRecord(
                timestamp=datetime.now(UTC),
                level="info",
                event="prediction.served",
                pid=os.getpid(),
                request_id=context.request_id,
                trace_id=context.trace_id,
                success=True,
                prediction_id=prediction.prediction_id,
                prediction=prediction.score,
                is_anomaly=prediction.is_anomaly,
                model_used=prediction.model_used,
                model_version=prediction.model_version,
                latency_ms=round(prediction.latency_ms, 3),
                features=dict(zip(self._names, prediction.row, strict=True)),
                warning=prediction.warning,
                row=row,
            )
        )

    def _rejected(self, message: str, rejected: Rejected | None, context: RequestContext, row: int | None) -> bytes:
        errors: list[dict[str, Any]] | None = None
        if rejected is not None:
            errors = [{"feature": problem.feature, "code": problem.code} for problem in rejected.problems]
        # Rendered carefully: a client's own words are in it.
        return render(
            PredictionRecord(
                timestamp=datetime.now(UTC),
                level="warning",
                event="prediction.rejected",
                pid=os.getpid(),
                request_id=context.request_id,
                trace_id=context.trace_id,
                success=False,
                model_used=NONE,
                model_version=None,
                latency_ms=round(context.elapsed_ms, 3),
                error=message,
                errors=errors,
                row=row,
            )
        )

    def _failed(self, message: str, row: Row, context: RequestContext) -> bytes:
        return _encoder.encode(
            PredictionRecord(
                timestamp=datetime.now(UTC),
                level="error",
                event="prediction.failed",
                pid=os.getpid(),
                request_id=context.request_id,
                trace_id=context.trace_id,
                success=False,
                model_used=NONE,
                model_version=None,
                latency_ms=round(context.elapsed_ms, 3),
                features=dict(zip(self._names, row, strict=True)),
                error=message,
            )
        )
