"""Every endpoint: what it takes, what it answers, and which errors it may end in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.api.exchange import BINARY
from app.api.open_inference import JSON_SIZE
from app.api.replies import feedback, health, inference, predictions, problems
from app.errors import (
    AllStagesFailedError,
    AuditUnavailableError,
    ContractViolationError,
    FeedbackRefusedError,
    MalformedBodyError,
    RowsRejectedError,
    ServiceError,
    TensorError,
    TooManyRowsError,
)

JSON = "application/json"

PREDICTIONS, HEALTH, INFERENCE, OPERATION = "Predictions", "Health", "Open Inference Protocol", "Operation"
TAGS = {
    PREDICTIONS: "Readings in, predictions out; later what really was.",
    HEALTH: "For probes, and for a person with curl.",
    INFERENCE: "The same predictions for clients of the Open Inference Protocol, version 2.",
    OPERATION: "Metrics and documentation.",
}

EVERY_REQUEST: Mapping[int, str] = {
    400: "The request is no valid HTTP, or ended before all that it declared.",
    405: "The path knows no such method; `Allow` lists those it does.",
    408: "The request was not complete within `REQUEST_TIMEOUT_S`.",
    413: "The body is larger than `MAX_BODY_BYTES`.",
    414: "The URL is too long.",
    417: "The request expects something other than `100-continue`.",
    431: "The request's head is too large.",
    500: "A fault of the service; the request id names its log entry.",
    501: "The request's method or transfer coding is not known.",
    505: "The request speaks another version than HTTP/1.1 or 1.0.",
}
"""What any request to a path may be refused with, most of it before it reaches an endpoint."""

_NOT_JSON = {415: "The body is not said to be JSON, or in an encoding other than gzip and deflate."}
_UNKNOWN_MODEL = {404: "There is no such model, or another version of it serves."}
_UNAVAILABLE = (AllStagesFailedError, AuditUnavailableError)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that is no refusal: its content by media type, a reply type or only text."""

    means: str
    content: Mapping[str, type]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    takes: tuple[str, ...] = ()
    """Names of request schemas; any one of them."""
    raises: tuple[type[ServiceError], ...] = ()
    refusals: Mapping[int, str] = field(default_factory=dict)
    """Why it may be refused besides what it raises and `EVERY_REQUEST`."""
    problem: type = problems.Problem
    binary: bool = False
    """Whether bodies may go on after their JSON."""
    parameters: tuple[str, ...] = ()
    guarded: bool = False
    """Whether it needs an API key."""
    limited: bool = False
    """Whether it counts against the key's rate."""
    links: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """To what may follow on success."""


def _json(means: str, kind: type) -> Answer:
    return Answer(means, {JSON: kind})


def _ready(kind: type) -> dict[int, Answer]:
    return {200: _json("Ready.", kind), 503: _json("Not ready.", kind)}


_FEEDBACK_LINK = {
    "feedback": {
        "operationId": "feedback",
        "requestBody": {"prediction_id": "$response.body#/prediction_id", "actual": 1},
        "description": "What really was goes to `/feedback`.",
    }
}
_VERSION_LINKS = {
    name: {
        "operationId": f"{name}_version",
        "parameters": {"name": "$response.body#/name", "version": "$response.body#/versions/0"},
        "description": "The active version may be named.",
    }
    for name in ("model", "model_ready", "infer")
}

_MODEL = Operation(
    "model", INFERENCE, "The model's metadata",
    {200: _json("Its name, active version, and tensors.", inference.Model)},
    refusals=_UNKNOWN_MODEL, parameters=("model",),
)  # fmt: skip
_MODEL_READY = Operation(
    "model_ready", INFERENCE, "Readiness of the model", _ready(inference.ModelReady),
    refusals=_UNKNOWN_MODEL, parameters=("model",),
)  # fmt: skip
_INFER = Operation(
    "infer", INFERENCE, "Score readings that come as tensors: all of them, or none",
    {200: Answer("The outputs that were asked for, or all.", {JSON: inference.Inference, BINARY: bytes})},
    takes=("InferenceRequest",), binary=True,
    raises=(
        MalformedBodyError, TensorError, ContractViolationError, RowsRejectedError, TooManyRowsError, *_UNAVAILABLE
    ),
    refusals=_UNKNOWN_MODEL | _NOT_JSON, parameters=("model", JSON_SIZE),
)  # fmt: skip


def _of_version(operation: Operation) -> Operation:
    return replace(
        operation, id=f"{operation.id}_version", summary=f"{operation.summary}, of the active version",
        parameters=(*operation.parameters, "version"),
    )  # fmt: skip


OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("post", "/predict"): Operation(
        "predict", PREDICTIONS, "Score one reading",
        {200: _json("The prediction; where not the primary model made it, `warning` says so.", predictions.Prediction)},
        takes=("Reading",), raises=(MalformedBodyError, ContractViolationError, *_UNAVAILABLE),
        refusals=_NOT_JSON, problem=problems.PredictionProblem, links=_FEEDBACK_LINK,
    ),
    ("post", "/predict/batch"): Operation(
        "predict_batch", PREDICTIONS, "Score many readings; a bad one does not sink the others",
        {200: _json("What became of each reading, in its place.", predictions.Batch)},
        takes=("Readings",), raises=(MalformedBodyError, ContractViolationError, TooManyRowsError, *_UNAVAILABLE),
        refusals=_NOT_JSON, problem=problems.BatchProblem,
    ),
    ("post", "/feedback"): Operation(
        "feedback", PREDICTIONS, "Say what really was, of one prediction or of many",
        {202: _json("It is counted, once.", feedback.FeedbackReceipt)},
        takes=("Feedback", "FeedbackList"),
        raises=(
            MalformedBodyError, ContractViolationError, FeedbackRefusedError, TooManyRowsError, AuditUnavailableError
        ),
        refusals=_NOT_JSON | {409: "The prediction has had its feedback already."},
    ),
    ("get", "/health"): Operation(
        "health", HEALTH, "Status and cause of the service as one",
        {200: _json("It can answer: `healthy` or `degraded`.", health.Health),
         503: _json("It cannot answer: `unhealthy`.", health.Health)},
    ),
    ("get", "/health/detailed"): Operation(
        "health_detailed", HEALTH, "Every worker and stage, the last hour, and what failed lately",
        {200: _json("Whatever the status.", health.DetailedHealth)},
    ),
    ("get", "/health/live"): Operation(
        "health_live", HEALTH, "Liveness probe", {200: _json("The process answers.", health.Alive)}
    ),
    ("get", "/health/ready"): Operation("health_ready", HEALTH, "Readiness probe", _ready(health.Ready)),
    ("get", "/v2"): Operation(
        "server", INFERENCE, "The server's metadata", {200: _json("Its name and version.", inference.Server)}
    ),
    ("get", "/v2/health/live"): Operation(
        "server_live", INFERENCE, "Liveness of the server", {200: _json("The process answers.", inference.ServerLive)}
    ),
    ("get", "/v2/health/ready"): Operation(
        "server_ready", INFERENCE, "Readiness of the server", _ready(inference.ModelReady)
    ),
    ("get", "/v2/models/{name}"): replace(_MODEL, links=_VERSION_LINKS),
    ("get", "/v2/models/{name}/versions/{version}"): _of_version(_MODEL),
    ("get", "/v2/models/{name}/ready"): _MODEL_READY,
    ("get", "/v2/models/{name}/versions/{version}/ready"): _of_version(_MODEL_READY),
    ("post", "/v2/models/{name}/infer"): _INFER,
    ("post", "/v2/models/{name}/versions/{version}/infer"): _of_version(_INFER),
    ("get", "/metrics"): Operation(
        "metrics", OPERATION, "Everything that is counted, for Prometheus",
        {200: Answer("All workers as one.", {"text/plain": str, "application/openmetrics-text": str})},
    ),
    ("get", "/"): Operation("triage", OPERATION, "The triage page", {200: Answer("A page.", {"text/html": str})}),
    ("get", "/assets/{name}"): Operation(
        "triage_asset", OPERATION, "A file of that page",
        {200: Answer("The file.", {"text/javascript": str, "text/css": str, "image/svg+xml": str})},
        refusals={404: "The page has no such file."}, parameters=("file",),
    ),
    ("get", "/openapi.json"): Operation(
        "openapi", OPERATION, "What you read here, as OpenAPI 3.1", {200: Answer("The document.", {JSON: dict})}
    ),
    ("get", "/docs"): Operation(
        "docs", OPERATION, "What you read here, as a page", {200: Answer("A page.", {"text/html": str})}
    ),
    ("get", "/docs/{asset}"): Operation(
        "docs_asset", OPERATION, "A file of that page",
        {200: Answer("The file.", {"text/javascript": str, "text/css": str, "image/png": bytes})},
        refusals={404: "The page has no such file."}, parameters=("asset",),
    ),
}  # fmt: skip
"""By method and path. An endpoint that is not here is not described, which a test finds."""
