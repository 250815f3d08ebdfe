"""Writes down every prediction, before its reply leaves: one line for the audit and the log alike."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema, Readings, Row
from app.errors import AuditUnavailableError, ContractViolationError, RowsRejectedError, ServiceError
from app.model.stages import NONE
from app.serving.board import WorkerBoard
from app.serving.health import HealthCheck
from app.serving.prediction import PredictedBatch, Prediction, RequestContext
from app.telemetry.audit import PredictionLogger
from app.telemetry.logs import LogSink, render
from app.telemetry.records import BatchRecord, PredictionRecord
from app.telemetry.tally import Tally

_encoder = msgspec.json.Encoder()
_LEVELS = logging.getLevelNamesMapping()


class Recorder:
    """The audit file, the log and the worker's pulse, as one."""

    def __init__(
        self,
        schema: FeatureSchema,
        audit: PredictionLogger,
        sink: LogSink,
        board: WorkerBoard,
        health: HealthCheck,
        tally: Tally,
        *,
        audit_required: bool,
        log_level: str,
    ) -> None:
        self._names = schema.names
        self._audit = audit
        self._sink = sink
        self._board = board
        self._health = health
        self._tally = tally
        self._audit_required = audit_required
        self._logged = {level for level in _LEVELS if _LEVELS[level] >= _LEVELS[log_level]}

    def answered(self, prediction: Prediction, context: RequestContext) -> None:
        """Records one prediction. Raises `AuditUnavailableError`."""
        line = self._served(prediction, context)
        problem = self._audited([line], context)
        if problem is not None and self._audit_required:
            error = _withheld(problem)
            self._unanswered(self._failed(error, prediction.row, context), 1, context)
            raise error
        self._log("INFO", line)
        self._board.beat(time.time(), success=True)
        self._tally.answered(
            prediction.model_used, prediction.model_version, prediction.row, prediction.score,
            prediction.latency_ms / 1000,
        )  # fmt: skip
        if context.span is not None:
            context.span.answered(prediction.model_used, prediction.model_version)

    def batch_answered(self, batch: PredictedBatch, context: RequestContext) -> None:
        """Records a batch, and each of its rows that was rejected. Raises `AuditUnavailableError`."""
        rejected = self._rejected_rows(batch.readings.rejected, context)
        served = len(batch.scores) > 0
        record = self._batch_served(batch, context)
        problem = self._audited([*([record.line()] if served else []), *rejected], context)
        if problem is not None and self._audit_required and served:
            error = _withheld(problem)
            failed = self._batch_failed(error, batch.readings, context)
            self._unanswered(failed.without_rows().line(), failed.count, context)
            raise error
        self._log("WARNING", *rejected)
        self._count_rejected(batch.readings.rejected.values())
        if served:
            self._log("INFO", record.without_rows().line())
            self._board.beat(time.time(), success=True)
            self._tally.batch_answered(
                batch.model_used, batch.model_version, batch.readings.rows, batch.scores, batch.latency_ms / 1000
            )
            if context.span is not None:
                context.span.answered(batch.model_used, batch.model_version)

    def rejected(self, error: ServiceError, context: RequestContext) -> None:
        """Records a request that broke the contract as a whole; bad input is no failure of the service."""
        if isinstance(error, RowsRejectedError):
            lines = self._rejected_rows(error.rejected, context)
            self._count_rejected(error.rejected.values())
        else:
            rejected = error.rejected if isinstance(error, ContractViolationError) else None
            lines = [self._rejected(str(error), rejected, context)]
            self._count_rejected([rejected])
        self._audited(lines, context)
        self._log("WARNING", *lines)

    def failed(self, error: ServiceError, row: Row, context: RequestContext) -> None:
        """Records a reading that no stage could answer."""
        line = self._failed(error, row, context)
        self._audited([line], context)
        self._unanswered(line, 1, context)

    def batch_failed(self, error: ServiceError, readings: Readings, context: RequestContext) -> None:
        """Records a batch whose rows no stage could answer."""
        record = self._batch_failed(error, readings, context)
        rejected = self._rejected_rows(readings.rejected, context)
        self._audited([record.line(), *rejected], context)
        self._log("WARNING", *rejected)
        self._count_rejected(readings.rejected.values())
        self._unanswered(record.without_rows().line(), record.count, context)

    def _unanswered(self, line: bytes, readings: int, context: RequestContext) -> None:
        self._log("ERROR", line)
        self._board.beat(time.time(), success=False)
        self._tally.failed(readings, context.elapsed_ms / 1000)
        if context.span is not None:
            context.span.answered(NONE, None)

    def _count_rejected(self, rejected: Iterable[Rejected | None]) -> None:
        for entry in rejected:
            self._tally.rejected(entry.problems if entry is not None else ())

    def _audited(self, lines: Sequence[bytes], context: RequestContext) -> str | None:
        """Appends to the audit; gives the reason where that failed."""
        if not lines:
            return None
        try:
            self._audit.append(lines)
        except OSError as error:
            self._health.audit_failed(error, context.request_id)
            return error.strerror or str(error)
        self._health.audit_written()
        return None

    def _log(self, level: str, *lines: bytes) -> None:
        if level in self._logged:
            for line in lines:
                self._sink.put(line)

    def _served(self, prediction: Prediction, context: RequestContext) -> bytes:
        return _encoder.encode(
            PredictionRecord(
                timestamp=datetime.now(UTC),
                level="info",
                event="prediction.served",
                pid=os.getpid(),
                request_id=context.request_id,
                trace_id=context.trace_id,
                client=context.client,
                success=True,
                prediction_id=prediction.prediction_id,
                prediction=prediction.score,
                is_anomaly=prediction.is_anomaly,
                model_used=prediction.model_used,
                model_version=prediction.model_version,
                latency_ms=round(prediction.latency_ms, 3),
                features=dict(zip(self._names, prediction.row, strict=True)),
                warning=prediction.warning,
            )
        )

    def _batch_served(self, batch: PredictedBatch, context: RequestContext) -> BatchRecord:
        return BatchRecord(
            timestamp=datetime.now(UTC),
            level="info",
            event="batch.served",
            pid=os.getpid(),
            request_id=context.request_id,
            trace_id=context.trace_id,
            client=context.client,
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

    def _batch_failed(self, error: ServiceError, readings: Readings, context: RequestContext) -> BatchRecord:
        return BatchRecord(
            timestamp=datetime.now(UTC),
            level="error",
            event="batch.failed",
            pid=os.getpid(),
            request_id=context.request_id,
            trace_id=context.trace_id,
            client=context.client,
            success=False,
            model_used=NONE,
            model_version=None,
            latency_ms=round(context.elapsed_ms, 3),
            error=str(error),
            **self._columns(readings),
        )

    def _columns(self, readings: Readings) -> dict[str, Any]:
        return {
            "count": len(readings.rows),
            "features": dict(zip(self._names, np.ascontiguousarray(readings.rows.T), strict=True)),
            "positions": list(readings.positions) if readings.rejected else None,
        }

    def _rejected_rows(self, rejected: Mapping[int, Rejected], context: RequestContext) -> list[bytes]:
        return [self._rejected(entry.message, entry, context, row=place) for place, entry in rejected.items()]

    def _rejected(
        self, message: str, rejected: Rejected | None, context: RequestContext, row: int | None = None
    ) -> bytes:
        problems = rejected.problems if rejected is not None else ()
        errors = [{"feature": problem.feature, "code": problem.code} for problem in problems]
        return _without_answer("warning", "prediction.rejected", message, context, row=row, errors=errors or None)

    def _failed(self, error: ServiceError, values: Row, context: RequestContext) -> bytes:
        features = dict(zip(self._names, values, strict=True))
        return _without_answer("error", "prediction.failed", str(error), context, features=features)


def _without_answer(level: str, event: str, message: str, context: RequestContext, **more: Any) -> bytes:
    # Rendered carefully: a client's own words may be in it.
    return render(
        PredictionRecord(
            timestamp=datetime.now(UTC),
            level=level,
            event=event,
            pid=os.getpid(),
            request_id=context.request_id,
            trace_id=context.trace_id,
            client=context.client,
            success=False,
            model_used=NONE,
            model_version=None,
            latency_ms=round(context.elapsed_ms, 3),
            error=message,
            **more,
        )
    )


def _withheld(problem: str) -> AuditUnavailableError:
    return AuditUnavailableError(f"The prediction could not be recorded ({problem}), and AUDIT_REQUIRED is set")
