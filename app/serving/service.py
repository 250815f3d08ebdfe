"""PredictionService: bytes in, a recorded prediction out."""

from __future__ import annotations

from collections.abc import Sequence

from app.contract.inference import InferenceReader, InferenceRequest
from app.contract.schema import FeatureSchema, Matrix, Readings, check_count
from app.errors import (
    AllStagesFailedError,
    ContractViolationError,
    MalformedBodyError,
    RowsRejectedError,
    StageFailedError,
    TensorError,
    TooManyRowsError,
)
from app.serving.chain import Chain
from app.serving.health import HealthCheck
from app.serving.prediction import PredictedBatch, Prediction, RequestContext, predict_many, predict_one
from app.serving.recorder import Recorder
from app.serving.reload import ModelFollower
from app.serving.shadow import Shadow


class PredictionService:
    """Validates, walks the chain, records. Bad input never enters the chain: it is no failure of a model."""

    def __init__(
        self,
        schema: FeatureSchema,
        follower: ModelFollower,
        health: HealthCheck,
        recorder: Recorder,
        inference: InferenceReader,
        *,
        max_batch_rows: int,
        shadow: Shadow | None = None,
    ) -> None:
        self._schema = schema
        self._follower = follower
        self._health = health
        self._recorder = recorder
        self._inference = inference
        self._max_batch_rows = max_batch_rows
        self._shadow = shadow

    def predict(self, body: bytes, context: RequestContext) -> Prediction:
        """The prediction for the one reading in `body`.

        Raises `MalformedBodyError`, `ContractViolationError`, `AllStagesFailedError` or `AuditUnavailableError`.
        """
        try:
            row = self._schema.parse_row(body)
        except (MalformedBodyError, ContractViolationError) as error:
            self._recorder.rejected(error, context)
            raise
        chain = self._follower.chain
        try:
            answer = chain.answer_one(row)
        except AllStagesFailedError as error:
            self._note_failures(chain, error.failures, context)
            self._recorder.failed(error, row, context)
            raise
        if answer.failures:
            self._note_failures(chain, answer.failures, context)
        prediction = predict_one(row, answer, chain.version, context.elapsed_ms)
        self._recorder.answered(prediction, context)
        if self._shadow is not None:
            self._shadow.offer(prediction)
        return prediction

    def predict_batch(self, body: bytes, context: RequestContext) -> PredictedBatch:
        """What became of each reading in `body`; a bad one does not sink the others.

        Raises `MalformedBodyError`, `ContractViolationError` (of the envelope), `TooManyRowsError`,
        `AllStagesFailedError` or `AuditUnavailableError`.
        """
        try:
            readings = self._schema.parse_batch(body, self._max_batch_rows)
        except (MalformedBodyError, ContractViolationError, TooManyRowsError) as error:
            self._recorder.rejected(error, context)
            raise
        return self._predict_many(readings, context)

    def infer(
        self, body: bytes, json_size: int | None, context: RequestContext
    ) -> tuple[InferenceRequest, PredictedBatch]:
        """The predictions for all rows of an inference request, or for none; its first `json_size` bytes are JSON.

        Raises `MalformedBodyError`, `TensorError`, `ContractViolationError`, and whatever `predict_matrix` raises.
        """
        try:
            request = self._inference.read(body, json_size)
        except (MalformedBodyError, TensorError, ContractViolationError, RowsRejectedError, TooManyRowsError) as error:
            self._recorder.rejected(error, context)
            raise
        return request, self.predict_matrix(request.rows, context)

    def predict_matrix(self, matrix: Matrix, context: RequestContext) -> PredictedBatch:
        """The predictions for all rows of a matrix, shape (n, number of features), or for none of them.

        Raises `RowsRejectedError`, `TooManyRowsError`, `AllStagesFailedError` or `AuditUnavailableError`.
        """
        try:
            check_count(len(matrix), self._max_batch_rows)
            readings = self._schema.check_matrix(matrix)
            if readings.rejected:
                raise RowsRejectedError(readings.rejected)
        except (RowsRejectedError, TooManyRowsError) as error:
            self._recorder.rejected(error, context)
            raise
        return self._predict_many(readings, context)

    def _predict_many(self, readings: Readings, context: RequestContext) -> PredictedBatch:
        chain = self._follower.chain
        try:
            answer = chain.answer(readings.rows) if len(readings.rows) else None
        except AllStagesFailedError as error:
            self._note_failures(chain, error.failures, context)
            self._recorder.batch_failed(error, readings, context)
            raise
        if answer is not None and answer.failures:
            self._note_failures(chain, answer.failures, context)
        batch = predict_many(readings, answer, chain.version, context.elapsed_ms)
        self._recorder.batch_answered(batch, context)
        if self._shadow is not None:
            self._shadow.offer_batch(batch)
        return batch

    def _note_failures(self, chain: Chain, failures: Sequence[StageFailedError], context: RequestContext) -> None:
        for failure in failures:
            # An open breaker refuses before anything can fail, so a failure beside an open one is what opened it.
            opened = any(stage.name == failure.stage and stage.breaker_open for stage in chain.stages)
            self._health.stage_failed(failure, opened=opened, request_id=context.request_id)
