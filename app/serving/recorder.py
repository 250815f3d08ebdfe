"""Writes down every prediction, before its reply leaves: one line for the audit and the log alike."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec

from app.contract.schema import FeatureSchema, Rejected, Row
from app.errors import AuditUnavailableError, ContractViolationError, ServiceError
from app.model.stages import NONE
from app.serving.board import WorkerBoard
from app.serving.health import HealthCheck
from app.serving.prediction import Prediction, RequestContext
from app.telemetry.audit import PredictionLogger, PredictionRecord
from app.telemetry.logs import LogSink, render

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
        *,
        audit_required: bool,
        log_level: str,
    ) -> None:
        self._names = schema.names
        self._audit = audit
        self._sink = sink
        self._board = board
        self._health = health
        self._audit_required = audit_required
        self._logged = {level for level in _LEVELS if _LEVELS[level] >= _LEVELS[log_level]}

    def answered(self, outcomes: Sequence[Prediction | Rejected], context: RequestContext, *, batch: bool) -> None:
        """Records each outcome of a request that was answered. Raises `AuditUnavailableError`."""
        lines = [
            ("INFO", self._served(outcome, context, row=index if batch else None))
            if isinstance(outcome, Prediction)
            else ("WARNING", self._rejected(outcome.message, outcome, context, row=index))
            for index, outcome in enumerate(outcomes)
        ]
        problem = self._audited([line for _, line in lines])
        served = [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
        if problem is not None and self._audit_required and served:
            self._withhold(problem, served, context)
        self._log(lines)
        if served:
            self._board.beat(time.time(), success=True)

    def _withhold(self, problem: str, served: Sequence[Prediction], context: RequestContext) -> NoReturn:
        error = AuditUnavailableError(f"The prediction could not be recorded ({problem}), and AUDIT_REQUIRED is set")
        self._board.beat(time.time(), success=False)
        self._log([("ERROR", self._failed(str(error), prediction.row, context, None)) for prediction in served])
        raise error

    def rejected(self, error: ServiceError, context: RequestContext) -> None:
        """Records a request that broke the contract as a whole; bad input is no failure of the service."""
        rejected = error.rejected if isinstance(error, ContractViolationError) else None
        line = self._rejected(str(error), rejected, context, row=None)
        self._audited([line])
        self._log([("WARNING", line)])

    def failed(
        self, error: Exception, entries: Sequence[Row | Rejected], context: RequestContext, *, batch: bool
    ) -> None:
        """Records a request whose rows no stage could answer."""
        lines = [
            ("WARNING", self._rejected(entry.message, entry, context, row=index))
            if isinstance(entry, Rejected)
            else ("ERROR", self._failed(str(error), entry, context, index if batch else None))
            for index, entry in enumerate(entries)
        ]
        self._board.beat(time.time(), success=False)
        self._audited([line for _, line in lines])
        self._log(lines)

    def _audited(self, lines: Sequence[bytes]) -> str | None:
        """Appends to the audit; gives the reason where that failed."""
        try:
            self._audit.append(lines)
        except OSError as error:
            self._health.audit_failed(error)
            return error.strerror or str(error)
        self._health.audit_written()
        return None

    def _log(self, lines: Sequence[tuple[str, bytes]]) -> None:
        for level, line in lines:
            if level in self._logged:
                self._sink.put(line)

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
        problems = rejected.problems if rejected is not None else ()
        errors = [{"feature": problem.feature, "code": problem.code} for problem in problems]
        return self._unanswered("warning", "prediction.rejected", message, context, row=row, errors=errors or None)

    def _failed(self, message: str, values: Row, context: RequestContext, row: int | None) -> bytes:
        features = dict(zip(self._names, values, strict=True))
        return self._unanswered("error", "prediction.failed", message, context, row=row, features=features)

    def _unanswered(self, level: str, event: str, message: str, context: RequestContext, **more: Any) -> bytes:
        # Rendered carefully: a client's own words may be in it.
        return render(
            PredictionRecord(
                timestamp=datetime.now(UTC),
                level=level,
                event=event,
                pid=os.getpid(),
                request_id=context.request_id,
                trace_id=context.trace_id,
                success=False,
                model_used=NONE,
                model_version=None,
                latency_ms=round(context.elapsed_ms, 3),
                error=message,
                **more,
            )
        )
