"""The one table from errors to statuses, and the handlers that answer with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from flask import Flask, request
from structlog.typing import FilteringBoundLogger
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    TooManyRequests,
    Unauthorized,
)

from app.api.encodings import ENCODINGS
from app.api.exchange import Reply, reply, request_context
from app.api.problem import PROBLEM_JSON, error_items, problem_body, row_items
from app.api.replies.problems import ErrorItem
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

RETRY_AFTER_S = 1


class _Status(NamedTuple):
    code: int
    kind: str
    retry: bool = False


STATUSES: Mapping[type[ServiceError], _Status] = {
    MalformedBodyError: _Status(400, "malformed-body"),
    ContractViolationError: _Status(422, "contract-violated"),
    TensorError: _Status(400, "malformed-tensors"),
    FeedbackRefusedError: _Status(422, "feedback-refused"),
    RowsRejectedError: _Status(422, "contract-violated"),
    TooManyRowsError: _Status(413, "too-many-rows"),
    AllStagesFailedError: _Status(503, "all-stages-failed", retry=True),
    AuditUnavailableError: _Status(503, "audit-unavailable", retry=True),
}

_REPEATED = _Status(409, "feedback-repeated")

Extra = Callable[[], dict[str, Any]]


def register_error_handlers(
    app: Flask, log: FilteringBoundLogger, refused: Callable[[int], None], members: Extra
) -> None:
    """Answers every error in the envelope; `members` are those that the endpoint's success would have.

    `refused` is told the status of each request that HTTP itself is enough to refuse.
    """

    def problem(
        status: int,
        detail: str,
        kind: str | None,
        errors: Sequence[ErrorItem] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        body = problem_body(
            status, detail, instance=request.path, request_id=request_context(request.environ).request_id,
            kind=kind, errors=errors, extra=members(),
        )  # fmt: skip
        return reply(request.environ, body, status, PROBLEM_JSON, headers)

    def service_error(error: ServiceError) -> Reply:
        status = _REPEATED if isinstance(error, FeedbackRefusedError) and error.repeated else STATUSES[type(error)]
        retry = [("Retry-After", str(RETRY_AFTER_S))] if status.retry else []
        return problem(status.code, str(error), status.kind, items_of(error), retry)

    def http_error(error: HTTPException) -> Reply:
        status = error.code or 500
        detail = _detail(error)
        refused(status)
        log.warning("request.rejected", status=status, method=request.method, path=request.path, detail=detail)
        return problem(status, detail, None, headers=_hints(error))

    def internal_error(error: InternalServerError) -> Reply:
        log.error("request.failed", path=request.path, exc_info=error.original_exception)
        return problem(500, "The service failed; the request id names the log entry", "internal-error")

    for kind in STATUSES:
        app.register_error_handler(kind, service_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(InternalServerError, internal_error)


def items_of(error: ServiceError) -> list[ErrorItem]:
    """Every single problem that an error tells of."""
    if isinstance(error, ContractViolationError | FeedbackRefusedError):
        return error_items(error.rejected.problems if error.rejected is not None else ())
    return row_items(error.rejected) if isinstance(error, RowsRejectedError) else []


def _hints(error: HTTPException) -> list[tuple[str, str]]:
    """What would have been accepted."""
    if isinstance(error, MethodNotAllowed):
        return [("Allow", ", ".join(sorted(error.valid_methods or ())))]
    if isinstance(error, Unauthorized):
        return [("WWW-Authenticate", 'Bearer realm="anomaly-service"')]
    if isinstance(error, TooManyRequests):
        return [("Retry-After", str(error.retry_after))]
    return [("Accept-Encoding", ", ".join(ENCODINGS))] if error.code == 415 else []


def _detail(error: HTTPException) -> str:
    if error.code == 404 and error.description == NotFound.description:
        return f"There is nothing at {request.path[:200]}; /docs lists all endpoints"
    if isinstance(error, MethodNotAllowed):
        return f"{request.method} is not allowed here; use {' or '.join(sorted(error.valid_methods or ()))}"
    return error.description or error.name
