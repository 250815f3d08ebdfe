"""PredictionService: bytes in, a recorded prediction out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        except (MalformedBodyError, ContractViolationError) as error:
            self._recorder.rejected(error, context)
            raise
        outcomes = self._answered(lambda chain: chain.answer_one(row), [row], [row], context, batch=False)
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
        except (MalformedBodyError, ContractViolationError, TooManyRowsError) as error:
            self._recorder.rejected(error, context)
            raise
        rows = [entry for entry in entries if not isinstance(entry, Rejected)]
        predicted: list[Prediction] = []
        if rows:
            matrix = self._schema.matrix(rows)
            predicted = self._answered(lambda chain: chain.answer(matrix), rows, entries, context, batch=True)
        in_order = iter(predicted)
        outcomes = [entry if isinstance(entry, Rejected) else next(in_order) for entry in entries]
        self._recorder.answered(outcomes, context, batch=True)
        return outcomes

    def _answered(
        self,
        ask: Callable[[Chain], Answer],
        rows: Sequence[Row],
        entries: Sequence[Row | Rejected],
        context: RequestContext,
        *,
        batch: bool,
    ) -> list[Prediction]:
        """The chain's predictions for `rows`; `entries` are all that the request held, for the record of a failure."""
        chain = self._follower.chain
        try:
            answer = ask(chain)
        except AllStagesFailedError as error:
            self._note_failures(chain, error.failures)
            self._recorder.failed(error, entries, context, batch=batch)
            raise
        if answer.failures:
            self._note_failures(chain, answer.failures)
        return predictions(rows, answer, chain.version, context.elapsed_ms)

    def _note_failures(self, chain: Chain, failures: Sequence[StageFailedError]) -> None:
        for failure in failures:
            # An open breaker refuses before anything can fail, so a failure beside an open one is what opened it.
            opened = any(stage.name == failure.stage and stage.breaker_open for stage in chain.stages)
            self._health.stage_failed(failure, opened=opened)
