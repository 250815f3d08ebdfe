"""The values that a prediction is made of on its way."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence

import msgspec

from app.contract.schema import Readings, Row
from app.model.scorer import Scores
from app.model.stages import NONE
from app.serving.chain import WARNINGS, Answer
from app.telemetry.tracing import Span, Trace

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)


class RequestContext(msgspec.Struct, frozen=True, gc=False):
    """What a prediction needs to know of the request that asked for it."""

    request_id: str
    trace_id: str | None
    started_s: float
    """`time.perf_counter()` when the request was complete."""
    client: str | None = None
    """The name of its API key."""
    trace: Trace | None = None
    span: Span | None = None
    """Where it is exported."""

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1000


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """One answered reading; `score` is the anomaly probability in [0, 1]."""

    row: Row
    score: float
    is_anomaly: bool
    model_used: str
    model_version: str | None
    prediction_id: str
    latency_ms: float
    warning: str | None


class PredictedBatch(msgspec.Struct, frozen=True, gc=False):
    """Many readings of one request, answered together; `scores` and `decisions` are those of `readings.rows`."""

    readings: Readings
    scores: list[float]
    decisions: list[bool]
    model_used: str
    model_version: str | None
    batch_id: str
    latency_ms: float
    warning: str | None

    def prediction_ids(self) -> list[str]:
        """One per row: the batch's id and the row's position take the place of a unique part of its own."""
        return batch_prediction_ids(
            self.model_version, self.model_used, self.decisions, self.batch_id, self.readings.positions
        )


def sane_request_id(sent: str | None) -> str:
    """The client's own id where it is short and printable, else a new one."""
    if sent is not None and _SANE_REQUEST_ID.fullmatch(sent):
        return sent
    return random_hex(96)


def random_hex(bits: int) -> str:
    """A name that no other process gives: Python seeds its generator anew in every forked child."""
    return f"{random.getrandbits(bits):0{bits // 4}x}"


def predict_one(row: Row, answer: Answer[float], version: str | None, latency_ms: float) -> Prediction:
    """The chain's answer to one reading as a prediction."""
    name, score = answer.stage.name, answer.scored
    is_anomaly = score >= answer.stage.threshold
    prediction_id = _prediction_id(version, name, is_anomaly, random_hex(72))
    return Prediction(row, score, is_anomaly, name, version, prediction_id, latency_ms, WARNINGS[name])


def predict_many(
    readings: Readings, answer: Answer[Scores] | None, version: str | None, latency_ms: float
) -> PredictedBatch:
    """The chain's answer to the rows of a batch; None where the batch has none to ask about."""
    if answer is None:
        return PredictedBatch(readings, [], [], NONE, version, random_hex(72), latency_ms, None)
    name, scores = answer.stage.name, answer.scored
    decisions = (scores >= answer.stage.threshold).tolist()
    return PredictedBatch(
        readings, scores.tolist(), decisions, name, version, random_hex(72), latency_ms, WARNINGS[name]
    )


def _prediction_id(version: str | None, stage: str, is_anomaly: bool, unique: str) -> str:
    """`VERSION.STAGE.DECISION.UNIQUE`, so that any replica can score feedback on it without a look-up."""
    return f"{version or '-'}.{stage}.{int(is_anomaly)}.{unique}"


def batch_prediction_ids(
    version: str | None, stage: str, decisions: Sequence[bool], batch_id: str, positions: Sequence[int]
) -> list[str]:
    """One per row of a batch, from what is written down of the batch as a whole."""
    heads = [_prediction_id(version, stage, decision, f"{batch_id}-") for decision in (False, True)]
    return [f"{heads[is_anomaly]}{position}" for position, is_anomaly in zip(positions, decisions, strict=True)]
