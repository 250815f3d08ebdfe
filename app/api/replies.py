"""What every endpoint answers, member by member: the views are typed by it, `/openapi.json` is generated from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from app.model.stages import BASELINE, FALLBACK, NONE, PRIMARY
from app.serving.health import DEGRADED, HEALTHY, UNHEALTHY

SCHEMAS = "#/components/schemas/"


def _enum(*values: str) -> Meta:
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
Time = Annotated[str, Meta(description="UTC, RFC 3339.", examples=["2026-11-23T06:28:14.000Z"])]
Stage = Annotated[str, _enum(PRIMARY, FALLBACK, BASELINE), Meta(description="The stage that answered.")]
Unavailable = Annotated[
    str, Meta(description="Why it was not the primary that answered.", examples=["Primary model unavailable"])
]
Status = Annotated[str, _enum(HEALTHY, DEGRADED, UNHEALTHY)]


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
    model_used: Annotated[str, _enum(NONE)]
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
    model_used: Annotated[str, _enum(NONE)]
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


# --- health -------------------------------------------------------------------------------------------------


class Pulse(TypedDict):
    """The latest prediction."""

    last_prediction_success: bool | None
    consecutive_failures: Count
    last_prediction_time: Time | None


class Health(Pulse):
    """The service as one; `cause` is all `causes` in one line."""

    status: Status
    cause: str | None
    causes: list[str]
    model_loaded: bool
    model_version: Version | None


class StageHealth(TypedDict):
    """One stage in one worker."""

    answering: bool
    since: Time | None
    reason: str | None
    consecutive_failures: Count
    breaker: Annotated[str, _enum("open", "closed")]
    abandoned_threads: Count


class FailureHealth(TypedDict):
    """Something that went wrong, and how often since when."""

    what: str
    since: Time | None
    last: Time | None
    count: Count


class Worker(Pulse):
    """What one worker process says about itself."""

    pid: int
    started: Time | None
    reported: Time | None
    status: Status
    causes: list[str]
    ready: bool
    draining: bool
    model_version: Version | None
    model_loaded: bool
    stages: dict[str, StageHealth]
    absent: Annotated[dict[str, str], Meta(description="Why a stage of the version does not serve.")]
    scorers: Annotated[dict[str, str], Meta(description="How each stage's model is computed.")]
    warnings: list[str]
    self_test_last_success: Time | None
    audit_errors: Count
    log_lines_dropped: Count
    failures: Annotated[list[FailureHealth], Meta(description="The latest of each kind, newest first.")]


class Span(TypedDict):
    """Rows by outcome, latency and accuracy of a while; null where nothing was counted."""

    outcomes: dict[str, Count]
    p50_ms: float | None
    p99_ms: float | None
    accuracy: float | None
    precision: float | None
    recall: float | None
    feedback: Count


class Minute(Span):
    """One minute of the last hour."""

    minute: Time | None


class Traffic(TypedDict):
    """The last hour of all workers together."""

    hour: Span
    minutes: list[Minute]
    violations: Annotated[dict[str, int], Meta(description="`feature code`: rejections, most frequent first.")]
    drift: Annotated[dict[str, float], Meta(description="Population stability index by feature.")] | None
    drift_rows: Count


class DetailedHealth(Health):
    """The service as one, and each of its workers."""

    environment: Annotated[dict[str, str], Meta(description="Versions of Python and the libraries.")]
    traffic: Traffic
    workers: list[Worker]


class Alive(TypedDict):
    """The process answers."""

    status: Annotated[str, _enum("alive")]


class Ready(TypedDict):
    """Whether this worker should get requests."""

    ready: bool
    draining: bool
