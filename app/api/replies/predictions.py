"""What the endpoints of predictions answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from app.api.replies.problems import ErrorItem
from app.api.replies.vocabulary import (
    Count,
    Milliseconds,
    PredictionId,
    Probability,
    Stage,
    Unavailable,
    Version,
    items,
    one_of,
)
from app.model.stages import NONE


class Prediction(TypedDict):
    """What one reading was judged to be."""

    success: Literal[True]
    prediction: Probability
    is_anomaly: bool
    model_used: Stage
    model_version: Version | None
    prediction_id: PredictionId
    latency_ms: Milliseconds
    warning: Unavailable | None
    error: None


class NoPrediction(TypedDict):
    """The members of a prediction where there is none."""

    prediction: None
    is_anomaly: None
    model_used: Annotated[str, one_of(NONE)]
    model_version: None
    prediction_id: None
    latency_ms: Milliseconds | None
    warning: None


class RejectedReading(NoPrediction):
    """A reading of a batch that breaks the contract; the others are answered all the same."""

    success: Literal[False]
    error: str
    errors: list[ErrorItem]


class Batch(TypedDict):
    """What became of each reading, in the order they were sent."""

    success: Literal[True]
    predictions: Annotated[list[Any], items(Prediction, RejectedReading)]
    count: Count
    rejected: Count
    error: None
