"""Writes down every prediction, before its reply leaves: one line for the audit and the log alike."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

import msgspec

from app.contract.problems import Rejected
from app.contract.schema import Readings, Row
from app.errors import AuditUnavailableError, ContractViolationError, RowsRejectedError, ServiceError
from app.model.stages import NONE
from app.serving.board import WorkerBoard
from app.serving.health import HealthCheck
from app.serving.lines import Lines
from app.serving.prediction import PredictedBatch, Prediction, RequestContext
from app.telemetry.audit import PredictionLogger
from app.telemetry.logs import LogSink
from app.telemetry.tally import Tally

_encoder = msgspec.json.Encoder()
_LEVELS = logging.getLevelNamesMapping()


class Recorder:
    """The audit file, the log and the worker's pulse, as one."""

    def __init__(
        self,
        lines: Lines,
        audit: PredictionLogger,
        sink: LogSink,
        board: WorkerBoard,
        health: HealthCheck,
        tally: Tally,
        *,
        audit_required: bool,
        log_level: str,
    ) -> None:
        self._lines = lines
        self._audit = audit
        self._sink = sink
        self._board = board
        self._health = health
        self._tally = tally
        self._audit_required = audit_required
        self._logged = {level for level in _LEVELS if _LEVELS[level] >= _LEVELS[log_level]}

    def answered(self, prediction: Prediction, context: RequestContext) -> None:
        """Records one prediction. Raises `AuditUnavailableError`."""
        line = self._lines.served(prediction, context)
        problem = self._audited([line], context)
        if problem is not None and self._audit_required:
            error = _withheld(problem)
            self._unanswered(self._lines.failed(error, prediction.row, context), 1, context)
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
        rejected = self._lines.rejected_rows(batch.readings.rejected, context)
        served = len(batch.scores) > 0
        record = self._lines.batch_served(batch, context)
        problem = self._audited([*([record.line()] if served else []), *rejected], context)
        if problem is not None and self._audit_required and served:
            error = _withheld(problem)
            failed = self._lines.batch_failed(error, batch.readings, context)
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
            lines = self._lines.rejected_rows(error.rejected, context)
            self._count_rejected(error.rejected.values())
        else:
            rejected = error.rejected if isinstance(error, ContractViolationError) else None
            lines = [self._lines.rejected(str(error), rejected, context)]
            self._count_rejected([rejected])
        self._audited(lines, context)
        self._log("WARNING", *lines)

    def failed(self, error: ServiceError, row: Row, context: RequestContext) -> None:
        """Records a reading that no stage could answer."""
        line = self._lines.failed(error, row, context)
        self._audited([line], context)
        self._unanswered(line, 1, context)

    def batch_failed(self, error: ServiceError, readings: Readings, context: RequestContext) -> None:
        """Records a batch whose rows no stage could answer."""
        record = self._lines.batch_failed(error, readings, context)
        rejected = self._lines.rejected_rows(readings.rejected, context)
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


def _withheld(problem: str) -> AuditUnavailableError:
    return AuditUnavailableError(f"The prediction could not be recorded ({problem}), and AUDIT_REQUIRED is set")
