"""What every endpoint answers, member by member: the views are typed by it, `/openapi.json` is generated from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from app.model.stages import BASELINE, FALLBACK, NONE, PRIMARY

SCHEMAS = "#/components/schemas/"


def one_of(*values: str) -> Meta:
    """A text that is one of these."""
    return Meta(extra_json_schema={"enum": list(values)})


def _items(*kinds: type) -> Meta:
    """Each item is one of `kinds`, which msgspec's own unions cannot say."""
    return Meta(extra_json_schema={"items": {"oneOf": [{"$ref": SCHEMAS + kind.__name__} for kind in kinds]}})


Probability = Annotated[float, Meta(ge=0, le=1, description="The probability of an anomaly.", examples=[0.03])]
Count = Annotated[int, Meta(ge=0)]
Version = Annotated[str, Meta(description="The model version.", examples=["20261123T062814Z-e00128"])]
PredictionId = Annotated[
    str,
    Meta(
        description="VERSION.STAGE.DECISION.UNIQUE", examples=["20261123T062814Z-e00128.primary.0.26ce8f72eeda91b30f"]
    ),
]
Milliseconds = Annotated[float, Meta(ge=0, description="From the whole request to the answer, ms.", examples=[0.2])]
Stage = Annotated[str, one_of(PRIMARY, FALLBACK, BASELINE), Meta(description="The stage that answered.")]
Unavailable = Annotated[
    str, Meta(description="Why it was not the primary that answered.", examples=["Primary model unavailable"])
]


# --- errors -------------------------------------------------------------------------------------------------


class ErrorItem(TypedDict):
    """One problem with what was sent."""

    pointer: Annotated[str, Meta(description="Where in the body: a JSON Pointer (RFC 6901).", examples=["/lag_1"])]
    feature: str | None
    code: Annotated[str, Meta(description="The stable name of this sort of problem.", examples=["missing"])]
    message: str
    row: NotRequired[Annotated[int, Meta(ge=0, description="Of a tensor, from 0.")]]


class Problem(TypedDict):
    """RFC 9457 problem details, with `success` and a plain `error` as in every other reply."""

    success: Literal[False]
    error: Annotated[str, Meta(description="The same as `detail`.")]
    type: Annotated[str, Meta(description="`urn:problem-type:NAME`, or `about:blank` where the status says it all.")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    instance: Annotated[str, Meta(description="The path that was asked.")]
    request_id: Annotated[str, Meta(description="As in the reply's `X-Request-ID`, and in the log.")]
    errors: list[ErrorItem]


class PredictionProblem(Problem, total=False):
    """A problem with the members of a prediction beside it, where the request came as far as the endpoint."""

    prediction: None
    is_anomaly: None
    model_used: Annotated[str, one_of(NONE)]
    model_version: Version | None
    prediction_id: None
    latency_ms: Milliseconds | None
    warning: None


class BatchProblem(Problem, total=False):
    """A problem with the members of a batch beside it, where the request came as far as the endpoint."""

    predictions: None
    count: Count
    rejected: Count


# --- predictions and feedback -------------------------------------------------------------------------------


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
    predictions: Annotated[list[Any], _items(Prediction, RejectedReading)]
    count: Count
    rejected: Count
    error: None


class AcceptedFeedback(TypedDict):
    """Feedback that was counted."""

    success: Literal[True]
    prediction_id: PredictionId
    error: None


class RefusedFeedback(TypedDict):
    """Feedback that was not, and why; the other entries are counted all the same."""

    success: Literal[False]
    error: str
    errors: list[ErrorItem]


class FeedbackReceipt(TypedDict):
    """How much was counted; `feedback`, in the order it was sent, only where it came as a list."""

    success: Literal[True]
    accepted: Count
    refused: Count
    error: None
    feedback: NotRequired[Annotated[list[Any], _items(AcceptedFeedback, RefusedFeedback)]]
