"""What is wrong with a reply. Its status alone proves little: the envelope is read as `/openapi.json` describes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from app.api.replies import feedback as feedback_replies
from app.api.replies import predictions, problems
from app.api.replies.health import Health
from app.model.stages import BASELINE, FALLBACK, PRIMARY
from app.serving.health import DEGRADED, HEALTHY

Check: TypeAlias = Callable[[int, bytes], str | None]
"""A reply's status and body -> what is wrong with it, None where nothing is."""
Violations: TypeAlias = frozenset[tuple[str | None, str]]
"""(feature, code) of every problem with a reading."""

Envelope = TypeVar("Envelope")

_STAGES = (PRIMARY, FALLBACK, BASELINE)
_SHOWN = 120
"""Characters of a wrong reply. Replies that differ only behind them count as one kind in locust's list of failures."""


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    data: list[object]


class _Inference(msgspec.Struct):
    model_name: str
    id: str
    outputs: list[_Output]


def prediction(status: int, body: bytes) -> str | None:
    """Of `POST /predict` with a good reading."""
    return _wrong(status, body, 200, predictions.Prediction, _stage)


def batch(rows: int) -> Check:
    """Of `POST /predict/batch` with so many good readings."""

    def complete(found: predictions.Batch) -> str | None:
        if (found["count"], found["rejected"], len(found["predictions"])) != (rows, 0, rows):
            return f"{found['count']} of {rows} readings answered, {found['rejected']} rejected"
        entries = (msgspec.convert(entry, predictions.Prediction) for entry in found["predictions"])
        return next(filter(None, map(_stage, entries)), None)

    return lambda status, body: _wrong(status, body, 200, predictions.Batch, complete)


def inference(rows: int) -> Check:
    """Of `POST /v2/models/NAME/infer` with so many good readings."""

    def complete(found: _Inference) -> str | None:
        columns = {output.name: output.data for output in found.outputs if output.shape == [rows]}
        scores = columns.get("prediction", [])
        if len(scores) != rows or not all(isinstance(score, float | int) and 0 <= score <= 1 for score in scores):
            return f"no probabilities of {rows} readings among the outputs"
        used = columns.get("model_used", [])
        return None if len(used) == rows and set(used) <= set(_STAGES) else "the outputs name no stages"

    return lambda status, body: _wrong(status, body, 200, _Inference, complete)


def feedback(status: int, body: bytes) -> str | None:
    """Of `POST /feedback` on one prediction that had none yet."""

    def counted(found: feedback_replies.FeedbackReceipt) -> str | None:
        return None if (found["accepted"], found["refused"]) == (1, 0) else "the feedback was not counted"

    return _wrong(status, body, 202, feedback_replies.FeedbackReceipt, counted)


def rejection(violations: Violations) -> Check:
    """Of `POST /predict` with a bad reading: right is 422 that names just what is wrong with it."""

    def named(found: problems.PredictionProblem) -> str | None:
        names = {(item["feature"], item["code"]) for item in found["errors"]}
        return None if names == violations else f"names {sorted(names, key=str)}, not {sorted(violations, key=str)}"

    return lambda status, body: _wrong(status, body, 422, problems.PredictionProblem, named)


def health(status: int, body: bytes) -> str | None:
    """Of `GET /health`: degraded is an answer too."""

    def serving(found: Health) -> str | None:
        return None if found["status"] in (HEALTHY, DEGRADED) else f"200 and {found['status']}"

    return _wrong(status, body, 200, Health, serving)


def probe(status: int, body: bytes) -> str | None:
    """Of a probe, which looks at the status alone."""
    return None if status == 200 else _refused(status, body)


def scrape(status: int, body: bytes) -> str | None:
    """Of `GET /metrics`."""
    if status != 200:
        return _refused(status, body)
    return None if b"\nprediction_requests_total{" in body else "200 without prediction_requests_total"


def prediction_id(body: bytes) -> str:
    """What feedback has to name, of a reply to `POST /predict` that is right."""
    return msgspec.json.decode(body, type=predictions.Prediction)["prediction_id"]


def _wrong(
    status: int, body: bytes, expected: int, kind: type[Envelope], further: Callable[[Envelope], str | None]
) -> str | None:
    if status != expected:
        return _refused(status, body)
    try:
        return further(msgspec.json.decode(body, type=kind))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"{status} with another envelope: {error}"


def _stage(found: predictions.Prediction) -> str | None:
    return None if found["model_used"] in _STAGES else f"no stage: {found['model_used'][:_SHOWN]}"


def _refused(status: int, body: bytes) -> str:
    """The status and, where the reply is one of the service's own, its error."""
    try:
        found = msgspec.json.decode(body)
        text = str(found["error"])
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        text = body.decode(errors="replace")
    return f"{status}: {text[:_SHOWN]}"
