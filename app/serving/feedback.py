"""Feedback on predictions: each is counted once, audited, and answered clearly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from structlog.typing import FilteringBoundLogger

from app.contract.feedback import Feedback, parse_feedback
from app.contract.problems import Problem, Rejected
from app.errors import AuditUnavailableError, ContractViolationError, MalformedBodyError, TooManyRowsError
from app.serving.health import HealthCheck
from app.serving.lines import head
from app.serving.prediction import RequestContext
from app.telemetry.audit import PredictionLogger
from app.telemetry.logs import LogSink
from app.telemetry.records import FeedbackRecord
from app.telemetry.tally import Tally

IDS_REMEMBERED = 100_000
"""Predictions per worker whose feedback is known to have come; the oldest are forgotten first."""

_encoder = msgspec.json.Encoder()


class FeedbackService:
    """Takes what really was, and counts it against what had been predicted.

    `knows` tells whether this registry holds a version: feedback on any other cannot be told from a mistake.
    """

    def __init__(
        self,
        knows: Callable[[str], bool],
        audit: PredictionLogger,
        health: HealthCheck,
        sink: LogSink,
        log: FilteringBoundLogger,
        tally: Tally,
        *,
        max_entries: int,
        audit_required: bool,
    ) -> None:
        self._knows = knows
        self._audit = audit
        self._health = health
        self._sink = sink
        self._log = log
        self._tally = tally
        self._max_entries = max_entries
        self._audit_required = audit_required
        self._seen: dict[str, None] = {}

    def receive(self, body: bytes, context: RequestContext) -> tuple[list[Feedback | Rejected], bool]:
        """What became of each entry of `body`, and whether they came as a list.

        Raises `MalformedBodyError`, `ContractViolationError`, `TooManyRowsError` or `AuditUnavailableError`.
        """
        try:
            entries, many = parse_feedback(body, self._max_entries)
        except (MalformedBodyError, ContractViolationError, TooManyRowsError) as error:
            self._refuse("malformed", str(error))
            raise
        outcomes = [self._judged(entry) for entry in entries]
        self._record([entry for entry in outcomes if isinstance(entry, Feedback)], context)
        return outcomes, many

    def _judged(self, entry: Feedback | Rejected) -> Feedback | Rejected:
        if isinstance(entry, Rejected):
            self._refuse("malformed", entry.message)
            return entry
        if entry.model_version != "-" and not self._knows(entry.model_version):
            return self._rejected("unknown", f"No version {entry.model_version} is known here")
        if entry.prediction_id in self._seen:
            return self._rejected("repeated", "This prediction has had its feedback already")
        self._seen[entry.prediction_id] = None
        if len(self._seen) > IDS_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return entry

    def _rejected(self, reason: str, message: str) -> Rejected:
        self._refuse(reason, message)
        return Rejected((Problem(reason, message, "prediction_id"),))

    def _refuse(self, reason: str, message: str) -> None:
        self._tally.feedback_refused(reason)
        self._log.warning("feedback.refused", reason=reason, error=message)

    def _record(self, accepted: Sequence[Feedback], context: RequestContext) -> None:
        lines = [_encoder.encode(_record(entry, context)) for entry in accepted]
        if not lines:
            return
        try:
            self._audit.append(lines)
        except OSError as error:
            self._health.audit_failed(error, context.request_id)
            if self._audit_required:
                for entry in accepted:  # it was not taken: it may come again
                    self._seen.pop(entry.prediction_id, None)
                raise AuditUnavailableError(
                    f"The feedback could not be recorded ({error.strerror or error}), and AUDIT_REQUIRED is set"
                ) from None
        else:
            self._health.audit_written()
        for entry, line in zip(accepted, lines, strict=True):
            self._tally.feedback(entry.model_version, entry.stage, entry.predicted, entry.actual)
            self._sink.put(line)


def _record(entry: Feedback, context: RequestContext) -> FeedbackRecord:
    return FeedbackRecord(
        **head("info", "feedback.received", context),
        success=True,
        prediction_id=entry.prediction_id,
        actual=entry.actual,
        predicted=entry.predicted,
        model_used=entry.stage,
        model_version=entry.model_version if entry.model_version != "-" else None,
    )
