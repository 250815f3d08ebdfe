"""PredictionService: bytes in, a recorded prediction out."""

from __future__ import annotations

from collections.abc import Sequence

from app.contract.schema import FeatureSchema, Rejected, Row
from app.errors import (
    AllStagesFailedError,
    ContractViolationError,
    MalformedBodyError,
    StageFailedError,
    TooManyRowsError,
)
from app.serving.chain import Answer, Chain
from app.serving.health import HealthCheck
from app.serving.prediction import Prediction, RequestContext, predictions
from app.serving.recorder import Recorder
from app.serving.reload import ModelFollower


class PredictionService:
    """Validates, walks the chain, records. Bad input never enters the chain: it is no failure of a model."""

    def __init__(
        self,
        schema: FeatureSchema,
        follower: ModelFollower,
        health: HealthCheck,
        recorder: Recorder,
        *,
        max_batch_rows: int,
    ) -> None:
        self._schema = schema
        self._follower = follower
        self._health = health
        self._recorder = recorder
        self._max_batch_rows = max_batch_rows

    def predict(self, body: bytes, context: RequestContext) -> Prediction:
        """The prediction for the one reading in `body`.

        Raises `MalformedBodyError`, `ContractViolationError`, `AllStagesFailedError` or `AuditUnavailableError`.
        """
        try:
            row = self._schema.parse_row(body)
        except ContractViolationError as error:
            self._recorder.rejected(error, error.rejected, context)
            raise
        except MalformedBodyError as error:
            self._recorder.rejected(error, None, context)
            raise
        chain = self._follower.chain
        try:
            answer = chain.answer_one(row)
        except AllStagesFailedError as error:
            self._note_failures(chain, error.failures)
            self._recorder.failed(error, [row], context, batch=False)
            raise
        outcomes = self._predictions([row], chain, answer, context)
        self._recorder.answered(outcomes, context, batch=False)
        return outcomes[0]

    def predict_batch(self, body: bytes, context: RequestContext) -> list[Prediction | Rejected]:
        """What became of each reading in `body`, in order; a bad one does not sink the others.

        Raises `MalformedBodyError`, `ContractViolationError` (of the envelope), `TooManyRowsError`,
        `AllStagesFailedError` or `AuditUnavailableError`.
        """
        try:
            entries = self._schema.parse_batch(body)
            if len(entries) > self._max_batch_rows:
                raise TooManyRowsError(len(entries), self._max_batch_rows)
        except ContractViolationError as error:
            self._recorder.rejected(error, error.rejected, context)
            raise
        except (MalformedBodyError, TooManyRowsError) as error:
            self._recorder.rejected(error, None, context)
            raise
        rows = [entry for entry in entries if not isinstance(entry, Rejected)]
        answered = iter(self._answer_many(rows, entries, context) if rows else ())
        outcomes = [entry if isinstance(entry, Rejected) else next(answered) for entry in entries]
        self._recorder.answered(outcomes, context, batch=True)
        return outcomes

    def _answer_many(
        self, rows: Sequence[Row], entries: Sequence[Row | Rejected], context: RequestContext
    ) -> list[Prediction]:
        chain = self._follower.chain
        try:
            answer = chain.answer(self._schema.matrix(rows))
        except AllStagesFailedError as error:
            self._note_failures(chain, error.failures)
            self._recorder.failed(error, entries, context, batch=True)
            raise
        return self._predictions(rows, chain, answer, context)

    def _predictions(
        self, rows: Sequence[Row], chain: Chain, answer: Answer, context: RequestContext
    ) -> list[Prediction]:
        if answer.failures:
            self._note_failures(chain, answer.failures)
        return predictions(rows, answer, chain.version, context.elapsed_ms)

    def _note_failures(self, chain: Chain, failures: Sequence[StageFailedError]) -> None:
        for failure in failures:
            # An open breaker refuses before anything can fail, so a failure beside an open one is what opened it.
            opened = any(stage.name == failure.stage and stage.breaker_open for stage in chain.stages)
            self._health.stage_failed(failure, opened=opened)
