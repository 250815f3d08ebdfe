"""What the health endpoints answer."""

from __future__ import annotations

from typing import Annotated, TypedDict

from msgspec import Meta

from app.api.replies.vocabulary import Count, Version, one_of
from app.serving.health import DEGRADED, HEALTHY, UNHEALTHY
from app.serving.shadow_state import ShadowState

Time = Annotated[str, Meta(description="UTC, RFC 3339.", examples=["2026-11-23T06:28:14.000Z"])]
Status = Annotated[str, one_of(HEALTHY, DEGRADED, UNHEALTHY)]


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
    breaker: Annotated[str, one_of("open", "closed")]
    abandoned_threads: Count


class FailureHealth(TypedDict):
    """Something that went wrong, and how often since when."""

    what: str
    since: Time | None
    last: Time | None
    count: Count
    request_id: Annotated[str, Meta(description="Of the latest request that met it.")] | None


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
    shadow: ShadowState | None


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
    shadow: ShadowState | None
    workers: list[Worker]


class Alive(TypedDict):
    """The process answers."""

    status: Annotated[str, one_of("alive")]


class Ready(TypedDict):
    """Whether this worker should get requests."""

    ready: bool
    draining: bool
