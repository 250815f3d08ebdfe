"""What an error is answered with."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from app.api.replies.vocabulary import Count, Milliseconds, Version, one_of
from app.model.stages import NONE


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
