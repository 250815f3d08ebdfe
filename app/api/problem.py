"""The error envelope: RFC 9457 problem details that also carry `success` and a plain string `error`.

Knows no Flask, so that the worker can answer in the same form what never reached the app.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any

from app.api.replies.problems import ErrorItem
from app.api.replies.problems import Problem as ProblemReply
from app.contract.problems import Problem, Rejected
from app.telemetry.logs import render

_ROW_ITEMS = 100

PROBLEM_JSON = "application/problem+json"


def problem_body(
    status: int,
    detail: str,
    *,
    instance: str,
    request_id: str,
    kind: str | None = None,
    errors: Sequence[ErrorItem] = (),
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The JSON document of one error.

    `kind` is the stable name of this sort of error; `extra` are members an endpoint's success would have too.
    """
    document: ProblemReply = {
        "success": False,
        "error": detail,
        "type": f"urn:problem-type:{kind}" if kind else "about:blank",
        "title": _title(status),
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
        "errors": list(errors),
    }
    return render({**document, **(extra or {})})


def error_items(problems: Sequence[Problem], prefix: str = "") -> list[ErrorItem]:
    """Contract problems as `{pointer, feature, code, message}`, pointers (RFC 6901) below `prefix`."""
    return [
        {
            "pointer": prefix + (f"/{_escaped(problem.feature)}" if problem.feature is not None else ""),
            "feature": problem.feature,
            "code": problem.code,
            "message": problem.message,
        }
        for problem in problems
    ]


def row_items(rejected: Mapping[int, Rejected]) -> list[ErrorItem]:
    """The first problems with the rows of a matrix; where in the document they stand depends on its form."""
    items = ((row, item) for row, entry in rejected.items() for item in error_items(entry.problems))
    return [{**item, "row": row, "pointer": "/inputs"} for row, item in islice(items, _ROW_ITEMS)]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
